// Frames as bytes: CRC-32, COBS, header. See frame.h for the drawing.
#include "link/frame.h"

#include <algorithm>

namespace faraday::link {
namespace {

constexpr uint8_t ByteOf(uint32_t value, int n) { return static_cast<uint8_t>(value >> (8 * n)); }

uint32_t Read32(const uint8_t* at) {
  return uint32_t{at[0]} | uint32_t{at[1]} << 8 | uint32_t{at[2]} << 16 | uint32_t{at[3]} << 24;
}
uint16_t Read16(const uint8_t* at) { return static_cast<uint16_t>(at[0] | at[1] << 8); }

std::array<uint8_t, kHeaderSize> HeaderBytes(const FrameHeader& h) {
  return {h.protocol,
          static_cast<uint8_t>(h.channel),
          ByteOf(h.flags, 0),
          ByteOf(h.flags, 1),
          ByteOf(h.session, 0),
          ByteOf(h.session, 1),
          ByteOf(h.session, 2),
          ByteOf(h.session, 3),
          ByteOf(h.term, 0),
          ByteOf(h.term, 1),
          ByteOf(h.term, 2),
          ByteOf(h.term, 3),
          ByteOf(h.seq, 0),
          ByteOf(h.seq, 1),
          ByteOf(h.ack, 0),
          ByteOf(h.ack, 1)};
}

FrameHeader ParseHeader(const uint8_t* at) {
  FrameHeader h;
  h.protocol = at[0];
  h.channel = static_cast<Channel>(at[1]);
  h.flags = Read16(at + 2);
  h.session = Read32(at + 4);
  h.term = Read32(at + 8);
  h.seq = Read16(at + 12);
  h.ack = Read16(at + 14);
  return h;
}

// COBS as a stream: `code_at_` is the place of the group's length byte, filled when the group ends.
class CobsWriter {
 public:
  explicit CobsWriter(std::span<uint8_t> out) : out_(out) {
    Put(0);
    OpenGroup();
  }
  void Write(uint8_t byte) {
    if (byte != 0) Put(byte);
    if (byte == 0 || at_ - code_at_ == 0xFF) {
      CloseGroup();
      OpenGroup();
    }
  }
  // Ends the frame. 0 when it did not fit.
  size_t Finish() {
    CloseGroup();
    Put(0);
    return full_ ? 0 : at_;
  }

 private:
  void OpenGroup() {
    code_at_ = at_;
    Put(0);
  }
  void CloseGroup() {
    if (code_at_ < out_.size()) out_[code_at_] = static_cast<uint8_t>(at_ - code_at_);
  }
  void Put(uint8_t byte) {
    if (at_ < out_.size())
      out_[at_] = byte;
    else
      full_ = true;
    ++at_;
  }

  std::span<uint8_t> out_;
  size_t at_ = 0;
  size_t code_at_ = 0;
  bool full_ = false;
};

}  // namespace

Result<size_t> EncodeFrame(const FrameHeader& header, std::span<const uint8_t> payload, std::span<uint8_t> out) {
  if (payload.size() > kMaxPayload) return Status(Code::kInvalidArgument, "frame payload is longer than 1024 bytes");
  CobsWriter cobs(out);
  uint32_t crc = kCrc32Start;
  const auto write = [&](uint8_t byte) {
    crc = Crc32Step(crc, byte);
    cobs.Write(byte);
  };
  for (uint8_t byte : HeaderBytes(header)) write(byte);
  for (uint8_t byte : payload) write(byte);
  crc = ~crc;
  for (int n = 0; n < 4; ++n) cobs.Write(ByteOf(crc, n));
  const size_t length = cobs.Finish();
  if (length == 0) return Status(Code::kResourceExhausted, "frame does not fit the buffer");
  return length;
}

bool IsStopFrame(const FrameView& frame) {
  return frame.header.channel == Channel::kStop &&
         std::equal(frame.payload.begin(), frame.payload.end(), kStopMagic.begin(), kStopMagic.end());
}

FrameDecoder::Outcome FrameDecoder::Feed(uint8_t byte) {
  if (byte != 0) {
    if (length_ < buffer_.size())
      buffer_[length_++] = byte;
    else
      overflow_ = true;
    return Outcome::kNeedMore;
  }
  if (length_ == 0) return Outcome::kNeedMore;
  const Outcome outcome = overflow_ ? Outcome::kTooLong : Decode(std::span(buffer_).first(length_), view_);
  if (outcome != Outcome::kFrame) ++dropped_;
  length_ = 0;
  overflow_ = false;
  return outcome;
}

// COBS in place (the decoded body is never longer than what was read), then header and CRC.
FrameDecoder::Outcome FrameDecoder::Decode(std::span<uint8_t> stuffed, FrameView& view) {
  size_t from = 0;
  size_t to = 0;
  while (from < stuffed.size()) {
    const size_t code = stuffed[from++];
    if (code - 1 > stuffed.size() - from) return Outcome::kBadCobs;
    for (size_t i = 1; i < code; ++i) stuffed[to++] = stuffed[from++];
    if (code != 0xFF && from < stuffed.size()) stuffed[to++] = 0;
  }
  if (to > kMaxBody) return Outcome::kTooLong;
  if (to < kHeaderSize + 4) return Outcome::kTooShort;
  const std::span<const uint8_t> body(stuffed.data(), to - 4);
  if (Crc32(body) != Read32(stuffed.data() + body.size())) return Outcome::kBadCrc;
  view = {ParseHeader(stuffed.data()), body.subspan(kHeaderSize)};
  return Outcome::kFrame;
}

}  // namespace faraday::link
