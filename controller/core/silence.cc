#include "controller/core/silence.h"

#include <fmt/core.h>

#include <utility>

namespace faraday::controller {
namespace {

int ShelfOf(int board_slot) { return (board_slot - 1) / 8; }  // on every board so far

bool Held(const Measured& measured) {
  const link::SlotMarks& marks = measured.marks;
  return measured.bits.tripped || marks.kept_off || marks.rail_down || marks.hot_shelf || marks.bus_lost;
}

}  // namespace

// ---- what the holder wants ----------------------------------------------------------------------------------------

void Silence::Store(int slot, const Wanted& wanted, Now now) {
  if (parts_.book.SetWanted(slot, wanted, now).ok()) {
    unsure_.erase(slot);
  } else {
    unsure_.insert(slot);
  }
}

void Silence::Learn(int slot, uint32_t epoch, Now now) {
  const Tenure& tenure = parts_.book.at(slot);
  if (tenure.phase != Phase::kLeased || tenure.epoch != epoch) return;
  const link::SlotBits& bits = parts_.MeasuredOf(slot).bits;
  Wanted wanted;
  wanted.vbus = bits.vbus_commanded;
  wanted.couple = bits.couple_commanded;
  wanted.data = bits.data_commanded;
  wanted.host = wanted.data == link::DataPath::kHost ? bits.data_commanded_host : uint8_t{0};
  wanted.session = parts_.BoardOf(slot).hello().session;
  Store(slot, wanted, now);
}

void Silence::Forget(int slot, Now now) {
  const Tenure& tenure = parts_.book.at(slot);
  if (tenure.phase == Phase::kLeased && !tenure.wanted.Nothing()) Store(slot, Wanted{}, now);
}

void Silence::OnEvent(int board, const link::Event& event, Now now) {
  if (const auto* tripped = std::get_if<link::Tripped>(&event.kind)) {
    const int slot = parts_.SlotAt(board, static_cast<int>(tripped->slot));
    if (slot != 0) Forget(slot, now);
    return;
  }
  const auto* changed = std::get_if<link::ConditionChanged>(&event.kind);
  if (changed == nullptr || !changed->active || changed->slot != 0) return;
  const int index = static_cast<int>(changed->limit & 0xffU);
  for (const auto& slot : parts_.config.slots) {
    if (slot.board != board) continue;
    const bool taken = (changed->condition == link::Condition::kRailDown && slot.rail == index) ||
                       (changed->condition == link::Condition::kHotShelf && ShelfOf(slot.board_slot) == index) ||
                       changed->condition == link::Condition::kStopped;
    if (taken) Forget(slot.number, now);
  }
}

// ---- the board heard nothing --------------------------------------------------------------------------------------

void Silence::OnTelemetry(int index, Now now) {
  Board& board = *parts_.boards.at(static_cast<size_t>(index));
  for (const auto& slot : parts_.config.slots) {
    if (slot.board != index) continue;
    const Measured& measured = parts_.MeasuredOf(slot.number);
    if (Held(measured) && !measured.bits.vbus_commanded) Forget(slot.number, now);
  }
  BoardState& state = boards_[index];
  const bool silent = (board.telemetry().faults & link::kFaultHostSilent) != 0;
  if (!silent || !board.ready() || state.state != State::kHeard) return;
  const Status sent = board.Send(
      link::ClearSilence{},
      fmt::format("board {}: end the silence", index),
      [this, index](const Outcome& outcome, Now at) { OnCleared(index, outcome, at); },
      now);
  if (sent.ok()) state.state = State::kClearing;
}

void Silence::OnCleared(int index, const Outcome& outcome, Now now) {
  BoardState& state = boards_[index];
  // Older firmware ends it with the next frame. What else was refused is asked again with the next telemetry.
  const bool older = outcome.status.code() == Code::kUnimplemented;
  state.state = outcome.status.ok() ? State::kCleared : older ? State::kCannot : State::kHeard;
  state.restore_at = now.boot + kEventsBeforeRestore;
  if (outcome.status.ok()) {
    parts_.events.OnBoard(index, "board.silence_over", fmt::format("board {} hears the controller again", index), now);
  }
}

void Silence::OnTime(Now now) {
  for (auto& [index, state] : boards_) {
    if (state.state != State::kCleared || now.boot < state.restore_at) continue;
    state.state = State::kHeard;
    for (const auto& slot : parts_.config.slots) {
      if (slot.board == index && MayRestore(slot.number, now)) Restore(slot.number, now);
    }
  }
}

bool Silence::MayRestore(int slot, Now now) const {
  const Tenure& tenure = parts_.book.at(slot);
  const Measured& measured = parts_.MeasuredOf(slot);
  const Board& board = parts_.BoardOf(slot);
  return tenure.phase == Phase::kLeased && !grants_.IsOver(slot, now) && !tenure.wanted.Nothing() &&
         tenure.wanted.session == board.hello().session && !unsure_.contains(slot) && !parts_.book.stop() &&
         board.ready() && measured.ever && now.boot - measured.at <= kFresh && !Held(measured);
}

std::vector<Silence::Step> Silence::StepsFor(int slot) const {
  const Tenure& tenure = parts_.book.at(slot);
  const Wanted& wanted = tenure.wanted;
  const link::SlotBits& bits = parts_.MeasuredOf(slot).bits;
  const uint32_t board_slot = parts_.BoardSlotOf(slot);
  std::vector<Step> steps;
  if (wanted.vbus && !bits.vbus_commanded) steps.push_back({link::SetVbus{board_slot, tenure.epoch, true}, "VBUS on"});
  if (wanted.couple && !bits.couple_commanded) {
    steps.push_back({link::SetShield{board_slot, tenure.epoch, true}, "coupled"});
  }
  const bool same_host = wanted.data != link::DataPath::kHost || wanted.host == bits.data_commanded_host;
  if (wanted.data == link::DataPath::kOpen || (wanted.data == bits.data_commanded && same_host)) return steps;
  const auto& hosts = parts_.SlotOf(slot).hosts;
  const std::string host = wanted.host < hosts.size() ? hosts[wanted.host].host : std::to_string(wanted.host);
  steps.push_back({link::SetData{board_slot, tenure.epoch, wanted.data, wanted.host},
                   wanted.data == link::DataPath::kHost ? "data to host " + host : "data to the charge port"});
  return steps;
}

void Silence::Restore(int slot, Now now) {
  std::vector<Step> steps = StepsFor(slot);
  if (steps.empty()) return;
  std::string text;
  for (const Step& step : steps) text += (text.empty() ? "" : ", ") + step.what;
  const Status noted =
      parts_.book.Note({now.utc, kCareHolder, "controller", "restore", slot, "after a silence: " + text});
  if (noted.ok()) Run(slot, std::move(steps), 0, now);
}

void Silence::Run(int slot, std::vector<Step> steps, size_t at, Now now) {
  if (at == steps.size()) {
    std::string text;
    for (const Step& step : steps) text += (text.empty() ? "" : ", ") + step.what;
    parts_.events.OnSlot(slot, "slot.restored", "given back after the controller's silence: " + text, "", now);
    return parts_.events.OnSyncChange();
  }
  const Step step = steps[at];
  const std::string what = fmt::format("{}: give back {}", parts_.NameOf(slot), step.what);
  const Status sent = parts_.BoardOf(slot).Send(
      step.call,
      what,
      [this, slot, steps = std::move(steps), at](const Outcome& outcome, Now later) {
        if (outcome.status.ok()) return Run(slot, steps, at + 1, later);
        parts_.events.OnSlot(slot, "slot.restore_failed", outcome.status.message(), "", later);
      },
      now);
  if (!sent.ok()) parts_.events.OnSlot(slot, "slot.restore_failed", sent.message(), "", now);
}

}  // namespace faraday::controller
