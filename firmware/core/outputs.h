// The three switches of a slot: what is wanted, what the outputs say, since when. Header-only value types.
//
// VBUS off acts at once; on waits (minimum off time, stagger, budget) until the board grants it. VBUS that its part
// lost stays wanted but off, and waits for nothing, until it is wanted off or asked for anew. The data path passes
// through open, at least kDataOpenMs, on every change. The relay moves at once.
#pragma once

#include <cstdint>

#include "firmware/core/age.h"
#include "firmware/core/limits.h"
#include "link/slot_bits.h"

namespace faraday::firmware {

class VbusSwitch {
 public:
  // `ticket` orders the waiting ones of a rail: first asked, first on.
  void Want(bool on, uint32_t ticket) {
    if (on == wanted_) return;
    wanted_ = on;
    lost_ = false;
    ticket_ = ticket;
    if (!on && out_) Switch(false);
  }
  // REQUIRES: waiting()
  void Grant() { Switch(true); }
  // REQUIRES: out()
  void Lose() {
    lost_ = true;
    Switch(false);
  }
  void Advance(uint32_t dt) {
    since_.Advance(dt);
    since_on_.Advance(dt);
  }

  bool wanted() const { return wanted_; }
  bool out() const { return out_; }
  bool waiting() const { return wanted_ && !out_ && !lost_; }
  bool lost() const { return lost_; }
  uint32_t ticket() const { return ticket_; }
  // ms since the output changed.
  uint32_t since_ms() const { return since_.ms(); }
  // ms until it may turn on: off long enough, and the last turn-on long enough ago that a host saw it come and go.
  uint32_t RestLeftMs(uint32_t min_off_ms, uint32_t min_on_ms) const {
    const uint32_t off_ms = Sink(min_off_ms, since_.ms());
    const uint32_t apart_ms = Sink(min_off_ms + min_on_ms, since_on_.ms());
    return off_ms > apart_ms ? off_ms : apart_ms;
  }

 private:
  void Switch(bool on) {
    out_ = on;
    since_.Restart();
    if (on) since_on_.Restart();
  }
  bool wanted_ = false;
  bool out_ = false;
  bool lost_ = false;
  uint32_t ticket_ = 0;
  Age since_{0};  // the board was in the reset state before, but nobody knows for how long
  Age since_on_;
};

struct DataChoice {
  link::DataPath path = link::DataPath::kOpen;
  uint8_t host = 0;
  bool operator==(const DataChoice&) const = default;
};

class DataSwitch {
 public:
  void Want(DataChoice choice) { wanted_ = choice; }
  void Advance(uint32_t dt) {
    since_.Advance(dt);
    if (wanted_ == now_) return;
    if (now_.path != link::DataPath::kOpen)
      Switch({});
    else if (since_.ms() >= kDataOpenMs)
      Switch(wanted_);
  }
  // Opens now, without waiting for Advance.
  void Open() {
    wanted_ = {};
    if (now_.path != link::DataPath::kOpen) Switch({});
  }
  // The part has not been told what `now` says: the time between two paths counts from when it has.
  void OnUnwritten() { since_.Restart(); }
  // ms until the wanted path stands.
  uint32_t wait_ms() const {
    if (wanted_ == now_) return 0;
    return now_.path == link::DataPath::kOpen ? Sink(kDataOpenMs, since_.ms()) : kDataOpenMs;
  }

  DataChoice wanted() const { return wanted_; }
  DataChoice now() const { return now_; }
  bool settled() const { return wanted_ == now_; }

 private:
  void Switch(DataChoice choice) {
    now_ = choice;
    since_.Restart();
  }
  DataChoice wanted_;
  DataChoice now_;
  Age since_{0};
};

class RelayDrive {
 public:
  void Want(bool couple) {
    if (couple == coupled_) return;
    coupled_ = couple;
    since_.Restart();
  }
  void Advance(uint32_t dt) { since_.Advance(dt); }
  bool coupled() const { return coupled_; }
  uint32_t since_ms() const { return since_.ms(); }

 private:
  bool coupled_ = false;
  Age since_{0};
};

}  // namespace faraday::firmware
