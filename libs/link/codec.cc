// The Protobuf wire form driven by tables: one encoder, one decoder for every message.
//
// The encoder writes from the end of the buffer to its start, so that a length is known when it is written; then the
// bytes move to the front. The decoder is stricter than a stock library in the ways messages.h and docs name.
#include "link/codec.h"

#include <algorithm>

namespace faraday::link {
namespace {

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

template <typename T>
const T& At(const void* message, const Field& field) {
  return *reinterpret_cast<const T*>(static_cast<const uint8_t*>(message) + field.offset);
}
template <typename T>
T& At(void* message, const Field& field) {
  return *reinterpret_cast<T*>(static_cast<uint8_t*>(message) + field.offset);
}

constexpr uint32_t ZigZag(int32_t value) {
  const auto bits = static_cast<uint32_t>(value);
  return (bits << 1) ^ (value < 0 ? 0xFFFFFFFFU : 0U);
}
constexpr int32_t UnZigZag(uint32_t bits) { return static_cast<int32_t>((bits >> 1) ^ (0U - (bits & 1U))); }

// One entry of a column as it differs from `before`, and back. Plain columns differ from 0.
constexpr uint32_t Change(uint32_t before, uint32_t now) { return before ^ now; }
constexpr uint32_t Change(int32_t before, int32_t now) {
  return ZigZag(static_cast<int32_t>(static_cast<uint32_t>(now) - static_cast<uint32_t>(before)));
}
constexpr void Changed(uint32_t before, uint32_t bits, uint32_t& now) { now = before ^ bits; }
constexpr void Changed(int32_t before, uint32_t bits, int32_t& now) {
  now = static_cast<int32_t>(static_cast<uint32_t>(before) + static_cast<uint32_t>(UnZigZag(bits)));
}

// Printable ASCII only: racks and versions are named with it, and cutting it at a byte never breaks a character.
bool IsPlain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
}

class BackWriter {
 public:
  explicit BackWriter(std::span<uint8_t> out) : out_(out), at_(out.size()) {}

  size_t at() const { return at_; }
  bool full() const { return full_; }

  void Byte(uint8_t byte) {
    if (at_ == 0)
      full_ = true;
    else
      out_[--at_] = byte;
  }
  void Varint(uint32_t value) {
    uint8_t bytes[5];
    size_t n = 0;
    for (; value >= 0x80; value >>= 7) bytes[n++] = static_cast<uint8_t>(value | 0x80U);
    bytes[n++] = static_cast<uint8_t>(value);
    while (n > 0) Byte(bytes[--n]);
  }
  void Text(std::string_view text) {
    for (size_t i = text.size(); i > 0; --i) Byte(static_cast<uint8_t>(text[i - 1]));
  }
  void Tag(uint8_t number, WireType type) { Varint(uint32_t{number} << 3 | static_cast<uint32_t>(type)); }
  // Closes what was written since the writer stood at `end`: its length, then its tag.
  void Close(size_t end, uint8_t number) {
    Varint(static_cast<uint32_t>(end - at_));
    Tag(number, WireType::kBytes);
  }

