// The tables against link.proto, and our codec against a stock Protobuf library, both ways, with damage.
#include "link/codec.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <vector>

#include "faraday/link/v1/link.pb.h"

namespace faraday::link {
namespace {

namespace pb = google::protobuf;
using Descriptor = pb::Descriptor;
using FieldType = pb::FieldDescriptor;

template <typename T>
T& At(void* message, const Field& field) {
  return *reinterpret_cast<T*>(static_cast<uint8_t*>(message) + field.offset);
}

std::string Upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(c));
  return text;
}
// "BootReason" + "power_on" -> "BOOT_REASON_POWER_ON"
std::string EnumValueName(const std::string& type, const std::string& value) {
  std::string name;
  for (size_t i = 0; i < type.size(); ++i) {
    if (i > 0 && std::isupper(type[i])) name += '_';
    name += static_cast<char>(std::toupper(type[i]));
  }
  return name + "_" + Upper(value);
}

void ExpectSameEnum(const EnumTable& table, const pb::EnumDescriptor& proto) {
  EXPECT_EQ(proto.name(), table.name);
  ASSERT_EQ(proto.value_count(), static_cast<int>(table.values.size())) << table.name;
  for (int i = 0; i < proto.value_count(); ++i) {
    EXPECT_EQ(proto.value(i)->number(), i);
    EXPECT_EQ(proto.value(i)->name(), EnumValueName(table.name, table.values[static_cast<size_t>(i)]));
  }
}

void ExpectSameType(const Field& field, const FieldType& proto) {
  const bool column = field.kind >= Kind::kSlotColumn;
  EXPECT_EQ(proto.is_repeated(), column) << proto.full_name();
  EXPECT_EQ(proto.is_packed(), column) << proto.full_name();
  switch (field.kind) {
    case Kind::kUint32:
    case Kind::kSlotColumn:
    case Kind::kRailColumn:
    case Kind::kInputColumn:
    case Kind::kSlotChanges:
      EXPECT_EQ(proto.type(), FieldType::TYPE_UINT32) << proto.full_name();
      break;
    case Kind::kSignedColumn:
    case Kind::kSignedChanges:
      EXPECT_EQ(proto.type(), FieldType::TYPE_SINT32) << proto.full_name();
      break;
    case Kind::kBool:
      EXPECT_EQ(proto.type(), FieldType::TYPE_BOOL) << proto.full_name();
      break;
    case Kind::kText15:
    case Kind::kText23:
      EXPECT_EQ(proto.type(), FieldType::TYPE_STRING) << proto.full_name();
      break;
    case Kind::kEnum:
      ASSERT_EQ(proto.type(), FieldType::TYPE_ENUM) << proto.full_name();
      ExpectSameEnum(*field.values, *proto.enum_type());
      break;
  }
}

void ExpectSameMessage(const MessageTable& table, const Descriptor& proto, std::set<std::string>& seen) {
  EXPECT_EQ(proto.name(), table.name);
  seen.insert(table.name);
  EXPECT_EQ(proto.field_count(), static_cast<int>(table.fields.size() + table.arms.size())) << table.name;
  int last = 0;
  for (const Field& field : table.fields) {
    const FieldType* same = proto.FindFieldByNumber(field.number);
    ASSERT_NE(same, nullptr) << table.name << "." << field.name;
    EXPECT_EQ(same->name(), field.name);
    EXPECT_GT(field.number, last) << "rows are in number order";
    EXPECT_EQ(same->containing_oneof(), nullptr);
    last = field.number;
    ExpectSameType(field, *same);
  }
  for (const Arm& arm : table.arms) {
    const FieldType* same = proto.FindFieldByNumber(arm.number);
    ASSERT_NE(same, nullptr) << table.name << "." << arm.name;
    EXPECT_EQ(same->name(), arm.name);
    EXPECT_GT(arm.number, last);
    last = arm.number;
    ASSERT_NE(same->containing_oneof(), nullptr);
    EXPECT_EQ(same->containing_oneof()->name(), table.oneof);
    ASSERT_EQ(same->type(), FieldType::TYPE_MESSAGE);
    EXPECT_TRUE(arm.table->arms.empty()) << arm.name << ": the codec goes one level deep, without recursion";
    ExpectSameMessage(*arm.table, *same->message_type(), seen);
  }
}

