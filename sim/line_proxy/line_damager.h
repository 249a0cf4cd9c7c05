// Damages a board's line: bytes and time in, bytes with delays out, both ways. It knows where frames end (a zero byte,
// libs/link/frame.h) and nothing else of them: a frame is passed or damaged whole, bytes of an unfinished one wait.
// The same seed, bytes and times give the same damage. Pure: no clock, no I/O, one owner, one thread.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "sim/line_proxy/damage.h"

namespace faraday::sim {

enum class Way : uint8_t { kToBoard, kToHost };
inline constexpr std::array<Way, 2> kWays = {Way::kToBoard, Way::kToHost};

// A small generator whose numbers are the same everywhere (splitmix64, public domain algorithm by S. Vigna).
class SeededRandom {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed) {}
  uint64_t Next();
  // 0 to below - 1. REQUIRES: below > 0.
  uint64_t Below(uint64_t below) { return Next() % below; }
  uint64_t Between(uint64_t least, uint64_t most) { return least + Below(most - least + 1); }

 private:
  uint64_t state_;
};

class LineDamager {
 public:
  LineDamager(const DamageRates& rates, uint64_t seed) : rates_(rates), random_(seed) {}

  // New rates and, with a seed, numbers from the start; counts go on. What waits keeps its time.
  void Set(const DamageRates& rates, std::optional<uint64_t> seed);
  // `now_ms` never goes back.
  void Feed(Way way, std::span<const uint8_t> bytes, uint64_t now_ms);
  // What has come through by now, in order; appended to `out`.
  void Take(Way way, uint64_t now_ms, std::vector<uint8_t>& out);
  // When the next waiting bytes come through; nothing when none wait.
  std::optional<uint64_t> NextDue() const;
  // Nothing is under way, not even an unfinished frame.
  bool idle() const;
  // The far end of that way is another one now: what was under way to or from it is lost.
  void Forget(Way way);

  const DamageRates& rates() const { return rates_; }
  const DamageCounts& counts(Way way) const { return side(way).counts; }

 private:
  using Frame = std::vector<uint8_t>;
  struct Due {
    uint64_t at_ms;
    Frame frame;
  };
  struct Held {
    uint64_t latest_ms;
    int behind;  // later frames that pass first
    Frame frame;
  };
  struct Side {
    Frame partial;
    bool in_frame = false;  // partial has a byte that is not zero
    uint64_t still_until_ms = 0;
    std::deque<Due> due;
    std::vector<Held> held;
    DamageCounts counts;
  };

  Side& side(Way way) { return sides_[static_cast<size_t>(way)]; }
  const Side& side(Way way) const { return sides_[static_cast<size_t>(way)]; }
  void OnFrame(Side& side, Frame frame, uint64_t now_ms);
  std::optional<Damage> Draw();
  void Act(Damage damage, Side& side, Frame& frame, uint64_t now_ms);
  void Emit(Side& side, Frame frame, uint64_t now_ms);
  void Hold(Side& side, Frame frame, uint64_t now_ms);
  void PassHeld(Side& side, uint64_t now_ms);
  void ReleaseLate(Side& side, uint64_t now_ms);
  void Corrupt(Frame& frame);
  void Halve(Frame& frame);

  DamageRates rates_;
  SeededRandom random_;
  uint64_t cut_until_ms_ = 0;
  std::array<Side, 2> sides_;
};

}  // namespace faraday::sim
