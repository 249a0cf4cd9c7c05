#include "link/human.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace faraday::link {
namespace {

struct ChannelRow {
  Channel channel;
  std::string_view name;
  const MessageTable* to_mcu;  // nullptr: nothing goes that way
  const MessageTable* to_host;
};
const ChannelRow kChannels[] = {
    {Channel::kHello, "hello", &TableOf<Hello>(), &TableOf<HelloReply>()},
    {Channel::kCommand, "command", &TableOf<Command>(), nullptr},
    {Channel::kReply, "reply", nullptr, &TableOf<Reply>()},
    {Channel::kTelemetry, "telemetry", nullptr, &TableOf<Telemetry>()},
    {Channel::kEvent, "event", nullptr, &TableOf<Event>()},
    {Channel::kKeepalive, "keepalive", &TableOf<Keepalive>(), nullptr},
    {Channel::kStop, "stop", nullptr, nullptr},
    {Channel::kRefusal, "refusal", nullptr, &TableOf<Refusal>()},
    {Channel::kLog, "log", nullptr, &TableOf<LogPage>()},
};

const ChannelRow* RowOf(Channel channel) {
  const auto* row = std::ranges::find(kChannels, channel, &ChannelRow::channel);
  return row == std::end(kChannels) ? nullptr : row;
}
const ChannelRow* RowOf(std::string_view name) {
  const auto* row = std::ranges::find(kChannels, name, &ChannelRow::name);
  return row == std::end(kChannels) ? nullptr : row;
}
const MessageTable* TableFor(const ChannelRow& row, Direction direction) {
  return direction == Direction::kToMcu ? row.to_mcu : row.to_host;
}

// Room for any message of a channel, with the alignment they need.
struct AnyMessage {
  std::variant<Hello, HelloReply, Command, Reply, Telemetry, Event, Keepalive, Refusal, LogPage> held;
  void* address() {
    return std::visit([](auto& message) -> void* { return &message; }, held);
  }
};

template <typename Message>
bool HoldIf(const MessageTable& table, AnyMessage& any) {
  if (&table != &TableOf<Message>()) return false;
  any.held.template emplace<Message>();
  return true;
}
// A message of that table, all fields zero (struct defaults such as Hello's protocol 1 do not travel).
AnyMessage MessageOf(const MessageTable& table) {
  AnyMessage any;
  HoldIf<Hello>(table, any) || HoldIf<HelloReply>(table, any) || HoldIf<Command>(table, any) ||
      HoldIf<Reply>(table, any) || HoldIf<Telemetry>(table, any) || HoldIf<Event>(table, any) ||
      HoldIf<Keepalive>(table, any) || HoldIf<Refusal>(table, any) || HoldIf<LogPage>(table, any);
  if (auto* hello = std::get_if<Hello>(&any.held)) hello->protocol = 0;
  if (auto* reply = std::get_if<HelloReply>(&any.held)) reply->protocol = reply->next_command_seq = 0;
  return any;
}

template <typename T>
const T& At(const void* message, const Field& field) {
  return *reinterpret_cast<const T*>(static_cast<const uint8_t*>(message) + field.offset);
}
template <typename T>
T& At(void* message, const Field& field) {
  return *reinterpret_cast<T*>(static_cast<uint8_t*>(message) + field.offset);
}

// ---- printing ----

template <typename Column>
std::string ListText(const Column& column) {
  return column.empty() ? "" : fmt::format("[{}]", fmt::join(column.begin(), column.end(), ","));
}

std::string EnumText(const Field& field, uint8_t value) {
  return value < field.values->values.size() ? field.values->values[value] : fmt::format("{}", value);
}

std::string QuotedText(std::string_view text) { return text.empty() ? "" : fmt::format("\"{}\"", text); }

bool AlwaysShown(std::string_view name) { return name == "slot" || name == "id" || name == "command_id"; }

// Empty: left out.
std::string ValueText(const Field& field, const void* message) {
  switch (field.kind) {
    case Kind::kUint32: {
      const auto value = At<uint32_t>(message, field);
      if (value == 0 && !AlwaysShown(field.name)) return "";
      const std::string_view name = field.name;
      const bool hexadecimal = name.ends_with("session") || name == "config_crc" || name == "flash_id";
      return hexadecimal ? fmt::format("{:#010x}", value) : fmt::format("{}", value);
    }
    case Kind::kBool:
      return At<bool>(message, field) ? "true" : "false";
    case Kind::kEnum:
      return EnumText(field, At<uint8_t>(message, field));
    case Kind::kText15:
      return QuotedText(At<FixedString<15>>(message, field).view());
    case Kind::kText23:
      return QuotedText(At<FixedString<23>>(message, field).view());
    case Kind::kSlotColumn:
      return ListText(At<SlotColumn>(message, field));
    case Kind::kRailColumn:
      return ListText(At<RailColumn>(message, field));
    case Kind::kInputColumn:
      return ListText(At<InputColumn>(message, field));
    case Kind::kSignedColumn:
      return ListText(At<FixedVector<int32_t, kMaxSlots>>(message, field));
    case Kind::kSlotChanges:
    case Kind::kSignedChanges:
      return "";  // said by the member's plain column
  }
  return "";
}

void AppendWords(const MessageTable& table, const void* message, std::string& line) {
  for (const Field& field : table.fields) {
    const std::string value = ValueText(field, message);
    if (!value.empty()) line += fmt::format("{}{}={}", line.empty() ? "" : " ", field.name, value);
  }
  for (const Arm& arm : table.arms) {
    const void* held = arm.held(message);
    if (held == nullptr) continue;
    line += fmt::format("{}{}", line.empty() ? "" : " ", arm.name);
    AppendWords(*arm.table, held, line);
  }
}

std::string HeaderText(const FrameHeader& h) {
  std::string text;
  const auto add = [&](std::string_view name, uint32_t value, bool hex) {
    if (value == 0) return;
    text += fmt::format(fmt::runtime(hex ? "{}{}={:#010x}" : "{}{}={}"), text.empty() ? "" : " ", name, value);
  };
  if (h.protocol != kProtocol) add("protocol", h.protocol, false);
  add("flags", h.flags, false);
  add("session", h.session, true);
  add("term", h.term, false);
  add("ack", h.ack, false);
  return text.empty() ? "" : " (" + text + ")";
}

std::string PayloadText(const ChannelRow* row, Direction direction, std::span<const uint8_t> payload) {
  if (row != nullptr && row->channel == Channel::kStop && std::ranges::equal(payload, kStopMagic)) return "";
  const MessageTable* table = row != nullptr ? TableFor(*row, direction) : nullptr;
  if (table == nullptr) return fmt::format("payload=<{}>", ToHex(payload));
  AnyMessage any = MessageOf(*table);
  const Status status = DecodeByTable(*table, payload, any.address());
  if (status.ok()) return DescribeByTable(*table, any.address());
  return fmt::format("payload=<{}> undecodable: {}", ToHex(payload), status.message());
}

// ---- reading ----

Status Bad(std::string_view word, std::string_view why) {
  return {Code::kInvalidArgument, fmt::format("\"{}\": {}", word, why)};
}

// Words are separated by spaces; quotes, brackets, angle brackets and parentheses keep theirs together.
std::vector<std::string_view> Split(std::string_view line) {
  constexpr std::string_view kOpen = "\"[<(", kClose = "\"]>)";
  std::vector<std::string_view> words;
  size_t start = std::string_view::npos;
  char closing = 0;
  for (size_t i = 0; i <= line.size(); ++i) {
    const char c = i < line.size() ? line[i] : ' ';
    if (closing != 0 && i < line.size()) {
      if (c == closing) closing = 0;
      continue;
    }
    if (c == ' ') {
      if (start != std::string_view::npos) words.push_back(line.substr(start, i - start));
      start = std::string_view::npos;
      continue;
    }
    if (start == std::string_view::npos) start = i;
    // The arrow "<-" is no bracket.
    if (const size_t at = kOpen.find(c); at != kOpen.npos && line.substr(i, 2) != "<-") closing = kClose[at];
  }
  return words;
}

template <typename Number>
std::optional<Number> ToNumber(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x")) {
    text.remove_prefix(2);
    base = 16;
  }
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  return value;
}

