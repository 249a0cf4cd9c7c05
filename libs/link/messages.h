// The link's messages as plain structs, field for field those of proto/faraday/link/v1/link.proto, where each field
// is explained. A test compares names, numbers and types with the .proto. Freestanding, no heap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>

#include "base/result.h"
#include "link/fixed.h"
#include "link/slot_bits.h"

namespace faraday::link {

inline constexpr size_t kMaxSlots = 32;      // a board
inline constexpr size_t kMaxRails = 8;       // a board; chosen
inline constexpr size_t kMaxInputs = 16;     // rules of rack inputs, a board; chosen
inline constexpr size_t kMaxLogRecords = 8;  // of a LogPage; chosen

using SlotColumn = FixedVector<uint32_t, kMaxSlots>;
using RailColumn = FixedVector<uint32_t, kMaxRails>;
using InputColumn = FixedVector<uint32_t, kMaxInputs>;
using LogColumn = RailColumn;
static_assert(kMaxLogRecords == kMaxRails);

enum class BootReason : uint8_t { kUnknown, kPowerOn, kWatchdog, kSoftware, kFault, kBrownOut };
enum class SafeState : uint8_t { kCharge, kHold, kOff };
enum class Verdict : uint8_t {
  kOk,
  kAccepted,
  kInvalid,
  kUnknownCommand,
  kFenced,
  kNoSuchSlot,
  kNotFitted,
  kNotConfigured,
  kTripped,
  kOverBudget,
  kVbusOff,
  kLooserThanCeiling,
  kBusy,
  kBlocked,
  kNvmLost,
  kLooserWhileOn,
};
enum class BlockCause : uint8_t { kNone, kHostSilent, kInput, kRail, kHotShelf, kBusLost, kStopButton };
enum class RefusalReason : uint8_t {
  kUnknown,
  kSuperseded,
  kWrongSession,
  kWrongProtocol,
  kWrongRack,
  kOutOfOrder,
};
enum class TripReason : uint8_t {
  kNone,
  kOverCurrent,
  kOverTemperature,
  kSwitchShorted,
  kStaleSensor,
  kStop,
  kHotSwap,
  kFastRise,
};
enum class Condition : uint8_t {
  kNone,
  kSwitchShorted,
  kRelayStuck,
  kReadBackMismatch,
  kPartMissing,
  kBackFeed,
  kNoDischarge,
  kUnderVoltage,
  kOverVoltage,
  kTrayWarm,
  kRelayWorn,
  kWrongPart,
  kTraySensorMissing,
  kBusLost,
  kRailSag,
  kRailDown,
  kHotShelf,
  kHostSilent,
  kNvmReadOnly,
  kInputBlocks,
  kStopped,
  kAlarm,
  kLogLost,
};
enum class DoneCode : uint8_t { kOk, kReadBackMismatch, kCancelled, kTripped, kPartMissing };
enum class CancelCause : uint8_t {
  kNone,
  kNewerCommand,
  kStop,
  kLeaseEnd,
  kHandOver,
  kHostSilent,
  kRail,
  kInput,
  kHotShelf,
  kBusLost,
  kWaitedTooLong,
};
// LogPage.kind.
enum class LogKind : uint8_t {
  kNone,
  kBoot,
  kHello,
  kTrip,
  kCleared,
  kCondition,
  kConditionOver,
  kLeaseEnded,
  kInput,
  kStop,
  kConfigured,
  kSafeState,
};

namespace capability {
inline constexpr uint32_t kVbus = 1, kDataEnable = 2, kDataSelect = 4, kChargeMode = 8, kRfRelay = 16, kPowerKey = 32,
                          kVolumeKey = 64, kLed = 128, kMonitor = 256, kTemperature = 512, kRelaySense = 1024;
}  // namespace capability

// Hello.telemetry_form.
inline constexpr uint32_t kPlainTelemetry = 0;
inline constexpr uint32_t kCompactTelemetry = 1;

// ---- host to MCU ----
struct Hello {
  uint32_t protocol = 1;
  FixedString<15> rack;
  FixedString<23> host_version;
  uint32_t nonce = 0;
  uint32_t last_session = 0;
  uint32_t last_term = 0;
  uint32_t telemetry_form = 0;  // kPlainTelemetry or kCompactTelemetry
  uint32_t host_mark = 0;
  bool operator==(const Hello&) const = default;
};
struct Configure {
  SlotColumn current_limit_ma;
  SlotColumn safe_state;
  SlotColumn rail;
  RailColumn rail_budget_ma;
  uint32_t rack_budget_ma = 0;
  uint32_t stagger_ms = 0;
  uint32_t min_off_ms = 0;
  uint32_t host_silent_ms = 0;
  uint32_t host_silent_max_ms = 0;
  uint32_t charge_on_ms = 0;
  uint32_t charge_period_ms = 0;
  SlotColumn soft_limit_ma;
  uint32_t tray_warn_deci_c = 0;
  uint32_t tray_trip_deci_c = 0;
  uint32_t relay_warn_count = 0;
  InputColumn input_rules;  // Pack(InputRule)
  uint32_t min_on_ms = 0;
  bool operator==(const Configure&) const = default;
};
struct Ping {
  uint32_t nonce = 0;
  bool operator==(const Ping&) const = default;
};
struct SetLease {
  uint32_t slot = 0;
  uint32_t epoch = 0;
  uint32_t duration_ms = 0;
  bool to_safe_state = false;
  bool operator==(const SetLease&) const = default;
};
struct SetVbus {
  uint32_t slot = 0;
  uint32_t epoch = 0;
  bool on = false;
  bool operator==(const SetVbus&) const = default;
};
struct CycleVbus {
  uint32_t slot = 0;
  uint32_t epoch = 0;
  uint32_t off_ms = 0;
  bool operator==(const CycleVbus&) const = default;
};
struct SetData {
  uint32_t slot = 0;
  uint32_t epoch = 0;
  DataPath path = DataPath::kOpen;  // kUnknown is not a command
  uint32_t host_index = 0;
  bool operator==(const SetData&) const = default;
};
struct SetShield {
  uint32_t slot = 0;
  uint32_t epoch = 0;
  bool couple = false;
  bool operator==(const SetShield&) const = default;
};
struct StopSlot {
  uint32_t slot = 0;
  bool operator==(const StopSlot&) const = default;
};
struct ClearTrip {
  uint32_t slot = 0;
  bool operator==(const ClearTrip&) const = default;
};
struct Locate {
  uint32_t slot = 0;
  uint32_t duration_ms = 0;
  bool operator==(const Locate&) const = default;
};
struct ClearSilence {
  bool operator==(const ClearSilence&) const = default;
};
struct ReadLog {
  uint32_t from = 0;
  uint32_t count = 0;
  bool operator==(const ReadLog&) const = default;
};
struct ReadWear {
  uint32_t slot = 0;
  bool operator==(const ReadWear&) const = default;
};
struct SetWear {
  uint32_t slot = 0;
  uint32_t moves = 0;
  bool operator==(const SetWear&) const = default;
};
struct Command {
  uint32_t id = 0;
  std::variant<std::monostate,
               Ping,
               Configure,
               SetLease,
               SetVbus,
               CycleVbus,
               SetData,
               SetShield,
               StopSlot,
               ClearTrip,
               Locate,
               ClearSilence,
               ReadLog,
               ReadWear,
               SetWear>
      call;
  bool operator==(const Command&) const = default;
};
struct Keepalive {
  uint32_t away_ms = 0;
  bool operator==(const Keepalive&) const = default;
};

// ---- MCU to host ----
struct HelloReply {
  uint32_t protocol = 1;
  FixedString<23> firmware_version;
  FixedString<23> build_id;
  FixedString<15> board;
  FixedString<15> rack;
  uint32_t slots = 0;
  SlotColumn capabilities;
  BootReason boot_reason = BootReason::kUnknown;
  uint32_t config_crc = 0;
  uint32_t term = 0;
  uint32_t session = 0;
  SlotColumn epochs;
  SlotColumn lease_left_ms;
  bool nvm_lost = false;
  uint32_t uptime_ms = 0;
  uint32_t nonce = 0;
  uint32_t next_command_seq = 1;
  uint32_t next_event_id = 0;  // 0: firmware that does not say
  uint32_t flash_id = 0;
  uint32_t boot_number = 0;
  bool operator==(const HelloReply&) const = default;
};
struct Reply {
  uint32_t command_id = 0;
  Verdict verdict = Verdict::kOk;
  uint32_t wait_ms = 0;
  uint32_t queue_position = 0;
  uint32_t epoch = 0;
  uint32_t value = 0;
  uint32_t limit = 0;
  bool operator==(const Reply&) const = default;
};
struct Refusal {
  RefusalReason reason = RefusalReason::kUnknown;
  uint32_t term = 0;
  uint32_t session = 0;
  uint32_t expected_seq = 0;
  FixedString<15> rack;
  uint32_t protocol = 0;
  uint32_t nonce = 0;  // 0: no term is open, or firmware that does not say
  bool operator==(const Refusal&) const = default;
};
struct Telemetry {
  uint32_t number = 0;
  uint32_t uptime_ms = 0;
  SlotColumn vbus_mv;
  SlotColumn vbus_ma;
  FixedVector<int32_t, kMaxSlots> tray_deci_c;
  SlotColumn state;  // Pack(SlotBits)
  SlotColumn lease_left_ms;
  RailColumn rail_mv;
  uint32_t inputs = 0;
  uint32_t faults = 0;
  uint32_t stack_high_water_bytes = 0;
  uint32_t frames_bad = 0;
  uint32_t event_backlog = 0;
  uint32_t config_crc = 0;
  uint32_t current_scan_ms = 0;
  uint32_t bus_recoveries = 0;
  uint32_t line_errors = 0;
  uint32_t psu_lost = 0;
  uint32_t input_edges = 0;
  uint32_t alerts = 0;
  SlotColumn marks;  // Pack(SlotMarks)
  uint32_t rails_down = 0;
  uint32_t rails_sagging = 0;
  uint32_t buses_lost = 0;
  uint32_t shelves_hot = 0;
  uint32_t log_next = 0;
  bool operator==(const Telemetry&) const = default;
};
struct CommandDone {
  uint32_t command_id = 0;
  DoneCode code = DoneCode::kOk;
  uint32_t slot = 0;
  uint32_t vbus_mv = 0;
  uint32_t vbus_ma = 0;
  uint32_t state = 0;
  CancelCause cause = CancelCause::kNone;
  bool operator==(const CommandDone&) const = default;
};
struct Tripped {
  uint32_t slot = 0;
  TripReason reason = TripReason::kNone;
  uint32_t value = 0;
  uint32_t limit = 0;
  bool operator==(const Tripped&) const = default;
};
struct LeaseEnded {
  uint32_t slot = 0;
  uint32_t epoch = 0;
  bool operator==(const LeaseEnded&) const = default;
};
struct InputChanged {
  uint32_t input = 0;
  bool active = false;
  bool operator==(const InputChanged&) const = default;
};
struct HostSilent {
  uint32_t silent_ms = 0;
  bool operator==(const HostSilent&) const = default;
};
struct ConditionChanged {
  uint32_t slot = 0;
  Condition condition = Condition::kNone;
  bool active = false;
  uint32_t value = 0;
  uint32_t limit = 0;
  bool operator==(const ConditionChanged&) const = default;
};
struct Event {
  uint32_t id = 0;
  uint32_t uptime_ms = 0;
  std::variant<std::monostate, CommandDone, Tripped, LeaseEnded, InputChanged, HostSilent, ConditionChanged> kind;
  bool operator==(const Event&) const = default;
};
struct LogPage {
  uint32_t first = 0;
  LogColumn boot;
  LogColumn uptime_ms;
  LogColumn kind;  // LogKind
  LogColumn slot;
  LogColumn detail;
  LogColumn value;
  LogColumn limit;
  bool operator==(const LogPage&) const = default;
};

// Encodes to the Protobuf wire form (fields in number order, defaults left out, numbers over slots packed: the bytes
// a stock library writes). Returns the length. Errors: kResourceExhausted when `out` is too small.
// Defined for every message above.
template <typename Message>
Result<size_t> EncodeMessage(const Message& message, std::span<uint8_t> out);

// The shorter form of telemetry, for a host that said kCompactTelemetry: changes from slot to slot in place of states
// and temperatures. DecodeMessage reads both forms. As EncodeMessage.
Result<size_t> EncodeCompact(const Telemetry& telemetry, std::span<uint8_t> out);

// Decodes; unknown fields are skipped, repeated scalars are taken packed or not, the last of a oneof wins.
// Errors: kDataLoss malformed (truncated, overlong varint, wrong wire type for a known field);
// kOutOfRange more entries or bytes than the struct holds, or an enum number this side does not know.
template <typename Message>
Result<Message> DecodeMessage(std::span<const uint8_t> bytes);

}  // namespace faraday::link
