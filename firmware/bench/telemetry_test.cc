// The firmware's telemetry of a full board, read by a stock Protobuf library: every field, packed, each message alone.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/empty.pb.h>
#include <google/protobuf/unknown_field_set.h>
#include <gtest/gtest.h>

#include <map>

#include "faraday/link/v1/link.pb.h"
#include "firmware/bench/bytes.h"
#include "firmware/bench/sample.h"
#include "link/codec.h"
#include "link/frame.h"

namespace faraday::firmware::bench {
namespace {

namespace pb = google::protobuf;
namespace v1 = faraday::link::v1;
using link::Field;
using link::Kind;

template <typename T>
const T& At(const link::Telemetry& telemetry, const Field& field) {
  return *reinterpret_cast<const T*>(reinterpret_cast<const uint8_t*>(&telemetry) + field.offset);
}

template <typename Column>
std::vector<int64_t> Entries(const Column& column) {
  return {column.begin(), column.end()};
}

// One field of ours: its number or its entries.
std::vector<int64_t> Ours(const link::Telemetry& telemetry, const Field& field) {
  switch (field.kind) {
    case Kind::kUint32:
      return {At<uint32_t>(telemetry, field)};
    case Kind::kSlotColumn:
      return Entries(At<link::SlotColumn>(telemetry, field));
    case Kind::kRailColumn:
      return Entries(At<link::RailColumn>(telemetry, field));
    case Kind::kSlotChanges:
    case Kind::kSignedChanges:
      return {};  // of the other form
    case Kind::kSignedColumn:
      return Entries(At<link::FixedVector<int32_t, link::kMaxSlots>>(telemetry, field));
    default:
      ADD_FAILURE() << field.name << " is of a kind that telemetry has not had";
      return {};
  }
}

std::vector<int64_t> Stock(const v1::Telemetry& telemetry, const Field& row) {
  const pb::FieldDescriptor& field = *telemetry.GetDescriptor()->FindFieldByNumber(row.number);
  const pb::Reflection& get = *telemetry.GetReflection();
  if (!field.is_repeated()) return {get.GetUInt32(telemetry, &field)};
  std::vector<int64_t> entries;
  for (int i = 0; i < get.FieldSize(telemetry, &field); ++i) {
    const bool is_signed = field.cpp_type() == pb::FieldDescriptor::CPPTYPE_INT32;
    entries.push_back(is_signed ? int64_t{get.GetRepeatedInt32(telemetry, &field, i)}
                                : int64_t{get.GetRepeatedUInt32(telemetry, &field, i)});
  }
  return entries;
}

class Telemetry32Slots : public testing::TestWithParam<void (*)(link::Telemetry&)> {
 protected:
  Telemetry32Slots() { GetParam()(telemetry_); }
  std::vector<uint8_t> Payload(uint32_t form) const { return Encoded(telemetry_, form); }
  link::Telemetry telemetry_;
};
INSTANTIATE_TEST_SUITE_P(Samples, Telemetry32Slots, testing::Values(FillCharging, FillWorst));

TEST_P(Telemetry32Slots, AStockLibraryReadsEveryField) {
  v1::Telemetry stock;
  const auto payload = Payload(link::kPlainTelemetry);
  ASSERT_TRUE(stock.ParseFromArray(payload.data(), static_cast<int>(payload.size())));
  const auto rows = link::TableOf<link::Telemetry>().fields;
  ASSERT_EQ(static_cast<int>(rows.size()), v1::Telemetry::descriptor()->field_count());
  for (const Field& row : rows) EXPECT_EQ(Stock(stock, row), Ours(telemetry_, row)) << row.name;
  ASSERT_EQ(stock.vbus_mv_size(), 32);
}

// The two columns of changes added up again; all other fields are as in the plain form.
TEST_P(Telemetry32Slots, AStockLibraryReadsTheCompactForm) {
  v1::Telemetry stock;
  const auto payload = Payload(link::kCompactTelemetry);
  ASSERT_TRUE(stock.ParseFromArray(payload.data(), static_cast<int>(payload.size())));
  ASSERT_EQ(stock.state_changes_size(), 32);
  ASSERT_EQ(stock.tray_changes_size(), 32);
  uint32_t state = 0;
  int32_t tray = 0;
  for (int slot = 0; slot < 32; ++slot) {
    stock.add_state(state ^= stock.state_changes(slot));
    stock.add_tray_deci_c(tray += stock.tray_changes(slot));
  }
  stock.clear_state_changes();
  stock.clear_tray_changes();
  for (const Field& row : link::TableOf<link::Telemetry>().fields)
    EXPECT_EQ(Stock(stock, row), Ours(telemetry_, row)) << row.name;
}

class Forms : public testing::TestWithParam<uint32_t> {
 protected:
  Forms() { FillCharging(telemetry_); }
  std::vector<uint8_t> Payload() const { return Encoded(telemetry_, GetParam()); }
  link::Telemetry telemetry_;
};
INSTANTIATE_TEST_SUITE_P(Both, Forms, testing::Values(link::kPlainTelemetry, link::kCompactTelemetry));

TEST_P(Forms, EachColumnIsOnePackedField) {
  pb::Empty raw;
  const auto payload = Payload();
  ASSERT_TRUE(raw.ParseFromArray(payload.data(), static_cast<int>(payload.size())));
  const pb::UnknownFieldSet& fields = raw.GetReflection()->GetUnknownFields(raw);
  std::map<int, int> seen;
  for (int i = 0; i < fields.field_count(); ++i) {
    const auto& field = fields.field(i);
    EXPECT_EQ(++seen[field.number()], 1) << "field " << field.number() << " comes twice";
    const bool repeated = v1::Telemetry::descriptor()->FindFieldByNumber(field.number())->is_repeated();
    EXPECT_EQ(field.type() == pb::UnknownField::TYPE_LENGTH_DELIMITED, repeated) << "field " << field.number();
  }
  EXPECT_GE(seen.size(), 6U) << "six columns at least";
}

// What came before is no part of it: the second of two that differ, without the first.
TEST_P(Forms, OneDecodedAloneIsWhole) {
  ++telemetry_.number;
  telemetry_.vbus_mv[6] = 0;
  telemetry_.state[6] = 0;
  const auto decoded = link::DecodeMessage<link::Telemetry>(Payload());
  ASSERT_TRUE(decoded.ok());
  EXPECT_TRUE(*decoded == telemetry_);
}

// The aim of 0.6 is for a rack at work; docs/reference/mcu-link.md has the figures.
TEST(Telemetry, TakesAtMostSixTenthsOfAMessageASlot) {
  link::Telemetry telemetry;
  FillCharging(telemetry);
  const TelemetryBytes bytes = BytesOf(telemetry);
  EXPECT_LE(static_cast<double>(bytes.payload) / static_cast<double>(bytes.nested), 0.6);
}

TEST_P(Telemetry32Slots, FitsAFrameInEitherForm) {
  const TelemetryBytes bytes = BytesOf(telemetry_);
  EXPECT_LE(bytes.payload, bytes.plain + 2) << "two bytes for larger field numbers, no more";
  EXPECT_LE(bytes.plain, link::kMaxPayload);
  EXPECT_LT(bytes.plain, bytes.nested);
}

}  // namespace
}  // namespace faraday::firmware::bench
