#include "firmware/boards/ast1030/spi_flash.h"

#include <array>

#include "firmware/boards/ast1030/registers.h"
#include "firmware/boards/ast1030/timer.h"

namespace faraday::firmware::ast1030 {
namespace {

constexpr uintptr_t kConfiguration = kFmc + 0x00;
constexpr uint32_t kWriteEnable = 1U << 16;  // without it not even commands leave the controller
constexpr uintptr_t kControl = kFmc + 0x10;  // of chip select 0
constexpr uint32_t kUserMode = 3;
constexpr uint32_t kDeselected = 1U << 2;

// JEDEC standard commands.
constexpr uint8_t kReadId = 0x9F, kReadStatus = 0x05, kReadData = 0x03;
constexpr uint8_t kBusy = 0x01;
// A page program takes at most 3 ms (W25Q64 data sheet, tPP); a longer erase is reported, not waited for.
constexpr uint32_t kBusyLimitUs = 10'000;
constexpr uint32_t kEnd = 1U << 24;

// One command: selected while it lives.
class Selected {
 public:
  Selected() : mode_(ReadRegister(kControl)) {
    SetBits(kConfiguration, kWriteEnable);
    WriteRegister(kControl, kUserMode | kDeselected);
    WriteRegister(kControl, kUserMode);
  }
  ~Selected() {
    WriteRegister(kControl, kUserMode | kDeselected);
    WriteRegister(kControl, mode_);
    ClearBits(kConfiguration, kWriteEnable);
  }
  Selected(const Selected&) = delete;
  Selected& operator=(const Selected&) = delete;

  void Send(std::span<const uint8_t> bytes) const {
    for (const uint8_t byte : bytes) WriteByte(kFmcWindow, byte);
  }
  void Receive(std::span<uint8_t> bytes) const {
    for (uint8_t& byte : bytes) byte = ReadByte(kFmcWindow);
  }

 private:
  uint32_t mode_;
};

void Exchange(std::span<const uint8_t> out, std::span<uint8_t> in) {
  const Selected flash;
  flash.Send(out);
  flash.Receive(in);
}

}  // namespace

Result<uint32_t> SpiFlash::ReadId() const {
  FARADAY_TRY(WaitWhileBusy());
  std::array<uint8_t, 3> id{};
  Exchange(std::array<uint8_t, 1>{kReadId}, id);
  const uint32_t number = uint32_t{id[0]} << 16 | uint32_t{id[1]} << 8 | id[2];
  if (number == 0 || number == 0xFFFFFF) return Status(Code::kUnavailable, "no SPI flash answers");
  return number;
}

Status SpiFlash::Read(uint32_t at, std::span<uint8_t> in) const {
  if (at > kEnd || in.size() > kEnd - at) return {Code::kOutOfRange, "beyond 16 MiB of SPI flash"};
  FARADAY_TRY(WaitWhileBusy());
  Exchange(
      std::array<uint8_t, 4>{
          kReadData, static_cast<uint8_t>(at >> 16), static_cast<uint8_t>(at >> 8), static_cast<uint8_t>(at)},
      in);
  return OkStatus();
}

Status SpiFlash::WaitWhileBusy() const {
  const uint32_t started_us = Timer::Micros();
  while (true) {
    // The clock first: a part that has just become ready is never called late.
    const bool late = Timer::Micros() - started_us > kBusyLimitUs;
    std::array<uint8_t, 1> status{};
    Exchange(std::array<uint8_t, 1>{kReadStatus}, status);
    if (status[0] == 0xFF) return {Code::kUnavailable, "no SPI flash answers"};
    if ((status[0] & kBusy) == 0) return OkStatus();
    if (late) return {Code::kDeadlineExceeded, "the SPI flash stays busy"};
  }
}

}  // namespace faraday::firmware::ast1030
