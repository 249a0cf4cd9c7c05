// What selectors see of a slot. Pure functions of the facts.
#pragma once

#include "lab/core/facts.h"
#include "model/selector.h"

namespace faraday::lab {

// rack, slot, platform, model, os, serial, battery, adb, expected and the slot's labels under their own keys (a label
// cannot replace one of the built-in keys). Values are the last seen, else what the config expects; `expected` is
// always the config's word (a phone may call itself SM-S911B where people say galaxy-s23). Unknown keys are absent.
model::Attributes AttributesOf(const SlotFacts& slot);

// Whether a value of `key` may still come or change without anyone touching the rack: readings (battery, adb) always,
// and every fact about a phone that no agent has reported yet.
bool MayChange(const SlotFacts& slot, const std::string& key);

// False when the phone was looked for and is not there, or when nothing was seen and nothing is expected.
bool HasPhone(const SlotFacts& slot);

}  // namespace faraday::lab
