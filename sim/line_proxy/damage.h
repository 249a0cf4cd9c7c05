// What can happen to a frame on a bad line, and how often. Plain data and words; line_damager.h does it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace faraday::sim {

enum class Damage : uint8_t {
  kDrop,       // the frame is lost
  kCorrupt,    // some of its bits or bytes are wrong, missing or too many
  kDuplicate,  // it comes twice, the second time at once or behind up to 3 later frames
  kReorder,    // it comes behind up to 3 later frames
  kDelay,      // this way of the line stands still for 5 to 120 ms, later frames wait behind
  kHalf,       // only its beginning or its end comes
  kCut,        // nothing passes either way for 20 to 250 ms
};
inline constexpr size_t kDamages = 7;
// "drop", "corrupt", "duplicate", "reorder", "delay", "half", "cut".
std::string_view ToString(Damage damage);

// How many of a million frames meet each kind. A frame meets at most one.
struct DamageRates {
  static constexpr uint32_t kAll = 1'000'000;
  std::array<uint32_t, kDamages> per_million{};

  // All kinds mixed: of the damaged frames 1 % begin a cut (which takes its neighbours with it), the others are even.
  static DamageRates Mixed(uint32_t per_million);
  uint32_t& operator[](Damage damage) { return per_million[static_cast<size_t>(damage)]; }
  uint32_t operator[](Damage damage) const { return per_million[static_cast<size_t>(damage)]; }
  uint32_t sum() const;
  bool none() const { return sum() == 0; }
};

// "5%", "0.25%", "5": percent of frames, 0 to 100, to a ten-thousandth; as parts of a million.
// Errors: kInvalidArgument naming text and range.
Result<uint32_t> ParsePercent(std::string_view text);

// What one way of the line has seen.
struct DamageCounts {
  uint64_t frames = 0;  // came in
  std::array<uint64_t, kDamages> by_kind{};
  uint64_t lost_in_cuts = 0;  // besides the frame that began the cut
  uint64_t damaged() const;
};
// "1042 frames, 53 damaged (5.1 %): drop 9, corrupt 8, ..., lost in cuts 4".
std::string Describe(const DamageCounts& counts);

}  // namespace faraday::sim