struct Pair {
  std::string_view name, value;
};
std::optional<Pair> ToPair(std::string_view word) {
  const size_t at = word.find('=');
  if (at == word.npos) return {};
  return Pair{word.substr(0, at), word.substr(at + 1)};
}

std::optional<std::string_view> Inside(std::string_view text, char open, char close) {
  if (text.size() < 2 || text.front() != open || text.back() != close) return {};
  return text.substr(1, text.size() - 2);
}

template <typename Column>
Status ReadList(std::string_view word, std::string_view text, Column& column) {
  auto inside = Inside(text, '[', ']');
  if (!inside) return Bad(word, "a list is written [1,2,3]");
  while (!inside->empty()) {
    const size_t comma = std::min(inside->find(','), inside->size());
    const auto value = ToNumber<std::remove_cvref_t<decltype(column[0])>>(inside->substr(0, comma));
    if (!value) return Bad(word, "an entry is no number of 32 bits");
    if (!column.push_back(*value)) return Bad(word, fmt::format("at most {} entries", Column::kCapacity));
    inside->remove_prefix(std::min(comma + 1, inside->size()));
  }
  return OkStatus();
}

template <size_t N>
Status ReadQuoted(std::string_view word, std::string_view text, FixedString<N>& out) {
  const auto inside = Inside(text, '"', '"');
  if (!inside || inside->size() > N) return Bad(word, fmt::format("text is written in quotes, at most {} bytes", N));
  out.assign(*inside);
  return OkStatus();
}

