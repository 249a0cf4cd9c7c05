#include "sim/qemu/machine_inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "firmware/boards/ast1030/wiring.h"
#include "firmware/core/limits.h"
#include "sim/board/machine.h"
#include "sim/qemu/driven_pins.h"

namespace faraday::sim::qemu {
namespace {

namespace wiring = firmware::ast1030;

// A monitor pulls its ALERT# low above this current: the limit that the firmware writes into it, which the model keeps
// to itself.
constexpr int kAlertMa = static_cast<int>(firmware::kCeilings.slot_ma);
constexpr int kRestingRailMv = 5150;  // of a rail that no slot of the plant hangs on
constexpr int kRestingDeciC = 240;
constexpr int kUrgencies = 3;
constexpr int kModelMostMilliamps = 65'000;  // the model's property has 16 bits: 3.9 A through 5 milliohm

// The model's scale is fixed at 50 mA a step (300 microohm); the board has 5 milliohm, 3 mA a step.
int ModelMilliamps(int milliamps) { return std::min((milliamps + 1) / 3 * 50, kModelMostMilliamps); }

int Rounded(int value, int step) { return (value + step / 2) / step * step; }

}  // namespace

// ---- pace ---------------------------------------------------------------------------------------------------------

bool Pacer::Take(bool urgent, uint32_t now_ms) {
  const uint32_t passed = started_ ? std::min(now_ms - filled_ms_, uint32_t{1000}) : 0;
  started_ = true;
  filled_ms_ = now_ms;
  thousandths_ = std::min(thousandths_ + static_cast<int>(passed) * (kSetsPerSecond - kBurst), kBurst * 1000);
  if (thousandths_ < (urgent ? 1 : 1 + kReserve) * 1000) return false;
  thousandths_ -= 1000;
  return true;
}

// ---- the table ----------------------------------------------------------------------------------------------------

MachineInputs::MachineInputs(const Plant& plant,
                             const std::vector<int>& slot_rails,
                             const std::set<std::string>& missing)
    : plant_(plant), slot_rails_(slot_rails), changed_ms_(wiring::kSlots) {
  for (size_t i = 0; i < wiring::kAlertPins.size(); ++i) {
    AddPin(Quantity::kAlert, i, wiring::kAlertPins[i].pin.bank, wiring::kAlertPins[i].pin.pin);
  }
  AddPin(Quantity::kStopButton, 0, wiring::kStopButton.bank, wiring::kStopButton.pin);
  for (size_t rail = 0; rail < wiring::kPsuOkPins; ++rail) AddPin(Quantity::kPsuOk, rail, wiring::kPsuOkBank, rail);
  for (size_t pin = 0; pin < 32; ++pin) {
    const size_t input = wiring::kFirstRackInput + pin;
    AddPin(Quantity::kRackInput, pin, static_cast<char>('A' + input / 8), input % 8);
  }
  for (size_t slot = 0; slot < wiring::kSlots; ++slot) AddSlot(slot, missing);
}

void MachineInputs::AddPin(Quantity quantity, size_t index, char bank, size_t pin) {
  rows_.push_back({quantity, index, kGpioPath, fmt::format("gpio{}{}", bank, pin)});
}

void MachineInputs::AddSlot(size_t slot, const std::set<std::string>& missing) {
  const size_t sense = wiring::kWiring[slot].relay_sense_input;
  AddPin(Quantity::kSense, slot, static_cast<char>('A' + sense / 8), sense % 8);
  if (!missing.contains(fmt::format("mon{}", slot + 1))) {
    const std::string monitor = PartPath("mon", slot + 1);
    rows_.push_back({Quantity::kVout, slot, monitor, "vout"});
    rows_.push_back({Quantity::kIout, slot, monitor, "iout"});
    rows_.push_back({Quantity::kVin, slot, monitor, "vin"});
  }
  if (!missing.contains(fmt::format("tray{}", slot + 1))) {
    rows_.push_back({Quantity::kTray, slot, PartPath("tray", slot + 1), "temperature"});
  }
}

// ---- what the plant wants -----------------------------------------------------------------------------------------

bool MachineInputs::Alert(size_t index) const {
  for (size_t slot = 0; slot < plant_.slots(); ++slot) {
    if (wiring::kWiring[slot].monitor.bus != wiring::kAlertPins[index].bus) continue;
    if (plant_.slot(slot).vbus_ma() > kAlertMa || plant_.slot(slot).cut_off()) return true;
  }
  return false;
}

int MachineInputs::OfSlot(Quantity quantity, size_t slot) const {
  const bool there = slot < plant_.slots();
  switch (quantity) {
    case Quantity::kSense:
      return there ? plant_.slot(slot).relay_rests_isolated() : 1;
    case Quantity::kVin:
      return there ? plant_.rail_mv(slot) : kRestingRailMv;
    case Quantity::kVout:
      return there ? plant_.slot(slot).vbus_mv() : 0;
    case Quantity::kIout:
      return there ? plant_.slot(slot).vbus_ma() : 0;
    default:
      return there ? plant_.slot(slot).tray_reading_deci_c() : kRestingDeciC;
  }
}

int MachineInputs::Wanted(const Row& row) const {
  switch (row.quantity) {
    case Quantity::kRackInput:
      return static_cast<int>((plant_.inputs() >> row.index) & 1U);
    case Quantity::kAlert:
      return Alert(row.index) ? 0 : 1;  // low is an alert
    case Quantity::kPsuOk:
      return (PsuOk(plant_, slot_rails_) >> row.index) & 1;
    case Quantity::kStopButton:
      return stop_pressed_ ? 1 : 0;
    default:
      return OfSlot(row.quantity, row.index);
  }
}

bool MachineInputs::Differs(const Row& row, int wanted) {
  if (!row.known) return true;
  if (IsPin(row.quantity)) return wanted != row.written;
  const int step = row.quantity == Quantity::kTray   ? kTrayStepDeciC
                   : row.quantity == Quantity::kIout ? kCurrentStepMa
                                                     : kVoltStepMv;
  return std::abs(wanted - row.written) >= step || (wanted == 0 && row.written != 0);
}

InputSet MachineInputs::Write(Row& row, int wanted) {
  InputSet set{row.path, row.property, {}};
  row.known = true;
  switch (row.quantity) {
    case Quantity::kVin:
    case Quantity::kVout:
      row.written = Rounded(wanted, kVoltStepMv);
      set.value = std::to_string(row.written);
      break;
    case Quantity::kIout:
      row.written = Rounded(wanted, kCurrentStepMa);
      set.value = std::to_string(ModelMilliamps(row.written));
      break;
    case Quantity::kTray:
      row.written = Rounded(wanted, kTrayStepDeciC);
      set.value = std::to_string(row.written * 100);
      break;
    default:
      row.written = wanted;
      set.value = wanted != 0 ? "true" : "false";
  }
  return set;
}

// ---- what goes next -----------------------------------------------------------------------------------------------

void MachineInputs::OnOutputsChanged(size_t slot_index, uint32_t now_ms) { changed_ms_[slot_index] = now_ms; }

// 0: pins; 1: measurements of slots that were just switched; 2: the rest.
int MachineInputs::Urgency(const Row& row, uint32_t now_ms) const {
  if (IsPin(row.quantity)) return 0;
  const bool electrical = row.quantity == Quantity::kVout || row.quantity == Quantity::kIout;
  const auto changed = changed_ms_[row.index];
  return electrical && changed && now_ms - *changed < kFreshMs ? 1 : 2;
}

std::optional<InputSet> MachineInputs::Next(uint32_t now_ms) {
  Row* best = nullptr;
  int best_urgency = kUrgencies;
  for (size_t i = 0; i < rows_.size() && best_urgency > 0; ++i) {
    Row& row = rows_[(after_last_ + i) % rows_.size()];
    if (!Differs(row, Wanted(row))) continue;
    const int urgency = Urgency(row, now_ms);
    if (urgency >= best_urgency) continue;
    best = &row;
    best_urgency = urgency;
  }
  if (best == nullptr || !pacer_.Take(best_urgency == 0, now_ms)) return std::nullopt;
  after_last_ = static_cast<size_t>(best - rows_.data()) + 1;
  return Write(*best, Wanted(*best));
}

std::vector<InputSet> MachineInputs::AfterReset() {
  for (Row& row : rows_) {
    if (row.quantity == Quantity::kTray) continue;  // the model keeps its temperature
    row.known = IsPin(row.quantity);                // pins read 0, monitors have values of their own
    row.written = 0;
  }
  std::vector<InputSet> sets;
  for (Row& row : rows_) {
    if (const int wanted = Wanted(row); Differs(row, wanted)) sets.push_back(Write(row, wanted));
  }
  return sets;
}

std::vector<InputSet> MachineInputs::All() {
  std::vector<InputSet> sets;
  for (Row& row : rows_) sets.push_back(Write(row, Wanted(row)));
  return sets;
}

}  // namespace faraday::sim::qemu
