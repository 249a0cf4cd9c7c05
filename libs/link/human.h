// The line's human form: one line of text a frame, both ways. Host only; logs, `faraday link`, vectors and docs use it.
//
//   -> command #12 (session=0x1a2b3c4d term=5 ack=3) id=112 set_vbus slot=7 epoch=3 on=true
//   <- reply #12 (session=0x1a2b3c4d term=5) command_id=112 verdict=accepted wait_ms=1600 epoch=3
//
// Arrow: -> to the MCU, <- to the host. #: the command's number. Parentheses: the header's other fields that are not 0.
// Then the message: name=value, a bare word opens the oneof's choice. Text in quotes, lists in brackets; 0, empty text
// and empty lists are left out, but booleans, enums, ids and slots always shown.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "link/codec.h"
#include "link/frame.h"

namespace faraday::link {

enum class Direction : uint8_t { kToMcu, kToHost };

// One line, no newline. A payload that cannot be decoded is shown as bytes with the reason.
std::string Describe(Direction direction, const FrameView& frame);

// The message's words only: "id=112 set_vbus slot=7 epoch=3 on=true".
std::string DescribeByTable(const MessageTable& table, const void* message);
template <typename Message>
std::string DescribeMessage(const Message& message) {
  return DescribeByTable(TableOf<Message>(), &message);
}

struct HumanFrame {
  Direction direction = Direction::kToMcu;
  FrameHeader header;
  std::vector<uint8_t> payload;
};
// Describe's inverse. Errors: kInvalidArgument, naming the word that cannot be read and what would do.
Result<HumanFrame> ParseHuman(std::string_view line);

// "bad_crc", "too_short", ...: how the decoder names what it dropped.
std::string_view OutcomeName(FrameDecoder::Outcome outcome);

// Bytes as "0a ff 00", and back (spaces free). Errors: kInvalidArgument.
std::string ToHex(std::span<const uint8_t> bytes);
Result<std::vector<uint8_t>> FromHex(std::string_view text);

}  // namespace faraday::link
