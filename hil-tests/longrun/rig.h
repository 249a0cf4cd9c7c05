// One board of 32 slots with the production firmware in it, physics at its pins, a judge that looks after every pass,
// and hosts at its line; on a virtual clock. Passes are 1 ms apart while something happens and 40 ms apart while
// nothing does (all currents are sampled in a pass of 40 ms, and no timer of the firmware takes it for a hang). Days
// are run with passes of 8 ms while something happens, and of 400 ms and 40 ms in turns while nothing does.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include "hil-tests/longrun/judge.h"
#include "hil-tests/longrun/tapped_line.h"
#include "sim/board/test_line.h"

namespace faraday::longrun {

// The same numbers from the same seed on every machine (std's distributions promise less).
class Chance {
 public:
  explicit Chance(uint64_t seed) : engine_(seed) {}
  uint32_t Below(uint32_t bound) { return static_cast<uint32_t>(engine_() % bound); }
  uint32_t Between(uint32_t least, uint32_t most) { return least + Below(most - least + 1); }
  bool OneIn(uint32_t n) { return Below(n) == 0; }

 private:
  std::mt19937_64 engine_;
};

class Rig;

// A host at the rig's line. Only the attached one hears the board.
class RigHost : public sim::TestHost {
 public:
  explicit RigHost(Rig& rig) : rig_(rig) {}
  bool RunUntil(uint32_t ms, const std::function<bool()>& condition) override;
  void Hear(std::span<const uint8_t> bytes) { TakeBytes(bytes); }
  // Sends and waits for nothing.
  template <typename Call>
  void Say(const Call& call) {
    const uint32_t before = waits_;
    waits_ = 0;
    (void)Do(call);
    waits_ = before;
  }

 protected:
  void SendBytes(std::span<const uint8_t> bytes) override;

 private:
  Rig& rig_;
  uint32_t waits_ = 1;
};

class Rig {
 public:
  explicit Rig(uint64_t seed);

  // ---- time ----
  void Pass(uint32_t dt_ms);
  // Passes of 1 ms for FineFor's time and just after a pin moved, of busy_ms while hosts ask and pins settle, then of
  // coarse_ms; where lazy_ms is set and nothing is going on at all (Judge::Idle), of that and coarse_ms in turns.
  void Run(uint64_t ms);
  void BusyFor(uint64_t ms) { busy_until_ms_ = std::max(busy_until_ms_, now_ms_ + ms); }
  void FineFor(uint64_t ms) { fine_until_ms_ = std::max(fine_until_ms_, now_ms_ + ms); }
  uint64_t now_ms() const { return now_ms_; }
  uint64_t board_ms();
  uint32_t busy_ms = 1;
  uint32_t coarse_ms = 40;
  uint32_t lazy_ms = 0;
  uint64_t passes() const { return passes_; }

  // ---- the line ----
  RigHost& host() { return *hosts_[attached_]; }
  RigHost& host(size_t n) { return *hosts_[n]; }
  size_t hosts() const { return hosts_.size(); }
  void Attach(size_t n) { attached_ = n; }
  // Of a thousand bytes, how many are damaged on their way to the firmware.
  uint32_t damage_per_mille = 0;
  // The attached host keeps the line alive.
  bool alive = true;
  void SendStopFrame(uint64_t at_ms);
  void SendRaw(std::span<const uint8_t> bytes, uint64_t at_ms) { line.Send(bytes, at_ms); }
  void Damage(std::vector<uint8_t>& bytes);

  // ---- the hardware ----
  void Fault(size_t slot, std::string_view name, bool on);
  void StickBus(int bus, bool on);
  void Stretch(int bus, int ms);
  void Load(size_t slot, int ma);
  void ResetExpander(size_t slot);
  void Reset(link::BootReason reason);
  sim::SlotPhysics& slot(size_t i) { return board.plant().slot(i); }

  // The last things done, for a failure's text.
  void Step(std::string text);
  std::string Story() const;

  uint64_t seed;
  Chance chance;

 private:
  uint64_t now_ms_ = 10'000;  // before the board, which asks for it

 public:
  TappedLine line;
  sim::SimBoard board;
  Judge judge;

 private:
  friend class RigHost;
  void BlameBus(int bus, Blame blame, bool on, uint32_t cause);

  uint32_t StepMs();

  uint64_t fine_until_ms_ = 20'000;
  uint64_t busy_until_ms_ = 0;
  bool lazy_ = false;
  uint64_t keepalive_ms_ = 0;
  uint64_t passes_ = 0;
  size_t attached_ = 0;
  int boots_ = 0;
  std::vector<std::unique_ptr<RigHost>> hosts_;
  std::deque<std::string> steps_;
};

}  // namespace faraday::longrun
