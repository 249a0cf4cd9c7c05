#include "controller/core/board.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "controller/core/configure.h"
#include "controller/core/names.h"
#include "controller/core/words.h"
#include "model/slot_id.h"

namespace faraday::controller {
namespace {

size_t At(int board_slot) { return static_cast<size_t>(board_slot) - 1; }

// The slot a command names, 0 for none.
int SlotOf(const decltype(link::Command::call)& call) {
  return std::visit(
      [](const auto& message) -> int {
        if constexpr (requires { message.slot; }) {
          return static_cast<int>(message.slot);
        } else {
          return 0;
        }
      },
      call);
}

Outcome Unknown(const std::string& what, const std::string& why) {
  return {{Code::kUnknown, fmt::format("{}: outcome unknown: {}", what, why)}, true, {}};
}

}  // namespace

Board::Board(const rackconfig::RackConfig& config, int index, uint32_t first_command_id)
    : config_(config), index_(index), next_id_(first_command_id) {}

std::string Board::SlotName(int board_slot) const {
  for (const auto& slot : config_.slots) {
    if (slot.board == index_ && slot.board_slot == board_slot)
      return model::ToString(model::SlotId{config_.rack, slot.number});
  }
  return fmt::format("board {} slot {}", index_, board_slot);
}

Status Board::CheckReady() const {
  if (ready()) return OkStatus();
  if (state_ == State::kConfiguring) {
    return {Code::kUnavailable, fmt::format("board {} is being configured; try again", index_)};
  }
  return {Code::kUnavailable, fmt::format("no line to board {}: {}", index_, reason_)};
}

bool Board::Busy(int board_slot) const {
  return std::any_of(
      pending_.begin(), pending_.end(), [&](const auto& item) { return item.second.board_slot == board_slot; });
}

bool Board::Has(int board_slot, uint32_t capability) const {
  const size_t at = At(board_slot);
  return at < hello_.capabilities.size() && (hello_.capabilities[at] & capability) != 0;
}

// ---- handshake ----------------------------------------------------------------------------------------------------

void Board::OnUp(const link::HelloReply& hello, Now now) {
  hello_ = hello;
  new_session_ = hello.session != last_session_;
  if (new_session_) telemetry_ = {};
  clock_uptime_ms_ = hello.uptime_ms;
  clock_at_ = now;
  for (size_t i = 0; i < epochs_.size(); ++i) epochs_[i] = i < hello.epochs.size() ? hello.epochs[i] : 0;
  told_.fill(0);
  Handshake(now);
}

void Board::Handshake(Now now) {
  ++generation_;
  state_ = State::kConfiguring;
  reason_ = "the board is being configured";
  const std::string& kind = config_.boards.at(static_cast<size_t>(index_)).kind;
  if (!kind.empty() && kind != hello_.board.view()) {
    return Refuse(fmt::format("a board of kind {} answers, the config wants {}; check the cable or the config",
                              hello_.board.view(),
                              kind),
                  now);
  }
  for (const auto& slot : config_.slots) {
    if (slot.board != index_ || slot.board_slot <= static_cast<int>(hello_.slots)) continue;
    return Refuse(fmt::format("the config has slot {} at place {}, the board has {} places",
                              SlotName(slot.board_slot),
                              slot.board_slot,
                              hello_.slots),
                  now);
  }
  if (const Status status = hooks_.on_hello(hello_, new_session_, now); !status.ok())
    return Refuse(status.message(), now);

  config_waits_.clear();
  configuring_again_ = false;
  const link::Configure configure = MakeConfigure(config_, index_, hello_.slots);
  configure_crc_ = line_->ConfigureCrc(configure);
  if (hello_.config_crc == configure_crc_) return PushLeases(now);
  SendConfigure(configure, kConfigureTries, now);
}

void Board::SendConfigure(const link::Configure& configure, int tries, Now now) {
  configure_crc_ = line_->ConfigureCrc(configure);
  const uint32_t generation = generation_;
  const Status sent = Transmit(
      configure,
      fmt::format("board {}: configure", index_),
      [this, generation, configure, tries](const Outcome& outcome, Now at) {
        if (generation == generation_) AfterConfigure(configure, tries, outcome, at);
      },
      now);
  if (sent.ok()) return;
  if (!std::exchange(configuring_again_, false)) return Refuse(sent.message(), now);
  config_waits_ = "it could not be sent: " + sent.message();
}

void Board::Refuse(std::string reason, Now now) {
  if (state_ == State::kNoLine) return;
  state_ = State::kRefused;
  reason_ = std::move(reason);
  retry_at_ = now.boot + kRefusedRetry;
  hooks_.on_down(now);
}

// A value that would get looser for a slot that is on stays as it is in force, and everything else is taken; the whole
// config is sent again when that slot is off. What cannot be kept that way leaves the board on the config it has.
void Board::AfterConfigure(const link::Configure& sent, int tries, const Outcome& outcome, Now now) {
  if (outcome.unknown) return;  // OnDown has told why
  if (outcome.status.ok() && outcome.reply.value == configure_crc_) return Configured(now);
  if (outcome.status.ok()) {
    return Refuse(fmt::format("the board took another configuration (CRC {:08x}) than was sent ({:08x})",
                              outcome.reply.value,
                              configure_crc_),
                  now);
  }
  const int board_slot = static_cast<int>(outcome.reply.value);
  if (outcome.reply.verdict == link::Verdict::kLooserWhileOn) {
    link::Configure kept = sent;
    const std::string slot = board_slot == 0 ? "a slot" : SlotName(board_slot);
    config_waits_for_ = board_slot;
    if (tries > 0 && KeepInForce(outcome.reply, slot, &kept, &config_waits_)) {
      return SendConfigure(kept, tries - 1, now);
    }
    config_waits_ = fmt::format("the board keeps the config it has while {} is on", slot);
    return Configured(now);
  }
  configuring_again_ = false;
  Refuse(outcome.status.message() + (board_slot == 0 ? "" : "; see " + SlotName(board_slot)), now);
}

void Board::Configured(Now now) {
  if (std::exchange(configuring_again_, false)) return;
  PushLeases(now);
}

void Board::ConfigureAgain(Now now) {
  if (config_waits_.empty() || !ready() || configuring_again_) return;
  if (config_waits_for_ >= 1 && config_waits_for_ <= static_cast<int>(link::kMaxSlots) &&
      !measured(config_waits_for_).bits.vbus_measured_off) {
    return;
  }
  if (now.boot < retry_at_) return;
  retry_at_ = now.boot + kRefusedRetry;
  config_waits_.clear();
  configuring_again_ = true;
  SendConfigure(MakeConfigure(config_, index_, hello_.slots), kConfigureTries, now);
}

void Board::PushLeases(Now now) {
  const uint32_t generation = generation_;
  leases_left_ = 1;  // held until every one is sent
  for (const auto& slot : config_.slots) {
    if (slot.board != index_) continue;
    ++leases_left_;
    const link::SetLease lease = hooks_.lease_for(slot.board_slot, new_session_, now);
    const Status sent = Give(
        lease,
        [this, generation](const Outcome&, Now at) {
          if (generation == generation_) OneLeasePushed(at);
        },
        now);
    if (!sent.ok()) return Refuse(sent.message(), now);
  }
  OneLeasePushed(now);
}

void Board::OneLeasePushed(Now now) {
  if (--leases_left_ > 0 || state_ != State::kConfiguring) return;
  state_ = State::kReady;
  reason_.clear();
  // Not before: a handshake that was cut has told the slots nothing.
  last_session_ = hello_.session;
  hooks_.on_ready(new_session_, now);
}

// ---- commands -----------------------------------------------------------------------------------------------------

Status Board::Send(decltype(link::Command::call) call, std::string what, Done done, Now now) {
  if (const Status status = CheckReady(); !status.ok()) return {status.code(), what + ": " + status.message()};
  return Transmit(std::move(call), std::move(what), std::move(done), now);
}

Status Board::StopAll(Done done, Now now) {
  if (line_ != nullptr) line_->SendStop();
  return Transmit(link::StopSlot{0}, fmt::format("board {}: stop", index_), std::move(done), now);
}

Status Board::Give(const link::SetLease& lease, Done done, Now now) {
  const int board_slot = static_cast<int>(lease.slot);
  told_[At(board_slot)] = lease.epoch;
  auto remember = [this, lease, board_slot, then = std::move(done)](const Outcome& outcome, Now at) {
    auto& told = told_[At(board_slot)];
    if (!outcome.status.ok() && told == lease.epoch) told = 0;
    if (outcome.status.ok()) epochs_[At(board_slot)] = std::max(epochs_[At(board_slot)], lease.epoch);
    if (then) then(outcome, at);
  };
  Status sent = Transmit(lease, SlotName(board_slot) + ": lease", std::move(remember), now);
  if (!sent.ok()) told_[At(board_slot)] = 0;
  return sent;
}

Status Board::Transmit(decltype(link::Command::call) call, std::string what, Done done, Now now) {
  if (next_id_ == 0) ++next_id_;
  link::Command command{next_id_++, std::move(call)};
  Pending pending;
  pending.board_slot = SlotOf(command.call);
  pending.what = what;
  pending.done = std::move(done);
  pending_[command.id] = std::move(pending);
  Status sent = line_ == nullptr ? Status(Code::kUnavailable, "no line") : line_->Send(command, now);
  if (sent.ok()) {
    last_id_ = command.id;
    return sent;
  }
  pending_.erase(command.id);
  return {sent.code(), what + ": " + sent.message()};
}

std::string Board::last_command() const {
  return fmt::format("board {} session {:04x} command {}", index_, hello_.session, last_id_);
}

void Board::Finish(std::map<uint32_t, Pending>::iterator it, Outcome outcome, Now now) {
  Done done = std::move(it->second.done);
  pending_.erase(it);
  if (done) done(outcome, now);
}

void Board::OnReply(const link::Reply& reply, Now now) {
  const auto it = pending_.find(reply.command_id);
  if (it == pending_.end()) return;
  Pending& pending = it->second;
  if (pending.board_slot >= 1 && pending.board_slot <= static_cast<int>(link::kMaxSlots)) {
    auto& epoch = epochs_[At(pending.board_slot)];
    epoch = std::max(epoch, reply.epoch);
  }
  if (reply.verdict == link::Verdict::kAccepted) {
    pending.reply = reply;
    pending.overdue = now.boot + Milliseconds(reply.wait_ms) + kDoneGrace;
    return;
  }
  Status status = VerdictStatus(pending.what, reply, BlockedBy(reply));
  if (reply.verdict == link::Verdict::kTripped) status = TrippedStatus(status, pending.board_slot);
  Finish(it, {std::move(status), false, reply}, now);
}

// Adds what tripped the slot, and the way out.
Status Board::TrippedStatus(const Status& status, int board_slot) const {
  if (board_slot < 1 || board_slot > static_cast<int>(link::kMaxSlots)) return status;
  const Measured& measured = measured_[At(board_slot)];
  if (!measured.bits.tripped && (telemetry().faults & link::kFaultStopped) != 0) {
    return {status.code(),
            fmt::format("{}: the rack is stopped; mend the cause, then: faraday rack resume {}",
                        SlotName(board_slot),
                        config_.rack)};
  }
  const std::string trip = measured.trip.empty() ? "see faraday status " + config_.rack : measured.trip;
  return {status.code(),
          fmt::format("{}: {}; {}", status.message(), trip, TripNext(measured.tripped.reason, SlotName(board_slot)))};
}

std::string Board::BlockedBy(const link::Reply& reply) const {
  if (reply.verdict != link::Verdict::kBlocked) return {};
  const auto cause = static_cast<link::BlockCause>(reply.value);
  const int index = static_cast<int>(reply.limit & 0xffU);
  std::string which;
  if (cause == link::BlockCause::kInput) which = InputName(config_, index_, index);
  if (cause == link::BlockCause::kRail) which = RailName(config_, index_, index);
  if (cause == link::BlockCause::kHotShelf) which = fmt::format("shelf {}", index);
  if (cause == link::BlockCause::kBusLost) which = fmt::format("bus {}", index);
  return BlockedText(cause, which, config_.rack);
}

void Board::OnDone(const link::CommandDone& done, bool late, Now now) {
  if (!late && done.slot >= 1 && done.slot <= link::kMaxSlots) {
    Measured& measured = measured_[done.slot - 1];
    measured.ever = true;
    measured.at = now.boot;
    measured.vbus_mv = done.vbus_mv;
    measured.vbus_ma = done.vbus_ma;
    measured.bits = link::Unpack(done.state);
  }
  const auto it = pending_.find(done.command_id);
  if (it == pending_.end()) return;
  Finish(it, {DoneStatus(it->second.what, done), false, it->second.reply.value_or(link::Reply{})}, now);
}

void Board::OnTripped(const link::Event& event, bool late, Now now) {
  const auto& tripped = std::get<link::Tripped>(event.kind);
  if (tripped.slot < 1 || tripped.slot > link::kMaxSlots) return;
  Measured& measured = measured_[tripped.slot - 1];
  if (late && !measured.bits.tripped) return;
  measured.trip = TripText(tripped.reason, tripped.value, tripped.limit);
  measured.tripped = tripped;
  measured.tripped_at = UtcOf(event.uptime_ms, now);
  measured.bits.tripped = true;
}

UtcTime Board::UtcOf(uint32_t uptime_ms, Now now) const {
  // Signed: the board's clock wraps in 49 days.
  const Milliseconds since(static_cast<int32_t>(uptime_ms - clock_uptime_ms_));
  return UtcTime{std::min(clock_at_.utc.since_epoch + since, now.utc.since_epoch)};
}

void Board::OnEvent(const link::Event& event, Now now) {
  // Delivered again after newer telemetry: what it measured is history. Signed: the board's clock wraps in 49 days.
  const bool late = static_cast<int32_t>(event.uptime_ms - telemetry_.uptime_ms) < 0;
  if (const auto* done = std::get_if<link::CommandDone>(&event.kind)) return OnDone(*done, late, now);
  if (std::holds_alternative<link::Tripped>(event.kind)) OnTripped(event, late, now);
  hooks_.on_event(event, now);
}

void Board::OnTelemetry(const link::Telemetry& telemetry, Now now) {
  telemetry_ = telemetry;
  clock_uptime_ms_ = telemetry.uptime_ms;
  clock_at_ = now;
  for (size_t i = 0; i < telemetry.state.size(); ++i) {
    Measured& measured = measured_[i];
    measured.ever = true;
    measured.at = now.boot;
    measured.vbus_mv = i < telemetry.vbus_mv.size() ? telemetry.vbus_mv[i] : 0;
    measured.vbus_ma = i < telemetry.vbus_ma.size() ? telemetry.vbus_ma[i] : 0;
    measured.tray_deci_c = i < telemetry.tray_deci_c.size() ? telemetry.tray_deci_c[i] : 0;
    measured.bits = link::Unpack(telemetry.state[i]);
    measured.marks = link::UnpackMarks(i < telemetry.marks.size() ? telemetry.marks[i] : 0);
    if (!measured.bits.tripped) {
      measured.trip.clear();
      measured.tripped = {};
      measured.tripped_at = {};
    } else if (measured.trip.empty()) {
      measured.tripped.reason = static_cast<link::TripReason>(measured.bits.trip_reason);
      measured.trip = TripText(measured.tripped.reason, 0, 0);
    }
  }
  ConfigureAgain(now);
  hooks_.on_telemetry(now);
}

void Board::OnLogPage(const link::LogPage& page, Now now) {
  if (hooks_.on_log_page) hooks_.on_log_page(page, now);
}

void Board::OnDown(const std::string& reason, Now now) {
  ++generation_;
  state_ = State::kNoLine;
  reason_ = reason;
  told_.fill(0);
  std::map<uint32_t, Pending> lost;
  lost.swap(pending_);
  for (auto& [id, pending] : lost) {
    if (pending.done) pending.done(Unknown(pending.what, reason), now);
  }
  hooks_.on_down(now);
}

void Board::OnTime(Now now) {
  std::vector<uint32_t> overdue;
  for (const auto& [id, pending] : pending_) {
    if (pending.overdue && now.boot >= *pending.overdue) overdue.push_back(id);
  }
  for (const uint32_t id : overdue) {
    const auto it = pending_.find(id);
    if (it == pending_.end()) continue;
    Finish(it, Unknown(it->second.what, "the board did not say how it ended"), now);
  }
  if (state_ == State::kRefused && now.boot >= retry_at_) Handshake(now);
}

}  // namespace faraday::controller
