// The host's end of the link protocol on one line, without I/O: bytes and time in, bytes and events out.
//
//   Start() --Hello every 250 ms--> HelloReply with our nonce: OnUp, window open
//   commands: numbered, at most 8 unanswered, all unanswered sent again after the retransmission time (RFC 6298's
//   estimator, 50 ms to 2 s), the line is given up after 10 tries. Answers are matched by sequence number.
//   WRONG_SESSION, or any frame of another session: the MCU has reset; OnDown, then Hello again on the same line.
//   SUPERSEDED by a Hello that was not ours, at any time: OnDown, then the hook; this session is over for good. Each
//   Hello says which term we held, so that a line that comes back is not taken from who has it now.
//   Silence of 300 ms with telemetry due at 10 Hz: a keepalive asks why; of 3 s: broken(), the owner opens it anew.
// Belongs to the loop's thread.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "controller/core/now.h"
#include "controller/core/rack_line.h"
#include "link/frame.h"
#include "link/messages.h"

namespace faraday::controller {

inline constexpr Milliseconds kHelloPeriod{250};        // chosen
inline constexpr Milliseconds kRtoMin{50};              // a 600-byte telemetry frame ahead takes 13 ms at 460800 baud
inline constexpr Milliseconds kRtoMax{2'000};           // chosen
inline constexpr int kMaxTries = 10;                    // chosen
inline constexpr Milliseconds kLineSilent{3'000};       // thirty telemetry periods; chosen
inline constexpr Milliseconds kQuiet{300};              // three telemetry periods
inline constexpr Milliseconds kKeepalivePeriod{1'000};  // link.proto
inline constexpr Milliseconds kEventBaseline{500};      // several event resend periods; chosen
inline constexpr size_t kMaxQueued = 256;               // commands that wait for the window; chosen

class LineSession {
 public:
  struct Hooks {
    std::function<void(std::span<const uint8_t>)> write;     // wire bytes of one frame
    std::function<void(const std::string& why)> superseded;  // after OnDown; the session does nothing any more
    // A frame's wire bytes as they came, damaged ones too; may be empty.
    std::function<void(std::span<const uint8_t>)> received;
  };
  // `events` and what the hooks hold must outlive the session. `seed` makes Hello nonces differ between runs.
  LineSession(std::string rack, std::string version, uint32_t seed, LineEvents& events, Hooks hooks);

  // The line is open: begins with Hello.
  void Start(Now now);
  // The line is gone, or `reason` is why it could not be opened.
  void Stop(const std::string& reason, Now now);
  void OnBytes(std::span<const uint8_t> bytes, Now now);
  // To be called at least every 25 ms.
  void OnTime(Now now);
  Status Send(const link::Command& command, Now now);
  // The stop frame, at once and in any state: it needs no session and no term, and is not acknowledged.
  void SendStop();
  // Announces an absence by intent: now, and each time OnTime is called, for one frame may be lost. Nothing but
  // StopSlot can be sent from here on, and that only once.
  void SendAway(Milliseconds away, Now now);

  bool up() const { return state_ == State::kUp; }
  // The line does not answer and should be opened anew; says why. Empty: fine.
  const std::string& broken() const { return broken_; }
  LineCounters counters() const;
  Milliseconds rto() const { return rto_; }

 private:
  enum class State : uint8_t { kStopped, kHello, kUp };
  struct Sent {
    uint16_t seq = 0;
    std::vector<uint8_t> payload;
    BootTime at;  // last sending
    bool resent = false;
    bool answered = false;
  };

  void BeginHello(Now now);
  void SayHello(Now now);
  void BoardHasReset(Now now);
  void Down(const std::string& reason, Now now);
  void OnFrame(const link::FrameView& frame, Now now);
  void OnHelloReply(const link::FrameView& frame, Now now);
  void OnReply(const link::FrameView& frame, Now now);
  void OnTelemetry(const link::FrameView& frame, Now now);
  void OnEvent(const link::FrameView& frame, Now now);
  void OnLog(const link::FrameView& frame, Now now);
  void OnRefusal(const link::FrameView& frame, Now now);
  void OnSuperseded(const link::Refusal& refusal, Now now);
  bool IsOurs(uint32_t nonce) const { return nonce != 0 && nonce - first_nonce_ <= nonce_ - first_nonce_; }
  bool KeepaliveDue(Now now) const;
  void FillWindow(Now now);
  void Resend(uint16_t from_seq, Now now);
  void Measure(Milliseconds round_trip);
  void WriteFrame(link::Channel channel, uint16_t seq, std::span<const uint8_t> payload);
  void SendKeepalive(Now now);
  uint16_t Ack(Now now);

  const std::string rack_;
  const std::string version_;
  LineEvents& events_;
  Hooks hooks_;
  State state_ = State::kStopped;
  std::string broken_;
  link::FrameDecoder decoder_;
  std::vector<uint8_t> raw_;    // the frame being received, for the capture
  const uint32_t first_nonce_;  // of our Hellos, up to nonce_
  uint32_t nonce_;
  uint32_t session_ = 0;
  uint32_t term_ = 0;
  uint32_t last_session_ = 0;   // the last that we held ...
  uint32_t last_term_ = 0;      // ... and its term
  uint32_t ended_session_ = 0;  // before the MCU's reset: late copies of its frames say nothing
  uint32_t away_ms_ = 0;
  BootTime hello_at_;
  BootTime heard_at_;
  BootTime keepalive_at_;
  // commands
  std::deque<Sent> window_;
  std::deque<std::vector<uint8_t>> queue_;
  size_t urgent_ = 0;  // of the queue's front: stops during an announced absence
  uint16_t next_seq_ = 1;
  int tries_ = 0;
  // round trip, in ms
  Milliseconds rto_{200};  // before the first measurement; chosen
  std::optional<double> smoothed_;
  double variation_ = 0;
  // events: all ids held beyond `event_base_`
  uint32_t event_session_ = 0;
  std::optional<uint32_t> event_base_;  // every id up to this is held
  std::set<uint32_t> events_held_;
  BootTime events_since_;
  bool ack_due_ = false;
  // telemetry
  std::optional<uint32_t> telemetry_number_;
  LineCounters counters_;
};

}  // namespace faraday::controller
