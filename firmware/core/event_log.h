// Events latched until the host holds them: sent in order, sent again every 250 ms, forgotten when acknowledged.
// When full, a new event is not latched (and counted): ids stay without a gap, and telemetry still shows the state.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "firmware/core/age.h"
#include "link/messages.h"

namespace faraday::firmware {

class EventLog {
 public:
  static constexpr size_t kCapacity = 64;  // chosen: every slot may end a command and a lease
  static constexpr size_t kInFlight = 32;  // sent before an acknowledgement, chosen: 1.5 KiB of line
  static constexpr uint32_t kResendMs = 250;

  template <typename Kind>
  void Latch(const Kind& kind) {
    if (size_ == kCapacity) {
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
