// The inputs of the emulated machine: which QOM property stands for which quantity of the plant, in which steps, and
// which one goes out next. QEMU spends 0.6 to 0.8 ms on each qom-set, so only what changed by a step is written, the
// urgent first, at most kSetsPerSecond in any second. Pure: time is an argument; one owner.
//
//   step                          why
//   voltage   25 mV               the ADM1272's own resolution (24.6 mV in its 100 V range); zero is always exact
//   current    9 mA               three of its steps at 5 milliohm; zero is always exact
//   tray     0.2 degC             below what the firmware decides on (hysteresis 5 K)
//   pins     level                at once
// A value counts as changed when it is a whole step away from what was written, so noise within a step costs nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/plant/plant.h"

namespace faraday::sim::qemu {

inline constexpr int kVoltStepMv = 25;
inline constexpr int kCurrentStepMa = 9;
inline constexpr int kTrayStepDeciC = 2;
inline constexpr int kSetsPerSecond = 300;
// How long after a change of its outputs a slot's measurements go before the others'; chosen: VBUS rises in 5 ms and
// falls in 100 ms, the firmware judges it after that.
inline constexpr uint32_t kFreshMs = 300;

// At most kSetsPerSecond in any second: a bucket of kBurst, refilled with the rest. The last kReserve are for urgent
// ones.
class Pacer {
 public:
  static constexpr int kBurst = 30;    // chosen
  static constexpr int kReserve = 10;  // chosen: four racks' worth of alert, stop and PSU pins

  bool Take(bool urgent, uint32_t now_ms);

 private:
  int thousandths_ = kBurst * 1000;
  uint32_t filled_ms_ = 0;
  bool started_ = false;
};

struct InputSet {
  std::string path;
  std::string property;
  std::string value;  // as JSON
};

class MachineInputs {
 public:
  // `missing`: ids of parts that the machine lacks ("mon5"). Slots beyond the plant's are at rest.
  MachineInputs(const Plant& plant, const std::vector<int>& slot_rails, const std::set<std::string>& missing);

  // The slot's outputs have just changed.
  void OnOutputsChanged(size_t slot_index, uint32_t now_ms);
  void PressStopButton(bool pressed) { stop_pressed_ = pressed; }
  // What to write next, and counts it as written; nothing when all is as written or the pace forbids more.
  std::optional<InputSet> Next(uint32_t now_ms);
  // The machine has reset its parts: everything that is not already right by their reset values is to be written.
  // Returns those, all at once, counted as written.
  std::vector<InputSet> AfterReset();
  // Every input, whatever was written before.
  std::vector<InputSet> All();

 private:
  enum class Quantity : uint8_t { kSense, kRackInput, kAlert, kPsuOk, kStopButton, kVin, kVout, kIout, kTray };
  struct Row {
    Quantity quantity;
    size_t index;  // slot, pin, or rail
    std::string path;
    std::string property;
    bool known = false;
    int written = 0;
  };

  void AddPin(Quantity quantity, size_t index, char bank, size_t pin);
  void AddSlot(size_t slot, const std::set<std::string>& missing);
  static bool IsPin(Quantity quantity) { return quantity <= Quantity::kStopButton; }
  int Wanted(const Row& row) const;
  int OfSlot(Quantity quantity, size_t slot) const;
  bool Alert(size_t index) const;
  int Urgency(const Row& row, uint32_t now_ms) const;
  static bool Differs(const Row& row, int wanted);
  static InputSet Write(Row& row, int wanted);

  const Plant& plant_;
  std::vector<int> slot_rails_;
  std::vector<Row> rows_;
  std::vector<std::optional<uint32_t>> changed_ms_;  // by slot
  bool stop_pressed_ = false;
  size_t after_last_ = 0;  // where the next search begins: every row gets its turn
  Pacer pacer_;
};

}  // namespace faraday::sim::qemu