TEST(Tables, SayWhatTheProtoSays) {
  std::set<std::string> seen;
  ExpectSameMessage(TableOf<Hello>(), *v1::Hello::descriptor(), seen);
  ExpectSameMessage(TableOf<HelloReply>(), *v1::HelloReply::descriptor(), seen);
  ExpectSameMessage(TableOf<Command>(), *v1::Command::descriptor(), seen);
  ExpectSameMessage(TableOf<Reply>(), *v1::Reply::descriptor(), seen);
  ExpectSameMessage(TableOf<Refusal>(), *v1::Refusal::descriptor(), seen);
  ExpectSameMessage(TableOf<Telemetry>(), *v1::Telemetry::descriptor(), seen);
  ExpectSameMessage(TableOf<LogPage>(), *v1::LogPage::descriptor(), seen);
  ExpectSameMessage(TableOf<Event>(), *v1::Event::descriptor(), seen);
  ExpectSameMessage(TableOf<Keepalive>(), *v1::Keepalive::descriptor(), seen);
  const pb::FileDescriptor& file = *v1::Hello::descriptor()->file();
  for (int i = 0; i < file.message_type_count(); ++i) {
    EXPECT_TRUE(seen.contains(file.message_type(i)->name())) << file.message_type(i)->name() << " has no table";
  }
}

// Enums that travel as plain numbers: their values must still agree.
TEST(Tables, CapabilitiesAndSafeStatesAgree) {
  EXPECT_EQ(capability::kVbus, uint32_t{v1::CAPABILITY_VBUS});
  EXPECT_EQ(capability::kDataEnable, uint32_t{v1::CAPABILITY_DATA_ENABLE});
  EXPECT_EQ(capability::kDataSelect, uint32_t{v1::CAPABILITY_DATA_SELECT});
  EXPECT_EQ(capability::kChargeMode, uint32_t{v1::CAPABILITY_CHARGE_MODE});
  EXPECT_EQ(capability::kRfRelay, uint32_t{v1::CAPABILITY_RF_RELAY});
  EXPECT_EQ(capability::kPowerKey, uint32_t{v1::CAPABILITY_POWER_KEY});
  EXPECT_EQ(capability::kVolumeKey, uint32_t{v1::CAPABILITY_VOLUME_KEY});
  EXPECT_EQ(capability::kLed, uint32_t{v1::CAPABILITY_LED});
  EXPECT_EQ(capability::kMonitor, uint32_t{v1::CAPABILITY_MONITOR});
  EXPECT_EQ(capability::kTemperature, uint32_t{v1::CAPABILITY_TEMPERATURE});
  EXPECT_EQ(capability::kRelaySense, uint32_t{v1::CAPABILITY_RELAY_SENSE});
  EXPECT_EQ(static_cast<int>(SafeState::kCharge), v1::SAFE_STATE_CHARGE);
  EXPECT_EQ(static_cast<int>(SafeState::kHold), v1::SAFE_STATE_HOLD);
  EXPECT_EQ(static_cast<int>(SafeState::kOff), v1::SAFE_STATE_OFF);
}

// ---- differential ----

using Random = std::mt19937;

