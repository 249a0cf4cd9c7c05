// Events latched until the host holds them: sent in order, sent again every 250 ms, forgotten when acknowledged.
// When full, a new event is not latched (and counted): ids stay without a gap, and telemetry still shows the state. The
// last places are for what telemetry does not show: that a command has ended, and why a slot tripped.
// What must outlive a reset goes to the board's log besides.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "firmware/core/age.h"
#include "firmware/core/flash_log.h"
#include "link/messages.h"

namespace faraday::firmware {

class EventLog {
 public:
  static constexpr size_t kCapacity = 64;  // chosen: every slot may end a command and a lease
  static constexpr size_t kOwed = 16;      // of these, for CommandDone and Tripped alone; chosen
  static constexpr size_t kInFlight = 32;  // sent before an acknowledgement, chosen: 1.5 KiB of line
  static constexpr uint32_t kResendMs = 250;

  EventLog() = default;
  // `log` outlives it.
  explicit EventLog(FlashLog& log) : log_(&log) {}

  // To the board's log only. `slot` from 1, 0: the board; the rest as link.proto says of the kind.
  void Log(link::LogKind kind, uint32_t slot, uint32_t detail = 0, uint32_t value = 0, uint32_t limit = 0) {
    if (log_ != nullptr) log_->Write(kind, slot, detail, value, limit);
  }
  // To the host, and trips, conditions, inputs and ends of leases to the board's log.
  template <typename Kind>
  void Latch(const Kind& kind) {
    Keep(kind);
    constexpr bool kIsOwed = std::is_same_v<Kind, link::CommandDone> || std::is_same_v<Kind, link::Tripped>;
    if (size_ >= (kIsOwed ? kCapacity : kCapacity - kOwed)) {
      ++lost_;
      return;
    }
    events_[(head_ + size_++) % kCapacity] = {.id = next_id_++, .uptime_ms = uptime_ms_, .kind = kind};
  }

  void Advance(uint32_t dt) {
    uptime_ms_ += dt;
    since_send_.Advance(dt);
    if (sent_ > 0 && since_send_.ms() >= kResendMs) sent_ = 0;
  }
  // The host holds all events up to the one whose id's low 16 bits are `ack`; anything else is ignored.
  void Acknowledge(uint16_t ack) {
    const auto ahead = static_cast<uint16_t>(ack - static_cast<uint16_t>(oldest_id()));
    if (ahead >= size_) return;
    const size_t done = size_t{ahead} + 1;
    head_ = (head_ + done) % kCapacity;
    size_ -= done;
    sent_ = sent_ > done ? sent_ - done : 0;
    since_send_.Restart();
  }
  // The next event to send now, or nullptr. Sent() after it went out.
  const link::Event* Next() const {
    return sent_ < size_ && sent_ < kInFlight ? &events_[(head_ + sent_) % kCapacity] : nullptr;
  }
  // The age is the oldest's: events that keep coming must not put off the repetition of one that was lost.
  void Sent() {
    if (sent_++ == 0) since_send_.Restart();
  }

  size_t size() const { return size_; }
  // The oldest held, else the next to come.
  uint32_t oldest_id() const { return next_id_ - static_cast<uint32_t>(size_); }
  uint32_t uptime_ms() const { return uptime_ms_; }
  uint32_t lost() const { return lost_; }

 private:
  template <typename Kind>
  void Keep(const Kind&) {}
  void Keep(const link::Tripped& trip) {
    Log(link::LogKind::kTrip, trip.slot, static_cast<uint32_t>(trip.reason), trip.value, trip.limit);
  }
  void Keep(const link::LeaseEnded& end) { Log(link::LogKind::kLeaseEnded, end.slot, 0, end.epoch); }
  void Keep(const link::InputChanged& change) { Log(link::LogKind::kInput, 0, change.input, change.active ? 1 : 0); }
  void Keep(const link::ConditionChanged& change) {
    const auto kind = change.active ? link::LogKind::kCondition : link::LogKind::kConditionOver;
    Log(kind, change.slot, static_cast<uint32_t>(change.condition), change.value, change.limit);
  }

  FlashLog* log_ = nullptr;
  std::array<link::Event, kCapacity> events_{};
  size_t head_ = 0;
  size_t size_ = 0;
  size_t sent_ = 0;
  uint32_t next_id_ = 1;
  uint32_t uptime_ms_ = 0;
  uint32_t lost_ = 0;
  Age since_send_;
};

}  // namespace faraday::firmware
