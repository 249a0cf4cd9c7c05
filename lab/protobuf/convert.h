// The lab's plain structs <-> faraday.v1. No I/O, no decisions.
#pragma once

#include <string>

#include "base/status.h"
#include "faraday/v1/envelope.pb.h"
#include "faraday/v1/job.pb.h"
#include "faraday/v1/rack.pb.h"
#include "lab/core/facts.h"
#include "lab/core/records.h"

namespace faraday::lab {

LeaseFacts FromProto(const v1::Lease& lease, Now received);
v1::Lease ToProto(const LeaseFacts& lease, Now now);

// A controller speaks for its own slots only. OK when `lease` is of `slot` ("r01/07") and its id says so; care's need
// no id. kInternal naming both.
Status CheckLease(const std::string& slot, const v1::Lease& lease);
// Takes out every slot that is not `rack`'s or has the lease of another slot. What was wrong with the first, or "".
std::string DropForeign(const std::string& rack, v1::RackState* state);

// Slots with an id that cannot be read are left out.
RackFacts FromProto(const v1::RackState& state, BootTime asked, Now received);

Person FromProto(const v1::Caller& caller);
v1::Caller ToProto(const Person& person);

JobSpec FromProto(const v1::JobSpec& spec);
v1::JobSpec ToProto(const JobSpec& spec);

Attempt FromProto(const v1::Attempt& attempt);
v1::Attempt ToProto(const Attempt& attempt);

// `controller` is the endpoint of the lease's rack, or empty.
v1::Reservation ToProto(const Reservation& reservation, uint32_t position, const std::string& controller, Now now);
v1::Job ToProto(const Job& job, uint32_t position);
// Whether `reader` may see the values in a job's environment, which may be secrets: who submitted it, techs, admins.
bool SeesEnvironment(const Person& reader, const Job& job);

}  // namespace faraday::lab
