// The messages whose cost is measured, the same on the host (bytes) and on the target (instructions). Freestanding.
#pragma once

#include "link/messages.h"

namespace faraday::firmware::bench {

// A full board at work: 32 slots, 12 phones charging, 8 of them leased, doors shut, up for three hours. Numbers as the
// board's parts give them (3 mA a step, noise of some millivolts).
void FillCharging(link::Telemetry& telemetry);
// Every entry as long as the parts and the protocol allow, in both forms: neighbours as different as can be.
void FillWorst(link::Telemetry& telemetry);
// The command that switches a slot on.
link::Command SwitchOn();
// The longest command: the configuration of 32 slots and 8 rails.
link::Command Configuration();

}  // namespace faraday::firmware::bench
