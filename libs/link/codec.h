// The field tables behind EncodeMessage/DecodeMessage: one row a field, checked against link.proto by a test.
// Tools walk the same tables to print and read messages (link/human.h). Freestanding, no heap, constant data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/status.h"
#include "link/messages.h"

namespace faraday::link {

// How a struct member travels. Columns are packed; signed ones are zigzag (sint32). A column of changes fills the
// member of a plain column: each entry as it differs from the one before, bit by bit or by subtraction.
enum class Kind : uint8_t {
  kUint32,
  kBool,
  kEnum,
  kText15,
  kText23,
  kSlotColumn,
  kRailColumn,
  kInputColumn,
  kSignedColumn,
  kSlotChanges,
  kSignedChanges,
};

// Which of two columns of one member is written.
enum class Form : uint8_t { kPlain, kCompact };

// An enum's names in number order from 0, lower case, without the .proto's prefix.
struct EnumTable {
  const char* name;
  std::span<const char* const> values;
};

struct Field {
  const char* name;
  uint8_t number;
  Kind kind;
  uint16_t offset;          // bytes from the start of the struct
  const EnumTable* values;  // kEnum only, else nullptr
};

struct MessageTable;

// One choice of the message's oneof: always a message of its own, which has no oneof itself.
struct Arm {
  const char* name;
  uint8_t number;
  const MessageTable* table;
  const void* (*held)(const void* message);  // the arm's struct, nullptr when another is held
  void* (*hold)(void* message);              // makes it the held one (kept as it is when it already is)
};

// Fields in number order; the arms' numbers follow the fields'.
struct MessageTable {
  const char* name;  // as in link.proto
  std::span<const Field> fields;
  const char* oneof = nullptr;
  std::span<const Arm> arms = {};
};

// Defined for every message of messages.h.
template <typename Message>
const MessageTable& TableOf();

// The table of one message as bytes and back; `message` points at its struct. As EncodeMessage/DecodeMessage.
Result<size_t> EncodeByTable(const MessageTable& table,
                             const void* message,
                             std::span<uint8_t> out,
                             Form form = Form::kPlain);
// Adds to `message`; on an error what was read so far stays in it (a command's id, for its refusal).
Status DecodeByTable(const MessageTable& table, std::span<const uint8_t> bytes, void* message);

// DecodeMessage without the copies: `message` must be freshly made; partly filled on an error.
template <typename Message>
Status DecodeInto(std::span<const uint8_t> bytes, Message& message) {
  return DecodeByTable(TableOf<Message>(), bytes, &message);
}

}  // namespace faraday::link
