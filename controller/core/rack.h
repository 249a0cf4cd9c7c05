// The rack: the one place that knows every part of the controller's core. It hands line events, calls and the passing
// of time to the parts; each decision is in the part that owns it. One thread, time as an argument.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "controller/core/agent_calls.h"
#include "controller/core/board_log.h"
#include "controller/core/care.h"
#include "controller/core/conditions.h"
#include "controller/core/grants.h"
#include "controller/core/quarantine.h"
#include "controller/core/rack_parts.h"
#include "controller/core/rack_stop.h"
#include "controller/core/relay_wear.h"
#include "controller/core/silence.h"
#include "controller/core/slot_view.h"
#include "controller/core/switching.h"

namespace faraday::controller {

inline constexpr Milliseconds kTick{100};  // how often OnTime wants to be called; a telemetry period

class Rack {
 public:
  // All must outlive the rack. REQUIRES: book.Load was OK. `first_command_id`: see Board.
  Rack(const rackconfig::RackConfig& config, LeaseBook& book, EventSink& events, uint32_t first_command_id);

  // The board's line reports to board(index) and is used from SetLine on.
  Board& board(int index) { return *parts_.boards.at(static_cast<size_t>(index)); }
  int boards() const { return static_cast<int>(parts_.boards.size()); }
  void OnTime(Now now);

  const RackParts& parts() const { return parts_; }
  Grants& grants() { return grants_; }
  Switching& switching() { return switching_; }
  AgentCalls& agent_calls() { return agent_calls_; }
  const AgentCalls& agent_calls() const { return agent_calls_; }
  const SlotViews& views() const { return views_; }
  RackStop& rack_stop() { return rack_stop_; }
  RelayWear& relay_wear() { return wear_; }
  // Role tech or admin. Errors: kPermissionDenied, and as BoardLogs::Read.
  void ReadBoardLog(
      const CallContext& context, int board, uint32_t before, uint32_t limit, Answer<LogView> answer, Now now);
  // One round trip on the board's line.
  void Ping(int board, Answer<bool> answer, Now now);

 private:
  Board::Hooks HooksOf(int board);
  Status OnHello(int board, const link::HelloReply& hello, bool new_session, Now now);
  Status TakeFirmwareEpoch(int slot, uint32_t epoch, Now now);
  void AdoptRemaining(int slot, uint32_t epoch, Milliseconds left, Now now);
  link::SetLease LeaseFor(int slot, bool new_session, Now now);
  void OnReady(int board, bool new_session, Now now);
  void OnDown(int board, Now now);
  void OnTelemetry(int board, Now now);
  void OnEvent(int board, const link::Event& event, Now now);
  void OnLeaseEnded(int slot, uint32_t epoch, Now now);

  RackParts parts_;
  Care care_;
  Conditions conditions_;
  RelayWear wear_;
  SlotViews views_;
  Grants grants_;
  Silence silence_;
  Switching switching_;
  Quarantine quarantine_;
  RackStop rack_stop_;
  BoardLogs logs_;
  AgentCalls agent_calls_;
  std::vector<uint32_t> seen_state_;           // by slot: the state word as last published
  std::vector<std::string> seen_down_reason_;  // by board
};

}  // namespace faraday::controller
