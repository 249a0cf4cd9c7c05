#include "sim/line_proxy/line_damager.h"

#include <algorithm>

#include "link/frame.h"

namespace faraday::sim {
namespace {

// All chosen: long against a round trip (2 ms), short against the second in which a session must be back.
constexpr uint64_t kHeldMostMs = 150;
constexpr int kBehindMost = 3;
constexpr uint64_t kStillLeastMs = 5;
constexpr uint64_t kStillMostMs = 120;
constexpr uint64_t kCutLeastMs = 20;
constexpr uint64_t kCutMostMs = 250;
// No frame is longer; what never ends is no frame and passes as it is.
constexpr size_t kLongest = 2 * link::kMaxWire;

using Frame = std::vector<uint8_t>;

std::ptrdiff_t Place(SeededRandom& random, const Frame& frame) {
  return static_cast<std::ptrdiff_t>(random.Below(frame.size()));
}

void FlipBits(SeededRandom& random, Frame& frame, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    frame[random.Below(frame.size())] ^= static_cast<uint8_t>(1U << random.Below(8));
  }
}
void FlipOne(SeededRandom& random, Frame& frame) { FlipBits(random, frame, 1); }
void FlipSome(SeededRandom& random, Frame& frame) { FlipBits(random, frame, random.Between(2, 8)); }
void Burst(SeededRandom& random, Frame& frame) {
  size_t at = random.Below(frame.size());
  for (uint64_t left = random.Between(2, 6); left > 0 && at < frame.size(); --left, ++at) {
    frame[at] ^= static_cast<uint8_t>(random.Between(1, 255));
  }
}
void InsertByte(SeededRandom& random, Frame& frame) {
  frame.insert(frame.begin() + Place(random, frame), static_cast<uint8_t>(random.Below(256)));
}
void LoseByte(SeededRandom& random, Frame& frame) { frame.erase(frame.begin() + Place(random, frame)); }
// A border where none was.
void ZeroByte(SeededRandom& random, Frame& frame) { frame[random.Below(frame.size())] = 0; }

}  // namespace