 private:
  std::span<uint8_t> out_;
  size_t at_;
  bool full_ = false;
};

void WriteNumber(BackWriter& writer, const Field& field, uint32_t value) {
  if (value == 0) return;
  writer.Varint(value);
  writer.Tag(field.number, WireType::kVarint);
}

Status WriteText(BackWriter& writer, const Field& field, std::string_view text) {
  if (text.empty()) return OkStatus();
  if (!IsPlain(text)) return {Code::kInvalidArgument, "text of a link message is not printable ASCII"};
  const size_t end = writer.at();
  writer.Text(text);
  writer.Close(end, field.number);
  return OkStatus();
}

bool IsChanges(const Field& field) { return field.kind == Kind::kSlotChanges || field.kind == Kind::kSignedChanges; }

template <typename Column>
void WriteColumn(BackWriter& writer, const Field& field, const Column& column) {
  if (column.empty()) return;
  using Value = std::remove_cvref_t<decltype(column[0])>;
  const bool changes = IsChanges(field);
  const size_t end = writer.at();
  for (size_t i = column.size(); i > 0; --i)
    writer.Varint(Change(changes && i > 1 ? column[i - 2] : Value{}, column[i - 1]));
  writer.Close(end, field.number);
}

Status WriteField(BackWriter& writer, const Field& field, const void* message) {
  switch (field.kind) {
    case Kind::kUint32:
      WriteNumber(writer, field, At<uint32_t>(message, field));
      break;
    case Kind::kBool:
      WriteNumber(writer, field, At<bool>(message, field) ? 1 : 0);
      break;
    case Kind::kEnum:
      WriteNumber(writer, field, At<uint8_t>(message, field));
      break;
    case Kind::kText15:
      return WriteText(writer, field, At<FixedString<15>>(message, field).view());
    case Kind::kText23:
      return WriteText(writer, field, At<FixedString<23>>(message, field).view());
    case Kind::kSlotColumn:
    case Kind::kSlotChanges:
      WriteColumn(writer, field, At<SlotColumn>(message, field));
      break;
    case Kind::kRailColumn:
      WriteColumn(writer, field, At<RailColumn>(message, field));
      break;
    case Kind::kInputColumn:
      WriteColumn(writer, field, At<InputColumn>(message, field));
      break;
    case Kind::kSignedColumn:
    case Kind::kSignedChanges:
      WriteColumn(writer, field, At<FixedVector<int32_t, kMaxSlots>>(message, field));
      break;
  }
  return OkStatus();
}

// Of two columns of one member only one is written.
bool IsWritten(const MessageTable& table, const Field& field, Form form) {
  if (form == Form::kPlain || IsChanges(field)) return (form == Form::kCompact) == IsChanges(field);
  for (const Field& other : table.fields) {
    if (IsChanges(other) && other.offset == field.offset) return false;
  }
  return true;
}

Status WriteFields(BackWriter& writer, const MessageTable& table, const void* message, Form form) {
  for (size_t i = table.fields.size(); i > 0; --i) {
    const Field& field = table.fields[i - 1];
    if (IsWritten(table, field, form)) FARADAY_TRY(WriteField(writer, field, message));
  }
  return OkStatus();
}

// An arm's message has no arms of its own (a test holds that), so nothing here calls itself and the stack that it
// needs is known.
Status WriteMessage(BackWriter& writer, const MessageTable& table, const void* message, Form form) {
  for (const Arm& arm : table.arms) {
    const void* held = arm.held(message);
    if (held == nullptr) continue;
    const size_t end = writer.at();
    FARADAY_TRY(WriteFields(writer, *arm.table, held, form));
    writer.Close(end, arm.number);
  }
  return WriteFields(writer, table, message, form);
}

// ---- decoding ----

class Reader {
 public:
  explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  bool done() const { return bytes_.empty(); }

  // At most `max_bytes` long. Errors: kDataLoss truncated or longer.
  Status Varint(size_t max_bytes, uint64_t& value) {
    value = 0;
    for (size_t i = 0; i < max_bytes && i < bytes_.size(); ++i) {
      const uint8_t byte = bytes_[i];
      if (i == 9 && byte > 1) return {Code::kDataLoss, "varint of more than 64 bits"};
      value |= uint64_t{byte & 0x7FU} << (7 * i);
      if (byte < 0x80) {
        bytes_ = bytes_.subspan(i + 1);
        return OkStatus();
      }
    }
    return {Code::kDataLoss, "varint truncated or too long"};
  }
  Status Number(uint32_t& value) {
    uint64_t wide = 0;
    FARADAY_TRY(Varint(10, wide));
    if (wide > 0xFFFFFFFFU) return {Code::kOutOfRange, "number of more than 32 bits"};
    value = static_cast<uint32_t>(wide);
    return OkStatus();
  }
  Status Bytes(std::span<const uint8_t>& value) {
    uint64_t length = 0;
    FARADAY_TRY(Varint(5, length));
    return Take(length, value);
  }
  Status Take(uint64_t length, std::span<const uint8_t>& value) {
    if (length > bytes_.size()) return {Code::kDataLoss, "message truncated"};
    value = bytes_.first(static_cast<size_t>(length));
    bytes_ = bytes_.subspan(static_cast<size_t>(length));
    return OkStatus();
  }