// Small, large and edge values alike.
uint32_t AnyNumber(Random& random) {
  constexpr uint32_t kEdges[] = {0, 1, 127, 128, 16383, 16384, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
  switch (random() % 3) {
    case 0:
      return kEdges[random() % std::size(kEdges)];
    case 1:
      return static_cast<uint32_t>(random() % 300);
    default:
      return static_cast<uint32_t>(random());
  }
}

std::string AnyText(Random& random, size_t most) {
  std::string text(random() % (most + 1), ' ');
  for (char& c : text) c = static_cast<char>(0x20 + random() % 0x5F);
  return text;
}

// Fills one of our structs and the stock message alike.
struct Filler {
  Random& random;

  template <typename Column>
  void FillColumn(Column& column, pb::Message& proto, const FieldType& field) {
    const size_t size = random() % 3 == 0 ? Column::kCapacity : random() % (Column::kCapacity + 1);
    for (size_t i = 0; i < size; ++i) {
      const uint32_t bits = AnyNumber(random);
      using Value = std::remove_cvref_t<decltype(column[0])>;
      column.push_back(static_cast<Value>(bits));
      if constexpr (std::is_signed_v<Value>)
        proto.GetReflection()->AddInt32(&proto, &field, static_cast<int32_t>(bits));
      else
        proto.GetReflection()->AddUInt32(&proto, &field, bits);
    }
  }
  void FillField(const Field& row, void* message, pb::Message& proto) {
    const FieldType& field = *proto.GetDescriptor()->FindFieldByNumber(row.number);
    const pb::Reflection& set = *proto.GetReflection();
    switch (row.kind) {
      case Kind::kUint32:
        set.SetUInt32(&proto, &field, At<uint32_t>(message, row) = AnyNumber(random));
        break;
      case Kind::kBool:
        set.SetBool(&proto, &field, At<bool>(message, row) = random() % 2 == 0);
        break;
      case Kind::kEnum: {
        const auto value = static_cast<uint8_t>(random() % row.values->values.size());
        At<uint8_t>(message, row) = value;
        set.SetEnumValue(&proto, &field, value);
        break;
      }
      case Kind::kText15:
        FillText(At<FixedString<15>>(message, row), proto, field);
        break;
      case Kind::kText23:
        FillText(At<FixedString<23>>(message, row), proto, field);
        break;
      case Kind::kSlotColumn:
        FillColumn(At<SlotColumn>(message, row), proto, field);
        break;
      case Kind::kRailColumn:
        FillColumn(At<RailColumn>(message, row), proto, field);
        break;
      case Kind::kInputColumn:
        FillColumn(At<InputColumn>(message, row), proto, field);
        break;
      case Kind::kSignedColumn:
        FillColumn(At<FixedVector<int32_t, kMaxSlots>>(message, row), proto, field);
        break;
      case Kind::kSlotChanges:
      case Kind::kSignedChanges:
        break;  // the plain form has none
    }
  }
  template <size_t N>
  void FillText(FixedString<N>& text, pb::Message& proto, const FieldType& field) {
    const std::string any = AnyText(random, N);
    text.assign(any);
    proto.GetReflection()->SetString(&proto, &field, any);
  }
  void Fill(const MessageTable& table, void* message, pb::Message& proto) {
    for (const Field& row : table.fields) FillField(row, message, proto);
    if (table.arms.empty() || random() % 8 == 0) return;
    const Arm& arm = table.arms[random() % table.arms.size()];
    const FieldType* field = proto.GetDescriptor()->FindFieldByNumber(arm.number);
    Fill(*arm.table, arm.hold(message), *proto.GetReflection()->MutableMessage(&proto, field));
  }
};

// Fields whose struct default is not 0 are overwritten by Fill; decoding must start from zero to compare bytes.
template <typename Message>
Message Zeroed() {
  Message message;
  for (const Field& row : TableOf<Message>().fields) {
    if (row.kind == Kind::kUint32) At<uint32_t>(&message, row) = 0;
  }
  return message;
}

template <typename Message, typename Proto>
struct Pair {
  using Own = Message;
  using Stock = Proto;
};

template <typename Types>
class Differential : public testing::Test {};
using Pairs = testing::Types<Pair<Hello, v1::Hello>,
                             Pair<HelloReply, v1::HelloReply>,
                             Pair<Command, v1::Command>,
                             Pair<Reply, v1::Reply>,
                             Pair<Refusal, v1::Refusal>,
                             Pair<Telemetry, v1::Telemetry>,
                             Pair<Event, v1::Event>,
                             Pair<Keepalive, v1::Keepalive>,
                             Pair<Configure, v1::Configure>>;
TYPED_TEST_SUITE(Differential, Pairs);

std::vector<uint8_t> StockBytes(const pb::Message& message) {
  std::vector<uint8_t> bytes(message.ByteSizeLong());
  EXPECT_TRUE(message.SerializeToArray(bytes.data(), static_cast<int>(bytes.size())));
  return bytes;
}

template <typename Message>
std::vector<uint8_t> OwnBytes(const Message& message) {
  std::vector<uint8_t> bytes(2048);
  const auto length = EncodeMessage(message, bytes);
  EXPECT_TRUE(length.ok()) << ToString(length.status());
  bytes.resize(*length);
  return bytes;
}

TYPED_TEST(Differential, SameBytesAndBack) {
  Random random(3);
  for (int i = 0; i < 2000; ++i) {
    auto own = Zeroed<typename TypeParam::Own>();
    typename TypeParam::Stock stock;
    Filler{random}.Fill(TableOf<typename TypeParam::Own>(), &own, stock);
    const auto bytes = OwnBytes(own);
    ASSERT_EQ(bytes, StockBytes(stock));
    auto back = Zeroed<typename TypeParam::Own>();
    ASSERT_TRUE(DecodeInto(std::span<const uint8_t>(bytes), back).ok());
    ASSERT_TRUE(back == own);
  }
}

TYPED_TEST(Differential, EveryTruncationAndShortBufferIsAnError) {
  Random random(4);
  auto own = Zeroed<typename TypeParam::Own>();
  typename TypeParam::Stock stock;
  Filler{random}.Fill(TableOf<typename TypeParam::Own>(), &own, stock);
  const auto bytes = OwnBytes(own);
  std::vector<uint8_t> out(bytes.size());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(EncodeMessage(own, std::span(out).first(size)).status().code(), Code::kResourceExhausted);
    auto back = Zeroed<typename TypeParam::Own>();
    typename TypeParam::Stock same;
    const bool ours = DecodeInto(std::span<const uint8_t>(bytes).first(size), back).ok();
    EXPECT_EQ(ours, same.ParseFromArray(bytes.data(), static_cast<int>(size)));
  }
}

