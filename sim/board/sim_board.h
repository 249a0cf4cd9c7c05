// One simulated board with the piece of rack it drives: plant, chips, and the native firmware in them. Time and line
// come from outside, so tests run it on a virtual clock. One thread owns it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "firmware/boards/native/board.h"
#include "firmware/boards/native/image.h"
#include "sim/plant/plant.h"

namespace faraday::sim {

class SimBoard {
 public:
  // `slot_rails`: the rail of each of the board's slots. `clock` gives free-running milliseconds. The line outlives it.
  // The MCU is in reset until Boot().
  SimBoard(const std::vector<int>& slot_rails, firmware::SerialLine& line, std::function<uint32_t()> clock);

  void Boot() { image_ = std::make_unique<firmware::NativeImage>(board_); }
  // Lets the plant catch up with the clock and runs one turn of the firmware's main loop.
  void Pass();
  // The firmware stops passing, as a hung one does; its watchdog resets it (NativeBoard::kWatchdogMs by board time).
  void Hang() { hung_ = true; }
  // The firmware starts anew with `cause`; every output drops; only the EEPROM is kept.
  void McuReset(link::BootReason cause);

  // A fault by name: those of SlotFault, and the parts of the slot that can be missing on their bus
  // ("expander-missing", "monitor-missing", "sensor-missing"; an expander serves two slots) or broken
  // ("monitor-wrong", "vbus-pin-stuck-on", "vbus-pin-stuck-off").
  // Returns: kInvalidArgument naming the choices.
  Status SetFault(size_t slot_index, std::string_view name, bool on);
  static std::vector<std::string> FaultNames();
  // A fault of the board by name. Returns: kInvalidArgument naming the choices.
  Status SetBoardFault(std::string_view name, bool on);
  static std::vector<std::string> BoardFaultNames();

  // The slot's expander loses its registers behind the firmware's back; it serves two slots.
  void ResetExpander(size_t slot_index) { board_.ResetExpander(slot_index); }
  // A line of the I2C bus is held low, or free again. Returns: kInvalidArgument naming the buses with parts.
  Status SetBusStuck(int bus, bool stuck);
  // Each transfer takes `ms` longer (sim::I2cBus::SetStretch); 0: none. Returns: kInvalidArgument also for a negative
  // time.
  Status SetBusStretch(int bus, int ms);
  // The page keeps its bytes from now on. Returns: kInvalidArgument naming the pages.
  Status WearEepromPage(int page);
  void SetEepromReadOnly(bool read_only) { board_.eeprom().SetReadOnly(read_only); }
  void SetEepromMissing(bool missing) { board_.SetEepromMissing(missing); }

  // The truth of one slot: "outputs=vbus,led vbus_mv=5023 ... faults=none". Fields are documented in sim/README.md.
  std::string Describe(size_t slot_index) const;

  Plant& plant() { return plant_; }
  const Plant& plant() const { return plant_; }
  firmware::NativeBoard& board() { return board_; }
  // MCU starts since construction.
  int boots() const { return boots_; }
  bool hung() const { return hung_; }
  int watchdog_bites() const { return watchdog_bites_; }

 private:
  bool PartBroken(size_t slot_index, size_t part) const;

  Plant plant_;
  firmware::NativeBoard board_;
  std::unique_ptr<firmware::NativeImage> image_;
  std::vector<uint8_t> parts_broken_;  // a slot each, bit per row of the table of part faults
  int boots_ = 1;
  bool hung_ = false;
  int watchdog_bites_ = 0;
};

}  // namespace faraday::sim
