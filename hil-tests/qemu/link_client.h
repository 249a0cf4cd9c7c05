// The host's end of the MCU link, as little as the tests need: Hello, commands one at a time, events, telemetry.
// One thread; every wait has the bench's generous deadline and keeps the line alive meanwhile.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "link/frame.h"
#include "link/messages.h"

namespace faraday::hil {

class LinkClient {
 public:
  // Takes a connected descriptor, owned from here on.
  explicit LinkClient(int fd) : fd_(fd) {}
  ~LinkClient();
  LinkClient(const LinkClient&) = delete;
  LinkClient& operator=(const LinkClient&) = delete;

  // Opens a host term; repeated each second until the board answers.
  Result<link::HelloReply> Hello(const std::string& rack);
  // Sends `call` (one of Command's alternatives) and waits for its reply.
  template <typename Call>
  Result<link::Reply> Do(const Call& call) {
    return Exchange({.id = next_id_, .call = call});
  }
  // The end of an accepted command.
  Result<link::CommandDone> WaitDone(uint32_t command_id);
  // The next trip told by the board.
  Result<link::Tripped> WaitTrip();
  // Every record of the board's log, in order. kAborted: it stays busy.
  struct Record {
    uint32_t boot = 0;
    link::LogKind kind = link::LogKind::kNone;
    uint32_t slot = 0, detail = 0, value = 0, limit = 0;
  };
  Result<std::vector<Record>> ReadLog();
  // The stop frame: no session, no term.
  Status SendStop();
  // Bytes as they are, for damaged and hostile frames.
  Status SendRaw(std::span<const uint8_t> bytes);
  // The next telemetry from now on.
  Result<link::Telemetry> NextTelemetry();

 private:
  Result<link::Reply> Exchange(const link::Command& command);
  template <typename Message>
  Status Send(link::Channel channel, const Message& message, uint16_t seq);
  template <typename Found>
  Status PumpUntil(Found found);
  Status ReadOnce();
  void OnFrame(const link::FrameView& frame);
  void OnEvent(const link::Event& event);

  int fd_;
  link::FrameDecoder decoder_;
  uint32_t session_ = 0;
  uint32_t term_ = 0;
  uint16_t next_seq_ = 1;
  uint16_t last_event_ = 0;
  uint32_t next_id_ = 1;
  uint32_t nonce_ = 0;
  BootTime next_keepalive_{};
  std::optional<link::HelloReply> hello_;
  std::optional<link::Reply> reply_;
  std::optional<link::Refusal> refusal_;
  std::optional<link::Telemetry> telemetry_;
  std::optional<link::LogPage> page_;
  std::deque<link::CommandDone> done_;
  std::deque<link::Tripped> trips_;
};

}  // namespace faraday::hil
