// One frame of the MCU line, as bytes and as a struct. Freestanding; shared by firmware, controller and tools.
//
//   wire    := 0x00? COBS(body) 0x00
//   body    := header(16) payload(0..kMaxPayload) crc32(4)
//   header  := protocol u8 | channel u8 | flags u16 | session u32 | term u32 | seq u16 | ack u16      (little endian)
//   crc32   := IEEE 802.3 (reflected 0xEDB88320, init and xor-out 0xFFFFFFFF) over header and payload
//
// COBS keeps 0x00 out of the body, so that a receiver finds the next frame after any damage at the next zero
// (Cheshire & Baker, 1999): overhead is one byte in 254. CRC-32 because 600-byte frames are normal here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/crc32.h"
#include "base/result.h"

namespace faraday::link {

inline constexpr uint8_t kProtocol = 1;
inline constexpr size_t kHeaderSize = 16;
inline constexpr size_t kMaxPayload = 1024;
inline constexpr size_t kMaxBody = kHeaderSize + kMaxPayload + 4;
inline constexpr size_t kMaxWire = kMaxBody + kMaxBody / 254 + 1 + 2;  // COBS overhead and both zeros

enum class Channel : uint8_t {
  kHello = 1,      // host: Hello          MCU: HelloReply
  kCommand = 2,    // host: Command        (numbered by seq, in order, bounded window)
  kReply = 3,      //                      MCU: Reply (seq of its command; replayed, never executed twice)
  kTelemetry = 4,  //                      MCU: Telemetry (unacknowledged)
  kEvent = 5,      //                      MCU: Event (latched until acknowledged by header.ack)
  kKeepalive = 6,  // host: Keepalive
  kStop = 7,       // host: kStopMagic; no session, term or epoch; acted on in the receive path
  kRefusal = 8,    //                      MCU: Refusal
  kLog = 9,        //                      MCU: LogPage (unacknowledged, asked for by ReadLog)
};

// Payload of a stop frame: valid CRC plus these bytes ("STOPRACK"), so that noise cannot be one.
inline constexpr std::array<uint8_t, 8> kStopMagic = {'S', 'T', 'O', 'P', 'R', 'A', 'C', 'K'};
// Most commands a host may have unanswered; the MCU keeps at least as many replies for replay.
inline constexpr uint16_t kWindow = 8;

struct FrameHeader {
  uint8_t protocol = kProtocol;
  Channel channel = Channel::kKeepalive;
  uint16_t flags = 0;    // 0 in protocol 1
  uint32_t session = 0;  // the MCU's; 0 in Hello and Stop
  uint32_t term = 0;     // the host's; 0 in Hello and Stop
  uint16_t seq = 0;      // command and reply: the command's number (from 1, wraps past 65535 to 1); else 0
  uint16_t ack = 0;      // host to MCU: low 16 bits of the last event id held without a gap

  bool operator==(const FrameHeader&) const = default;
};

// A frame decoded in place; `payload` points into the decoder's buffer until the next byte is fed.
struct FrameView {
  FrameHeader header;
  std::span<const uint8_t> payload;
};

using faraday::Crc32;

// Writes the wire form (leading zero, COBS body, trailing zero) to `out`. Returns its length.
// Errors: kResourceExhausted when `out` is too small (kMaxWire always fits), kInvalidArgument when the payload
// is longer than kMaxPayload.
Result<size_t> EncodeFrame(const FrameHeader& header, std::span<const uint8_t> payload, std::span<uint8_t> out);

// True for the stop frame, whatever its session, term and numbers.
bool IsStopFrame(const FrameView& frame);

// Takes the line's bytes one at a time, gives whole frames. One decoder a direction; no allocation.
class FrameDecoder {
 public:
  enum class Outcome : uint8_t {
    kNeedMore,  // no frame ends at this byte
    kFrame,     // frame() holds one
    kBadCobs,   // dropped: a zero inside, or a length that leaves the frame
    kBadCrc,    // dropped: damaged
    kTooShort,  // dropped: less than header and CRC
    kTooLong,   // dropped: more than kMaxBody; the rest up to the next zero is skipped
  };

  Outcome Feed(uint8_t byte);
  // REQUIRES: the last Feed returned kFrame. Valid until the next Feed.
  const FrameView& frame() const { return view_; }
  // Frames dropped since construction.
  uint32_t dropped() const { return dropped_; }

  // The decoder's last step alone: `stuffed` is what stood between two zeros, and is overwritten with the frame's body.
  // kNeedMore never comes; with kFrame `view` points into `stuffed`.
  static Outcome Decode(std::span<uint8_t> stuffed, FrameView& view);

 private:
  std::array<uint8_t, kMaxBody + kMaxBody / 254 + 2> buffer_{};
  size_t length_ = 0;
  bool overflow_ = false;
  uint32_t dropped_ = 0;
  FrameView view_{};
};

}  // namespace faraday::link
