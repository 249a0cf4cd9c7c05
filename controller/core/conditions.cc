#include "controller/core/conditions.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <ranges>
#include <utility>

#include "controller/core/condition_table.h"
#include "controller/core/names.h"
#include "controller/core/words.h"

namespace faraday::controller {
namespace {

using link::SlotMarks;
using Kind = link::Condition;

struct MarkRow {
  bool SlotMarks::*mark;
  Kind which;
};
constexpr std::array<MarkRow, 4> kMarks = {{{&SlotMarks::under_voltage, Kind::kUnderVoltage},
                                            {&SlotMarks::over_voltage, Kind::kOverVoltage},
                                            {&SlotMarks::tray_warm, Kind::kTrayWarm},
                                            {&SlotMarks::relay_worn, Kind::kRelayWorn}}};
struct FaultRow {
  uint32_t bit;
  Kind which;
};
constexpr std::array<FaultRow, 5> kFaults = {{{link::kFaultHostSilent, Kind::kHostSilent},
                                              {link::kFaultNvmReadOnly, Kind::kNvmReadOnly},
                                              {link::kFaultStopped, Kind::kStopped},
                                              {link::kFaultAlarm, Kind::kAlarm},
                                              {link::kFaultLog, Kind::kLogLost}}};

// Which of a board's conditions say in `limit` which rail, bus, shelf or input they are of.
bool IsIndexed(Kind which) {
  return which == Kind::kBusLost || which == Kind::kRailSag || which == Kind::kRailDown || which == Kind::kHotShelf ||
         which == Kind::kInputBlocks;
}

bool MaskHas(uint32_t mask, int index) { return index >= 0 && index < 32 && ((mask >> index) & 1U) != 0; }

int ShelfOf(int board_slot) { return (board_slot - 1) / 8; }  // on every board so far

}  // namespace

std::string Sentence(const ConditionView& condition, UtcTime now) {
  std::string text = (condition.trip ? "tripped: " : "") + condition.text;
  if (condition.since.since_epoch.count() != 0) {
    text += fmt::format(" {} {}", condition.trip ? "at" : "since", MomentText(condition.since, now));
  }
  return condition.next.empty() ? text : text + "; " + condition.next;
}

// ---- what the board says ------------------------------------------------------------------------------------------

void Conditions::OnEvent(int board, const link::Event& event, Now now) {
  const UtcTime at = parts_.boards.at(static_cast<size_t>(board))->UtcOf(event.uptime_ms, now);
  if (const auto* tripped = std::get_if<link::Tripped>(&event.kind)) {
    const int slot = parts_.SlotAt(board, static_cast<int>(tripped->slot));
    if (slot == 0) return;
    ConditionView view = TripOf(slot);
    view.text = TripText(tripped->reason, tripped->value, tripped->limit);
    view.next = TripNext(tripped->reason, parts_.NameOf(slot));
    view.since = at;
    return parts_.events.OnSlot(slot, "slot.tripped", Sentence(view, now.utc), "", now);
  }
  const auto* changed = std::get_if<link::ConditionChanged>(&event.kind);
  if (changed == nullptr || RowOf(changed->condition) == nullptr) return;
  const int board_slot = static_cast<int>(changed->slot);
  if (board_slot > static_cast<int>(link::kMaxSlots)) return;
  if (board_slot != 0 && parts_.SlotAt(board, board_slot) == 0) return;
  const bool indexed = board_slot == 0 && IsIndexed(changed->condition) && changed->limit < 32;
  const Key key{board, board_slot, changed->condition, indexed ? static_cast<int>(changed->limit) : -1};
  if (changed->active) Came(key, *changed, at, now);
  // That it went is in the telemetry that follows.
}

void Conditions::Came(const Key& key, const link::ConditionChanged& event, UtcTime at, Now now) {
  Track& track = tracks_.try_emplace(key, Track{.since = at, .seen = now.boot}).first->second;
  track.since = at;
  track.value = event.value;
  track.limit = event.limit;
  if (std::exchange(track.told, true)) return;
  Tell(key, true, now);
}

void Conditions::Judge(const Key& key, bool active, Now now) {
  const auto it = tracks_.find(key);
  if (it == tracks_.end()) {
    if (active) tracks_.emplace(key, Track{.since = now.utc, .seen = now.boot});
    return;
  }
  Track& track = it->second;
  if (!active) {
    if (track.told) Tell(key, false, now);
    tracks_.erase(key);
  } else if (!track.told && now.boot - track.seen >= kEventFirst) {
    track.told = true;
    Tell(key, true, now);
  }
}

void Conditions::OnTelemetry(int board, Now now) {
  for (const auto& slot : parts_.config.slots) {
    if (slot.board != board) continue;
    const Measured& measured = parts_.MeasuredOf(slot.number);
    if (!measured.ever) continue;
    const auto judge = [&](Kind which, bool active) { Judge({board, slot.board_slot, which, -1}, active, now); };
    link::SlotBits bits = measured.bits;
    bits.part_missing = bits.part_missing && !bits.wrong_part;  // one cause, by its own name
    const std::vector<Kind> lasting = ConditionsIn(bits);
    for (const Kind which : BitConditions()) judge(which, std::ranges::find(lasting, which) != lasting.end());
    for (const MarkRow& row : kMarks) judge(row.which, measured.marks.*row.mark);
    judge(Kind::kTraySensorMissing, !bits.temperature_fresh);
  }
  JudgeBoard(board, now);
}

void Conditions::JudgeBoard(int index, Now now) {
  const Board& board = *parts_.boards.at(static_cast<size_t>(index));
  const link::Telemetry& seen = board.telemetry();
  const auto fault = [&](uint32_t bit) { return (seen.faults & bit) != 0; };
  for (const FaultRow& row : kFaults) Judge({index, 0, row.which, -1}, fault(row.bit), now);
  JudgeIndexed(index, Kind::kBusLost, seen.buses_lost, fault(link::kFaultI2cBus), now);
  JudgeIndexed(index, Kind::kRailSag, seen.rails_sagging, fault(link::kFaultRailSag), now);
  JudgeIndexed(index, Kind::kRailDown, seen.rails_down, fault(link::kFaultRailDown), now);
  JudgeIndexed(index, Kind::kHotShelf, seen.shelves_hot, fault(link::kFaultHotShelf), now);
  uint32_t blocking = 0;
  for (const auto& input : parts_.config.inputs) {
    const bool blocks =
        input.action == rackconfig::InputAction::kBlockTurnOn || input.action == rackconfig::InputAction::kSafeRail;
    if (input.board == index && blocks && MaskHas(seen.inputs, input.pin)) blocking |= 1U << input.pin;
  }
  const bool input = fault(link::kFaultInput);
  JudgeIndexed(index, Kind::kInputBlocks, input ? blocking : 0, input, now);
  Judge({index, 0, kConfigWaits, -1}, !board.config_waits().empty(), now);
}

// Of the ones in the mask; when the board says that there is one but not which, of the unnamed one.
void Conditions::JudgeIndexed(int board, link::Condition which, uint32_t mask, bool any, Now now) {
  for (int i = 0; i < 32; ++i) {
    const Key key{board, 0, which, i};
    if (MaskHas(mask, i) || tracks_.contains(key)) Judge(key, MaskHas(mask, i), now);
  }
  Judge({board, 0, which, -1}, any && mask == 0, now);
}

void Conditions::Tell(const Key& key, bool active, Now now) {
  const auto track = tracks_.find(key);
  const ConditionView view = Render(key, track == tracks_.end() ? Track{} : track->second);
  const std::string text = active ? Sentence(view, now.utc) : view.name + " is over";
  if (key.board_slot == 0) {
    const std::string where = fmt::format("{}: {}", view.place, text);
    return parts_.events.OnBoard(key.board, active ? "board.condition" : "board.condition_over", where, now);
  }
  const int slot = parts_.SlotAt(key.board, key.board_slot);
  parts_.events.OnSlot(slot, active ? "slot.condition" : "slot.condition_over", text, "", now);
}

// ---- views --------------------------------------------------------------------------------------------------------

std::string Conditions::PlaceOf(const Key& key) const {
  if (key.board_slot != 0) return parts_.NameOf(parts_.SlotAt(key.board, key.board_slot));
  std::string place = fmt::format("{} board {}", parts_.config.rack, key.board);
  if (key.index < 0) return place;
  return place + " " + PartName(parts_.config, key.board, key.which, key.index);
}

ConditionView Conditions::Render(const Key& key, const Track& track) const {
  const ConditionRow& row = *RowOf(key.which);
  ConditionView view;
  view.name = row.name;
  view.place = PlaceOf(key);
  view.text = ConditionText(key.which, track.value, track.limit);
  view.since = track.since;
  view.next = ConditionNext(row, key.board_slot == 0 ? parts_.config.rack : view.place);
  view.latched = row.latched;
  view.quarantines = row.quarantines;
  view.suspect = row.suspect;
  if (key.which == kConfigWaits) {
    view.text = "config waits: " + parts_.boards.at(static_cast<size_t>(key.board))->config_waits();
  }
  const auto& stop = parts_.book.stop();
  if (key.which == Kind::kStopped && stop) {
    view.text = fmt::format("stopped by {}: {}", stop->user, stop->reason);
    view.since = stop->at;
  }
  return view;
}

ConditionView Conditions::TripOf(int slot) const {
  const Measured& measured = parts_.MeasuredOf(slot);
  const link::TripReason reason = measured.tripped.reason;
  ConditionView view;
  view.name = TripName(reason);
  view.place = parts_.NameOf(slot);
  view.text = measured.trip;
  view.since = measured.tripped_at;
  view.next = TripNext(reason, view.place);
  view.trip = view.latched = view.suspect = true;
  view.quarantines = reason == link::TripReason::kSwitchShorted;
  return view;
}

std::vector<ConditionView> Conditions::Of(int board, int board_slot) const {
  std::vector<ConditionView> views;
  for (auto it = tracks_.lower_bound({board, board_slot, {}, -1});
       it != tracks_.end() && it->first.board == board && it->first.board_slot == board_slot;
       ++it) {
    views.push_back(Render(it->first, it->second));
  }
  return views;
}

std::vector<ConditionView> Conditions::OfSlot(int slot) const {
  std::vector<ConditionView> views;
  const Measured& measured = parts_.MeasuredOf(slot);
  if (measured.ever && measured.bits.tripped) views.push_back(TripOf(slot));
  const bool shorted = !views.empty() && views.front().quarantines;
  const auto& config = parts_.SlotOf(slot);
  for (ConditionView& view : Of(config.board, config.board_slot)) {
    if (!shorted || view.name != views.front().name) views.push_back(std::move(view));
  }
  return views;
}

std::vector<ConditionView> Conditions::OfBoard(int board) const { return Of(board, 0); }

std::vector<ConditionView> Conditions::Quarantining(int slot) const {
  std::vector<ConditionView> views = OfSlot(slot);
  std::erase_if(views, [](const ConditionView& view) { return !view.quarantines; });
  return views;
}

std::optional<ConditionView> Conditions::QuarantineDue(int slot, Now now) const {
  const auto& config = parts_.SlotOf(slot);
  const Measured& measured = parts_.MeasuredOf(slot);
  if (!measured.ever || now.boot - measured.at > kFresh) return std::nullopt;
  for (auto it = tracks_.lower_bound({config.board, config.board_slot, {}, -1});
       it != tracks_.end() && it->first.board == config.board && it->first.board_slot == config.board_slot;
       ++it) {
    const ConditionRow& row = *RowOf(it->first.which);
    if (row.quarantines && now.boot - it->second.seen >= kQuarantineAfter) return Render(it->first, it->second);
  }
  if (measured.bits.tripped && TripOf(slot).quarantines) return TripOf(slot);
  return std::nullopt;
}

std::optional<ConditionView> Conditions::HoldingBack(int slot) const {
  const auto& config = parts_.SlotOf(slot);
  const link::SlotMarks& marks = parts_.MeasuredOf(slot).marks;
  const struct {
    Kind which;
    bool holds;
    int index;
  } kinds[] = {{Kind::kStopped, true, -1},
               {Kind::kHotShelf, marks.hot_shelf, ShelfOf(config.board_slot)},
               {Kind::kRailDown, marks.rail_down, config.rail},
               {Kind::kBusLost, marks.bus_lost, -2}};
  for (const auto& kind : kinds) {
    if (!kind.holds) continue;
    for (const auto& [key, track] : tracks_) {
      if (key.board != config.board || key.board_slot != 0 || key.which != kind.which) continue;
      if (kind.index >= 0 && key.index >= 0 && key.index != kind.index) continue;
      return Render(key, track);
    }
  }
  return std::nullopt;
}

}  // namespace faraday::controller
