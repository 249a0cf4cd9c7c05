// What survives a reset in .noinit RAM: why the next boot happens, how many boots, where a fault struck.
//
// The AST1030 model has no reset-cause register. So the record is *armed* with "watchdog" while the firmware runs: a
// reset that no code announced is the watchdog's. RAM that lost power does not match magic and CRC: power-on.
#pragma once

#include <cstdint>

#include "link/messages.h"

namespace faraday::firmware::ast1030 {

struct FaultPlace {
  uint32_t pc;
  uint32_t lr;
  uint32_t configurable_status;  // CFSR
  uint32_t hard_status;          // HFSR
};

struct BootRecord {
  uint32_t magic;
  uint32_t boots;    // since power-on, from 1
  uint32_t reason;   // link::BootReason of the boot that a reset right now would cause
  FaultPlace fault;  // of the last fault since power-on, zeros when none
  uint32_t crc;      // over the fields above
};

// Reads the record, counts the boot, arms it with kWatchdog. Returns why this boot happened. Once, at start.
link::BootReason OpenBootRecord(BootRecord& record);
// Announces the cause of the reset that the caller makes next. Any context.
void AnnounceReset(BootRecord& record, link::BootReason reason);

}  // namespace faraday::firmware::ast1030
