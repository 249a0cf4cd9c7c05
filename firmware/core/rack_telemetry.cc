#include "firmware/core/rack_core.h"

#include <algorithm>
#include <utility>

// What the board says of itself: telemetry, faults, the named conditions of the board.

namespace faraday::firmware {

using link::Condition;

uint32_t RackCore::Faults() const {
  const auto flag = [](bool on, uint32_t bit) { return on ? bit : 0U; };
  const bool input = (inputs_.blocking() | inputs_.making_safe() | inputs_.stopping()) != 0;
  return flag(host_.latched(), link::kFaultHostSilent) | flag(!config_.accepted, link::kFaultNotConfigured) |
         flag(buses_.any(), link::kFaultI2cBus) | flag(rails_.sagging() != 0, link::kFaultRailSag) |
         flag(stopped_, link::kFaultStopped) | flag(AnyEpochLost(), link::kFaultNvmLost) |
         flag(store_.failed(), link::kFaultNvmReadOnly) | flag((~psu_ok_ & RailsInUse()) != 0, link::kFaultPsu) |
         flag(alert_stays_, link::kFaultAlert) | flag(stop_button_, link::kFaultStopButton) |
         flag(facts_.flash_silent, link::kFaultFlash) | flag(AlarmOn(), link::kFaultAlarm) |
         flag(shelves_hot_ != 0, link::kFaultHotShelf) | flag(input, link::kFaultInput) |
         flag(rails_.down() != 0, link::kFaultRailDown) | flag(log_.failed(), link::kFaultLog);
}

// Lost buses are told by their watch.
void RackCore::TellConditions() {
  const auto bit = [](bool on) { return on ? 1U : 0U; };
  uint32_t lowest_mv = 0;
  for (size_t rail = 0; rail < link::kMaxRails; ++rail) {
    if ((rails_.sagging() >> rail & 1U) != 0) lowest_mv = rails_.mv(rail);
  }
  const uint32_t blocking = inputs_.blocking() | inputs_.making_safe() | inputs_.stopping();
  const std::array<BoardConditions::Row, BoardConditions::kRows> rows = {{
      {Condition::kRailSag, rails_.sagging(), lowest_mv},
      {Condition::kRailDown, rails_.down(), 0},
      {Condition::kHotShelf, shelves_hot_, 0},
      {Condition::kHostSilent, bit(host_.latched()), host_.silent_ms()},
      {Condition::kNvmReadOnly, bit(store_.failed()), 0},
      {Condition::kInputBlocks, blocking, 0},
      {Condition::kStopped, bit(stopped_), 0},
      {Condition::kAlarm, bit(AlarmOn()), 0},
      {Condition::kLogLost, bit(log_.failed()), 0},
  }};
  conditions_.Tell(rows, events_);
}

bool RackCore::RelayWorn(size_t slot) const {
  return slots_[slot].has(link::capability::kRfRelay) && wear_.moves(slot) >= config_.relay_warn_count;
}

link::SlotMarks RackCore::MarksOf(size_t slot) const {
  link::SlotMarks marks = slots_[slot].Marks();
  const uint32_t bus = places_[slot].monitor_bus;
  marks.hot_shelf = (shelves_hot_ >> places_[slot].shelf & 1U) != 0;
  marks.relay_worn = RelayWorn(slot);
  marks.locating = indicators_.locating(slot);
  marks.rail_down = fitted(slot) && (rails_.down() >> config_.slots[slot].rail & 1U) != 0;
  marks.bus_lost = (buses_.lost() >> bus & 1U) != 0;
  marks.shed = (queue_.shed() >> slot & 1U) != 0;
  return marks;
}

void RackCore::FillSlots(link::Telemetry& t) const {
  for (auto* column : {&t.vbus_mv, &t.vbus_ma, &t.state, &t.lease_left_ms, &t.marks}) column->resize(facts_.slots);
  t.tray_deci_c.resize(facts_.slots);
  uint32_t any_mark = 0;
  for (size_t i = 0; i < facts_.slots; ++i) {
    t.vbus_mv[i] = slots_[i].mv();
    t.vbus_ma[i] = slots_[i].ma();
    t.tray_deci_c[i] = slots_[i].deci_c();
    t.state[i] = slots_[i].State(shared_);
    t.lease_left_ms[i] = leases_.left_ms(i);
    t.marks[i] = link::Pack(MarksOf(i));
    any_mark |= t.marks[i];
  }
  if (any_mark == 0) t.marks.clear();
}

void RackCore::FillBoard(link::Telemetry& t) const {
  size_t rails = 0;
  for (size_t rail = 0; rail < link::kMaxRails; ++rail) {
    if (rails_.mv(rail) != 0) rails = rail + 1;
  }
  t.rail_mv.resize(rails);
  for (size_t rail = 0; rail < rails; ++rail) t.rail_mv[rail] = rails_.mv(rail);
  t.inputs = inputs_.active();
  t.faults = Faults();
  t.stack_high_water_bytes = stack_high_water_;
  t.frames_bad = server_.frames_bad();
  t.event_backlog = static_cast<uint32_t>(events_.size());
  t.config_crc = config_.crc;
  t.current_scan_ms = current_scan_ms_;
  t.bus_recoveries = bus_recoveries_;
  t.line_errors = line_errors_;
  t.psu_lost = brief_.psu_lost | brief_before_.psu_lost;
  t.input_edges = brief_.input_edges | brief_before_.input_edges;
  t.alerts = alerts_;
  t.rails_down = rails_.down();
  t.rails_sagging = rails_.sagging();
  t.buses_lost = buses_.lost();
  t.shelves_hot = shelves_hot_;
  t.log_next = log_.next();
}

void RackCore::AdvanceTelemetry(uint32_t dt) {
  telemetry_age_.Advance(dt);
  if (!server_.open() || telemetry_age_.ms() < kTelemetryMs) return;
  telemetry_age_.Restart();
  ++telemetry_.number;
  telemetry_.uptime_ms = events_.uptime_ms();
  FillSlots(telemetry_);
  FillBoard(telemetry_);
  if (server_.SendTelemetry(telemetry_)) ForgetWhatWasTold();
}

void RackCore::ForgetWhatWasTold() {
  current_scan_ms_ = 0;
  if (++brief_told_ < kBriefTelemetries) return;
  brief_told_ = 0;
  brief_before_ = std::exchange(brief_, {});
}

}  // namespace faraday::firmware
