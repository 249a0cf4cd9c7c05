// libFuzzer target: the first byte names a message type (or the human form), the rest is its payload. Promises
// (messages.h, human.h): what decodes fits a frame again, comes back equal from its own bytes, and its words read back.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fuzz.h"
#include "link/frame.h"
#include "link/human.h"

namespace {

using namespace faraday::link;  // NOLINT: this file is about nothing else
using Bytes = std::span<const uint8_t>;

template <typename Message>
std::vector<uint8_t> Encode(const Message& message) {
  std::vector<uint8_t> bytes(kMaxPayload);
  const auto length = EncodeMessage(message, bytes);
  FARADAY_PROMISE(length.ok(), "a decoded message fits a frame");
  bytes.resize(*length);
  return bytes;
}

void CheckWords(const std::string& words) {
  for (const char c : words) FARADAY_PROMISE(c >= 0x20 && c < 0x7F, "the human form is one printable line");
}

template <typename Message>
std::vector<uint8_t> TakePayload(Bytes payload) {
  const auto message = DecodeMessage<Message>(payload);
  if (!message.ok()) return {};
  const auto bytes = Encode(*message);
  const auto again = DecodeMessage<Message>(bytes);
  FARADAY_PROMISE(again.ok() && *again == *message, "a message comes back from its encoding");
  FARADAY_PROMISE(Encode(*again) == bytes, "one message has one encoding");
  CheckWords(DescribeMessage(*message));
  return bytes;
}

// The messages that are a frame's whole payload: their line in words gives the same bytes.
template <typename Message, Channel kChannel, Direction kDirection>
std::vector<uint8_t> TakeFrame(Bytes payload) {
  const FrameHeader header{.channel = kChannel, .session = 7, .term = 1, .seq = 2, .ack = 3};
  CheckWords(Describe(kDirection, {header, payload}));
  const auto bytes = TakePayload<Message>(payload);
  if (!DecodeMessage<Message>(payload).ok()) return bytes;
  const std::string line = Describe(kDirection, {header, bytes});
  const auto read = ParseHuman(line);
  FARADAY_PROMISE(read.ok(), "a described frame reads back");
  FARADAY_PROMISE(read->payload == bytes && read->header == header && read->direction == kDirection,
                  "a described frame reads back as it was");
  return bytes;
}

std::vector<uint8_t> TakeText(Bytes text) {
  const auto frame = ParseHuman({reinterpret_cast<const char*>(text.data()), text.size()});
  if (!frame.ok()) return {};
  CheckWords(Describe(frame->direction, {frame->header, frame->payload}));
  return frame->payload;
}

constexpr std::vector<uint8_t> (*kTakers[])(Bytes) = {
    TakeFrame<Hello, Channel::kHello, Direction::kToMcu>,
    TakeFrame<Command, Channel::kCommand, Direction::kToMcu>,
    TakeFrame<Keepalive, Channel::kKeepalive, Direction::kToMcu>,
    TakeFrame<HelloReply, Channel::kHello, Direction::kToHost>,
    TakeFrame<Reply, Channel::kReply, Direction::kToHost>,
    TakeFrame<Refusal, Channel::kRefusal, Direction::kToHost>,
    TakeFrame<Telemetry, Channel::kTelemetry, Direction::kToHost>,
    TakeFrame<Event, Channel::kEvent, Direction::kToHost>,
    TakePayload<Configure>,
    TakePayload<Ping>,
    TakePayload<SetLease>,
    TakePayload<SetVbus>,
    TakePayload<CycleVbus>,
    TakePayload<SetData>,
    TakePayload<SetShield>,
    TakePayload<StopSlot>,
    TakePayload<ClearTrip>,
    TakePayload<CommandDone>,
    TakePayload<Tripped>,
    TakePayload<LeaseEnded>,
    TakePayload<InputChanged>,
    TakePayload<HostSilent>,
    TakeText,
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  (void)kTakers[data[0] % std::size(kTakers)](Bytes(data, size).subspan(1));
  return 0;
}
