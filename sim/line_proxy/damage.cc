#include "sim/line_proxy/damage.h"

#include <fmt/core.h>

#include <charconv>
#include <cmath>
#include <numeric>

namespace faraday::sim {
namespace {

constexpr std::array<std::string_view, kDamages> kNames = {
    "drop", "corrupt", "duplicate", "reorder", "delay", "half", "cut"};
constexpr uint32_t kCutsInHundred = 1;  // chosen: at 5 % a busy line is cut every ten seconds

}  // namespace

std::string_view ToString(Damage damage) { return kNames[static_cast<size_t>(damage)]; }

DamageRates DamageRates::Mixed(uint32_t per_million) {
  DamageRates rates;
  rates[Damage::kCut] = per_million * kCutsInHundred / 100;
  const uint32_t rest = per_million - rates[Damage::kCut];
  constexpr uint32_t kOthers = kDamages - 1;
  for (uint32_t i = 0; i < kOthers; ++i) rates.per_million[i] = rest / kOthers + (i < rest % kOthers ? 1 : 0);
  return rates;
}

uint32_t DamageRates::sum() const { return std::accumulate(per_million.begin(), per_million.end(), uint32_t{0}); }

Result<uint32_t> ParsePercent(std::string_view text) {
  std::string_view number = text;
  if (number.ends_with('%')) number.remove_suffix(1);
  double percent = -1;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), percent);
  if (error == std::errc() && end == number.data() + number.size() && percent >= 0 && percent <= 100) {
    return static_cast<uint32_t>(std::lround(percent * 10'000));
  }
  return Status{Code::kInvalidArgument,
                fmt::format("\"{}\" is no share of frames; give 0% to 100%, for example 5% or 0.25%", text)};
}

uint64_t DamageCounts::damaged() const {
  return std::accumulate(by_kind.begin(), by_kind.end(), uint64_t{0}) + lost_in_cuts;
}

std::string Describe(const DamageCounts& counts) {
  const double share =
      counts.frames == 0 ? 0 : 100.0 * static_cast<double>(counts.damaged()) / static_cast<double>(counts.frames);
  std::string text = fmt::format("{} frames, {} damaged ({:.1f} %):", counts.frames, counts.damaged(), share);
  for (size_t i = 0; i < kDamages; ++i) text += fmt::format(" {} {},", kNames[i], counts.by_kind[i]);
  return text + fmt::format(" lost in cuts {}", counts.lost_in_cuts);
}

}  // namespace faraday::sim