 private:
  std::span<const uint8_t> bytes_;
};

struct Tag {
  uint32_t number;
  uint8_t type;
};

Status ReadTag(Reader& reader, Tag& tag) {
  uint64_t wide = 0;
  FARADAY_TRY(reader.Varint(5, wide));
  if (wide > 0xFFFFFFFFU || wide < 8) return {Code::kDataLoss, "field number out of range"};
  tag = {static_cast<uint32_t>(wide >> 3), static_cast<uint8_t>(wide & 7U)};
  return OkStatus();
}

Status Skip(Reader& reader, uint8_t type) {
  uint64_t number = 0;
  std::span<const uint8_t> bytes;
  switch (type) {
    case static_cast<uint8_t>(WireType::kVarint):
      return reader.Varint(10, number);
    case static_cast<uint8_t>(WireType::kFixed64):
      return reader.Take(8, bytes);
    case static_cast<uint8_t>(WireType::kBytes):
      return reader.Bytes(bytes);
    case static_cast<uint8_t>(WireType::kFixed32):
      return reader.Take(4, bytes);
    default:
      return {Code::kDataLoss, "groups are not part of the link"};
  }
}

Status WrongType() { return {Code::kDataLoss, "wrong wire type for a known field"}; }

Status ReadBool(Reader& reader, bool& value) {
  uint64_t wide = 0;
  FARADAY_TRY(reader.Varint(10, wide));
  value = wide != 0;
  return OkStatus();
}

Status ReadEnum(Reader& reader, const EnumTable& table, uint8_t& value) {
  uint64_t wide = 0;
  FARADAY_TRY(reader.Varint(10, wide));
  if (wide >= table.values.size()) return {Code::kOutOfRange, "enum number not known here"};
  value = static_cast<uint8_t>(wide);
  return OkStatus();
}

template <size_t N>
Status ReadText(Reader& reader, FixedString<N>& text) {
  std::span<const uint8_t> bytes;
  FARADAY_TRY(reader.Bytes(bytes));
  if (bytes.size() > N) return {Code::kOutOfRange, "text longer than its field"};
  const std::string_view view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!IsPlain(view)) return {Code::kOutOfRange, "text is not printable ASCII"};
  text.assign(view);
  return OkStatus();
}

template <typename Column>
Status ReadEntry(Reader& reader, const Field& field, Column& column) {
  using Value = std::remove_cvref_t<decltype(column[0])>;
  uint32_t bits = 0;
  FARADAY_TRY(reader.Number(bits));
  Value value{};
  Changed(IsChanges(field) && !column.empty() ? column[column.size() - 1] : Value{}, bits, value);
  if (!column.push_back(value)) return {Code::kOutOfRange, "more entries than the board can have"};
  return OkStatus();
}

template <typename Column>
Status ReadColumn(Reader& reader, const Field& field, uint8_t type, Column& column) {
  if (type == static_cast<uint8_t>(WireType::kVarint)) return ReadEntry(reader, field, column);
  std::span<const uint8_t> bytes;
  FARADAY_TRY(reader.Bytes(bytes));
  Reader packed(bytes);
  while (!packed.done()) FARADAY_TRY(ReadEntry(packed, field, column));
  return OkStatus();
}

bool TypeFits(Kind kind, uint8_t type) {
  const bool varint = type == static_cast<uint8_t>(WireType::kVarint);
  const bool bytes = type == static_cast<uint8_t>(WireType::kBytes);
  switch (kind) {
    case Kind::kUint32:
    case Kind::kBool:
    case Kind::kEnum:
      return varint;
    case Kind::kText15:
    case Kind::kText23:
      return bytes;
    default:
      return varint || bytes;
  }
}

Status ReadField(Reader& reader, const Field& field, uint8_t type, void* message) {
  if (!TypeFits(field.kind, type)) return WrongType();
  switch (field.kind) {
    case Kind::kUint32:
      return reader.Number(At<uint32_t>(message, field));
    case Kind::kBool:
      return ReadBool(reader, At<bool>(message, field));
    case Kind::kEnum:
      return ReadEnum(reader, *field.values, At<uint8_t>(message, field));
    case Kind::kText15:
      return ReadText(reader, At<FixedString<15>>(message, field));
    case Kind::kText23:
      return ReadText(reader, At<FixedString<23>>(message, field));
    case Kind::kSlotColumn:
    case Kind::kSlotChanges:
      return ReadColumn(reader, field, type, At<SlotColumn>(message, field));
    case Kind::kRailColumn:
      return ReadColumn(reader, field, type, At<RailColumn>(message, field));
    case Kind::kInputColumn:
      return ReadColumn(reader, field, type, At<InputColumn>(message, field));
    case Kind::kSignedColumn:
    case Kind::kSignedChanges:
      return ReadColumn(reader, field, type, At<FixedVector<int32_t, kMaxSlots>>(message, field));
  }
  return WrongType();
}

