#include "access/audit_record.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>
#include <sodium.h>

#include <array>
#include <charconv>

#include "access/key.h"

namespace faraday::access {
namespace {

using google::protobuf::FieldDescriptor;

constexpr size_t kHexBytes = 64;
constexpr std::string_view kPrevKey = ",\"prev\":\"";
constexpr std::string_view kHashKey = "\",\"hash\":\"";
constexpr std::string_view kEnd = "\"}";
// ,"prev":"<64>","hash":"<64>"}
constexpr size_t kTail = kPrevKey.size() + kHexBytes + kHashKey.size() + kHexBytes + kEnd.size();
constexpr std::string_view kNumberKey = "{\"number\":";
constexpr std::string_view kUtcKey = ",\"utc_ms\":";
constexpr uint32_t kReplacement = 0xfffd;

std::string Sha256(std::string_view bytes) {
  std::array<uint8_t, crypto_hash_sha256_BYTES> digest{};
  crypto_hash_sha256(digest.data(), reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  return ToHex(digest);
}

bool IsHex(std::string_view text) {
  return text.size() == kHexBytes && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

struct Decoded {
  uint32_t point = kReplacement;
  size_t bytes = 1;
  bool good = false;
};

// One code point of UTF-8 at the text's beginning. REQUIRES: not empty.
Decoded Decode(std::string_view text) {
  const auto first = static_cast<uint8_t>(text[0]);
  if (first < 0x80) return {first, 1, true};
  const size_t length = first >= 0xf0 && first < 0xf5 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length == 0 || first >= 0xf5 || text.size() < length) return {};
  uint32_t point = first & (0xffU >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    const auto next = static_cast<uint8_t>(text[i]);
    if ((next & 0xc0) != 0x80) return {};
    point = point << 6 | (next & 0x3fU);
  }
  constexpr std::array<uint32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = point >= 0xd800 && point < 0xe000;
  if (point < kLeast[length] || point > 0x10ffff || surrogate) return {};
  return {point, length, true};
}

void AppendPoint(uint32_t point, std::string* out) {
  if (point == '"' || point == '\\') {
    *out += '\\';
    *out += static_cast<char>(point);
  } else if (point >= 0x20 && point < 0x7f) {
    *out += static_cast<char>(point);
  } else if (point < 0x10000) {
    *out += fmt::format("\\u{:04x}", point);
  } else {
    const uint32_t rest = point - 0x10000;
    *out += fmt::format("\\u{:04x}\\u{:04x}", 0xd800 + (rest >> 10), 0xdc00 + (rest & 0x3ff));
  }
}

std::string ValueOf(const v1::AuditRecord& record, const FieldDescriptor* field) {
  const auto* reflection = record.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT64:
      return std::to_string(reflection->GetUInt64(record, field));
    case FieldDescriptor::CPPTYPE_INT64:
      return std::to_string(reflection->GetInt64(record, field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->GetBool(record, field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return AuditQuoted(reflection->GetEnum(record, field)->name());
    default:
      return AuditQuoted(reflection->GetString(record, field));
  }
}

std::string ListOf(const v1::AuditRecord& record, const FieldDescriptor* field) {
  std::string list;
  for (int i = 0; i < record.GetReflection()->FieldSize(record, field); ++i) {
    list += (list.empty() ? "" : ",") + AuditQuoted(record.GetReflection()->GetRepeatedString(record, field, i));
  }
  return "[" + list + "]";
}

// The line without `hash`, closed: what the hash is made over.
std::string Body(const v1::AuditRecord& record) {
  std::string text;
  const auto* type = v1::AuditRecord::descriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (field->number() == v1::AuditRecord::kHashFieldNumber) continue;
    const auto* reflection = record.GetReflection();
    if (field->is_repeated() ? reflection->FieldSize(record, field) == 0 : !reflection->HasField(record, field)) {
      continue;
    }
    text += (text.empty() ? "{\"" : ",\"") + field->name() + "\":";
    text += field->is_repeated() ? ListOf(record, field) : ValueOf(record, field);
  }
  return text + "}";
}

std::string WithHash(const std::string& body, const std::string& hash) {
  return body.substr(0, body.size() - 1) + ",\"hash\":\"" + hash + "\"}";
}

template <typename Number>
Number NumberAfter(std::string_view line, std::string_view key, size_t from) {
  const size_t at = line.find(key, from);
  Number number = 0;
  if (at == std::string_view::npos) return number;
  const std::string_view digits = line.substr(at + key.size());
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

}  // namespace

std::string AuditQuoted(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const Decoded next = Decode(text);
    AppendPoint(next.point, &out);
    text.remove_prefix(next.bytes);
  }
  return out + "\"";
}

std::string CleanText(std::string_view text, size_t most) {
  constexpr std::string_view kCut = "...";
  constexpr std::string_view kBroken = "\xef\xbf\xbd";
  std::string out;
  size_t fits = 0;  // with kCut behind it
  while (!text.empty()) {
    const Decoded next = Decode(text);
    out += next.good ? text.substr(0, next.bytes) : kBroken;
    if (out.size() > most) return out.substr(0, fits).append(kCut);
    if (out.size() + kCut.size() <= most) fits = out.size();
    text.remove_prefix(next.bytes);
  }
  return out;
}

std::string SealAudit(v1::AuditRecord* record, AuditPlace* place) {
  record->set_number(place->number + 1);
  record->set_prev(place->hash);
  const std::string body = Body(*record);
  record->set_hash(Sha256(body));
  *place = {record->number(), record->hash()};
  return WithHash(body, record->hash());
}

std::string AuditLineOf(const v1::AuditRecord& record) { return WithHash(Body(record), record.hash()); }

Result<v1::AuditRecord> ParseAuditLine(std::string_view line) {
  v1::AuditRecord record;
  const auto parsed =
      google::protobuf::util::JsonStringToMessage(google::protobuf::StringPiece(line.data(), line.size()), &record);
  if (parsed.ok()) return record;
  return Status(Code::kDataLoss, "this line is no audit record");
}

Result<AuditPlace> CheckAuditLine(std::string_view line) {
  const uint64_t number = NumberOfLine(line);
  if (number == 0 || line.size() <= kTail) return Status(Code::kDataLoss, "this line is no audit record");
  const std::string_view tail = line.substr(line.size() - kTail);
  const std::string_view hash = HashOfLine(line);
  const bool shaped = tail.starts_with(kPrevKey) && IsHex(tail.substr(kPrevKey.size(), kHexBytes)) &&
                      tail.substr(kPrevKey.size() + kHexBytes).starts_with(kHashKey) && tail.ends_with(kEnd);
  if (!shaped || !IsHex(hash)) {
    return Status(Code::kDataLoss, fmt::format("record {} has no prev and hash", number));
  }
  const std::string body = std::string(line.substr(0, line.size() - kHexBytes - kHashKey.size() - kEnd.size())) + "\"}";
  if (Sha256(body) != hash) {
    return Status(Code::kDataLoss, fmt::format("record {} was changed: its bytes do not give its hash", number));
  }
  return AuditPlace{number, std::string(hash)};
}

Result<AuditPlace> CheckAuditLine(std::string_view line, const AuditPlace& before) {
  FARADAY_TRY_ASSIGN(AuditPlace place, CheckAuditLine(line));
  if (place.number != before.number + 1) {
    return Status(Code::kDataLoss,
                  fmt::format("record {} stands where {} belongs: records are missing, repeated or out of order",
                              place.number,
                              before.number + 1));
  }
  const std::string_view prev = line.substr(line.size() - kTail + kPrevKey.size(), kHexBytes);
  if (prev != before.hash) {
    return Status(
        Code::kDataLoss,
        fmt::format("record {} does not follow record {}: its prev is another hash", place.number, before.number));
  }
  return place;
}

uint64_t NumberOfLine(std::string_view line) {
  return line.starts_with(kNumberKey) ? NumberAfter<uint64_t>(line, kNumberKey, 0) : 0;
}

int64_t UtcOfLine(std::string_view line) { return NumberAfter<int64_t>(line, kUtcKey, 0); }

uint64_t AskedOfLine(std::string_view line) { return NumberAfter<uint64_t>(line, ",\"asked\":", 0); }

std::string_view HashOfLine(std::string_view line) {
  if (line.size() < kTail) return {};
  return line.substr(line.size() - kEnd.size() - kHexBytes, kHexBytes);
}

}  // namespace faraday::access
