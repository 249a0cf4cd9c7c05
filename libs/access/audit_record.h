// The text of one audit record: a line of JSON that people read with jq and whose bytes the chain is made over.
//
// Fields in the schema's order (v1::AuditRecord), those with their default value left out, ASCII only (everything else
// as \uXXXX), so that no caller's text can break a line or a terminal. The last two are always `prev` and `hash`:
//   {"number":7,"utc_ms":1790000000000,"kind":"KIND_ASKED",...,"prev":"64 hex digits","hash":"64 hex digits"}
// hash = SHA-256 of the line as it would be without `,"hash":"..."`; prev = hash of the record before, zeros before the
// first. By hand: sed 's/,"hash":"[0-9a-f]*"}$/}/' | tr -d '\n' | sha256sum
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "faraday/v1/access.pb.h"

namespace faraday::access {

// Where a chain stands: the record after it has number + 1 and prev == hash.
struct AuditPlace {
  uint64_t number = 0;
  std::string hash = std::string(64, '0');
  bool operator==(const AuditPlace&) const = default;
};

// Sets number, prev and hash so that the record follows `place`, moves `place` on, and returns the line (no '\n').
// REQUIRES: every text is valid UTF-8 (CleanText).
std::string SealAudit(v1::AuditRecord* record, AuditPlace* place);
// The line of a sealed record, to compare and to export.
std::string AuditLineOf(const v1::AuditRecord& record);

// kDataLoss when the line is no record.
Result<v1::AuditRecord> ParseAuditLine(std::string_view line);
// The record's own number and hash, checked against its bytes. kDataLoss says what does not fit.
Result<AuditPlace> CheckAuditLine(std::string_view line);
// The same, and that it follows `before`.
Result<AuditPlace> CheckAuditLine(std::string_view line, const AuditPlace& before);
// Number, utc, hash and `asked` as the line has them, unchecked; 0 and "" where it has none.
uint64_t NumberOfLine(std::string_view line);
int64_t UtcOfLine(std::string_view line);
std::string_view HashOfLine(std::string_view line);
uint64_t AskedOfLine(std::string_view line);

// `text` in double quotes as records have it.
std::string AuditQuoted(std::string_view text);
// Valid UTF-8 of at most `most` bytes; what is missing is marked by "...".
std::string CleanText(std::string_view text, size_t most);

}  // namespace faraday::access
