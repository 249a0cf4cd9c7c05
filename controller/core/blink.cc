#include "controller/core/blink.h"

#include <fmt/core.h>

#include <memory>
#include <vector>

#include "controller/core/rights.h"

namespace faraday::controller {
namespace {

struct Aim {
  Board* board;
  uint32_t board_slot;
};

Result<std::vector<Aim>> AimsOf(const RackParts& parts, const CallContext& context, const std::string& name, Now now) {
  std::vector<Aim> aims;
  if (name == parts.config.rack) {
    FARADAY_TRY(CheckRight(access::Call::kBlink, context.caller, Ownership::kOther, "", "it is the whole rack"));
    for (const auto& board : parts.boards) aims.push_back({board.get(), 0});
    return aims;
  }
  FARADAY_TRY_ASSIGN(const int slot, parts.FindSlot(name));
  const Tenure& tenure = parts.book.at(slot);
  FARADAY_TRY(CheckRight(access::Call::kBlink,
                         context.caller,
                         OwnershipOf(context.caller, tenure),
                         "",
                         fmt::format("{} is {}", parts.NameOf(slot), parts.HeldTextOf(slot, now))));
  aims.push_back({&parts.BoardOf(slot), parts.BoardSlotOf(slot)});
  return aims;
}

}  // namespace

void Blink(const RackParts& parts,
           const CallContext& context,
           const std::string& name,
           Milliseconds duration,
           Answer<Milliseconds> answer,
           Now now) {
  if (duration.count() < 0 || duration > kBlinkMax) {
    return answer(
        Status{Code::kInvalidArgument,
               fmt::format(
                   "blink {}: duration_ms {} is outside 0 to {} ms (1 h)", name, duration.count(), kBlinkMax.count())},
        now);
  }
  const auto aims = AimsOf(parts, context, name, now);
  if (!aims.ok()) return answer(aims.status(), now);
  struct Progress {
    size_t left;
    Status first;
  };
  const auto progress = std::make_shared<Progress>(Progress{aims->size(), OkStatus()});
  const auto one = [progress, duration, answer](const Status& status, Now at) {
    if (progress->first.ok() && !status.ok()) progress->first = status;
    if (--progress->left > 0) return;
    if (!progress->first.ok()) return answer(progress->first, at);
    answer(duration, at);
  };
  for (const Aim& aim : *aims) {
    const Status sent = aim.board->Send(
        link::Locate{aim.board_slot, static_cast<uint32_t>(duration.count())},
        name + ": blink",
        [one](const Outcome& outcome, Now at) { one(outcome.status, at); },
        now);
    if (sent.ok()) {
      context.Sent(*aim.board);
    } else {
      one(sent, now);
    }
  }
}

}  // namespace faraday::controller