void Damage(std::vector<uint8_t>& bytes, Random& random) {
  for (size_t n = 1 + random() % 3; n > 0; --n) {
    const size_t at = bytes.empty() ? 0 : random() % bytes.size();
    switch (random() % 4) {
      case 0:
        if (!bytes.empty()) bytes[at] = static_cast<uint8_t>(random());
        break;
      case 1:
        if (!bytes.empty()) bytes[at] = static_cast<uint8_t>(bytes[at] ^ 1U << random() % 8);
        break;
      case 2:
        bytes.insert(bytes.begin() + static_cast<ptrdiff_t>(at), static_cast<uint8_t>(random()));
        break;
      default:
        if (!bytes.empty()) bytes.erase(bytes.begin() + static_cast<ptrdiff_t>(at));
        break;
    }
  }
}

// Where we refuse what a stock library takes: the whole list, and the README's.
bool StricterByDesign(const Status& status) {
  if (status.code() == Code::kOutOfRange) return true;  // 32 bits, bounded lists and texts, ASCII, known enum numbers
  static const std::set<std::string> kReasons = {"wrong wire type for a known field",
                                                 "groups are not part of the link",
                                                 "varint of more than 64 bits",
                                                 "field number out of range",
                                                 "varint truncated or too long"};
  return status.code() == Code::kDataLoss && kReasons.contains(status.message());
}

// Columns of changes fill the members of plain ones here, and stand for themselves there.
template <typename Proto>
bool HasChanges(const Proto& proto) {
  if constexpr (std::is_same_v<Proto, v1::Telemetry>)
    return proto.state_changes_size() > 0 || proto.tray_changes_size() > 0;
  else
    return false;
}

