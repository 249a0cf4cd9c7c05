#include "sim/board/sim_board.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <array>

#include "base/check.h"
#include "sim/board/machine.h"

namespace faraday::sim {
namespace {

using firmware::NativeBoard;

void SetMissing(NativeBoard& board, firmware::ChipAddress at, bool missing) {
  board.Bus(at.bus).SetMissing(at.address, missing);
}

struct PartFault {
  std::string_view name;
  void (*set)(NativeBoard& board, size_t slot, bool on);
};
constexpr std::array<PartFault, 6> kPartFaults = {{
    {"expander-missing",
     [](NativeBoard& board, size_t slot, bool on) {
       const firmware::ExpanderPin& at = board.Slots()[slot].outputs;
       SetMissing(board, {at.bus, at.address}, on);
     }},
    {"monitor-missing",
     [](NativeBoard& board, size_t slot, bool on) { SetMissing(board, board.Slots()[slot].monitor, on); }},
    {"sensor-missing",
     [](NativeBoard& board, size_t slot, bool on) { SetMissing(board, board.Slots()[slot].temperature, on); }},
    {"monitor-wrong", [](NativeBoard& board, size_t slot, bool on) { board.SetMonitorWrong(slot, on); }},
    {"vbus-pin-stuck-on", [](NativeBoard& board, size_t slot, bool on) { board.SetVbusPinStuck(slot, on, false); }},
    {"vbus-pin-stuck-off", [](NativeBoard& board, size_t slot, bool on) { board.SetVbusPinStuck(slot, false, on); }},
}};

struct BoardFault {
  std::string_view name;
  void (*set)(NativeBoard& board, bool on);
};
constexpr std::array<BoardFault, 5> kBoardFaults = {{
    {"reset-line-broken", [](NativeBoard& board, bool on) { board.SetResetLineBroken(on); }},
    {"eeprom-missing", [](NativeBoard& board, bool on) { board.SetEepromMissing(on); }},
    {"eeprom-read-only", [](NativeBoard& board, bool on) { board.eeprom().SetReadOnly(on); }},
    {"log-missing", [](NativeBoard& board, bool on) { board.flash().SetMissing(on); }},
    {"log-read-only", [](NativeBoard& board, bool on) { board.flash().SetReadOnly(on); }},
}};

constexpr int kFirstBus = 2;  // of those with parts: see boards/native/board.h

}  // namespace

SimBoard::SimBoard(const std::vector<int>& slot_rails, firmware::SerialLine& line, std::function<uint32_t()> clock)
    : plant_(slot_rails), board_(plant_, line, std::move(clock)), parts_broken_(slot_rails.size(), 0) {}

void SimBoard::Pass() {
  FARADAY_CHECK(image_ != nullptr);
  plant_.AdvanceTo(board_.NowMs());
  board_.PollLine();  // the UART's interrupt: whatever the firmware does
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
  for (const PartFault& part : kPartFaults) names.emplace_back(part.name);
  return names;
}

Status SimBoard::SetFault(size_t slot_index, std::string_view name, bool on) {
  FARADAY_CHECK(slot_index < plant_.slots());
  if (const auto fault = ParseSlotFault(name)) {
    plant_.slot(slot_index).SetFault(*fault, on);
    return OkStatus();
  }
  for (size_t i = 0; i < kPartFaults.size(); ++i) {
    if (kPartFaults[i].name != name) continue;
    kPartFaults[i].set(board_, slot_index, on);
    const unsigned mask = 1U << i;
    uint8_t& broken = parts_broken_[slot_index];
    broken = static_cast<uint8_t>(on ? broken | mask : broken & ~mask);
    return OkStatus();
  }
  return {Code::kInvalidArgument,
          fmt::format("no fault is named \"{}\"; there are {}", name, fmt::join(FaultNames(), ", "))};
}

std::vector<std::string> SimBoard::BoardFaultNames() {
  std::vector<std::string> names;
  for (const BoardFault& fault : kBoardFaults) names.emplace_back(fault.name);
  return names;
}

Status SimBoard::SetBoardFault(std::string_view name, bool on) {
  for (const BoardFault& fault : kBoardFaults) {
    if (fault.name != name) continue;
    fault.set(board_, on);
    return OkStatus();
  }
  return {Code::kInvalidArgument,
          fmt::format("no fault of a board is named \"{}\"; there are {}", name, fmt::join(BoardFaultNames(), ", "))};
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

bool SimBoard::PartBroken(size_t slot_index, size_t part) const {
  return ((parts_broken_[slot_index] >> part) & 1) != 0;
}

std::string SimBoard::Describe(size_t slot_index) const {
  std::vector<std::string_view> broken;
  for (size_t i = 0; i < kPartFaults.size(); ++i) {
    if (PartBroken(slot_index, i)) broken.push_back(kPartFaults[i].name);
  }
  return DescribeSlot(plant_, slot_index, broken);
}

}  // namespace faraday::sim
