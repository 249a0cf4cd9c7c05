// The host's end of a board's line for measuring: hello, commands one at a time or a window full, events, telemetry.
// Speaks only the wire (libs/link). One thread; a wait that takes a minute ends the program with a message.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "link/codec.h"
#include "link/frame.h"

namespace faraday::hil {

// When the MCU and this host say that a command ended.
struct Ended {
  link::CommandDone done;
  uint32_t mcu_ms = 0;  // the event's uptime_ms
};

class LineHost {
 public:
  using Call = decltype(link::Command::call);

  // Opens the pty (or another tty) and a host term.
  LineHost(const std::string& path, const std::string& rack);
  ~LineHost();
  LineHost(const LineHost&) = delete;
  LineHost& operator=(const LineHost&) = delete;

  // Sends one command and waits for its reply, which must be OK or ACCEPTED. Returns its id.
  uint32_t Do(const Call& call);
  // Sends without waiting. Returns its id.
  uint32_t Start(const Call& call);
  // The same for all of them, as many outstanding as the window takes. Returns their ids.
  std::vector<uint32_t> DoAll(const std::vector<Call>& calls);
  // All of `ids` have ended; a code other than ok ends the program.
  void AwaitDone(const std::vector<uint32_t>& ids);
  const Ended& ended(uint32_t id) const { return ended_.at(id); }
  // Reads until the condition holds.
  void Await(const std::function<bool()>& condition);
  // Reads for as long as that.
  void Listen(std::chrono::milliseconds time);
  // The next telemetry from now on.
  const link::Telemetry& NextTelemetry();
  const link::Telemetry& telemetry() const { return telemetry_; }
  uint32_t telemetry_frames() const { return telemetry_frames_; }
  // Bytes of the newest telemetry: its message, and its frame on the wire.
  size_t telemetry_bytes() const { return telemetry_bytes_; }
  size_t telemetry_wire_bytes() const { return telemetry_wire_bytes_; }

 private:
  template <typename Message>
  void Send(link::Channel channel, const Message& message, uint16_t seq);
  void ReadOnce(int wait_ms);
  void OnFrame(const link::FrameView& frame);
  void OnReply(const link::Reply& reply);
  void OnEvent(const link::Event& event);

  int fd_ = -1;
  link::FrameDecoder decoder_;
  uint32_t session_ = 0;
  uint32_t term_ = 0;
  uint16_t next_seq_ = 1;
  uint32_t next_id_ = 1;
  uint32_t last_event_ = 0;
  size_t outstanding_ = 0;
  uint32_t replied_id_ = 0;
  std::optional<link::HelloReply> hello_;
  std::map<uint32_t, Ended> ended_;
  link::Telemetry telemetry_;
  uint32_t telemetry_frames_ = 0;
  size_t telemetry_bytes_ = 0;
  size_t telemetry_wire_bytes_ = 0;
  std::chrono::steady_clock::time_point next_keepalive_{};
};

}  // namespace faraday::hil
