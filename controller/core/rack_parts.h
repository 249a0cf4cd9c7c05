// What the parts of one rack's core share: the config, the book, the boards, the agents' words, and look-ups over them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "controller/core/agents.h"
#include "controller/core/board.h"
#include "controller/core/event_sink.h"
#include "controller/core/lease_book.h"
#include "rackconfig/rack_config.h"

namespace faraday::controller {

// Everything a call carries beside its own fields.
struct CallContext {
  Caller caller;
  std::string trace;  // goes into the events it causes
  OnceKey once;
  // The commands that boards were given for it, "board 0 session 71af command 1042"; may be null.
  std::shared_ptr<std::vector<std::string>> commands = nullptr;

  // `board` was just given one.
  void Sent(const Board& board) const {
    if (commands) commands->push_back(board.last_command());
  }
};

template <typename T>
using Answer = std::function<void(Result<T>, Now)>;

struct RackParts {
  const rackconfig::RackConfig& config;
  LeaseBook& book;
  EventSink& events;
  std::vector<std::unique_ptr<Board>> boards;
  Agents agents;

  // "r01/07". REQUIRES for all of these: the slot is in the config.
  std::string NameOf(int slot) const;
  const rackconfig::SlotConfig& SlotOf(int slot) const { return config.slots.at(static_cast<size_t>(slot) - 1); }
  Board& BoardOf(int slot) const { return *boards.at(static_cast<size_t>(SlotOf(slot).board)); }
  const Measured& MeasuredOf(int slot) const { return BoardOf(slot).measured(SlotOf(slot).board_slot); }
  uint32_t BoardSlotOf(int slot) const { return static_cast<uint32_t>(SlotOf(slot).board_slot); }
  // The largest epoch that firmware or agents are known to have.
  uint32_t Witness(int slot) const;
  // "leased by ana until 14:20 (lease r01-07-42)"
  std::string HeldTextOf(int slot, Now now) const;
  // The agent of a host; the host's own name by default. Empty for an unknown host.
  std::string AgentOfHost(const std::string& host) const;
  // The agent of the slot's first host, empty when it has none.
  std::string FirstAgentOf(int slot) const;
  // The slot's number on this board, 0 for a place the config leaves empty.
  int SlotAt(int board, int board_slot) const;
  // Errors: kInvalidArgument for a malformed name, kNotFound naming the rack and its range.
  Result<int> FindSlot(const std::string& name) const;
};

}  // namespace faraday::controller
