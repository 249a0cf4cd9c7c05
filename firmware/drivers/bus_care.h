// Which I2C buses work: a bus that hangs is left alone for a while, and the core is told when none of its transfers
// works. Main loop only.
#pragma once

#include <array>
#include <cstdint>

#include "firmware/core/age.h"
#include "firmware/core/rack_core.h"
#include "firmware/drivers/board.h"

namespace faraday::firmware {

template <Board B>
class BusCare {
 public:
  BusCare(B& board, RackCore& core) : board_(board), core_(core) {}

  // Opens a pass, `dt` ms after the last.
  void BeginPass(uint32_t dt) {
    hung_ = 0;
    for (uint32_t& rest_ms : rest_ms_) rest_ms = Sink(rest_ms, dt);
    for (uint8_t& alone_ms : alone_ms_) alone_ms = static_cast<uint8_t>(Sink(alone_ms, dt));
    for (uint8_t& abort_ms : abort_ms_) abort_ms = static_cast<uint8_t>(Sink(abort_ms, dt));
  }
  // Every bus may be tried again in this pass.
  void ForgetHangs() { hung_ = 0; }
  // It hung in this pass, freed or not: no more of it until the next.
  bool Hung(uint8_t bus) const { return (hung_ >> bus & 1U) != 0; }
  // Runs `transfer` on a bus that works; kAborted, without the wire, when it rests or hung. An urgent one tries a
  // resting bus too.
  template <typename Transfer>
  Status Try(uint8_t bus, Transfer transfer, bool urgent = false, uint8_t address = 0) {
    if (Hung(bus) || (rest_ms_[bus] > 0 && !urgent)) return {Code::kAborted, "the bus rests"};
    auto&& wire = board_.Bus(bus);
    const Status status = transfer(wire);
    Note(bus, status, address);
    return status;
  }
  Status Read(RegisterRead& read, bool urgent = false) {
    return Try(
        read.bus,
        [&](auto& bus) { return bus.WriteRead(read.address, std::span<const uint8_t>(&read.reg, 1), read.in); },
        urgent,
        read.address);
  }
  // The part hangs its bus, on which others answer: it is not asked for a while.
  bool LeftAlone(uint8_t bus, uint8_t address) const { return alone_ms_[bus] > 0 && alone_[bus] == address; }
  bool Resting(uint8_t bus) const { return rest_ms_[bus] > 0; }
  // True: the bus works, the part did not answer. A bus that hangs accuses none of its parts.
  static bool PartIsSilent(const Status& status) { return status.code() == Code::kUnavailable; }

  // Any other answer than "stuck" ends the bus's rest.
  // A part at `address` (0: not known) that hangs it again though others answered in between is left alone instead.
  void Note(uint8_t bus, const Status& status, uint8_t address = 0) {
    const bool stuck = status.code() == Code::kDeadlineExceeded;
    if (!stuck && status.code() != Code::kAborted) {
      rest_ms_[bus] = 0;
      hangs_[bus] = 0;
      return core_.OnBusLost(bus, false);
    }
    if (Hung(bus)) return;  // the same hang ended the batch's other reads
    core_.OnBusRecovery();
    hung_ = static_cast<uint16_t>(hung_ | 1U << bus);
    rest_ms_[bus] = stuck ? kRestMs : abort_ms_[bus] > 0 ? kShortRestMs : 0;
    if (!stuck && address != 0 && hangs_[bus] == 0 && abort_ms_[bus] > 0) {
      rest_ms_[bus] = 0;
      alone_[bus] = address;
      alone_ms_[bus] = kAloneMs;
    }
    abort_ms_[bus] = kAbortMemoryMs;
    if (hangs_[bus] < kLostAfter) ++hangs_[bus];
    if (stuck || hangs_[bus] == kLostAfter) core_.OnBusLost(bus, true);
  }

 private:
  static constexpr size_t kMostBuses = 16;
  static constexpr uint32_t kRestMs = 200;         // chosen: a hang costs 4 ms, so 2 % of the time
  static constexpr uint32_t kShortRestMs = 50;     // chosen: 8 % of the time for a bus that hangs and is freed
  static constexpr uint8_t kAloneMs = 200;         // chosen: two hangs of 4 ms in it
  static constexpr uint32_t kAbortMemoryMs = 100;  // chosen: another hang within it is no accident
  static constexpr uint8_t kLostAfter = 3;         // hangs in a row, though freed each time; chosen

  B& board_;
  RackCore& core_;
  std::array<uint32_t, kMostBuses> rest_ms_{};
  std::array<uint8_t, kMostBuses> abort_ms_{};  // left of kAbortMemoryMs
  std::array<uint8_t, kMostBuses> alone_{};     // the part that is left alone
  std::array<uint8_t, kMostBuses> alone_ms_{};  // for how long yet
  std::array<uint8_t, kMostBuses> hangs_{};     // in a row
  uint16_t hung_ = 0;
};

}  // namespace faraday::firmware