Status ReadEnumWord(std::string_view word, std::string_view text, const Field& field, uint8_t& out) {
  const auto& names = field.values->values;
  const auto at = std::find_if(names.begin(), names.end(), [&](const char* name) { return text == name; });
  if (at == names.end()) return Bad(word, fmt::format("one of {}", fmt::join(names.begin(), names.end(), ", ")));
  out = static_cast<uint8_t>(at - names.begin());
  return OkStatus();
}

Status ReadValue(std::string_view word, std::string_view text, const Field& field, void* message) {
  switch (field.kind) {
    case Kind::kUint32: {
      const auto value = ToNumber<uint32_t>(text);
      if (!value) return Bad(word, "a number of 0 to 4294967295, decimal or 0x hexadecimal");
      At<uint32_t>(message, field) = *value;
      return OkStatus();
    }
    case Kind::kBool:
      if (text != "true" && text != "false") return Bad(word, "true or false");
      At<bool>(message, field) = text == "true";
      return OkStatus();
    case Kind::kEnum:
      return ReadEnumWord(word, text, field, At<uint8_t>(message, field));
    case Kind::kText15:
      return ReadQuoted(word, text, At<FixedString<15>>(message, field));
    case Kind::kText23:
      return ReadQuoted(word, text, At<FixedString<23>>(message, field));
    case Kind::kSlotColumn:
      return ReadList(word, text, At<SlotColumn>(message, field));
    case Kind::kRailColumn:
      return ReadList(word, text, At<RailColumn>(message, field));
    case Kind::kInputColumn:
      return ReadList(word, text, At<InputColumn>(message, field));
    case Kind::kSignedColumn:
      return ReadList(word, text, At<FixedVector<int32_t, kMaxSlots>>(message, field));
    case Kind::kSlotChanges:
    case Kind::kSignedChanges:
      return Bad(word, "a plain column in the human form: state, tray_deci_c");
  }
  return OkStatus();
}

std::string FieldNames(const MessageTable& table) {
  std::vector<std::string_view> names;
  for (const Field& field : table.fields) names.push_back(field.name);
  for (const Arm& arm : table.arms) names.push_back(arm.name);
  return fmt::format("{} has: {}", table.name, fmt::join(names, ", "));
}

Status ReadWords(std::span<const std::string_view> words, const MessageTable& table, void* message) {
  for (size_t i = 0; i < words.size(); ++i) {
    const auto pair = ToPair(words[i]);
    if (!pair) {
      const auto arm = std::ranges::find(table.arms, words[i], &Arm::name);
      if (arm == table.arms.end()) return Bad(words[i], FieldNames(table));
      return ReadWords(words.subspan(i + 1), *arm->table, arm->hold(message));
    }
    const auto field = std::ranges::find(table.fields, pair->name, &Field::name);
    if (field == table.fields.end()) return Bad(words[i], FieldNames(table));
    FARADAY_TRY(ReadValue(words[i], pair->value, *field, message));
  }
  return OkStatus();
}

template <typename Number>
Status ReadHeaderNumber(std::string_view word, std::string_view text, Number& out) {
  const auto value = ToNumber<Number>(text);
  if (!value) return Bad(word, "not a number of this field's size");
  out = *value;
  return OkStatus();
}

Status ReadHeaderWord(std::string_view word, FrameHeader& header) {
  const auto pair = ToPair(word);
  if (pair && pair->name == "session") return ReadHeaderNumber(word, pair->value, header.session);
  if (pair && pair->name == "term") return ReadHeaderNumber(word, pair->value, header.term);
  if (pair && pair->name == "ack") return ReadHeaderNumber(word, pair->value, header.ack);
  if (pair && pair->name == "flags") return ReadHeaderNumber(word, pair->value, header.flags);
  if (pair && pair->name == "protocol") return ReadHeaderNumber(word, pair->value, header.protocol);
  return Bad(word, "the header has session=, term=, ack=, flags=, protocol=");
}

