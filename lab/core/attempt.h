// How one attempt moves: ASSIGNED -> PREPARING -> RUNNING -> COLLECTING -> ENDED, forward only, by its agent's reports,
// or straight to ENDED by the lab when the agent is lost. Pure.
#pragma once

#include <string>

#include "base/result.h"
#include "lab/core/records.h"

namespace faraday::lab {

// Takes what `report` says into `attempt`; identity (id, slot, lease, epoch, agent) stays. True when something changed.
// An older state, or anything after ENDED, changes nothing. Texts and lists are cut to their bounds.
bool ApplyReport(const Attempt& report, UtcTime now, Attempt* attempt);

// The lab's own end of an attempt nobody reports on any more.
void EndAttempt(Outcome outcome, const std::string& reason, UtcTime now, Attempt* attempt);

// Finishes the job when its attempt has ended.
void FinishWithAttempt(UtcTime now, Job* job);
// Finishes a job that never got an attempt, or overrides it.
void FinishJob(Outcome outcome, const std::string& reason, UtcTime now, Job* job);

// Fills defaults (timeouts) and checks bounds: a command, at most 24 KiB of texts in all, timeouts up to 7 days.
// Errors: kInvalidArgument naming field and range.
Status CheckSpec(JobSpec* spec);

}  // namespace faraday::lab
