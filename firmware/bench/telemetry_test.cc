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
  link::Telemetry telemetry_;
};
INSTANTIATE_TEST_SUITE_P(Samples, Telemetry32Slots, testing::Values(FillCharging, FillWorst));

TEST_P(Telemetry32Slots, AStockLibraryReadsEveryField) {
  v1::Telemetry stock;
  const auto payload = Encoded(telemetry_);
  ASSERT_TRUE(stock.ParseFromArray(payload.data(), static_cast<int>(payload.size())));
  const auto rows = link::TableOf<link::Telemetry>().fields;
  ASSERT_EQ(static_cast<int>(rows.size()), v1::Telemetry::descriptor()->field_count());
  for (const Field& row : rows) EXPECT_EQ(Stock(stock, row), Ours(telemetry_, row)) << row.name;
  ASSERT_EQ(stock.vbus_mv_size(), 32);
}

TEST_P(Telemetry32Slots, EachColumnIsOnePackedField) {
  pb::Empty raw;
  const auto payload = Encoded(telemetry_);
  ASSERT_TRUE(raw.ParseFromArray(payload.data(), static_cast<int>(payload.size())));
  const pb::UnknownFieldSet& fields = raw.GetReflection()->GetUnknownFields(raw);
  std::map<int, int> seen;
  for (int i = 0; i < fields.field_count(); ++i) {
    const auto& field = fields.field(i);
    EXPECT_EQ(++seen[field.number()], 1) << "field " << field.number() << " comes twice";
    const bool repeated = v1::Telemetry::descriptor()->FindFieldByNumber(field.number())->is_repeated();
    EXPECT_EQ(field.type() == pb::UnknownField::TYPE_LENGTH_DELIMITED, repeated) << "field " << field.number();
  }
  EXPECT_EQ(seen.size() >= 6, true) << "six columns at least";
}

TEST_P(Telemetry32Slots, OneDecodedAloneIsWhole) {
  // What came before is no part of it: the second of two that differ, without the first.
  link::Telemetry later = telemetry_;
  ++later.number;
  later.vbus_mv[6] = 0;
  later.state[6] = 0;
  const auto payload = Encoded(later);
  const auto decoded = link::DecodeMessage<link::Telemetry>(payload);
  ASSERT_TRUE(decoded.ok());
  EXPECT_TRUE(*decoded == later);
}

// The aim is 0.6; README.md says what the figure is and why.
TEST_P(Telemetry32Slots, ColumnsTakeLessThanAMessageASlot) {
  const TelemetryBytes bytes = BytesOf(telemetry_);
  EXPECT_LT(static_cast<double>(bytes.payload) / static_cast<double>(bytes.nested), 0.8);
  EXPECT_LE(bytes.payload, link::kMaxPayload);
}

}  // namespace
}  // namespace faraday::firmware::bench