template <typename Row>
const Row* Find(std::span<const Row> rows, uint32_t number) {
  for (const Row& row : rows) {
    if (row.number == number) return &row;
  }
  return nullptr;
}

Status ReadFieldOrSkip(Reader& reader, const MessageTable& table, const Tag& tag, void* message) {
  if (const Field* field = Find(table.fields, tag.number)) return ReadField(reader, *field, tag.type, message);
  return Skip(reader, tag.type);
}

Status DecodeFields(const MessageTable& table, std::span<const uint8_t> bytes, void* message) {
  Reader reader(bytes);
  while (!reader.done()) {
    Tag tag{};
    FARADAY_TRY(ReadTag(reader, tag));
    FARADAY_TRY(ReadFieldOrSkip(reader, table, tag, message));
  }
  return OkStatus();
}

Status ReadArm(Reader& reader, const Arm& arm, uint8_t type, void* message) {
  if (type != static_cast<uint8_t>(WireType::kBytes)) return WrongType();
  std::span<const uint8_t> bytes;
  FARADAY_TRY(reader.Bytes(bytes));
  return DecodeFields(*arm.table, bytes, arm.hold(message));
}

// What is not on the wire is 0, also where a freshly made struct says otherwise (protocol, next_command_seq).
void ClearNumbers(const MessageTable& table, void* message) {
  for (const Field& field : table.fields) {
    if (field.kind == Kind::kUint32) At<uint32_t>(message, field) = 0;
  }
}

}  // namespace

Result<size_t> EncodeByTable(const MessageTable& table, const void* message, std::span<uint8_t> out, Form form) {
  BackWriter writer(out);
  FARADAY_TRY(WriteMessage(writer, table, message, form));
  if (writer.full()) return Status(Code::kResourceExhausted, "message does not fit the buffer");
  std::copy(out.begin() + static_cast<ptrdiff_t>(writer.at()), out.end(), out.begin());
  return out.size() - writer.at();
}

Status DecodeByTable(const MessageTable& table, std::span<const uint8_t> bytes, void* message) {
  Reader reader(bytes);
  while (!reader.done()) {
    Tag tag{};
    FARADAY_TRY(ReadTag(reader, tag));
    if (const Arm* arm = Find(table.arms, tag.number))
      FARADAY_TRY(ReadArm(reader, *arm, tag.type, message));
    else
      FARADAY_TRY(ReadFieldOrSkip(reader, table, tag, message));
  }
  return OkStatus();
}

template <typename Message>
Result<size_t> EncodeMessage(const Message& message, std::span<uint8_t> out) {
  return EncodeByTable(TableOf<Message>(), &message, out);
}

Result<size_t> EncodeCompact(const Telemetry& telemetry, std::span<uint8_t> out) {
  return EncodeByTable(TableOf<Telemetry>(), &telemetry, out, Form::kCompact);
}

template <typename Message>
Result<Message> DecodeMessage(std::span<const uint8_t> bytes) {
  Message message;
  ClearNumbers(TableOf<Message>(), &message);
  FARADAY_TRY(DecodeByTable(TableOf<Message>(), bytes, &message));
  return message;
}

#define DEFINE(Message)                                                               \
  template Result<size_t> EncodeMessage<Message>(const Message&, std::span<uint8_t>); \
  template Result<Message> DecodeMessage<Message>(std::span<const uint8_t>);
DEFINE(Hello)
DEFINE(Configure)
DEFINE(Ping)
DEFINE(SetLease)
DEFINE(SetVbus)
DEFINE(CycleVbus)
DEFINE(SetData)
DEFINE(SetShield)
DEFINE(StopSlot)
DEFINE(ClearTrip)
DEFINE(Locate)
DEFINE(ClearSilence)
DEFINE(ReadLog)
DEFINE(ReadWear)
DEFINE(SetWear)
DEFINE(Command)
DEFINE(Keepalive)
DEFINE(HelloReply)
DEFINE(Reply)
DEFINE(Refusal)
DEFINE(Telemetry)
DEFINE(CommandDone)
DEFINE(Tripped)
DEFINE(LeaseEnded)
DEFINE(InputChanged)
DEFINE(HostSilent)
DEFINE(ConditionChanged)
DEFINE(Event)
DEFINE(LogPage)
#undef DEFINE

}  // namespace faraday::link
