#include "controller/zmq/render.h"

#include <fmt/core.h>

#include <array>

namespace faraday::controller {
namespace {

v1::TriState Tri(bool known, bool yes, bool no) {
  if (!known || yes == no) return v1::TRI_STATE_UNKNOWN;
  return yes ? v1::TRI_STATE_YES : v1::TRI_STATE_NO;
}

v1::DataPath Path(bool known, link::DataPath path) {
  constexpr std::array<v1::DataPath, 4> kPaths = {
      v1::DATA_PATH_OPEN, v1::DATA_PATH_CHARGE, v1::DATA_PATH_HOST, v1::DATA_PATH_UNKNOWN};
  return known ? kPaths[static_cast<size_t>(path) & 3U] : v1::DATA_PATH_UNKNOWN;
}

v1::ShieldState Shield(bool known, const link::SlotBits& bits) {
  constexpr std::array<v1::ShieldState, 4> kStates = {
      v1::SHIELD_STATE_ISOLATED, v1::SHIELD_STATE_COUPLED, v1::SHIELD_STATE_MOVING, v1::SHIELD_STATE_UNKNOWN};
  return known ? kStates[static_cast<size_t>(bits.relay_sense) & 3U] : v1::SHIELD_STATE_UNKNOWN;
}

uint32_t Count(Milliseconds duration) {
  return static_cast<uint32_t>(std::clamp<int64_t>(duration.count(), 0, UINT32_MAX));
}

void SetVbus(const SlotView& view, v1::Vbus* vbus) {
  const link::SlotBits& bits = view.measured.bits;
  const bool measured = view.fresh && bits.monitor_fresh;
  vbus->set_commanded_on(Tri(view.commanded_known, bits.vbus_commanded, !bits.vbus_commanded));
  vbus->set_measured_on(Tri(measured, bits.vbus_measured_on, bits.vbus_measured_off));
  if (!measured) return;
  vbus->set_measured_mv(view.measured.vbus_mv);
  vbus->set_measured_ma(view.measured.vbus_ma);
}

void SetData(const SlotView& view, v1::Data* data) {
  const link::SlotBits& bits = view.measured.bits;
  data->set_commanded(Path(view.commanded_known, bits.data_commanded));
  data->set_measured(Path(view.fresh, bits.data_measured));
  if (data->commanded() == v1::DATA_PATH_HOST) data->set_commanded_host(view.commanded_host);
  if (data->measured() == v1::DATA_PATH_HOST) data->set_measured_host(view.measured_host);
}

void SetShield(const SlotView& view, v1::Shield* shield) {
  const link::SlotBits& bits = view.measured.bits;
  shield->set_commanded(!view.commanded_known   ? v1::SHIELD_STATE_UNKNOWN
                        : bits.couple_commanded ? v1::SHIELD_STATE_COUPLED
                                                : v1::SHIELD_STATE_ISOLATED);
  shield->set_measured(Shield(view.fresh, bits));
}

void SetDevice(const SlotView& view, Now now, v1::Device* device) {
  device->set_expected(view.config->expected_phone);
  device->set_never_seen(!view.device);
  device->set_battery_percent(-1);
  device->set_adb_state("unknown");
  if (!view.device) return;
  const DeviceFacts& facts = *view.device;
  device->set_serial(facts.serial);
  device->set_model(facts.model);
  device->set_platform(facts.platform);
  device->set_os_version(facts.os_version);
  device->set_battery_percent(facts.battery_percent);
  device->set_adb_state(facts.adb_state);
  device->set_boot_completed(Tri(
      facts.boot_completed.has_value(), facts.boot_completed.value_or(false), !facts.boot_completed.value_or(true)));
  device->set_age_ms(Count(now.boot - facts.read_at));
  device->set_agent(facts.agent);
}

DeviceFacts FactsFrom(const v1::Device& device, Now now) {
  DeviceFacts facts;
  facts.serial = device.serial();
  facts.model = device.model();
  facts.platform = device.platform();
  facts.os_version = device.os_version();
  facts.battery_percent = device.battery_percent();
  facts.adb_state = device.adb_state();
  if (device.boot_completed() != v1::TRI_STATE_UNKNOWN)
    facts.boot_completed = device.boot_completed() == v1::TRI_STATE_YES;
  facts.read_at = now.boot - Milliseconds(device.age_ms());
  return facts;
}

v1::Condition ToWire(const ConditionView& view) {
  v1::Condition condition;
  condition.set_name(view.name);
  condition.set_place(view.place);
  condition.set_text(view.text);
  condition.set_since_utc_ms(view.since.since_epoch.count());
  condition.set_next(view.next);
  condition.set_latched(view.latched);
  condition.set_quarantines(view.quarantines);
  return condition;
}

}  // namespace

Caller FromWire(const v1::Caller& caller) { return {caller.user(), ParseRole(caller.role()), caller.team()}; }

v1::Lease ToWire(const LeaseView& view) {
  v1::Lease lease;
  lease.set_id(view.id);
  lease.set_slot(view.slot);
  lease.set_epoch(view.tenure.epoch);
  lease.set_holder(view.tenure.holder);
  lease.set_team(view.tenure.team);
  lease.set_purpose(static_cast<v1::Purpose>(view.tenure.purpose));
  lease.set_left_ms(Count(view.left));
  lease.set_end_utc_ms(view.end.since_epoch.count());
  if (IsUsers(view.tenure)) lease.set_agent(view.tenure.agent);
  lease.set_reservation(view.tenure.reservation);
  lease.set_note(view.tenure.note);
  return lease;
}

v1::SlotState ToWire(const SlotView& view, Now now) {
  v1::SlotState slot;
  slot.set_slot(view.name);
  slot.set_health(static_cast<v1::Health>(view.health.health));
  slot.set_health_reason(view.health.reason);
  slot.set_allocation(static_cast<v1::Allocation>(view.allocation));
  *slot.mutable_lease() = ToWire(view.lease);
  SetVbus(view, slot.mutable_vbus());
  SetData(view, slot.mutable_data());
  SetShield(view, slot.mutable_shield());
  if (view.fresh && view.measured.bits.temperature_fresh) slot.set_tray_deci_celsius(view.measured.tray_deci_c);
  SetDevice(view, now, slot.mutable_device());
  slot.set_reason(view.reason);
  if (view.measured.bits.tripped) slot.set_trip(view.measured.trip);
  if (view.measured.ever) slot.set_measured_age_ms(Count(view.measured_age));
  for (const auto& [key, value] : view.config->labels) (*slot.mutable_labels())[key] = value;
  for (const std::string& condition : view.conditions) slot.add_conditions(condition);
  for (const auto& host : view.config->hosts) slot.add_hosts(host.host);
  for (const ConditionView& condition : view.condition_list) *slot.add_condition_list() = ToWire(condition);
  slot.set_relay_moves(view.relay.moves);
  slot.set_relay_warn_count(view.relay.warn_at);
  return slot;
}

v1::BoardState ToWire(const BoardView& view) {
  const Board& board = *view.board;
  const link::HelloReply& hello = board.hello();
  constexpr std::array<const char*, 6> kReasons = {"unknown", "power-on", "watchdog", "software", "fault", "brown-out"};
  v1::BoardState state;
  state.set_index(static_cast<uint32_t>(board.index()));
  state.set_port(view.port);
  state.set_online(board.ready());
  state.set_reason(board.reason());
  state.set_board(std::string(hello.board.view()));
  state.set_firmware_version(std::string(hello.firmware_version.view()));
  state.set_build_id(std::string(hello.build_id.view()));
  state.set_session(hello.session);
  state.set_term(hello.term);
  if (hello.session != 0) state.set_boot_reason(kReasons.at(static_cast<size_t>(hello.boot_reason)));
  for (const uint32_t mv : board.telemetry().rail_mv) state.add_rail_mv(mv);
  for (const std::string& fault : view.faults) state.add_faults(fault);
  const LineCounters counters = board.counters();
  state.set_frames_bad(counters.frames_bad + board.telemetry().frames_bad);
  state.set_telemetry_gaps(counters.telemetry_gaps);
  state.set_resends(counters.resends);
  for (const ConditionView& condition : view.conditions) *state.add_condition_list() = ToWire(condition);
  const uint32_t down = board.ready() ? board.telemetry().rails_down : 0;
  for (uint32_t rail = 0; rail < 32; ++rail) {
    if (((down >> rail) & 1U) != 0) state.add_rail_down(rail);
  }
  state.set_alarm(view.alarm);
  state.set_stopped(view.stopped);
  return state;
}

v1::ReadBoardLogResult ToWire(const LogView& view) {
  v1::ReadBoardLogResult result;
  result.set_oldest(view.oldest);
  result.set_next(view.next);
  for (const LogRecord& record : view.records) {
    v1::BoardLogRecord* wire = result.add_records();
    wire->set_number(record.number);
    wire->set_boot(record.boot);
    wire->set_uptime_ms(record.uptime_ms);
    wire->set_utc_ms(record.utc.since_epoch.count());
    wire->set_utc_error_ms(record.utc_error_ms);
    wire->set_kind(record.kind);
    wire->set_slot(record.slot);
    wire->set_text(record.text);
  }
  return result;
}

v1::SyncResult::Slot ToWire(const SyncSlot& slot, Now now) {
  v1::SyncResult::Slot wire;
  wire.set_slot(slot.slot);
  wire.set_epoch(slot.epoch);
  if (slot.end) wire.set_left_ms(Count(*slot.end - now.boot));
  wire.set_purpose(static_cast<v1::Purpose>(slot.purpose));
  wire.set_holder(slot.holder);
  wire.set_agent(slot.agent);
  wire.set_reservation(slot.reservation);
  wire.set_lease(slot.lease);
  wire.set_data(Path(true, slot.data));
  wire.set_data_host(slot.data_host);
  wire.set_adb_address(slot.adb);
  wire.set_usb_path(slot.usb);
  wire.set_expected(slot.expected);
  wire.set_needs_clearing(slot.needs_clearing);
  wire.set_clearing_epoch(slot.clearing_epoch);
  wire.set_discover(slot.discover);
  return wire;
}

AgentReport FromWire(const v1::ReportCall& call, Now now) {
  AgentReport report{call.agent(), call.host(), {}, {}, {}};
  for (const auto& facts : call.facts()) report.facts.emplace_back(facts.slot(), FactsFrom(facts.device(), now));
  for (const auto& cleared : call.cleared()) report.cleared.emplace_back(cleared.slot(), cleared.epoch());
  for (const auto& [slot, epoch] : call.epochs_seen()) report.epochs_seen.emplace_back(slot, epoch);
  return report;
}

Result<SwitchAction> FromWire(const v1::PowerCall& call) {
  switch (call.action()) {
    case v1::PowerCall::ACTION_ON:
      return SwitchAction(VbusLevel{true});
    case v1::PowerCall::ACTION_OFF:
      return SwitchAction(VbusLevel{false});
    case v1::PowerCall::ACTION_CYCLE:
      return SwitchAction(VbusCycle{Milliseconds(call.off_ms())});
    default:
      break;
  }
  return Status{
      Code::kInvalidArgument,
      fmt::format("{}: power: action {} is none of ON, OFF, CYCLE", call.slot(), static_cast<int>(call.action()))};
}

Result<SwitchAction> FromWire(const v1::UsbCall& call) {
  switch (call.path()) {
    case v1::DATA_PATH_OPEN:
      return SwitchAction(DataLevel{link::DataPath::kOpen, {}});
    case v1::DATA_PATH_CHARGE:
      return SwitchAction(DataLevel{link::DataPath::kCharge, {}});
    case v1::DATA_PATH_HOST:
      return SwitchAction(DataLevel{link::DataPath::kHost, call.host()});
    default:
      break;
  }
  return Status{
      Code::kInvalidArgument,
      fmt::format("{}: usb: path {} is none of OPEN, CHARGE, HOST", call.slot(), static_cast<int>(call.path()))};
}

}  // namespace faraday::controller
