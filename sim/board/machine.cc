#include "sim/board/machine.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <array>
#include <fstream>

#include "base/clock.h"
#include "sim/board/sim_board.h"
#include "sim/plant/chips.h"

namespace faraday::sim {
namespace {

std::string Join(const std::vector<std::string_view>& words) {
  return words.empty() ? "none" : fmt::format("{}", fmt::join(words, ","));
}

std::string DescribeOutputs(const SlotOutputs& outputs) {
  constexpr std::array<std::string_view, 8> kNames = {
      "vbus", "data-enable", "data-select", "charge-mode", "rf-relay", "power-key", "volume-key", "led"};
  std::vector<std::string_view> on;
  const uint8_t bits = ToBits(outputs);
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (((bits >> i) & 1) != 0) on.push_back(kNames[i]);
  }
  return Join(on);
}

std::string DescribeData(const SlotSide& side) {
  if (side.charge_port) return "charge";
  return side.data_host < 0 ? "open" : fmt::format("host{}", side.data_host);
}

}  // namespace

std::vector<std::string> FaultNames() { return SimBoard::FaultNames(); }
std::vector<std::string> BoardFaultNames() { return SimBoard::BoardFaultNames(); }

std::string DescribeSlot(const Plant& plant, size_t slot_index, const std::vector<std::string_view>& parts_missing) {
  const SlotPhysics& slot = plant.slot(slot_index);
  std::vector<std::string_view> faults;
  for (int i = 0; i < kSlotFaults; ++i) {
    if (slot.HasFault(static_cast<SlotFault>(i))) faults.push_back(ToString(static_cast<SlotFault>(i)));
  }
  faults.insert(faults.end(), parts_missing.begin(), parts_missing.end());
  return fmt::format(
      "outputs={} vbus_mv={} vbus_ma={} rail_mv={} relay={} data={} present={} battery={} charge_ma={} tray_deci_c={} "
      "faults={}",
      DescribeOutputs(slot.outputs()),
      slot.vbus_mv(),
      slot.vbus_ma(),
      plant.rail_mv(slot_index),
      ToString(slot.relay()),
      DescribeData(slot.Side()),
      slot.present() ? "yes" : "no",
      slot.battery_percent(),
      slot.charge_ma(),
      slot.tray_deci_c(),
      Join(faults));
}

uint8_t PsuOk(const Plant& plant, const std::vector<int>& slot_rails) {
  unsigned good = 0xFF;
  for (size_t slot = 0; slot < slot_rails.size(); ++slot) {
    const bool lost = plant.rail_mv(slot) < kPsuOkMv || plant.psu_lost(slot);
    if (lost && slot_rails[slot] < 8) good &= ~(1U << slot_rails[slot]);
  }
  return static_cast<uint8_t>(good);
}

Status MakeBlankEeprom(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::exists(path, error)) return OkStatus();
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << std::string(At24::kSize, '\xFF');  // as delivered
  file.close();
  if (file) return OkStatus();
  return {Code::kFailedPrecondition,
          fmt::format("cannot write the EEPROM image {}: check the folder's rights and free space", path.string())};
}

uint32_t FreeRunningMs() { return static_cast<uint32_t>(BootClock::now().time_since_epoch().count()); }

}  // namespace faraday::sim
