#include "controller/core/relay_wear.h"

#include <fmt/core.h>

#include "controller/core/rights.h"

namespace faraday::controller {

RelayWear::Count RelayWear::Of(int slot) const {
  const auto it = slots_.find(slot);
  return it == slots_.end() ? Count{} : it->second.count;
}

void RelayWear::OnBoardReady(int board) {
  asking_[board] = false;
  for (const auto& slot : parts_.config.slots) {
    if (slot.board == board) slots_[slot.number].due = {};
  }
}

void RelayWear::OnTime(Now now) {
  for (const auto& slot : parts_.config.slots) {
    const Board& board = parts_.BoardOf(slot.number);
    if (!board.ready() || !board.Has(slot.board_slot, link::capability::kRfRelay) || asking_[slot.board]) continue;
    if (now.boot >= slots_[slot.number].due) Read(slot.number, now);
  }
}

void RelayWear::Read(int slot, Now now) {
  const int board = parts_.SlotOf(slot).board;
  slots_[slot].due = now.boot + kWearPeriod;  // an older board that cannot say is asked no sooner either
  const Status sent = parts_.BoardOf(slot).Send(
      link::ReadWear{parts_.BoardSlotOf(slot)},
      parts_.NameOf(slot) + ": read wear",
      [this, slot, board](const Outcome& outcome, Now) {
        asking_[board] = false;
        if (outcome.status.ok()) slots_[slot].count = {outcome.reply.value, outcome.reply.limit};
      },
      now);
  asking_[board] = sent.ok();
}

void RelayWear::Fit(const CallContext& context,
                    const std::string& name,
                    uint32_t moves,
                    const std::string& reason,
                    Answer<int> answer,
                    Now now) {
  const auto found = parts_.FindSlot(name);
  if (!found.ok()) return answer(found.status(), now);
  const int slot = *found;
  const Status right =
      CheckRight(access::Call::kFitRelay, context.caller, Ownership::kOther, reason, parts_.NameOf(slot));
  if (!right.ok()) return answer(right, now);
  const std::string text = fmt::format("another relay is fitted, {} moves made: {}", moves, reason);
  const Status noted = parts_.book.Note(
      {now.utc, context.caller.user, std::string(RoleName(context.caller.role)), "fit_relay", slot, text});
  if (!noted.ok()) return answer(noted, now);
  const Status sent = parts_.BoardOf(slot).Send(
      link::SetWear{parts_.BoardSlotOf(slot), moves},
      parts_.NameOf(slot) + ": relay fitted",
      [this, slot, moves, text, context, answer](const Outcome& outcome, Now at) {
        if (!outcome.status.ok()) return answer(outcome.status, at);
        slots_[slot].count.moves = moves;
        slots_[slot].due = {};
        parts_.events.OnSlot(slot, "slot.relay_fitted", text, context.trace, at);
        answer(slot, at);
      },
      now);
  if (!sent.ok()) return answer(sent, now);
  context.Sent(parts_.BoardOf(slot));
}

}  // namespace faraday::controller
