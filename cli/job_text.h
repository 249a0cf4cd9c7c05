// Jobs as people read them, and the exit code of an outcome. Pure: time is an argument.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "faraday/v1/job.pb.h"

namespace faraday::cli {

// 0 passed, 1 failed, 3 infrastructure, 4 no device, 5 cancelled or lease lost; 3 for what has no outcome.
int ExitOfOutcome(v1::Outcome outcome);
// "passed", "failed", "infrastructure failed", "no device in time", "cancelled", "lease lost".
std::string OutcomeWord(v1::Outcome outcome);
// What the job does now: "queued at position 2: ...", "job-12.1 on r01/03 is preparing: waiting for boot".
std::string ProgressWords(const v1::Job& job);
// The last attempt, or nullptr.
const v1::Attempt* LastAttempt(const v1::Job& job);
// Outcome, reason, phone, VBUS before, during and after, tests, artefacts: several lines.
std::string RenderOutcome(const v1::Job& job);
// Everything about a job.
std::string RenderJob(const v1::Job& job, int64_t now_utc_ms);
// One row a job.
std::string RenderJobs(const std::vector<v1::Job>& jobs, int64_t now_utc_ms, size_t width);

}  // namespace faraday::cli
