// libFuzzer target: any bytes into the frame decoder. Promises (frame.h): every chunk between two zeros has the outcome
// that a plain reading of the drawing gives it, a frame comes back from its own encoding, and after any garbage one
// zero is enough for the next frame to be found.
#include <cstdint>
#include <span>
#include <vector>

#include "base/fuzz.h"
#include "link/frame.h"
#include "link/human.h"

namespace {

using namespace faraday::link;  // NOLINT: this file is about nothing else
using Outcome = FrameDecoder::Outcome;

// Bit by bit from the polynomial; shares no table with the code under test.
uint32_t PlainCrc(std::span<const uint8_t> bytes) {
  uint32_t crc = 0xFFFFFFFFU;
  for (const uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0xEDB88320U : 0U);
  }
  return ~crc;
}

struct Plain {
  Outcome outcome = Outcome::kBadCobs;
  std::vector<uint8_t> body;  // header and payload when a frame
};

bool UndoCobs(std::span<const uint8_t> chunk, std::vector<uint8_t>& body) {
  for (size_t at = 0; at < chunk.size();) {
    const size_t code = chunk[at];
    if (at + code > chunk.size()) return false;
    body.insert(
        body.end(), chunk.begin() + static_cast<ptrdiff_t>(at) + 1, chunk.begin() + static_cast<ptrdiff_t>(at + code));
    at += code;
    if (code < 0xFF && at < chunk.size()) body.push_back(0);
  }
  return true;
}

Plain ReadPlainly(std::span<const uint8_t> chunk) {
  Plain plain;
  if (chunk.size() > kMaxBody + kMaxBody / 254 + 2) return {Outcome::kTooLong, {}};
  if (!UndoCobs(chunk, plain.body)) return {Outcome::kBadCobs, {}};
  if (plain.body.size() > kMaxBody) return {Outcome::kTooLong, {}};
  if (plain.body.size() < kHeaderSize + 4) return {Outcome::kTooShort, {}};
  const size_t end = plain.body.size() - 4;
  uint32_t crc = 0;
  for (size_t i = 0; i < 4; ++i) crc |= uint32_t{plain.body[end + i]} << (8 * i);
  plain.body.resize(end);
  plain.outcome = crc == PlainCrc(plain.body) ? Outcome::kFrame : Outcome::kBadCrc;
  return plain;
}

std::vector<uint8_t> Encode(const FrameHeader& header, std::span<const uint8_t> payload) {
  std::vector<uint8_t> wire(kMaxWire);
  const auto length = EncodeFrame(header, payload, wire);
  FARADAY_PROMISE(length.ok(), "kMaxWire holds every frame");
  wire.resize(*length);
  return wire;
}

Outcome FeedAll(FrameDecoder& decoder, std::span<const uint8_t> wire) {
  Outcome outcome = Outcome::kNeedMore;
  for (const uint8_t byte : wire) outcome = decoder.Feed(byte);
  return outcome;
}

bool SamePayload(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

void CheckFrame(const FrameView& frame, std::span<const uint8_t> body) {
  FARADAY_PROMISE(SamePayload(frame.payload, body.subspan(kHeaderSize)), "the payload is the body after the header");
  const auto wire = Encode(frame.header, frame.payload);
  FrameDecoder again;
  FARADAY_PROMISE(FeedAll(again, wire) == Outcome::kFrame, "an encoded frame decodes");
  FARADAY_PROMISE(again.frame().header == frame.header && SamePayload(again.frame().payload, frame.payload),
                  "a frame comes back from its encoding");
  FARADAY_PROMISE(!Describe(Direction::kToMcu, frame).empty(), "every frame has words to the MCU");
  FARADAY_PROMISE(!Describe(Direction::kToHost, frame).empty(), "every frame has words to the host");
}

void CheckRecovery(FrameDecoder& decoder) {
  const FrameHeader header{.channel = Channel::kKeepalive, .session = 7, .term = 1};
  FARADAY_PROMISE(FeedAll(decoder, Encode(header, {})) == Outcome::kFrame && decoder.frame().header == header,
                  "a leading zero is enough to find the frame after any garbage");
}

// Both raw, and as the payload of a frame of its own, which gets past the CRC.
void TakeBytes(std::span<const uint8_t> bytes) {
  FrameDecoder decoder;
  uint32_t dropped = 0;
  size_t begin = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const Outcome outcome = decoder.Feed(bytes[i]);
    const auto chunk = bytes.subspan(begin, i - begin);
    if (bytes[i] != 0 || chunk.empty()) {
      FARADAY_PROMISE(outcome == Outcome::kNeedMore, "only a zero ends a frame");
    } else {
      const Plain plain = ReadPlainly(chunk);
      FARADAY_PROMISE(outcome == plain.outcome, "the outcome is that of a plain reading");
      if (outcome == Outcome::kFrame)
        CheckFrame(decoder.frame(), plain.body);
      else
        ++dropped;
    }
    if (bytes[i] == 0) begin = i + 1;
  }
  FARADAY_PROMISE(decoder.dropped() == dropped, "every dropped frame is counted once");
  CheckRecovery(decoder);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const uint8_t> bytes(data, size);
  TakeBytes(bytes);
  if (size < 2 || size > kMaxPayload) return 0;
  const FrameHeader header{.channel = static_cast<Channel>(data[0]), .seq = data[1]};
  TakeBytes(Encode(header, bytes.subspan(2)));
  return 0;
}
