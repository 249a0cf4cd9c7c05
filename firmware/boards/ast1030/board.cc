#include "firmware/boards/ast1030/board.h"

#include "firmware/boards/ast1030/registers.h"
#include "firmware/boards/ast1030/spi_flash.h"
#include "firmware/boards/ast1030/start.h"

namespace faraday::firmware::ast1030 {
namespace {

// Long against the slowest pass (a scan, and an EEPROM that does not come back three times: below 50 ms), and against
// an emulator that its host starves, whose watchdog keeps counting.
constexpr uint32_t kWatchdogUs = 2'000'000;

constexpr uint32_t kSettleUs = 100'000;  // relay travel and the monitors' first conversion, with room (chosen)

void StartWatchdog() {
  WriteRegister(kWatchdog + 0x04, kWatchdogUs);
  WriteRegister(kWatchdog + 0x08, 0x4755);
  WriteRegister(kWatchdog + 0x0C, 0x13);  // 1 MHz clock, reset the system, enable
}

void StartTick() {
  WriteRegister(kSysTick + 0x04, kCoreHz / 1000 - 1);
  WriteRegister(kSysTick + 0x08, 0);
  WriteRegister(kSysTick + 0x00, 0x7);  // core clock, interrupt, enable
}

// Murmur3's finaliser: every input bit reaches every output bit.
uint32_t Mix(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x85EBCA6BU;
  x = (x ^ (x >> 13)) * 0xC2B2AE35U;
  return x ^ (x >> 16);
}

}  // namespace

void Ast1030::Start() {
  StartWatchdog();
  boot_cause_ = OpenBootRecord(TheBootRecord());
  timer_.Start();
  gpio_.Start();
  for (const uint8_t bus : kBusesInUse) Bus(bus).Start();
  uart_.Start();
  StartTick();
  Settle();
}

// The stop pin has just cut coils and switches: what the first scan reads shall be their rest, not their fall.
void Ast1030::Settle() {
  const uint32_t started = Timer::Micros();
  while (Timer::Micros() - started < kSettleUs) Sleep();
  FeedWatchdog();
}

void Ast1030::FeedWatchdog() { WriteRegister(kWatchdog + 0x08, 0x4755); }

uint32_t Ast1030::FlashId() const {
  const Result<uint32_t> id = SpiFlash().ReadId();
  return id.ok() ? *id : 0;
}

uint32_t Ast1030::NewSession() {
  // The boot count and the time make two boots differ even where the random source should fail.
  const uint32_t session = Mix(ReadRegister(kScuRandom) ^ Mix(Timer::Micros()) ^ TheBootRecord().boots << 24);
  return session == 0 ? 1 : session;
}

uint32_t Ast1030::StackHighWaterBytes() {
  const uint32_t now = Timer::Micros();
  if (stack_high_water_ == 0 || now - stack_looked_us_ > 1'000'000) {
    stack_looked_us_ = now;
    stack_high_water_ = ast1030::StackHighWaterBytes();
  }
  return stack_high_water_;
}

}  // namespace faraday::firmware::ast1030
