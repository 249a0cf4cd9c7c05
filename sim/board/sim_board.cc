#include "sim/board/sim_board.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <array>

#include "base/check.h"
#include "sim/board/machine.h"

namespace faraday::sim {
namespace {

struct Part {
  std::string_view fault;
  firmware::ChipAddress (*where)(const firmware::SlotWiring&);
};
constexpr std::array<Part, 3> kParts = {{
    {"expander-missing",
     [](const firmware::SlotWiring& slot) {
       return firmware::ChipAddress{slot.outputs.bus, slot.outputs.address};
     }},
    {"monitor-missing", [](const firmware::SlotWiring& slot) { return slot.monitor; }},
    {"sensor-missing", [](const firmware::SlotWiring& slot) { return slot.temperature; }},
}};

constexpr int kFirstBus = 2;  // of those with parts: see boards/native/board.h

}  // namespace

SimBoard::SimBoard(const std::vector<int>& slot_rails, firmware::SerialLine& line, std::function<uint32_t()> clock)
    : plant_(slot_rails), board_(plant_, line, std::move(clock)), parts_missing_(slot_rails.size(), 0) {}

void SimBoard::Pass() {
  FARADAY_CHECK(image_ != nullptr);
  plant_.AdvanceTo(board_.NowMs());
  if (!hung_ && !board_.InTransfer()) image_->Pass();
  if (!board_.WatchdogBit()) return;
  ++watchdog_bites_;
  McuReset(link::BootReason::kWatchdog);
}

void SimBoard::McuReset(link::BootReason cause) {
  image_.reset();
  hung_ = false;
  board_.Reset(cause);
  ++boots_;
  Boot();
}

std::vector<std::string> SimBoard::FaultNames() {
  std::vector<std::string> names;
  for (int i = 0; i < kSlotFaults; ++i) names.emplace_back(ToString(static_cast<SlotFault>(i)));
  for (const Part& part : kParts) names.emplace_back(part.fault);
  return names;
}

Status SimBoard::SetFault(size_t slot_index, std::string_view name, bool on) {
  FARADAY_CHECK(slot_index < plant_.slots());
  if (const auto fault = ParseSlotFault(name)) {
    plant_.slot(slot_index).SetFault(*fault, on);
    return OkStatus();
  }
  for (size_t i = 0; i < kParts.size(); ++i) {
    if (kParts[i].fault != name) continue;
    const firmware::ChipAddress at = kParts[i].where(board_.Slots()[slot_index]);
    board_.Bus(at.bus).SetMissing(at.address, on);
    const unsigned mask = 1U << i;
    parts_missing_[slot_index] =
        static_cast<uint8_t>(on ? parts_missing_[slot_index] | mask : parts_missing_[slot_index] & ~mask);
    return OkStatus();
  }
  return {Code::kInvalidArgument,
          fmt::format("no fault is named \"{}\"; there are {}", name, fmt::join(FaultNames(), ", "))};
}

namespace {

constexpr int kLastBus = static_cast<int>(firmware::NativeBoard::kBuses) - 1;

Status CheckBus(int bus) {
  if (bus >= kFirstBus && bus <= kLastBus) return OkStatus();
  return {Code::kInvalidArgument, fmt::format("bus {} has no parts; use {} to {}", bus, kFirstBus, kLastBus)};
}

}  // namespace

Status SimBoard::SetBusStuck(int bus, bool stuck) {
  FARADAY_TRY(CheckBus(bus));
  board_.Bus(static_cast<size_t>(bus)).SetStuck(stuck);
  return OkStatus();
}

Status SimBoard::SetBusStretch(int bus, int ms) {
  FARADAY_TRY(CheckBus(bus));
  if (ms < 0) return {Code::kInvalidArgument, fmt::format("a clock cannot be stretched by {} ms", ms)};
  board_.Bus(static_cast<size_t>(bus)).SetStretch(static_cast<uint32_t>(ms));
  return OkStatus();
}

Status SimBoard::WearEepromPage(int page) {
  constexpr int kPages = At24::kSize / At24::kPage;
  if (page < 0 || page >= kPages) {
    return {Code::kInvalidArgument, fmt::format("the EEPROM has no page {}; use 0 to {}", page, kPages - 1)};
  }
  board_.eeprom().Wear(static_cast<size_t>(page));
  return OkStatus();
}

bool SimBoard::PartMissing(size_t slot_index, size_t part) const {
  return ((parts_missing_[slot_index] >> part) & 1) != 0;
}

std::string SimBoard::Describe(size_t slot_index) const {
  std::vector<std::string_view> missing;
  for (size_t i = 0; i < kParts.size(); ++i) {
    if (PartMissing(slot_index, i)) missing.push_back(kParts[i].fault);
  }
  return DescribeSlot(plant_, slot_index, missing);
}

}  // namespace faraday::sim