TYPED_TEST(Differential, DamagedMessagesAreReadAlike) {
  const pb::LogSilencer quiet;  // it complains of every text that is not UTF-8
  Random random(5);
  int both = 0;
  for (int i = 0; i < 20'000; ++i) {
    auto own = Zeroed<typename TypeParam::Own>();
    typename TypeParam::Stock stock;
    Filler{random}.Fill(TableOf<typename TypeParam::Own>(), &own, stock);
    auto bytes = StockBytes(stock);
    if (bytes.size() > 400) continue;  // short ones meet the decoder's edges more often
    Damage(bytes, random);
    auto ours = Zeroed<typename TypeParam::Own>();
    typename TypeParam::Stock theirs;
    const Status status = DecodeInto(std::span<const uint8_t>(bytes), ours);
    const bool taken = theirs.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    if (!status.ok()) {
      ASSERT_TRUE(!taken || StricterByDesign(status)) << ToString(status);
      continue;
    }
    ASSERT_TRUE(taken) << "we took what a stock library refuses";
    if (HasChanges(theirs)) continue;
    theirs.DiscardUnknownFields();
    ASSERT_EQ(OwnBytes(ours), StockBytes(theirs));
    ++both;
  }
  EXPECT_GT(both, 100);
}

Telemetry AnyTelemetry(Random& random) {
  Telemetry own;
  v1::Telemetry stock;
  Filler{random}.Fill(TableOf<Telemetry>(), &own, stock);
  return own;
}

