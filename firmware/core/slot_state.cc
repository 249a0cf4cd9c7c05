// What a slot says of itself: outputs, measured state, named conditions.
#include <algorithm>
#include <bit>

#include "firmware/core/slot.h"

namespace faraday::firmware {
namespace {

using link::Condition;
using link::DataPath;
namespace capability = link::capability;

constexpr uint8_t Bit(bool on, int at) { return static_cast<uint8_t>(on ? 1U << at : 0U); }

// The positions of drivers/board.h's Output.
constexpr int kVbusBit = 0, kDataEnableBit = 1, kDataSelectBit = 2, kChargeBit = 3, kRelayBit = 4;

DataChoice ChoiceOf(uint8_t outputs) {
  const bool enable = (outputs >> kDataEnableBit & 1) != 0;
  const bool charge = (outputs >> kChargeBit & 1) != 0;
  const auto host = static_cast<uint8_t>(outputs >> kDataSelectBit & 1);
  if (enable && charge) return {DataPath::kUnknown, host};
  if (enable) return {DataPath::kHost, host};
  return {charge ? DataPath::kCharge : DataPath::kOpen, 0};
}

}  // namespace

uint8_t Slot::outputs() const {
  const DataChoice now = data_.now();
  // The selector is set while the lines are still open.
  const bool select = (now.path == DataPath::kOpen ? data_.wanted() : now).host == 1;
  return static_cast<uint8_t>(Bit(vbus_.out(), kVbusBit) | Bit(now.path == DataPath::kHost, kDataEnableBit) |
                              Bit(select, kDataSelectBit) | Bit(now.path == DataPath::kCharge, kChargeBit) |
                              Bit(relay_.coupled(), kRelayBit));
}

link::RelaySense Slot::Sense() const {
  if (!has(capability::kRelaySense)) return link::RelaySense::kUnknown;
  const bool travels = sense_isolated_ == relay_.coupled() && relay_.since_ms() < kRelayMoveMs;
  if (travels || sense_age_.ms() < kInputDebounceMs) return link::RelaySense::kMoving;
  return sense_isolated_ ? link::RelaySense::kIsolated : link::RelaySense::kCoupled;
}

link::SlotBits Slot::Bits() const {
  const bool read = read_back_age_.ms() <= kReadBackFreshMs && !expander_missing_;
  const DataChoice measured = read ? ChoiceOf(read_back_) : DataChoice{DataPath::kUnknown, 0};
  link::SlotBits bits;
  bits.vbus_commanded = vbus_.wanted();
  bits.vbus_measured_on = monitor_fresh() && IsOn(mv_);
  bits.vbus_measured_off = monitor_fresh() && IsOff(mv_);
  bits.data_commanded = data_.wanted().path;
  bits.data_commanded_host = data_.wanted().host;
  bits.data_measured = measured.path;
  bits.data_measured_host = measured.host;
  bits.couple_commanded = relay_.coupled();
  bits.relay_sense = Sense();
  bits.tripped = tripped();
  bits.trip_reason = static_cast<uint8_t>(guard_.reason());
  bits.pending = vbus_.waiting();
  bits.monitor_fresh = monitor_fresh();
  bits.temperature_fresh = temperature_age_.ms() <= kTemperatureFreshMs;
  bits.read_back_mismatch = truth_.Has(Condition::kReadBackMismatch);
  bits.part_missing = truth_.Has(Condition::kPartMissing);
  bits.wrong_part = truth_.Has(Condition::kWrongPart);
  bits.relay_stuck = truth_.Has(Condition::kRelayStuck);
  bits.back_feed = truth_.Has(Condition::kBackFeed);
  bits.switch_shorted = guard_.shorted();
  bits.no_discharge = truth_.Has(Condition::kNoDischarge);
  return bits;
}

uint32_t Slot::State(const Shared& shared) const {
  link::SlotBits bits = Bits();
  bits.leased = shared.leases.leased(index_);
  bits.nvm_lost = !shared.store.known(index_);
  return link::Pack(bits);
}

link::SlotMarks Slot::Marks() const {
  return {.under_voltage = truth_.Has(Condition::kUnderVoltage),
          .over_voltage = truth_.Has(Condition::kOverVoltage),
          .tray_warm = truth_.Has(Condition::kTrayWarm),
          .resting = resting(),
          .kept_off = kept_off_,
          .over_soft_limit = guard_.over_soft_limit()};
}

// ---- named conditions ----

void Slot::CountLowVoltage(const Shared& shared) {
  const uint32_t rails = shared.rails.sagging() | shared.rails.down();
  const bool rail_good = (rails >> config(shared).rail & 1U) == 0;
  const bool settled = vbus_.out() && vbus_.since_ms() >= kOffSettleMs && monitor_fresh();
  const bool low = settled && rail_good && mv_ < kVbusOnMinMv;
  low_judgements_ = low ? static_cast<uint8_t>(std::min(low_judgements_ + 1, int{kLowJudgements})) : uint8_t{0};
}

Conditions Slot::FindConditions(const Shared& shared) const {
  // A part on a bus that hangs accuses nobody: whose expander or sensor is on which bus, the core does not know.
  Conditions found = shared.buses.any()
                         ? truth_.active() & (BitOf(Condition::kPartMissing) | BitOf(Condition::kTraySensorMissing))
                         : 0;
  const auto add = [&found](Condition condition, bool on) {
    found = static_cast<Conditions>(found | BitOf(condition, on));
  };
  const bool reachable = !shared.buses.any();
  const bool sensor_late = temperature_age_.ms() > kTemperatureFreshMs;
  const bool sensor_due = has(capability::kTemperature) && shared.events.uptime_ms() > kTemperatureFreshMs;
  const uint32_t warn_deci_c = shared.config.tray_warn_deci_c;
  const int32_t warm_from =
      static_cast<int32_t>(warn_deci_c) - (truth_.Has(Condition::kTrayWarm) ? kTrayHysteresisDeciK - 1 : 0);
  add(Condition::kSwitchShorted, guard_.shorted());
  add(Condition::kRelayStuck, relay_stuck_);
  add(Condition::kReadBackMismatch, mismatch_ || vbus_.lost());
  add(Condition::kPartMissing, reachable && (monitor_missing_ || expander_missing_));
  add(Condition::kBackFeed, back_feed_);
  add(Condition::kNoDischarge, no_discharge_);
  add(Condition::kUnderVoltage, low_judgements_ == kLowJudgements);
  add(Condition::kOverVoltage, monitor_fresh() ? mv_ > kVbusOnMaxMv : truth_.Has(Condition::kOverVoltage));
  add(Condition::kTrayWarm, sensor_late ? truth_.Has(Condition::kTrayWarm) : deci_c_ >= warm_from);
  add(Condition::kRelayWorn, relay_worn_);
  add(Condition::kWrongPart, wrong_part_);
  add(Condition::kTraySensorMissing, reachable && sensor_due && sensor_late);
  return found;
}

void Slot::JudgeConditions(Shared& shared) {
  CountLowVoltage(shared);
  (void)truth_.Judge(FindConditions(shared), BitOf(Condition::kSwitchShorted));
  if (fitted(shared)) TellConditions(shared);
}

// Of a slot that is not fitted nothing is told, until it is.
void Slot::TellConditions(Shared& shared) {
  for (unsigned changed = told_ ^ truth_.active(); changed != 0; changed &= changed - 1) {
    shared.events.Latch(Describe(static_cast<Condition>(std::countr_zero(changed)), shared));
  }
  told_ = truth_.active();
}

link::ConditionChanged Slot::Describe(Condition condition, const Shared& shared) const {
  link::ConditionChanged changed{
      .slot = static_cast<uint32_t>(index_ + 1), .condition = condition, .active = truth_.Has(condition)};
  switch (condition) {
    case Condition::kSwitchShorted:
      changed.value = ma_;
      changed.limit = kShortedMa;
      break;
    case Condition::kUnderVoltage:
      changed.value = mv_;
      changed.limit = kVbusOnMinMv;
      break;
    case Condition::kOverVoltage:
      changed.value = mv_;
      changed.limit = kVbusOnMaxMv;
      break;
    case Condition::kBackFeed:
    case Condition::kNoDischarge:
      changed.value = mv_;
      changed.limit = kVbusOffMaxMv;
      break;
    case Condition::kTrayWarm:
      changed.value = static_cast<uint32_t>(std::max(deci_c_, int32_t{0}));
      changed.limit = shared.config.tray_warn_deci_c;
      break;
    default:
      break;
  }
  return changed;
}

}  // namespace faraday::firmware
