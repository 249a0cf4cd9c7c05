// Vector table, reset handler, fault handler. Runs before and below everything else on this board.
#include "firmware/boards/ast1030/start.h"

#include <array>
#include <cstddef>

#include "firmware/boards/ast1030/registers.h"

// Placed by image.ld; only their addresses mean something.
extern "C" {
extern uint32_t data_image, data_start, data_end, bss_start, bss_end;
extern uint32_t stack_guard, stack_bottom, stack_top;
extern void (*init_array_start)();
extern void (*init_array_end)();

void ResetHandler();
void FaultHandler();
void SysTickHandler();
void UnexpectedHandler();
}

namespace faraday::firmware::ast1030 {
namespace {

constexpr uint32_t kPaint = 0x5AFE57AC;  // chosen: no address, no small number
constexpr size_t kExceptions = 16;       // ARMv7-M: table entries before the first interrupt

__attribute__((section(".noinit"))) BootRecord boot_record;

using Handler = void (*)();

union VectorEntry {
  const uint32_t* stack;
  Handler handler;
};

constexpr std::array<VectorEntry, kExceptions + kIrqs> MakeVectors() {
  std::array<VectorEntry, kExceptions + kIrqs> vectors{};
  for (auto& entry : vectors) entry = {.handler = UnexpectedHandler};
  vectors[0] = {.stack = &stack_top};
  vectors[1] = {.handler = ResetHandler};
  for (const size_t fault : {3U, 4U, 5U, 6U}) vectors[fault] = {.handler = FaultHandler};
  vectors[15] = {.handler = SysTickHandler};
  vectors[kExceptions + kUart5Irq] = {.handler = UartHandler};
  vectors[kExceptions + kGpioIrq] = {.handler = GpioHandler};
  return vectors;
}

__attribute__((section(".vectors"), used)) constinit const auto kVectors = MakeVectors();

// PMSAv7 region 0: 256 bytes, no access, never executed. Background map for the privileged rest; off in HardFault.
void GuardStack() {
  WriteRegister(kMpu + 0x08, 0);
  WriteRegister(kMpu + 0x0C, reinterpret_cast<uint32_t>(&stack_guard));
  WriteRegister(kMpu + 0x10, 1U << 28 | 7U << 1 | 1U);
  WriteRegister(kMpu + 0x04, 1U << 2 | 1U);
  __asm volatile("dsb\n isb");
}

bool InStack(const uint32_t* address) { return address >= &stack_bottom && address + 8 <= &stack_top; }

}  // namespace

BootRecord& TheBootRecord() { return boot_record; }

void ResetBecause(link::BootReason reason) {
  AnnounceReset(boot_record, reason);
  __asm volatile("dsb");
  WriteRegister(kResetControl, 0x05FA0004);  // key, SYSRESETREQ
  while (true) __asm volatile("wfi");        // the watchdog is the second way out
}

uint32_t StackHighWaterBytes() {
  const volatile uint32_t* word = &stack_bottom;
  while (word < &stack_top && *word == kPaint) ++word;
  return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(&stack_top) - reinterpret_cast<uintptr_t>(word));
}

// `frame` is the stack pointer at the fault: r0-r3, r12, lr, pc, xpsr when the core could still push them.
extern "C" [[noreturn]] __attribute__((used)) void RecordFault(const uint32_t* frame) {
  const bool pushed = InStack(frame);
  boot_record.fault = {.pc = pushed ? frame[6] : 0,
                       .lr = pushed ? frame[5] : 0,
                       .configurable_status = ReadRegister(kConfigurableFault),
                       .hard_status = ReadRegister(kHardFault)};
  ResetBecause(link::BootReason::kFault);
}

extern "C" [[noreturn]] __attribute__((used)) void StartFirmware() {
  const uint32_t* from = &data_image;
  for (uint32_t* to = &data_start; to < &data_end;) *to++ = *from++;
  for (uint32_t* to = &bss_start; to < &bss_end;) *to++ = 0;
  GuardStack();
  WriteRegister(kVectorOffset, reinterpret_cast<uint32_t>(kVectors.data()));
  for (auto* constructor = &init_array_start; constructor < &init_array_end; ++constructor) (*constructor)();
  FirmwareMain();
}

}  // namespace faraday::firmware::ast1030

extern "C" {

// Paints the whole stack before anything uses it.
__attribute__((naked)) void ResetHandler() {
  __asm volatile(
      "ldr r0, =stack_top\n"
      "mov sp, r0\n"
      "ldr r1, =stack_bottom\n"
      "ldr r2, =0x5AFE57AC\n"  // kPaint
      "1: str r2, [r1], #4\n"
      "cmp r1, r0\n"
      "blo 1b\n"
      "b StartFirmware\n");
}

// The stack may be the very thing that failed, so the report gets a fresh one.
__attribute__((naked)) void FaultHandler() {
  __asm volatile(
      "mov r0, sp\n"
      "ldr r1, =stack_top\n"
      "mov sp, r1\n"
      "b RecordFault\n");
}

__attribute__((naked)) void UnexpectedHandler() { __asm volatile("b FaultHandler\n"); }

// Wakes the main loop, nothing else: time comes from the free-running timer.
void SysTickHandler() {}

// Called by library code where a hosted build would throw.
[[noreturn]] void abort() { faraday::firmware::ast1030::ResetBecause(faraday::link::BootReason::kFault); }
}
