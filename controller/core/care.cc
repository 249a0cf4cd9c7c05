#include "controller/core/care.h"

#include <algorithm>

namespace faraday::controller {

void Care::BoardReady(int board, bool all) {
  for (const auto& config : parts_.config.slots) {
    if (config.board != board) continue;
    Slot& slot = slots_[config.number];
    slot.cut = false;
    if (all) slot.state = State::kDue;
  }
}

void Care::BoardDown(int board) {
  for (const auto& config : parts_.config.slots) {
    Slot& slot = slots_[config.number];
    if (config.board != board || slot.state < State::kPowering) continue;
    slot.state = State::kDue;
    slot.cut = true;
  }
}

void Care::Drop(int slot) { slots_[slot] = {}; }

bool Care::WasCut(int slot) const {
  const auto it = slots_.find(slot);
  return it != slots_.end() && it->second.cut;
}

bool Care::Connected(int slot) const {
  const auto it = slots_.find(slot);
  return it != slots_.end() && it->second.state == State::kConnected;
}

std::string Care::ReasonOf(int slot) const {
  const auto it = slots_.find(slot);
  if (it == slots_.end()) return {};
  switch (it->second.state) {
    case State::kRests:
    case State::kDue:
      return {};
    case State::kPowering:
    case State::kConnecting:
      return "discovery: care powers and connects the phone";
    case State::kConnected:
      return "discovery: waiting until the agent has read the phone's facts";
    case State::kEnding:
      return "discovery ends: the slot goes to its safe state";
  }
  return {};
}

int Care::Running() const {
  return static_cast<int>(std::count_if(
      slots_.begin(), slots_.end(), [](const auto& item) { return item.second.state >= State::kPowering; }));
}

bool Care::MayBegin(int slot) const {
  const Tenure& tenure = parts_.book.at(slot);
  const auto& config = parts_.SlotOf(slot);
  if (tenure.phase != Phase::kCare || tenure.health != Health::kGood || config.hosts.empty()) return false;
  const Board& board = parts_.BoardOf(slot);
  if (parts_.book.stop() || (board.telemetry().faults & link::kFaultStopped) != 0) return false;
  if (!board.ready() || !board.Told(config.board_slot, tenure.epoch) || board.Busy(config.board_slot)) return false;
  if (parts_.MeasuredOf(slot).bits.tripped) return false;
  return parts_.agents.LastWord(parts_.FirstAgentOf(slot)).has_value();
}

void Care::Begin(int number, Now now) {
  Slot& slot = slots_[number];
  slot.epoch = parts_.book.at(number).epoch;
  slot.began = now.boot;
  Step(number,
       State::kPowering,
       link::SetVbus{parts_.BoardSlotOf(number), slot.epoch, true},
       "care powers the phone",
       now);
}

void Care::Step(int number, State next, decltype(link::Command::call) call, const char* what, Now now) {
  Slot& slot = slots_[number];
  slot.state = next;
  const uint32_t epoch = slot.epoch;
  const Status sent = parts_.BoardOf(number).Send(
      std::move(call),
      parts_.NameOf(number) + ": " + what,
      [this, number, epoch, next](const Outcome& outcome, Now at) { OnStep(number, epoch, next, outcome, at); },
      now);
  if (!sent.ok()) slot.state = State::kDue;
}

void Care::OnStep(int number, uint32_t epoch, State step, const Outcome& outcome, Now now) {
  Slot& slot = slots_[number];
  if (slot.epoch != epoch || slot.state != step || outcome.unknown) return;
  if (step == State::kEnding) return Rest(number, now);
  if (!outcome.status.ok()) {
    parts_.events.OnSlot(number, "care.discovery_failed", outcome.status.message(), "", now);
    return End(number, now);
  }
  if (step == State::kPowering) {
    return Step(number,
                State::kConnecting,
                link::SetData{parts_.BoardSlotOf(number), slot.epoch, link::DataPath::kHost, 0},
                "care connects the data path",
                now);
  }
  slot.state = State::kConnected;
  slot.connected = now.boot;
  parts_.events.OnSyncChange();
}

void Care::OnFacts(int number, const DeviceFacts& facts, Now now) {
  const auto it = slots_.find(number);
  if (it == slots_.end() || it->second.state != State::kConnected) return;
  if (facts.read_at < it->second.connected || facts.agent != parts_.FirstAgentOf(number)) return;
  if (facts.boot_completed.value_or(false) || facts.adb_state == "absent") End(number, now);
}

void Care::End(int number, Now now) {
  Step(number,
       State::kEnding,
       link::SetData{parts_.BoardSlotOf(number), slots_[number].epoch, link::DataPath::kOpen, 0},
       "care opens the data path",
       now);
  parts_.events.OnSyncChange();
}

void Care::Rest(int number, Now now) {
  Slot& slot = slots_[number];
  slot.state = State::kRests;
  (void)parts_.BoardOf(number).Give({parts_.BoardSlotOf(number), slot.epoch, 0, true}, nullptr, now);
  parts_.events.OnSlot(number, "care.rests", "discovery ended; the slot rests in its safe state", "", now);
}

void Care::OnTime(Now now) {
  int running = Running();
  // Slots that should hold a phone come first.
  for (const bool expected : {true, false}) {
    for (const auto& config : parts_.config.slots) {
      if (config.expected_phone.empty() == expected || running >= kDiscoveriesAtOnce) continue;
      if (slots_[config.number].state != State::kDue || !MayBegin(config.number)) continue;
      Begin(config.number, now);
      ++running;
    }
  }
  for (auto& [number, slot] : slots_) {
    if (slot.state < State::kPowering || now.boot - slot.began < kDiscoveryLimit) continue;
    if (slot.state == State::kEnding) {
      Rest(number, now);
    } else {
      End(number, now);
      slot.began = now.boot;
    }
  }
}

}  // namespace faraday::controller
