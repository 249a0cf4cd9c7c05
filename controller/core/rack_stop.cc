#include "controller/core/rack_stop.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "controller/core/names.h"
#include "controller/core/rights.h"
#include "controller/core/words.h"

namespace faraday::controller {
namespace {

// Measured after `since`, by this board.
bool IsNew(const Measured& measured, Now since) { return measured.ever && measured.at > since.boot; }

bool Faults(const Board& board, uint32_t bit) { return (board.telemetry().faults & bit) != 0; }

}  // namespace

AuditLine RackStop::Line(const CallContext& context, const char* call, const std::string& text, Now now) const {
  return {now.utc, context.caller.user, std::string(RoleName(context.caller.role)), call, 0, text};
}

RackOutcome RackStop::Measure(Now now) const {
  RackOutcome outcome;
  for (const auto& slot : parts_.config.slots) {
    const Measured& measured = parts_.MeasuredOf(slot.number);
    const bool fresh = measured.ever && now.boot - measured.at <= kFresh;
    ++(fresh && measured.bits.vbus_measured_off ? outcome.slots_off : outcome.slots_on);
  }
  return outcome;
}

bool RackStop::AllStopped(Now since) const {
  return std::ranges::all_of(parts_.config.slots, [&](const auto& slot) {
    const Measured& measured = parts_.MeasuredOf(slot.number);
    return IsNew(measured, since) && measured.bits.vbus_measured_off;
  });
}

void RackStop::EndLeases(const CallContext& context, const std::string& why, Status* first, Now now) {
  for (const auto& slot : parts_.config.slots) {
    care_.Drop(slot.number);
    if (parts_.book.at(slot.number).phase != Phase::kLeased) continue;
    Status ended = grants_.End(slot.number, context, "stop_rack", why, now);
    if (first->ok() && !ended.ok()) *first = std::move(ended);
  }
}

void RackStop::Stop(const CallContext& context, const std::string& reason, Answer<RackOutcome> answer, Now now) {
  const Status right =
      CheckRight(access::Call::kStopRack, context.caller, Ownership::kOther, reason, parts_.config.rack);
  if (!right.ok()) return answer(right, now);
  for (const auto& board : parts_.boards) {
    if (board->StopAll(nullptr, now).ok()) context.Sent(*board);
  }
  ++stops_;
  const std::string why = fmt::format("rack stopped by {}: {}", context.caller.user, reason);
  const AuditLine line = Line(context, "stop_rack", why, now);
  Status stored = parts_.book.SetStop(StopRecord{now.utc, context.caller.user, reason}, line);
  unstored_.reset();
  if (!stored.ok()) unstored_ = line;
  store_again_ = now.boot + kStoreStopAgain;
  EndLeases(context, why, &stored, now);
  for (const auto& board : parts_.boards) parts_.events.OnBoard(board->index(), "rack.stopped", why, now);
  waiting_.push_back({now,
                      [this, now] { return AllStopped(now); },
                      [this, stored, answer = std::move(answer)](Now at) {
                        if (stored.ok()) return answer(Measure(at), at);
                        const RackOutcome seen = Measure(at);
                        answer(Status{stored.code(),
                                      fmt::format("{}: {} slots measured off, {} not; the stop is not stored: {}; "
                                                  "stop it again",
                                                  parts_.config.rack,
                                                  seen.slots_off,
                                                  seen.slots_on,
                                                  stored.message())},
                               at);
                      }});
}

Status RackStop::MayResume() const {
  for (const auto& board : parts_.boards) {
    FARADAY_TRY(board->CheckReady());
    if (Faults(*board, link::kFaultStopButton)) {
      return {
          Code::kFailedPrecondition,
          fmt::format("{}: resume: the stop button of board {} is pressed; pull it out, then: faraday rack resume {}",
                      parts_.config.rack,
                      board->index(),
                      parts_.config.rack)};
    }
  }
  for (const auto& input : parts_.config.inputs) {
    if (input.action != rackconfig::InputAction::kStop) continue;
    const Board& board = *parts_.boards.at(static_cast<size_t>(input.board));
    if (((board.telemetry().inputs >> input.pin) & 1U) == 0) continue;
    return {Code::kFailedPrecondition,
            fmt::format("{}: resume: {} is active and stops the rack; mend the cause, then: faraday rack resume {}",
                        parts_.config.rack,
                        InputName(parts_.config, input.board, input.pin),
                        parts_.config.rack)};
  }
  return OkStatus();
}

void RackStop::Resume(const CallContext& context, const std::string& reason, Answer<RackOutcome> answer, Now now) {
  const Status right =
      CheckRight(access::Call::kResumeRack, context.caller, Ownership::kOther, reason, parts_.config.rack);
  if (!right.ok()) return answer(right, now);
  if (const Status may = MayResume(); !may.ok()) return answer(may, now);
  struct Progress {
    size_t left;
    Status first;
  };
  const auto progress = std::make_shared<Progress>(Progress{parts_.boards.size(), OkStatus()});
  const auto one = [this, context, reason, answer, progress, stops = stops_](const Status& status, Now at) {
    if (progress->first.ok() && !status.ok()) progress->first = status;
    if (progress->first.ok() && stops != stops_) {
      progress->first = {Code::kAborted,
                         fmt::format("{}: resume: the rack was stopped again meanwhile; see faraday status {}",
                                     parts_.config.rack,
                                     parts_.config.rack)};
    }
    if (--progress->left > 0) return;
    if (progress->first.ok()) return Resumed(context, reason, answer, at);
    StopAgain(at);
    answer(progress->first, at);
  };
  for (const auto& board : parts_.boards) {
    const Status sent = board->Send(
        link::ClearTrip{0},
        fmt::format("board {}: resume", board->index()),
        [one](const Outcome& outcome, Now at) { one(outcome.status, at); },
        now);
    if (sent.ok()) {
      context.Sent(*board);
    } else {
      one(sent, now);
    }
  }
}

void RackStop::Resumed(const CallContext& context,
                       const std::string& reason,
                       const Answer<RackOutcome>& answer,
                       Now now) {
  const std::string why = fmt::format("rack resumed by {}: {}", context.caller.user, reason);
  if (const Status stored = parts_.book.SetStop(std::nullopt, Line(context, "resume_rack", why, now)); !stored.ok()) {
    StopAgain(now);
    return answer(Status{stored.code(), fmt::format("{}: not resumed: {}", parts_.config.rack, stored.message())}, now);
  }
  unstored_.reset();
  for (const auto& slot : parts_.config.slots) {
    const Tenure& tenure = parts_.book.at(slot.number);
    if (IsUsers(tenure) || tenure.health != Health::kGood) continue;
    (void)parts_.BoardOf(slot.number).Give(grants_.LeaseFor(slot.number, true, now), nullptr, now);
  }
  for (const auto& board : parts_.boards) parts_.events.OnBoard(board->index(), "rack.resumed", why, now);
  const auto resumed = [this, now] {
    return std::ranges::all_of(parts_.boards,
                               [&](const auto& board) { return !Faults(*board, link::kFaultStopped); }) &&
           std::ranges::all_of(parts_.config.slots,
                               [&](const auto& slot) { return IsNew(parts_.MeasuredOf(slot.number), now); });
  };
  waiting_.push_back({now, resumed, [this, resumed, answer](Now at) {
                        if (resumed()) return answer(Measure(at), at);
                        answer(Status{Code::kFailedPrecondition,
                                      fmt::format("{}: resume: a board still says that it is stopped; see faraday "
                                                  "status {}",
                                                  parts_.config.rack,
                                                  parts_.config.rack)},
                               at);
                      }});
}

void RackStop::OnBoardReady(int board, Now now) {
  if (parts_.book.stop()) (void)parts_.boards.at(static_cast<size_t>(board))->StopAll(nullptr, now);
}

// A resume that did not end whole ends nowhere.
void RackStop::StopAgain(Now now) {
  for (const auto& board : parts_.boards) (void)board->StopAll(nullptr, now);
}

void RackStop::StoreAgain(Now now) {
  if (!unstored_ || now.boot < store_again_) return;
  store_again_ = now.boot + kStoreStopAgain;
  if (parts_.book.SetStop(parts_.book.stop(), *unstored_).ok()) unstored_.reset();
}

void RackStop::OnTime(Now now) {
  StoreAgain(now);
  std::vector<Waiting> ended;
  for (size_t i = 0; i < waiting_.size();) {
    if (!waiting_[i].enough() && now.boot - waiting_[i].begun.boot < kStopMeasured) {
      ++i;
      continue;
    }
    ended.push_back(std::move(waiting_[i]));
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  for (Waiting& waiting : ended) waiting.finish(now);
}

}  // namespace faraday::controller