uint64_t SeededRandom::Next() {
  uint64_t z = (state_ += 0x9E3779B97F4A7C15U);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

void LineDamager::Set(const DamageRates& rates, std::optional<uint64_t> seed) {
  rates_ = rates;
  if (seed) random_ = SeededRandom(*seed);
}

void LineDamager::Feed(Way way, std::span<const uint8_t> bytes, uint64_t now_ms) {
  Side& to = side(way);
  ReleaseLate(to, now_ms);
  for (const uint8_t byte : bytes) {
    to.partial.push_back(byte);
    to.in_frame = to.in_frame || byte != 0;
    const bool ends = byte == 0 && to.in_frame;
    if (!ends && to.partial.size() < kLongest) continue;
    Frame frame;
    frame.swap(to.partial);
    to.in_frame = false;
    if (ends)
      OnFrame(to, std::move(frame), now_ms);
    else
      Emit(to, std::move(frame), now_ms);
  }
}

void LineDamager::OnFrame(Side& to, Frame frame, uint64_t now_ms) {
  ++to.counts.frames;
  if (now_ms < cut_until_ms_) {
    ++to.counts.lost_in_cuts;
    return PassHeld(to, now_ms);
  }
  if (const auto damage = Draw()) {
    ++to.counts.by_kind[static_cast<size_t>(*damage)];
    Act(*damage, to, frame, now_ms);
  } else {
    Emit(to, std::move(frame), now_ms);
  }
  PassHeld(to, now_ms);
}

std::optional<Damage> LineDamager::Draw() {
  uint64_t drawn = random_.Below(DamageRates::kAll);
  for (size_t i = 0; i < kDamages; ++i) {
    if (drawn < rates_.per_million[i]) return static_cast<Damage>(i);
    drawn -= rates_.per_million[i];
  }
  return {};
}

void LineDamager::Act(Damage damage, Side& to, Frame& frame, uint64_t now_ms) {
  switch (damage) {
    case Damage::kDrop:
      return;
    case Damage::kCorrupt:
      Corrupt(frame);
      return Emit(to, std::move(frame), now_ms);
    case Damage::kDuplicate:
      Emit(to, frame, now_ms);
      return random_.Below(2) == 0 ? Emit(to, std::move(frame), now_ms) : Hold(to, std::move(frame), now_ms);
    case Damage::kReorder:
      return Hold(to, std::move(frame), now_ms);
    case Damage::kDelay:
      to.still_until_ms = std::max(to.still_until_ms, now_ms) + random_.Between(kStillLeastMs, kStillMostMs);
      return Emit(to, std::move(frame), now_ms);
    case Damage::kHalf:
      Halve(frame);
      return Emit(to, std::move(frame), now_ms);
    case Damage::kCut:
      cut_until_ms_ = now_ms + random_.Between(kCutLeastMs, kCutMostMs);
      return;
  }
}

void LineDamager::Corrupt(Frame& frame) {
  using Spoil = void (*)(SeededRandom&, Frame&);
  constexpr std::array<Spoil, 6> kSpoils = {FlipOne, FlipSome, Burst, InsertByte, LoseByte, ZeroByte};
  kSpoils[random_.Below(kSpoils.size())](random_, frame);
}

// The zero at the end is lost with the end.
void LineDamager::Halve(Frame& frame) {
  const auto kept = static_cast<std::ptrdiff_t>(random_.Between(1, frame.size() - 1));
  if (random_.Below(2) == 0)
    frame.erase(frame.begin() + kept, frame.end());
  else
    frame.erase(frame.begin(), frame.end() - kept);
}

void LineDamager::Emit(Side& to, Frame frame, uint64_t now_ms) {
  to.due.push_back({std::max(now_ms, to.still_until_ms), std::move(frame)});
}

void LineDamager::Hold(Side& to, Frame frame, uint64_t now_ms) {
  // One more than the frames that pass it: the frame itself counts too, see OnFrame.
  const int behind = 1 + static_cast<int>(random_.Between(1, kBehindMost));
  to.held.push_back({now_ms + kHeldMostMs, behind, std::move(frame)});
}

void LineDamager::PassHeld(Side& to, uint64_t now_ms) {
  for (Held& held : to.held) --held.behind;
  ReleaseLate(to, now_ms);
}

void LineDamager::ReleaseLate(Side& to, uint64_t now_ms) {
  for (size_t i = 0; i < to.held.size();) {
    if (to.held[i].behind > 0 && to.held[i].latest_ms > now_ms) {
      ++i;
      continue;
    }
    Emit(to, std::move(to.held[i].frame), now_ms);
    to.held.erase(to.held.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

void LineDamager::Take(Way way, uint64_t now_ms, std::vector<uint8_t>& out) {
  Side& from = side(way);
  ReleaseLate(from, now_ms);
  while (!from.due.empty() && from.due.front().at_ms <= now_ms) {
    out.insert(out.end(), from.due.front().frame.begin(), from.due.front().frame.end());
    from.due.pop_front();
  }
}

std::optional<uint64_t> LineDamager::NextDue() const {
  std::optional<uint64_t> next;
  const auto consider = [&next](uint64_t at_ms) { next = next ? std::min(*next, at_ms) : at_ms; };
  for (const Side& each : sides_) {
    if (!each.due.empty()) consider(each.due.front().at_ms);
    for (const Held& held : each.held) consider(held.latest_ms);
  }
  return next;
}

bool LineDamager::idle() const {
  return std::all_of(sides_.begin(), sides_.end(), [](const Side& each) {
    return each.partial.empty() && each.due.empty() && each.held.empty();
  });
}

void LineDamager::Forget(Way way) {
  Side& lost = side(way);
  lost.partial.clear();
  lost.in_frame = false;
  lost.due.clear();
  lost.held.clear();
  lost.still_until_ms = 0;
}

}  // namespace faraday::sim
