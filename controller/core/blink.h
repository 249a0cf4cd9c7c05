// Finding a slot in the room: its LED blinks fast, or every LED of the rack.
#pragma once

#include <string>

#include "controller/core/grants.h"

namespace faraday::controller {

inline constexpr Milliseconds kBlinkMax = std::chrono::hours(1);  // link.proto

// `name` is a slot's or the rack's; 0 ends it. Answers with the time. Errors: kInvalidArgument beyond kBlinkMax,
// kPermissionDenied (the slot's holder, tech and admin may; the whole rack: tech and admin), kNotFound, kUnavailable.
void Blink(const RackParts& parts,
           const CallContext& context,
           const std::string& name,
           Milliseconds duration,
           Answer<Milliseconds> answer,
           Now now);

}  // namespace faraday::controller
