// Who turns on next: budgets, stagger, order, and which charging slots give way.
//
// A slot commits its current limit from the grant of its turn-on until its VBUS was seen below 0.8 V after off,
// whatever a Configure says meanwhile. The sum of commitments is within the rail's and the board's budget at every
// instant. Turn-ons of a rail are a stagger apart, those of commands before those of charge duties, else in the order
// asked; one that its minimum times hold back lets others pass. Charge duties are shed, newest turn-on first, where a
// command needs their budget or the rail sags. They go on when there is room, after a sag one at a time with a pause
// that grows with each new sag. Off never waits. Pure, main loop only.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "firmware/core/slot.h"

namespace faraday::firmware {

class TurnOnQueue {
 public:
  TurnOnQueue(std::span<Slot> slots, Slot::Shared& shared) : slots_(slots), shared_(shared) {}

  // What stands against turn-ons in a pass; bits of slots and rails from 0.
  struct Against {
    bool all = false;
    uint32_t blocked = 0;  // slots
    uint32_t sagging = 0;  // rails
    uint32_t low = 0;      // of those, the ones that need more shed
  };
  void Advance(uint32_t dt, const Against& against);
  // After a configuration came into force: what the new budgets do not carry goes off, charge duties first.
  void FitBudgets();
  // The slot's turn-on was written: the stagger of its rail counts from the next pass on.
  void OnWritten(size_t slot) { HoldRail(committed_rail(slot)); }

  // Whether commanded slots leave room for the slot's limit; else OVER_BUDGET, with value (what would be committed)
  // and limit (the budget) in `reply`.
  link::Verdict Admit(size_t slot, link::Reply& reply) const;
  struct Turn {
    uint32_t position = 0;  // turn-ons of commands that are granted before it
    uint32_t wait_ms = 0;   // at most until its grant, apart from its own minimum times
  };
  // Of a slot whose command waits for its turn.
  Turn TurnOf(size_t slot) const;
  // Of a cycle's second half, which gets its place in the queue only when the off time is over.
  Turn TurnOfCycle(size_t slot) const;

  // Bit n: slot n (from 0). Committed slots are all that are on, and those whose VBUS is still going down.
  uint32_t committed() const { return committed_; }
  uint32_t shed() const { return shed_; }

 private:
  static uint32_t BitOf(size_t slot) { return uint32_t{1} << slot; }
  const BoardConfig& config() const { return shared_.config; }
  uint32_t RailOf(size_t slot) const { return config().slots[slot].rail; }
  uint32_t committed_rail(size_t slot) const { return held_[slot] % uint32_t{link::kMaxRails}; }
  uint32_t committed_ma(size_t slot) const { return held_[slot] / uint32_t{link::kMaxRails}; }
  void Hold(size_t slot, uint32_t ma, uint32_t rail);
  void HoldRail(size_t rail);
  // Off for as long as VBUS may take to go down, and still not seen below 0.8 V.
  uint32_t Undrained() const;
  // Slots for which `wanted(slot)` holds.
  template <typename Wanted>
  uint32_t Where(Wanted wanted) const;
  uint32_t Commanded() const;
  uint32_t OnDuty() const;
  uint32_t WantedByDuty() const;
  struct Load {
    uint32_t rail_ma = 0;
    uint32_t rack_ma = 0;
  };
  Load LoadOf(uint32_t slots, size_t rail) const;
  // Whether these slots together are within the rail's and the board's budget.
  bool Fit(uint32_t slots, size_t rail) const;
  void ForgetDrained();
  void ShedForCommands();
  void ShedForSag(uint32_t dt, uint32_t low);
  // Sheds the newest of these; false: there is none.
  bool ShedNewest(uint32_t among);
  void TakeBackShed(uint32_t sagging);
  void MovePauses(uint32_t dt, uint32_t sagging);
  void Grant(size_t rail, uint32_t blocked);
  // a goes before b.
  bool Before(size_t a, size_t b) const;
  uint32_t SlotsOf(size_t rail) const;
  size_t NewestOf(uint32_t among) const;

  std::span<Slot> slots_;
  Slot::Shared& shared_;
  uint32_t committed_ = 0;
  uint32_t shed_ = 0;
  std::array<uint16_t, link::kMaxSlots> held_{};  // a committed slot's mA times kMaxRails, and its rail
  std::array<uint32_t, link::kMaxRails> rail_wait_ms_{};
  uint8_t just_granted_ = 0;  // rails whose last turn-on was written at some time in this pass
  uint8_t sagged_ = 0;        // rails, in the last pass
  std::array<uint8_t, link::kMaxRails> sags_{};
  std::array<uint32_t, link::kMaxRails> pause_ms_{};  // until the rail takes a shed one back
  std::array<uint8_t, link::kMaxRails> shed_wait_ms_{};
};

}  // namespace faraday::firmware