TEST(Compact, ComesBackAndAStockLibraryReadsTheChanges) {
  Random random(6);
  for (int i = 0; i < 2000; ++i) {
    const Telemetry own = AnyTelemetry(random);
    std::vector<uint8_t> bytes(2048);
    const auto length = EncodeCompact(own, bytes);
    ASSERT_TRUE(length.ok());
    bytes.resize(*length);
    const auto back = DecodeMessage<Telemetry>(bytes);
    ASSERT_TRUE(back.ok() && *back == own);

    v1::Telemetry stock;
    ASSERT_TRUE(stock.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    ASSERT_EQ(stock.state_size(), 0);
    ASSERT_EQ(stock.tray_deci_c_size(), 0);
    ASSERT_EQ(static_cast<size_t>(stock.state_changes_size()), own.state.size());
    ASSERT_EQ(static_cast<size_t>(stock.tray_changes_size()), own.tray_deci_c.size());
    uint32_t state = 0;
    for (int slot = 0; slot < stock.state_changes_size(); ++slot)
      ASSERT_EQ(state ^= stock.state_changes(slot), own.state[static_cast<size_t>(slot)]);
    uint32_t tray = 0;  // modulo 2^32, as any sint32 may come
    for (int slot = 0; slot < stock.tray_changes_size(); ++slot) {
      tray += static_cast<uint32_t>(stock.tray_changes(slot));
      ASSERT_EQ(static_cast<int32_t>(tray), own.tray_deci_c[static_cast<size_t>(slot)]);
    }
  }
}

TEST(Compact, OtherMessagesHaveOneFormOnly) {
  const Reply reply{.command_id = 7, .epoch = 9};
  std::vector<uint8_t> compact(64);
  const auto length = EncodeByTable(TableOf<Reply>(), &reply, compact, Form::kCompact);
  ASSERT_TRUE(length.ok());
  compact.resize(*length);
  EXPECT_EQ(compact, OwnBytes(reply));
}

// Bytes by hand: two slots that differ in bit 1, 25.0 and 24.9 degC.
TEST(Compact, ChangesInBytes) {
  Telemetry telemetry;
  for (const uint32_t state : {0xC00004U, 0xC00006U}) telemetry.state.push_back(state);
  for (const int32_t tray : {250, 249}) telemetry.tray_deci_c.push_back(tray);
  std::vector<uint8_t> bytes(64);
  const auto length = EncodeCompact(telemetry, bytes);
  ASSERT_TRUE(length.ok());
  bytes.resize(*length);
  EXPECT_EQ(bytes,
            (std::vector<uint8_t>{0xAA, 0x01, 5, 0x84, 0x80, 0x80, 0x06, 0x02, 0xB2, 0x01, 3, 0xF4, 0x03, 0x01}));
}

TEST(Compact, TooManyEntriesAreRefused) {
  std::vector<uint8_t> bytes = {0xAA, 0x01, 33};
  bytes.resize(bytes.size() + 33, 0);
  EXPECT_EQ(DecodeMessage<Telemetry>(bytes).status().code(), Code::kOutOfRange);
}

TEST(Codec, LastOfAOneofWinsAndTheSameOneMerges) {
  v1::Command first, second;
  first.set_id(1);
  first.mutable_set_vbus()->set_slot(3);
  second.mutable_set_vbus()->set_on(true);
  auto bytes = StockBytes(first);
  const auto more = StockBytes(second);
  bytes.insert(bytes.end(), more.begin(), more.end());
  auto command = DecodeMessage<Command>(bytes);
  ASSERT_TRUE(command.ok());
  EXPECT_EQ(std::get<SetVbus>(command->call), (SetVbus{.slot = 3, .epoch = 0, .on = true}));
  v1::Command other;
  other.mutable_ping();
  const auto ping = StockBytes(other);
  bytes.insert(bytes.end(), ping.begin(), ping.end());
  command = DecodeMessage<Command>(bytes);
  ASSERT_TRUE(command.ok());
  EXPECT_TRUE(std::holds_alternative<Ping>(command->call));
}

TEST(Codec, UnpackedListsAreTaken) {
  const std::vector<uint8_t> bytes = {0x08, 0x05, 0x08, 0x06};  // Configure.current_limit_ma, one entry at a time
  const auto configure = DecodeMessage<Configure>(bytes);
  ASSERT_TRUE(configure.ok());
  ASSERT_EQ(configure->current_limit_ma.size(), 2U);
  EXPECT_EQ(configure->current_limit_ma[1], 6U);
}

TEST(Codec, RefusalsAreNamed) {
  const auto code = [](std::vector<uint8_t> bytes) { return DecodeMessage<Hello>(bytes).status().code(); };
  EXPECT_EQ(code({0x08, 0x80, 0x80, 0x80, 0x80, 0x10}), Code::kOutOfRange);  // protocol of 33 bits
  EXPECT_EQ(code({0x12, 0x10, 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a'}),
            Code::kOutOfRange);                            // a rack name of 16 bytes
  EXPECT_EQ(code({0x12, 0x01, 0x07}), Code::kOutOfRange);  // a bell in a name
  EXPECT_EQ(code({0x0D, 1, 2, 3, 4}), Code::kDataLoss);    // protocol as fixed32
  EXPECT_EQ(code({0xA3, 0x06}), Code::kDataLoss);          // a group
  EXPECT_EQ(code({0x00}), Code::kDataLoss);                // field number 0
  EXPECT_EQ(code({0x98, 0x06, 0x01}), Code::kOk);          // field 99, unknown, is skipped
}

TEST(Codec, TextOutsideAscii_IsNotSent) {
  std::array<uint8_t, 64> out{};
  Hello hello;
  hello.rack = "r\xc3\xa4";
  EXPECT_EQ(EncodeMessage(hello, out).status().code(), Code::kInvalidArgument);
}

TEST(Codec, ProcessNeverCrashes) {
  Random random(6);
  for (int i = 0; i < 50'000; ++i) {
    std::vector<uint8_t> bytes(random() % 64);
    for (auto& byte : bytes) byte = static_cast<uint8_t>(random() % 3 == 0 ? random() % 24 : random());
    (void)DecodeMessage<Command>(bytes);
    (void)DecodeMessage<Event>(bytes);
    (void)DecodeMessage<HelloReply>(bytes);
    (void)DecodeMessage<Telemetry>(bytes);
  }
}

TEST(Fixed, ResizeEndsAtTheCapacity) {
  FixedVector<uint32_t, 3> column;
  column.resize(4);
  EXPECT_EQ(column.size(), 3U);
}

TEST(HelloReplyMessage, EventNumberThatDidNotCome_IsNone) {
  const auto reply = DecodeMessage<HelloReply>({});
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->next_event_id, 0U);
}

// Found by fuzz_message: the structs' own defaults came back in place of the zeros that do not travel.
TEST(Decode, FieldsThatAreNotThere_AreZero) {
  EXPECT_EQ(DecodeMessage<Hello>({})->protocol, 0U);
  EXPECT_EQ(DecodeMessage<HelloReply>({})->protocol, 0U);
  EXPECT_EQ(DecodeMessage<HelloReply>({})->next_command_seq, 0U);
}

}  // namespace
}  // namespace faraday::link
