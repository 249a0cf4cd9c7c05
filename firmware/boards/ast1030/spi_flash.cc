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
constexpr uint8_t kWriteEnableCommand = 0x06, kPageProgram = 0x02, kSectorErase = 0x20;
constexpr uint8_t kBusy = 0x01;
constexpr uint8_t kWriteEnabled = 0x02;
// A page program takes at most 3 ms (W25Q64 data sheet, tPP); a longer erase is reported, not waited for.
constexpr uint32_t kBusyLimitUs = 10'000;
// 32 bytes take at most 50 us + 31 x 12 us (W25Q64 data sheet, tBP1, tBP2), with room.
constexpr uint32_t kProgramLimitUs = 1000;
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

constexpr std::array<uint8_t, 4> WithAddress(uint8_t command, uint32_t at) {
  return {command, static_cast<uint8_t>(at >> 16), static_cast<uint8_t>(at >> 8), static_cast<uint8_t>(at)};
}

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
  Exchange(WithAddress(kReadData, at), in);
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

// ---- the log's region ----

namespace {

uint8_t PartStatus() {
  std::array<uint8_t, 1> status{};
  Exchange(std::array<uint8_t, 1>{kReadStatus}, status);
  return status[0];
}

// A protected or silent part does not take it: nothing is sent to it then.
Status EnableWriting() {
  Exchange(std::array<uint8_t, 1>{kWriteEnableCommand}, {});
  if ((PartStatus() & (kWriteEnabled | kBusy)) == kWriteEnabled) return OkStatus();
  return {Code::kUnavailable, "the SPI flash cannot be written"};
}

}  // namespace

Status LogRegion::Ready(uint32_t at, size_t size) const {
  if (at > kBytes || size > kBytes - at) return {Code::kOutOfRange, "beyond the log's part of the SPI flash"};
  return Busy() ? Status(Code::kUnavailable, "the SPI flash is busy or silent") : OkStatus();
}

bool LogRegion::Busy() const { return (PartStatus() & kBusy) != 0; }

Status LogRegion::Read(uint32_t at, std::span<uint8_t> in) const {
  FARADAY_TRY(Ready(at, in.size()));
  Exchange(WithAddress(kReadData, kLogAt + at), in);
  return OkStatus();
}

Status LogRegion::Program(uint32_t at, std::span<const uint8_t> out) const {
  FARADAY_TRY(Ready(at, out.size()));
  if (out.size() > kMostProgram || at % kPageBytes + out.size() > kPageBytes) {
    return {Code::kOutOfRange, "a program is at most 32 bytes in one page"};
  }
  FARADAY_TRY(EnableWriting());
  {
    const Selected flash;
    flash.Send(WithAddress(kPageProgram, kLogAt + at));
    flash.Send(out);
  }
  const uint32_t started_us = Timer::Micros();
  while (true) {
    const bool late = Timer::Micros() - started_us > kProgramLimitUs;
    if (!Busy()) return OkStatus();
    if (late) return {Code::kDeadlineExceeded, "the SPI flash does not end its write"};
  }
}

Status LogRegion::BeginErase(uint32_t at) const {
  if (at % kSectorBytes != 0) return {Code::kOutOfRange, "an erase begins at a sector"};
  FARADAY_TRY(Ready(at, kSectorBytes));
  FARADAY_TRY(EnableWriting());
  Exchange(WithAddress(kSectorErase, kLogAt + at), {});
  return OkStatus();
}

}  // namespace faraday::firmware::ast1030
