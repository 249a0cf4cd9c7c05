#include "controller/core/rack.h"

#include <fmt/core.h>

#include <algorithm>

#include "controller/core/names.h"
#include "controller/core/rights.h"
#include "controller/core/words.h"

namespace faraday::controller {
namespace {

// Bits whose change is news to people; freshness and pending come and go by themselves.
uint32_t NewsOf(const link::SlotBits& bits) {
  link::SlotBits news = bits;
  news.monitor_fresh = news.temperature_fresh = news.pending = false;
  return link::Pack(news);
}

AuditLine CareLine(const char* call, int slot, const std::string& text, Now now) {
  return {now.utc, kCareHolder, "controller", call, slot, text};
}

}  // namespace

Rack::Rack(const rackconfig::RackConfig& config, LeaseBook& book, EventSink& events, uint32_t first_command_id)
    : parts_{config, book, events, {}, {}},
      care_(parts_),
      conditions_(parts_),
      wear_(parts_),
      views_(parts_, care_, conditions_, wear_),
      grants_(parts_, care_, views_),
      silence_(parts_, grants_),
      switching_(parts_, care_, grants_, views_, conditions_, silence_),
      quarantine_(parts_, conditions_),
      rack_stop_(parts_, care_, grants_),
      logs_(parts_),
      agent_calls_(parts_, care_),
      seen_state_(config.slots.size(), 0),
      seen_down_reason_(config.boards.size()) {
  for (int i = 0; i < static_cast<int>(config.boards.size()); ++i) {
    parts_.boards.push_back(std::make_unique<Board>(config, i, first_command_id));
    parts_.boards.back()->SetHooks(HooksOf(i));
  }
}

Board::Hooks Rack::HooksOf(int board) {
  Board::Hooks hooks;
  hooks.on_hello = [this, board](const link::HelloReply& hello, bool fresh, Now now) {
    return OnHello(board, hello, fresh, now);
  };
  hooks.lease_for = [this, board](int place, bool fresh, Now now) {
    return LeaseFor(parts_.SlotAt(board, place), fresh, now);
  };
  hooks.on_ready = [this, board](bool fresh, Now now) { OnReady(board, fresh, now); };
  hooks.on_down = [this, board](Now now) { OnDown(board, now); };
  hooks.on_telemetry = [this, board](Now now) { OnTelemetry(board, now); };
  hooks.on_log_page = [this, board](const link::LogPage& page, Now now) { logs_.OnPage(board, page, now); };
  hooks.on_event = [this, board](const link::Event& event, Now now) { OnEvent(board, event, now); };
  return hooks;
}

// ---- handshake ----------------------------------------------------------------------------------------------------

Status Rack::OnHello(int board, const link::HelloReply& hello, bool, Now now) {
  rack_stop_.OnBoardReady(board, now);  // a board that has reset may have lost the stop: before config and leases
  grants_.ExpireDue(now);
  for (const auto& slot : parts_.config.slots) {
    if (slot.board != board) continue;
    const auto index = static_cast<size_t>(slot.board_slot) - 1;
    const uint32_t epoch = index < hello.epochs.size() ? hello.epochs[index] : 0;
    const uint32_t left = index < hello.lease_left_ms.size() ? hello.lease_left_ms[index] : 0;
    AdoptRemaining(slot.number, epoch, Milliseconds(left), now);
    FARADAY_TRY(TakeFirmwareEpoch(slot.number, epoch, now));
  }
  return OkStatus();
}

// After a reboot of this machine the stored end hangs on a wall clock; an MCU that kept counting knows better. Within
// one boot our own clock is exact, and a renewal that was promised may not have reached the MCU.
void Rack::AdoptRemaining(int slot, uint32_t epoch, Milliseconds left, Now now) {
  const Tenure& tenure = parts_.book.at(slot);
  if (tenure.phase != Phase::kLeased || tenure.epoch != epoch || left <= kFirmwareBackstop) return;
  if (parts_.book.EndIsFromUtc(slot)) parts_.book.OverrideEnd(slot, left - kFirmwareBackstop, now);
}

// The larger epoch wins, whatever else the board has lost: a cell it cannot read says 0.
Status Rack::TakeFirmwareEpoch(int slot, uint32_t epoch, Now now) {
  const Tenure& tenure = parts_.book.at(slot);
  if (epoch <= tenure.epoch) return OkStatus();
  if (JumpsTooFar(epoch, tenure.epoch)) {
    const std::string why =
        fmt::format("epoch lost: stored {}, the board has {}; tech confirms it with clear", tenure.epoch, epoch);
    parts_.events.OnSlot(slot, "slot.maintenance", why, "", now);
    FARADAY_TRY(parts_.book.SetHealth(slot, Health::kMaintenance, why, CareLine("epoch_lost", slot, why, now), now));
  }
  if (tenure.phase == Phase::kGranting) return parts_.book.VoidGrant(slot, epoch, now);
  if (tenure.phase == Phase::kLeased) {
    return grants_.End(
        slot, {}, "void", fmt::format("void: the board has epoch {}, the store had {}", epoch, tenure.epoch), now);
  }
  return parts_.book.RaiseCareEpoch(slot, EpochAfter(epoch), now);
}

link::SetLease Rack::LeaseFor(int slot, bool new_session, Now now) {
  const Tenure& tenure = parts_.book.at(slot);
  const Board& board = parts_.BoardOf(slot);
  const bool already = !new_session && board.firmware_epoch(parts_.SlotOf(slot).board_slot) == tenure.epoch;
  // A line that was cut and came back switches nothing: the slot is where care left it, unless discovery was cut off.
  return grants_.LeaseFor(slot, !already || care_.WasCut(slot), now);
}

void Rack::OnReady(int board, bool new_session, Now now) {
  seen_down_reason_[static_cast<size_t>(board)].clear();
  rack_stop_.OnBoardReady(board, now);
  care_.BoardReady(board, new_session);
  silence_.OnBoardReady(board);
  wear_.OnBoardReady(board);
  for (const auto& slot : parts_.config.slots) {
    if (slot.board != board || parts_.book.at(slot.number).health != Health::kMaintenance) continue;
    // A stop that the line may have lost; stopping a stopped slot changes nothing.
    (void)parts_.BoardOf(slot.number)
        .Send(link::StopSlot{parts_.BoardSlotOf(slot.number)}, parts_.NameOf(slot.number) + ": stop", nullptr, now);
  }
  const link::HelloReply& hello = this->board(board).hello();
  parts_.events.OnBoard(board,
                        "board.online",
                        fmt::format("board {} online: {} firmware {}, term {}, last boot: {}",
                                    board,
                                    hello.board.view(),
                                    hello.firmware_version.view(),
                                    hello.term,
                                    BootReasonText(hello.boot_reason)),
                        now);
  parts_.events.OnSyncChange();
}

void Rack::OnDown(int board, Now now) {
  care_.BoardDown(board);
  const std::string& reason = this->board(board).reason();
  std::string& seen = seen_down_reason_[static_cast<size_t>(board)];
  if (reason == seen) return;
  seen = reason;
  parts_.events.OnBoard(board, "board.offline", fmt::format("no line to board {}: {}", board, reason), now);
  parts_.events.OnSyncChange();
}

// ---- what the board says ------------------------------------------------------------------------------------------

void Rack::OnTelemetry(int board, Now now) {
  conditions_.OnTelemetry(board, now);
  quarantine_.OnTelemetry(board, now);
  silence_.OnTelemetry(board, now);
  for (const auto& slot : parts_.config.slots) {
    if (slot.board != board) continue;
    const Measured& measured = parts_.MeasuredOf(slot.number);
    const uint32_t news = NewsOf(measured.bits);
    uint32_t& seen = seen_state_[static_cast<size_t>(slot.number) - 1];
    if (news == seen) continue;
    seen = news;
    parts_.events.OnSlot(
        slot.number, "slot.measured", MeasuredText(measured.vbus_mv, measured.vbus_ma, measured.bits), "", now);
    parts_.events.OnSyncChange();
  }
  switching_.OnMeasured(board, now);
}

void Rack::OnEvent(int board, const link::Event& event, Now now) {
  silence_.OnEvent(board, event, now);
  conditions_.OnEvent(board, event, now);
  if (const auto* tripped = std::get_if<link::Tripped>(&event.kind)) {
    const int slot = parts_.SlotAt(board, static_cast<int>(tripped->slot));
    if (slot != 0) care_.Drop(slot);
  } else if (const auto* ended = std::get_if<link::LeaseEnded>(&event.kind)) {
    OnLeaseEnded(parts_.SlotAt(board, static_cast<int>(ended->slot)), ended->epoch, now);
  } else if (const auto* input = std::get_if<link::InputChanged>(&event.kind)) {
    parts_.events.OnBoard(board,
                          "board.input",
                          fmt::format("{} {}",
                                      InputName(parts_.config, board, static_cast<int>(input->input)),
                                      input->active ? "active" : "inactive"),
                          now);
  } else if (const auto* silent = std::get_if<link::HostSilent>(&event.kind)) {
    parts_.events.OnBoard(
        board, "board.host_silent", fmt::format("the board heard nothing for {} ms", silent->silent_ms), now);
  }
}

// The backstop of the firmware fired. Only time ends a lease (design 4.2), and our clock is the one that was promised:
// a renewal may not have reached the board, so it is told again.
void Rack::OnLeaseEnded(int slot, uint32_t epoch, Now now) {
  if (slot == 0) return;
  const Tenure& tenure = parts_.book.at(slot);
  if (tenure.epoch != epoch || tenure.phase != Phase::kLeased) return;
  if (grants_.IsOver(slot, now)) return grants_.ExpireDue(now);
  parts_.events.OnSlot(slot,
                       "lease.backstop",
                       "no renewal reached the board in time: it went to the safe state; the lease "
                       "goes on, switch on again what is needed",
                       "",
                       now);
  Board& board = parts_.BoardOf(slot);
  if (board.ready()) (void)board.Give(grants_.LeaseFor(slot, false, now), nullptr, now);
}

// ---- time and calls -----------------------------------------------------------------------------------------------

void Rack::OnTime(Now now) {
  for (auto& board : parts_.boards) board->OnTime(now);
  grants_.ExpireDue(now);
  for (const auto& slot : parts_.config.slots) grants_.Reconcile(slot.number, now);
  care_.OnTime(now);
  switching_.OnTime(now);
  silence_.OnTime(now);
  rack_stop_.OnTime(now);
  wear_.OnTime(now);
  logs_.OnTime(now);
}

void Rack::ReadBoardLog(
    const CallContext& context, int board, uint32_t before, uint32_t limit, Answer<LogView> answer, Now now) {
  const Status right = CheckRight(access::Call::kReadBoardLog, context.caller, Ownership::kOther, "", "");
  if (!right.ok()) return answer(right, now);
  logs_.Read(board, before, limit, std::move(answer), now);
}

void Rack::Ping(int index, Answer<bool> answer, Now now) {
  if (index < 0 || index >= boards()) {
    return answer(Status{Code::kNotFound, fmt::format("no board {}; this rack has 0 to {}", index, boards() - 1)}, now);
  }
  const Status sent = board(index).Send(
      link::Ping{1},
      fmt::format("board {}: ping", index),
      [answer](const Outcome& outcome, Now at) {
        if (outcome.status.ok()) return answer(true, at);
        answer(outcome.status, at);
      },
      now);
  if (!sent.ok()) answer(sent, now);
}

}  // namespace faraday::controller
