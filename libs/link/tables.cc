// The link's messages as constant tables: what link.proto says, member by member.
#include <cstddef>
#include <type_traits>

#include "link/codec.h"

namespace faraday::link {
namespace {

template <typename Member>
constexpr Kind KindOf() {
  if constexpr (std::is_same_v<Member, uint32_t>)
    return Kind::kUint32;
  else if constexpr (std::is_same_v<Member, bool>)
    return Kind::kBool;
  else if constexpr (std::is_same_v<Member, FixedString<15>>)
    return Kind::kText15;
  else if constexpr (std::is_same_v<Member, FixedString<23>>)
    return Kind::kText23;
  else if constexpr (std::is_same_v<Member, SlotColumn>)
    return Kind::kSlotColumn;
  else if constexpr (std::is_same_v<Member, RailColumn>)
    return Kind::kRailColumn;
  else if constexpr (std::is_same_v<Member, InputColumn>)
    return Kind::kInputColumn;
  else if constexpr (std::is_same_v<Member, FixedVector<int32_t, kMaxSlots>>)
    return Kind::kSignedColumn;
  else {
    static_assert(std::is_enum_v<Member> && sizeof(Member) == 1, "a member of no known kind");
    return Kind::kEnum;
  }
}

constexpr const char* kBootReason[] = {"unknown", "power_on", "watchdog", "software", "fault", "brown_out"};
constexpr const char* kDataPath[] = {"open", "charge", "host"};  // kUnknown is measured only, never on the wire
constexpr const char* kVerdict[] = {"ok",
                                    "accepted",
                                    "invalid",
                                    "unknown_command",
                                    "fenced",
                                    "no_such_slot",
                                    "not_fitted",
                                    "not_configured",
                                    "tripped",
                                    "over_budget",
                                    "vbus_off",
                                    "looser_than_ceiling",
                                    "busy",
                                    "blocked",
                                    "nvm_lost",
                                    "looser_while_on"};
constexpr const char* kRefusal[] = {
    "unknown", "superseded", "wrong_session", "wrong_protocol", "wrong_rack", "out_of_order"};
constexpr const char* kTrip[] = {
    "none", "over_current", "over_temperature", "switch_shorted", "stale_sensor", "stop", "hot_swap", "fast_rise"};
constexpr const char* kDone[] = {"ok", "read_back_mismatch", "cancelled", "tripped", "part_missing"};

constexpr const char* kCondition[] = {"none",
                                      "switch_shorted",
                                      "relay_stuck",
                                      "read_back_mismatch",
                                      "part_missing",
                                      "back_feed",
                                      "no_discharge",
                                      "under_voltage",
                                      "over_voltage",
                                      "tray_warm",
                                      "relay_worn",
                                      "wrong_part",
                                      "tray_sensor_missing",
                                      "bus_lost",
                                      "rail_sag",
                                      "rail_down",
                                      "hot_shelf",
                                      "host_silent",
                                      "nvm_read_only",
                                      "input_blocks",
                                      "stopped",
                                      "alarm",
                                      "log_lost"};
constexpr const char* kCancel[] = {"none",
                                   "newer_command",
                                   "stop",
                                   "lease_end",
                                   "hand_over",
                                   "host_silent",
                                   "rail",
                                   "input",
                                   "hot_shelf",
                                   "bus_lost",
                                   "waited_too_long"};

constexpr EnumTable kBootReasonTable{"BootReason", kBootReason};
constexpr EnumTable kDataPathTable{"DataPath", kDataPath};
constexpr EnumTable kVerdictTable{"Verdict", kVerdict};
constexpr EnumTable kRefusalTable{"RefusalReason", kRefusal};
constexpr EnumTable kTripTable{"TripReason", kTrip};
constexpr EnumTable kDoneTable{"DoneCode", kDone};
constexpr EnumTable kConditionTable{"Condition", kCondition};
constexpr EnumTable kCancelTable{"CancelCause", kCancel};

template <typename Member>
constexpr const EnumTable* ValuesOf() {
  if constexpr (std::is_same_v<Member, BootReason>)
    return &kBootReasonTable;
  else if constexpr (std::is_same_v<Member, DataPath>)
    return &kDataPathTable;
  else if constexpr (std::is_same_v<Member, Verdict>)
    return &kVerdictTable;
  else if constexpr (std::is_same_v<Member, RefusalReason>)
    return &kRefusalTable;
  else if constexpr (std::is_same_v<Member, TripReason>)
    return &kTripTable;
  else if constexpr (std::is_same_v<Member, DoneCode>)
    return &kDoneTable;
  else if constexpr (std::is_same_v<Member, Condition>)
    return &kConditionTable;
  else if constexpr (std::is_same_v<Member, CancelCause>)
    return &kCancelTable;
  else
    return nullptr;
}

// A row: the member's own name, so that renaming one side breaks the test.
#define ROW(Message, member, number)                                                                            \
  Field {                                                                                                       \
#member, number, KindOf < decltype(Message::member)>(), static_cast < uint16_t>(offsetof(Message, member)), \
        ValuesOf < decltype(Message::member)>()                                                                 \
  }

// A second way for the member of a plain column.
#define CHANGES(Message, member, name, number, kind) \
  Field { #name, number, Kind::kind, static_cast < uint16_t>(offsetof(Message, member)), nullptr }

constexpr Field kHello[] = {ROW(Hello, protocol, 1),
                            ROW(Hello, rack, 2),
                            ROW(Hello, host_version, 3),
                            ROW(Hello, nonce, 4),
                            ROW(Hello, last_session, 5),
                            ROW(Hello, last_term, 6),
                            ROW(Hello, telemetry_form, 7),
                            ROW(Hello, host_mark, 8)};
constexpr Field kConfigure[] = {ROW(Configure, current_limit_ma, 1),
                                ROW(Configure, safe_state, 2),
                                ROW(Configure, rail, 3),
                                ROW(Configure, rail_budget_ma, 4),
                                ROW(Configure, rack_budget_ma, 5),
                                ROW(Configure, stagger_ms, 6),
                                ROW(Configure, min_off_ms, 7),
                                ROW(Configure, host_silent_ms, 8),
                                ROW(Configure, host_silent_max_ms, 9),
                                ROW(Configure, charge_on_ms, 10),
                                ROW(Configure, charge_period_ms, 11),
                                ROW(Configure, soft_limit_ma, 12),
                                ROW(Configure, tray_warn_deci_c, 13),
                                ROW(Configure, tray_trip_deci_c, 14),
                                ROW(Configure, relay_warn_count, 15),
                                ROW(Configure, input_rules, 16),
                                ROW(Configure, min_on_ms, 17)};
constexpr Field kPing[] = {ROW(Ping, nonce, 1)};
constexpr Field kSetLease[] = {
    ROW(SetLease, slot, 1), ROW(SetLease, epoch, 2), ROW(SetLease, duration_ms, 3), ROW(SetLease, to_safe_state, 4)};
constexpr Field kSetVbus[] = {ROW(SetVbus, slot, 1), ROW(SetVbus, epoch, 2), ROW(SetVbus, on, 3)};
constexpr Field kCycleVbus[] = {ROW(CycleVbus, slot, 1), ROW(CycleVbus, epoch, 2), ROW(CycleVbus, off_ms, 3)};
constexpr Field kSetData[] = {
    ROW(SetData, slot, 1), ROW(SetData, epoch, 2), ROW(SetData, path, 3), ROW(SetData, host_index, 4)};
constexpr Field kSetShield[] = {ROW(SetShield, slot, 1), ROW(SetShield, epoch, 2), ROW(SetShield, couple, 3)};
constexpr Field kStopSlot[] = {ROW(StopSlot, slot, 1)};
constexpr Field kClearTrip[] = {ROW(ClearTrip, slot, 1)};
constexpr Field kLocate[] = {ROW(Locate, slot, 1), ROW(Locate, duration_ms, 2)};
constexpr Field kReadLog[] = {ROW(ReadLog, from, 1), ROW(ReadLog, count, 2)};
constexpr Field kReadWear[] = {ROW(ReadWear, slot, 1)};
constexpr Field kSetWear[] = {ROW(SetWear, slot, 1), ROW(SetWear, moves, 2)};
constexpr Field kKeepalive[] = {ROW(Keepalive, away_ms, 1)};
constexpr Field kHelloReply[] = {ROW(HelloReply, protocol, 1),
                                 ROW(HelloReply, firmware_version, 2),
                                 ROW(HelloReply, build_id, 3),
                                 ROW(HelloReply, board, 4),
                                 ROW(HelloReply, rack, 5),
                                 ROW(HelloReply, slots, 6),
                                 ROW(HelloReply, capabilities, 7),
                                 ROW(HelloReply, boot_reason, 8),
                                 ROW(HelloReply, config_crc, 9),
                                 ROW(HelloReply, term, 10),
                                 ROW(HelloReply, session, 11),
                                 ROW(HelloReply, epochs, 12),
                                 ROW(HelloReply, lease_left_ms, 13),
                                 ROW(HelloReply, nvm_lost, 14),
                                 ROW(HelloReply, uptime_ms, 15),
                                 ROW(HelloReply, nonce, 16),
                                 ROW(HelloReply, next_command_seq, 17),
                                 ROW(HelloReply, next_event_id, 18),
                                 ROW(HelloReply, flash_id, 19),
                                 ROW(HelloReply, boot_number, 20)};
constexpr Field kReply[] = {ROW(Reply, command_id, 1),
                            ROW(Reply, verdict, 2),
                            ROW(Reply, wait_ms, 3),
                            ROW(Reply, queue_position, 4),
                            ROW(Reply, epoch, 5),
                            ROW(Reply, value, 6),
                            ROW(Reply, limit, 7)};
constexpr Field kRefusalFields[] = {ROW(Refusal, reason, 1),
                                    ROW(Refusal, term, 2),
                                    ROW(Refusal, session, 3),
                                    ROW(Refusal, expected_seq, 4),
                                    ROW(Refusal, rack, 5),
                                    ROW(Refusal, protocol, 6),
                                    ROW(Refusal, nonce, 7)};
constexpr Field kTelemetry[] = {ROW(Telemetry, number, 1),
                                ROW(Telemetry, uptime_ms, 2),
                                ROW(Telemetry, vbus_mv, 3),
                                ROW(Telemetry, vbus_ma, 4),
                                ROW(Telemetry, tray_deci_c, 5),
                                ROW(Telemetry, state, 6),
                                ROW(Telemetry, lease_left_ms, 7),
                                ROW(Telemetry, rail_mv, 8),
                                ROW(Telemetry, inputs, 9),
                                ROW(Telemetry, faults, 10),
                                ROW(Telemetry, stack_high_water_bytes, 11),
                                ROW(Telemetry, frames_bad, 12),
                                ROW(Telemetry, event_backlog, 13),
                                ROW(Telemetry, config_crc, 14),
                                ROW(Telemetry, current_scan_ms, 15),
                                ROW(Telemetry, bus_recoveries, 16),
                                ROW(Telemetry, line_errors, 17),
                                ROW(Telemetry, psu_lost, 18),
                                ROW(Telemetry, input_edges, 19),
                                ROW(Telemetry, alerts, 20),
                                CHANGES(Telemetry, state, state_changes, 21, kSlotChanges),
                                CHANGES(Telemetry, tray_deci_c, tray_changes, 22, kSignedChanges),
                                ROW(Telemetry, marks, 23),
                                ROW(Telemetry, rails_down, 24),
                                ROW(Telemetry, rails_sagging, 25),
                                ROW(Telemetry, buses_lost, 26),
                                ROW(Telemetry, shelves_hot, 27),
                                ROW(Telemetry, log_next, 28)};
constexpr Field kCommandDone[] = {ROW(CommandDone, command_id, 1),
                                  ROW(CommandDone, code, 2),
                                  ROW(CommandDone, slot, 3),
                                  ROW(CommandDone, vbus_mv, 4),
                                  ROW(CommandDone, vbus_ma, 5),
                                  ROW(CommandDone, state, 6),
                                  ROW(CommandDone, cause, 7)};
constexpr Field kTripped[] = {
    ROW(Tripped, slot, 1), ROW(Tripped, reason, 2), ROW(Tripped, value, 3), ROW(Tripped, limit, 4)};
constexpr Field kLeaseEnded[] = {ROW(LeaseEnded, slot, 1), ROW(LeaseEnded, epoch, 2)};
constexpr Field kInputChanged[] = {ROW(InputChanged, input, 1), ROW(InputChanged, active, 2)};
constexpr Field kHostSilent[] = {ROW(HostSilent, silent_ms, 1)};
constexpr Field kConditionChanged[] = {ROW(ConditionChanged, slot, 1),
                                       ROW(ConditionChanged, condition, 2),
                                       ROW(ConditionChanged, active, 3),
                                       ROW(ConditionChanged, value, 4),
                                       ROW(ConditionChanged, limit, 5)};
constexpr Field kLogPage[] = {ROW(LogPage, first, 1),
                              ROW(LogPage, boot, 2),
                              ROW(LogPage, uptime_ms, 3),
                              ROW(LogPage, kind, 4),
                              ROW(LogPage, slot, 5),
                              ROW(LogPage, detail, 6),
                              ROW(LogPage, value, 7),
                              ROW(LogPage, limit, 8)};
constexpr Field kCommand[] = {ROW(Command, id, 1)};
constexpr Field kEvent[] = {ROW(Event, id, 1), ROW(Event, uptime_ms, 2)};
#undef CHANGES
#undef ROW

constexpr MessageTable kHelloTable{"Hello", kHello};
constexpr MessageTable kConfigureTable{"Configure", kConfigure};
constexpr MessageTable kPingTable{"Ping", kPing};
constexpr MessageTable kSetLeaseTable{"SetLease", kSetLease};
constexpr MessageTable kSetVbusTable{"SetVbus", kSetVbus};
constexpr MessageTable kCycleVbusTable{"CycleVbus", kCycleVbus};
constexpr MessageTable kSetDataTable{"SetData", kSetData};
constexpr MessageTable kSetShieldTable{"SetShield", kSetShield};
constexpr MessageTable kStopSlotTable{"StopSlot", kStopSlot};
constexpr MessageTable kClearTripTable{"ClearTrip", kClearTrip};
constexpr MessageTable kLocateTable{"Locate", kLocate};
constexpr MessageTable kClearSilenceTable{"ClearSilence", {}};
constexpr MessageTable kReadLogTable{"ReadLog", kReadLog};
constexpr MessageTable kReadWearTable{"ReadWear", kReadWear};
constexpr MessageTable kSetWearTable{"SetWear", kSetWear};
constexpr MessageTable kKeepaliveTable{"Keepalive", kKeepalive};
constexpr MessageTable kHelloReplyTable{"HelloReply", kHelloReply};
constexpr MessageTable kReplyTable{"Reply", kReply};
constexpr MessageTable kRefusalMessageTable{"Refusal", kRefusalFields};
constexpr MessageTable kTelemetryTable{"Telemetry", kTelemetry};
constexpr MessageTable kCommandDoneTable{"CommandDone", kCommandDone};
constexpr MessageTable kTrippedTable{"Tripped", kTripped};
constexpr MessageTable kLeaseEndedTable{"LeaseEnded", kLeaseEnded};
constexpr MessageTable kInputChangedTable{"InputChanged", kInputChanged};
constexpr MessageTable kHostSilentTable{"HostSilent", kHostSilent};
constexpr MessageTable kConditionChangedTable{"ConditionChanged", kConditionChanged};
constexpr MessageTable kLogPageTable{"LogPage", kLogPage};

template <typename Message, auto kOneof, typename Held>
constexpr Arm ArmOf(const char* name, uint8_t number, const MessageTable* table) {
  return {name,
          number,
          table,
          [](const void* message) -> const void* {
            return std::get_if<Held>(&(static_cast<const Message*>(message)->*kOneof));
          },
          [](void* message) -> void* {
            auto& oneof = static_cast<Message*>(message)->*kOneof;
            if (Held* held = std::get_if<Held>(&oneof)) return held;
            return &oneof.template emplace<Held>();
          }};
}

constexpr Arm kCommandArms[] = {ArmOf<Command, &Command::call, Ping>("ping", 2, &kPingTable),
                                ArmOf<Command, &Command::call, Configure>("configure", 3, &kConfigureTable),
                                ArmOf<Command, &Command::call, SetLease>("set_lease", 4, &kSetLeaseTable),
                                ArmOf<Command, &Command::call, SetVbus>("set_vbus", 5, &kSetVbusTable),
                                ArmOf<Command, &Command::call, CycleVbus>("cycle_vbus", 6, &kCycleVbusTable),
                                ArmOf<Command, &Command::call, SetData>("set_data", 7, &kSetDataTable),
                                ArmOf<Command, &Command::call, SetShield>("set_shield", 8, &kSetShieldTable),
                                ArmOf<Command, &Command::call, StopSlot>("stop_slot", 9, &kStopSlotTable),
                                ArmOf<Command, &Command::call, ClearTrip>("clear_trip", 10, &kClearTripTable),
                                ArmOf<Command, &Command::call, Locate>("locate", 11, &kLocateTable),
                                ArmOf<Command, &Command::call, ClearSilence>("clear_silence", 12, &kClearSilenceTable),
                                ArmOf<Command, &Command::call, ReadLog>("read_log", 13, &kReadLogTable),
                                ArmOf<Command, &Command::call, ReadWear>("read_wear", 14, &kReadWearTable),
                                ArmOf<Command, &Command::call, SetWear>("set_wear", 15, &kSetWearTable)};
constexpr Arm kEventArms[] = {
    ArmOf<Event, &Event::kind, CommandDone>("command_done", 3, &kCommandDoneTable),
    ArmOf<Event, &Event::kind, Tripped>("tripped", 4, &kTrippedTable),
    ArmOf<Event, &Event::kind, LeaseEnded>("lease_ended", 5, &kLeaseEndedTable),
    ArmOf<Event, &Event::kind, InputChanged>("input_changed", 6, &kInputChangedTable),
    ArmOf<Event, &Event::kind, HostSilent>("host_silent", 7, &kHostSilentTable),
    ArmOf<Event, &Event::kind, ConditionChanged>("condition_changed", 8, &kConditionChangedTable)};
constexpr MessageTable kCommandTable{"Command", kCommand, "call", kCommandArms};
constexpr MessageTable kEventTable{"Event", kEvent, "kind", kEventArms};

}  // namespace

#define TABLE(Message, table)              \
  template <>                              \
  const MessageTable& TableOf<Message>() { \
    return table;                          \
  }
TABLE(Hello, kHelloTable)
TABLE(Configure, kConfigureTable)
TABLE(Ping, kPingTable)
TABLE(SetLease, kSetLeaseTable)
TABLE(SetVbus, kSetVbusTable)
TABLE(CycleVbus, kCycleVbusTable)
TABLE(SetData, kSetDataTable)
TABLE(SetShield, kSetShieldTable)
TABLE(StopSlot, kStopSlotTable)
TABLE(ClearTrip, kClearTripTable)
TABLE(Command, kCommandTable)
TABLE(Locate, kLocateTable)
TABLE(ClearSilence, kClearSilenceTable)
TABLE(ReadLog, kReadLogTable)
TABLE(ReadWear, kReadWearTable)
TABLE(SetWear, kSetWearTable)
TABLE(Keepalive, kKeepaliveTable)
TABLE(HelloReply, kHelloReplyTable)
TABLE(Reply, kReplyTable)
TABLE(Refusal, kRefusalMessageTable)
TABLE(Telemetry, kTelemetryTable)
TABLE(CommandDone, kCommandDoneTable)
TABLE(Tripped, kTrippedTable)
TABLE(LeaseEnded, kLeaseEndedTable)
TABLE(InputChanged, kInputChangedTable)
TABLE(HostSilent, kHostSilentTable)
TABLE(ConditionChanged, kConditionChangedTable)
TABLE(LogPage, kLogPageTable)
TABLE(Event, kEventTable)
#undef TABLE

}  // namespace faraday::link
