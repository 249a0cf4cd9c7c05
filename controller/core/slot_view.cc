#include "controller/core/slot_view.h"

#include <fmt/core.h>

#include <array>

#include "controller/core/words.h"
#include "model/slot_id.h"

namespace faraday::controller {
namespace {

constexpr std::array<Allocation, 4> kAllocations = {
    Allocation::kFree, Allocation::kLeased, Allocation::kLeased, Allocation::kCleaning};  // by Phase

struct FaultWords {
  uint32_t bit;
  const char* words;
};
constexpr std::array<FaultWords, 16> kFaults = {{
    {link::kFaultHostSilent, "host silent: turn-ons are blocked"},
    {link::kFaultNotConfigured, "not configured"},
    {link::kFaultI2cBus, "an I2C bus does not work"},
    {link::kFaultRailSag, "a rail sags"},
    {link::kFaultStopped, "stopped: the stop output is asserted"},
    {link::kFaultNvmLost, "epoch table lost"},
    {link::kFaultNvmReadOnly, "epoch table cannot be written"},
    {link::kFaultPsu, "a rail's supply is not good"},
    {link::kFaultAlert, "a monitor's alert line stays low without a cause"},
    {link::kFaultStopButton, "the stop button is pressed"},
    {link::kFaultFlash, "the firmware's flash does not answer"},
    {link::kFaultAlarm, "the alarm output is on"},
    {link::kFaultHotShelf, "a shelf is off and blocked by a thermal trip"},
    {link::kFaultInput, "a rack input blocks turn-ons, or made a rail safe"},
    {link::kFaultRailDown, "a rail is off and blocked"},
    {link::kFaultLog, "the board's log takes no record"},
}};

}  // namespace

std::string PortText(const rackconfig::PortConfig& port) {
  if (!port.usb_serial.empty()) return "USB serial number " + port.usb_serial;
  return port.path.empty() ? "socket " + port.socket : port.path;
}

LeaseView SlotViews::LeaseOf(const Tenure& held, Milliseconds left, Now now) const {
  LeaseView view;
  view.id = model::ToString(model::LeaseId{{parts_.config.rack, held.slot}, held.epoch});
  view.slot = parts_.NameOf(held.slot);
  view.tenure = held;
  view.left = left;
  if (IsUsers(held)) view.end = UtcTime{now.utc.since_epoch + left};
  return view;
}

LeaseView SlotViews::LeaseOf(int slot, Now now) const {
  return LeaseOf(parts_.book.at(slot), parts_.book.LeftOf(slot, now), now);
}

bool SlotViews::FreshOf(int slot, Now now) const {
  const Measured& measured = parts_.MeasuredOf(slot);
  return measured.ever && now.boot - measured.at <= kFresh;
}

std::string SlotViews::HostName(int slot, uint8_t index) const {
  const auto& hosts = parts_.SlotOf(slot).hosts;
  return index < hosts.size() ? hosts[index].host : fmt::format("host {}", index);
}

HealthView SlotViews::HealthOf(int slot, Now now) const {
  const Tenure& tenure = parts_.book.at(slot);
  if (tenure.health != Health::kGood) return {tenure.health, tenure.health_reason};
  for (const ConditionView& condition : conditions_.OfSlot(slot)) {
    if (condition.suspect) return {Health::kSuspect, Sentence(condition, now.utc)};
  }
  if (const auto held = conditions_.HoldingBack(slot)) {
    return {Health::kSuspect, fmt::format("{}: {}", held->place, Sentence(*held, now.utc))};
  }
  const std::string agent = tenure.agent.empty() ? parts_.FirstAgentOf(slot) : tenure.agent;
  if (agent.empty()) return {};
  const auto word = parts_.agents.LastWord(agent);
  const Milliseconds limit(parts_.config.controller.agent_silent_ms);
  const BootTime since = word.value_or(parts_.book.Since(slot));
  const bool awaited = word.has_value() || tenure.phase == Phase::kCleaning;
  if (!awaited || now.boot - since < limit) return {};
  return {Health::kSuspect,
          fmt::format("agent lost: no word from {} for {}; start or check it", agent, DurationText(now.boot - since))};
}

std::string SlotViews::ReasonOf(int slot, const HealthView& health, Now now) const {
  const Board& board = parts_.BoardOf(slot);
  const Tenure& tenure = parts_.book.at(slot);
  std::vector<std::string> reasons;
  if (const Status ready = board.CheckReady(); !ready.ok()) reasons.push_back(ready.message());
  if (board.ready() && !FreshOf(slot, now)) reasons.push_back("no fresh measurement from the board");
  if (health.health != Health::kGood) reasons.push_back(health.reason);
  if (tenure.phase != Phase::kCare) reasons.push_back(parts_.HeldTextOf(slot, now));
  if (FreshOf(slot, now) && parts_.MeasuredOf(slot).marks.shed) {
    reasons.push_back("charging pauses: its rail sags, or another slot needs the budget");
  }
  if (const std::string care = care_.ReasonOf(slot); !care.empty()) reasons.push_back(care);
  std::string text;
  for (const std::string& reason : reasons) text += (text.empty() ? "" : "; ") + reason;
  return text;
}

SlotView SlotViews::Of(int slot, Now now) const {
  SlotView view;
  view.name = parts_.NameOf(slot);
  view.config = &parts_.SlotOf(slot);
  view.health = HealthOf(slot, now);
  view.allocation = kAllocations.at(static_cast<size_t>(parts_.book.at(slot).phase));
  view.lease = LeaseOf(slot, now);
  view.measured = parts_.MeasuredOf(slot);
  view.fresh = FreshOf(slot, now);
  view.commanded_known = view.measured.ever;
  if (view.measured.ever) view.measured_age = now.boot - view.measured.at;
  view.commanded_host = HostName(slot, view.measured.bits.data_commanded_host);
  view.measured_host = HostName(slot, view.measured.bits.data_measured_host);
  if (const DeviceFacts* facts = parts_.agents.FactsOf(slot)) view.device = *facts;
  view.reason = ReasonOf(slot, view.health, now);
  for (ConditionView& condition : conditions_.OfSlot(slot)) {
    if (!condition.trip && !view.fresh) continue;
    if (!condition.trip || condition.quarantines) view.conditions.push_back(condition.name);
    view.condition_list.push_back(std::move(condition));
  }
  view.relay = wear_.Of(slot);
  return view;
}

BoardView SlotViews::BoardOf(int index) const {
  const Board& board = *parts_.boards.at(static_cast<size_t>(index));
  BoardView view{&board, PortText(parts_.config.boards.at(static_cast<size_t>(index)).port), {}, {}};
  for (const FaultWords& fault : kFaults) {
    if (board.ready() && (board.telemetry().faults & fault.bit) != 0) view.faults.emplace_back(fault.words);
  }
  const uint32_t faults = board.ready() ? board.telemetry().faults : 0;
  view.alarm = (faults & link::kFaultAlarm) != 0;
  view.stopped = (faults & link::kFaultStopped) != 0 || parts_.book.stop().has_value();
  if (board.ready()) view.conditions = conditions_.OfBoard(index);
  return view;
}

}  // namespace faraday::controller
