// Start-up, faults and the stack's mark of this board.
#pragma once

#include <cstdint>

#include "firmware/boards/ast1030/boot_record.h"

namespace faraday::firmware::ast1030 {

// The record in .noinit RAM.
BootRecord& TheBootRecord();
// Announces `reason` and resets the SoC. Any context; does not return.
[[noreturn]] void ResetBecause(link::BootReason reason);
// Most bytes of stack used since start (the stack is painted at start).
uint32_t StackHighWaterBytes();

}  // namespace faraday::firmware::ast1030

// Defined in main.cc.
extern "C" void UartHandler();
extern "C" void GpioHandler();
extern "C" [[noreturn]] void FirmwareMain();