Result<HumanFrame> ReadStart(std::vector<std::string_view>& words) {
  HumanFrame frame;
  if (words.size() < 2 || (words[0] != "->" && words[0] != "<-")) {
    return Status(Code::kInvalidArgument, "a frame starts with -> (to the MCU) or <- (to the host) and a channel");
  }
  frame.direction = words[0] == "->" ? Direction::kToMcu : Direction::kToHost;
  const ChannelRow* row = RowOf(words[1]);
  if (row == nullptr) {
    return Bad(words[1], "no channel; hello, command, reply, telemetry, event, keepalive, stop or refusal");
  }
  frame.header.channel = row->channel;
  words.erase(words.begin(), words.begin() + 2);
  return frame;
}

Status ReadHeader(std::vector<std::string_view>& words, FrameHeader& header) {
  if (!words.empty() && words[0].starts_with('#')) {
    FARADAY_TRY(ReadHeaderNumber(words[0], words[0].substr(1), header.seq));
    words.erase(words.begin());
  }
  if (words.empty() || !words[0].starts_with('(')) return OkStatus();
  const auto inside = Inside(words[0], '(', ')');
  if (!inside) return Bad(words[0], "the parenthesis is not closed");
  for (std::string_view word : Split(*inside)) FARADAY_TRY(ReadHeaderWord(word, header));
  words.erase(words.begin());
  return OkStatus();
}

Status ReadPayload(const std::vector<std::string_view>& words, HumanFrame& frame) {
  const ChannelRow& row = *RowOf(frame.header.channel);
  if (row.channel == Channel::kStop && words.empty()) {
    frame.payload.assign(kStopMagic.begin(), kStopMagic.end());
    return OkStatus();
  }
  if (!words.empty() && words[0].starts_with("payload=<")) {
    const auto inside = Inside(words[0].substr(8), '<', '>');
    if (!inside) return Bad(words[0], "bytes are written payload=<0a ff>");
    FARADAY_TRY_ASSIGN(frame.payload, FromHex(*inside));
    return OkStatus();
  }
  const MessageTable* table = TableFor(row, frame.direction);
  if (table == nullptr) return Bad(row.name, "nothing with fields goes this way on this channel");
  AnyMessage any = MessageOf(*table);
  FARADAY_TRY(ReadWords(words, *table, any.address()));
  frame.payload.resize(kMaxPayload);
  FARADAY_TRY_ASSIGN(const size_t length, EncodeByTable(*table, any.address(), frame.payload));
  frame.payload.resize(length);
  return OkStatus();
}

}  // namespace

std::string DescribeByTable(const MessageTable& table, const void* message) {
  std::string line;
  AppendWords(table, message, line);
  return line;
}

std::string Describe(Direction direction, const FrameView& frame) {
  const ChannelRow* row = RowOf(frame.header.channel);
  std::string line = direction == Direction::kToMcu ? "-> " : "<- ";
  line += row != nullptr ? std::string(row->name) : fmt::format("channel-{}", static_cast<int>(frame.header.channel));
  if (frame.header.seq != 0) line += fmt::format(" #{}", frame.header.seq);
  line += HeaderText(frame.header);
  const std::string payload = PayloadText(row, direction, frame.payload);
  return payload.empty() ? line : line + " " + payload;
}

Result<HumanFrame> ParseHuman(std::string_view line) {
  std::vector<std::string_view> words = Split(line);
  FARADAY_TRY_ASSIGN(HumanFrame frame, ReadStart(words));
  FARADAY_TRY(ReadHeader(words, frame.header));
  FARADAY_TRY(ReadPayload(words, frame));
  return frame;
}

std::string_view OutcomeName(FrameDecoder::Outcome outcome) {
  constexpr std::string_view kNames[] = {"need_more", "frame", "bad_cobs", "bad_crc", "too_short", "too_long"};
  return kNames[static_cast<size_t>(outcome)];
}

std::string ToHex(std::span<const uint8_t> bytes) { return fmt::format("{:02x}", fmt::join(bytes, " ")); }

Result<std::vector<uint8_t>> FromHex(std::string_view text) {
  std::string digits;
  std::copy_if(text.begin(), text.end(), std::back_inserter(digits), [](char c) { return c != ' '; });
  if (digits.size() % 2 != 0) return Status(Code::kInvalidArgument, "hexadecimal bytes have two digits each");
  std::vector<uint8_t> bytes(digits.size() / 2);
  for (size_t i = 0; i < bytes.size(); ++i) {
    const char* from = digits.data() + 2 * i;
    const auto [end, error] = std::from_chars(from, from + 2, bytes[i], 16);
    if (error != std::errc{} || end != from + 2) return Bad({from, 2}, "not a hexadecimal byte");
  }
  return bytes;
}

}  // namespace faraday::link
