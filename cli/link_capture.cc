#include "cli/link_capture.h"

#include <fmt/format.h>

namespace faraday::cli {
namespace {

using link::Channel;
using link::Direction;

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

bool Begins(std::string_view text, std::string_view with) { return text.substr(0, with.size()) == with; }

// Where a frame of this header goes; only Hello is sent both ways, and the host's carries no session.
Direction DirectionOf(const link::FrameHeader& header) {
  switch (header.channel) {
    case Channel::kReply:
    case Channel::kTelemetry:
    case Channel::kEvent:
    case Channel::kRefusal:
    case Channel::kLog:
      return Direction::kToHost;
    case Channel::kHello:
      return header.session == 0 ? Direction::kToMcu : Direction::kToHost;
    default:
      return Direction::kToMcu;
  }
}

// The parts of "<ms> -> <hex>".
struct Parts {
  std::string at_ms;
  Direction direction = Direction::kToMcu;
  std::string_view hex;
};
bool Split(std::string_view line, Parts* parts) {
  for (const auto& [arrow, direction] : {std::pair{"->", Direction::kToMcu}, std::pair{"<-", Direction::kToHost}}) {
    const size_t at = line.find(arrow);
    if (at == std::string_view::npos) continue;
    parts->at_ms = std::string(Trimmed(line.substr(0, at)));
    parts->direction = direction;
    parts->hex = Trimmed(line.substr(at + 2));
    return true;
  }
  return false;
}

bool IsNote(std::string_view line) {
  return line.empty() || line.front() == '#' || Begins(line, "vector:") || Begins(line, "human:");
}

}  // namespace

void CaptureReader::Found(CapturedFrame frame) {
  ++(frame.good ? good_ : bad_);
  found_(frame);
}

void CaptureReader::Bytes(std::string_view hex, const std::string& at_ms, Stream* stream, const Direction* known) {
  const auto bytes = link::FromHex(hex);
  const Direction fallback = known == nullptr ? Direction::kToMcu : *known;
  if (!bytes.ok()) {
    Found({.at_ms = at_ms,
           .direction = fallback,
           .good = false,
           .text = fmt::format("line {} is no capture: {}", number_, bytes.status().message())});
    return;
  }
  for (const uint8_t byte : *bytes) {
    const auto outcome = stream->decoder.Feed(byte);
    if (outcome == link::FrameDecoder::Outcome::kNeedMore) continue;
    if (outcome == link::FrameDecoder::Outcome::kFrame) {
      const link::FrameView& frame = stream->decoder.frame();
      const Direction direction = known == nullptr ? DirectionOf(frame.header) : *known;
      Found({.at_ms = at_ms, .direction = direction, .good = true, .text = link::Describe(direction, frame)});
    } else {
      Found({.at_ms = at_ms,
             .direction = fallback,
             .good = false,
             .text = fmt::format("{} damaged: {} (line {})",
                                 fallback == Direction::kToMcu ? "->" : "<-",
                                 link::OutcomeName(outcome),
                                 number_)});
    }
  }
}

void CaptureReader::Line(std::string_view line) {
  ++number_;
  line = Trimmed(line);
  if (IsNote(line)) return;
  if (Begins(line, "wire:")) line = Trimmed(line.substr(5));
  Parts parts;
  if (Split(line, &parts)) {
    Bytes(parts.hex, parts.at_ms, parts.direction == Direction::kToMcu ? &to_mcu_ : &to_host_, &parts.direction);
  } else {
    Bytes(line, "", &bare_, nullptr);
  }
}

}  // namespace faraday::cli
