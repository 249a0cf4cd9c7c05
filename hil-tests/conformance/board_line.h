// The host's end of one board's line, as the conformance player needs it: bytes through libs/link, one unanswered
// command at a time, events in order. The path is a unix socket, a pty or a serial port. Reads and keeps alive only
// within its calls. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "link/frame.h"
#include "link/messages.h"

namespace faraday::hil {

// How long any awaited thing may take: a busy machine's figure, not a promise of the board.
inline constexpr Milliseconds kPatience{20'000};

class BoardLine {
 public:
  // `baud` matters to a serial port only.
  BoardLine(std::string path, int baud) : path_(std::move(path)), baud_(baud) {}
  ~BoardLine();
  BoardLine(const BoardLine&) = delete;
  BoardLine& operator=(const BoardLine&) = delete;

  // Opens the path, anew when it was open; session and term stay. Waits until it can be opened.
  // Errors: kUnavailable within kPatience.
  Status Open();

  // Opens a host term and repeats Hello until it is answered or refused.
  struct Greeting {
    std::optional<link::HelloReply> reply;
    std::optional<link::Refusal> refusal;
  };
  Result<Greeting> Hello(const std::string& rack);

  // Sends a command (a Command's payload) as number `ahead` after the one that is due, from term `term_back` before
  // ours, and waits for its reply or for a refusal. Resends it each second. Only what is taken counts its number.
  struct Sender {
    uint16_t ahead = 0;
    uint32_t term_back = 0;
    uint32_t other_session = 0;  // xor
  };
  struct Answer {
    std::optional<link::Reply> reply;
    std::optional<link::Refusal> refusal;
  };
  Result<Answer> Command(uint32_t id, std::span<const uint8_t> payload, const Sender& sender);
  // The last command's frame once more, and the reply to that.
  Result<Answer> Again();
  // The frame of a command with one bit wrong; waits for nothing.
  Status Damaged(std::span<const uint8_t> payload);
  Status Stop();
  // HostAway: announces it and says nothing for that long (reads on).
  Status Away(uint32_t ms);
  Status Quiet(uint32_t ms);
  Status Wait(uint32_t ms);
  // Stops reading, and asks for replies until nothing more fits on the line; or reads again.
  Status StopReading();
  void ReadAgain() { reading_ = true; }

  // Runs the line until `holds`. Errors: kDeadlineExceeded after kPatience (or `limit`), kUnavailable the line ended.
  Status Until(const std::function<bool()>& holds, Milliseconds limit = kPatience);

  std::deque<link::Event>& events() { return events_; }
  std::deque<link::Refusal>& refusals() { return refusals_; }
  const std::optional<link::Telemetry>& telemetry() const { return telemetry_; }
  // The next one is newer than this call.
  void ForgetTelemetry() { telemetry_.reset(); }
  // Telemetry was dropped since the last Open or Hello.
  bool telemetry_gap() const { return telemetry_gap_; }
  // When the last command was first sent.
  BootTime sent_at() const { return sent_at_; }
  // The last frames in human form, telemetry left out; for reports.
  const std::deque<std::string>& trace() const { return trace_; }

 private:
  template <typename Message>
  Status Send(link::Channel channel, const Message& message);
  Status SendFrame(const link::FrameHeader& header, std::span<const uint8_t> payload);
  Status SendWire(std::span<const uint8_t> wire);
  link::FrameHeader Header(link::Channel channel) const;
  void ForgetRefusalsOfOthers();
  Result<Answer> Await(uint32_t id);
  Status ReadOnce();
  Status KeepAlive();
  void OnFrame(const link::FrameView& frame);
  void OnEvent(const link::Event& event);
  void OnTelemetry(link::Telemetry telemetry);
  void Note(std::string text);
  void Close();
  int Unread() const;

  std::string path_;
  int baud_;
  int fd_ = -1;
  link::FrameDecoder decoder_;
  uint32_t session_ = 0;
  uint32_t term_ = 0;
  uint16_t next_seq_ = 1;
  uint16_t last_event_ = 0;
  uint32_t nonce_ = 0;
  bool nonce_seeded_ = false;
  bool silent_ = false;
  bool reading_ = true;
  BootTime keepalive_due_{};
  BootTime sent_at_{};
  std::vector<uint8_t> last_wire_;
  uint32_t last_id_ = 0;
  std::optional<link::HelloReply> hello_;
  std::optional<link::Reply> reply_;
  std::optional<link::Telemetry> telemetry_;
  std::optional<uint32_t> telemetry_number_;
  bool telemetry_gap_ = false;
  std::deque<link::Refusal> refusals_;
  std::deque<link::Event> events_;
  std::deque<std::string> trace_;
};

}  // namespace faraday::hil
