// The lab's plain structs <-> faraday.v1. No I/O, no decisions.
#pragma once

#include <string>

#include "faraday/v1/envelope.pb.h"
#include "faraday/v1/job.pb.h"
#include "faraday/v1/rack.pb.h"
#include "lab/core/facts.h"
#include "lab/core/records.h"

namespace faraday::lab {

LeaseFacts FromProto(const v1::Lease& lease, Now received);
v1::Lease ToProto(const LeaseFacts& lease, Now now);

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

}  // namespace faraday::lab
