// Access to memory-mapped 32-bit registers, and the addresses this board uses.
//
// ASPEED's register manual for the AST1030 is not public: the addresses are those of the public Linux and Zephyr
// drivers for this family and of QEMU's machine `ast1030-evb`. Never run on silicon.
#pragma once

#include <cstdint>

namespace faraday::firmware::ast1030 {

// The seam of the host's driver tests: off the target these are functions that a test's register block defines
// (fake_registers.h); in the image they are one load or store each.
#if defined(__arm__)
inline uint32_t ReadRegister(uintptr_t address) { return *reinterpret_cast<volatile uint32_t*>(address); }
inline void WriteRegister(uintptr_t address, uint32_t value) { *reinterpret_cast<volatile uint32_t*>(address) = value; }
inline uint8_t ReadByte(uintptr_t address) { return *reinterpret_cast<volatile uint8_t*>(address); }
inline void WriteByte(uintptr_t address, uint8_t value) { *reinterpret_cast<volatile uint8_t*>(address) = value; }
#else
uint32_t ReadRegister(uintptr_t address);
void WriteRegister(uintptr_t address, uint32_t value);
uint8_t ReadByte(uintptr_t address);
void WriteByte(uintptr_t address, uint8_t value);
#endif
inline void SetBits(uintptr_t address, uint32_t bits) { WriteRegister(address, ReadRegister(address) | bits); }
inline void ClearBits(uintptr_t address, uint32_t bits) { WriteRegister(address, ReadRegister(address) & ~bits); }

// Keeps interrupts out while it lives: for a read-modify-write of a register that a handler writes too. Not nested.
class InterruptLock {
 public:
#if defined(__arm__)
  InterruptLock() { __asm volatile("cpsid i" ::: "memory"); }
  ~InterruptLock() { __asm volatile("cpsie i" ::: "memory"); }
#else
  InterruptLock() {}
  ~InterruptLock() {}
#endif
  InterruptLock(const InterruptLock&) = delete;
  InterruptLock& operator=(const InterruptLock&) = delete;
};

inline constexpr uintptr_t kFmc = 0x7E620000;
inline constexpr uintptr_t kFmcWindow = 0x80000000;  // chip select 0
inline constexpr uintptr_t kScu = 0x7E6E2000;
inline constexpr uintptr_t kScuRandom = 0x7E6E2540;  // SCU: hardware random number (Linux: timeriomem_rng)
inline constexpr uintptr_t kGpio = 0x7E780000;
inline constexpr uintptr_t kTimer = 0x7E782000;
inline constexpr uintptr_t kUart5 = 0x7E784000;
inline constexpr uintptr_t kWatchdog = 0x7E785000;
inline constexpr uintptr_t kI2c = 0x7E7B0000;

inline constexpr uint32_t kUart5Irq = 8;
inline constexpr uint32_t kGpioIrq = 11;
inline constexpr uint32_t kIrqs = 128;  // I2C13 is 123; rounded up
inline constexpr uint32_t kCoreHz = 200'000'000;

// The core's own registers (ARMv7-M Architecture Reference Manual, B3).
inline constexpr uintptr_t kSysTick = 0xE000E010;
inline constexpr uintptr_t kNvicEnable = 0xE000E100;
inline constexpr uintptr_t kVectorOffset = 0xE000ED08;
inline constexpr uintptr_t kResetControl = 0xE000ED0C;  // AIRCR
inline constexpr uintptr_t kConfigurableFault = 0xE000ED28;
inline constexpr uintptr_t kHardFault = 0xE000ED2C;
inline constexpr uintptr_t kMpu = 0xE000ED90;

}  // namespace faraday::firmware::ast1030
