// The electrical configuration that a board is given, made of the rack's config; and what to do when the board keeps a
// tighter value for a slot that is on (LOOSER_WHILE_ON). Pure.
#pragma once

#include <string>

#include "link/messages.h"
#include "rackconfig/rack_config.h"

namespace faraday::controller {

// `slots` is what the board says it has.
link::Configure MakeConfigure(const rackconfig::RackConfig& config, int board, uint32_t slots);

// Puts the value in force, `reply.limit`, into the field that the reply names. `waits` becomes "current_limit_ma of
// r01/07 stays 2000 while it is on". False: this side cannot; nothing changed.
bool KeepInForce(const link::Reply& reply, const std::string& slot, link::Configure* configure, std::string* waits);

}  // namespace faraday::controller
