#include "sim/line_proxy/damaged_line.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/clock.h"

namespace faraday::sim {
namespace {

constexpr size_t kMostWaiting = 4096;  // then the line takes no more, as the port itself; chosen: the firmware's ring

void DropFront(std::vector<uint8_t>& bytes, size_t count) {
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
}

uint64_t BootMs() { return static_cast<uint64_t>(BootClock::now().time_since_epoch().count()); }

}  // namespace

DamagedLine::DamagedLine(std::unique_ptr<LinePort> line, std::function<uint64_t()> clock)
    : line_(std::move(line)), clock_(clock ? std::move(clock) : BootMs) {}

std::string DamagedLine::DescribeDamage() const {
  return fmt::format("damage {} %, to board: {}; to host: {}",
                     static_cast<double>(damager_.rates().sum()) / 10'000,
                     sim::Describe(damager_.counts(Way::kToBoard)),
                     sim::Describe(damager_.counts(Way::kToHost)));
}

void DamagedLine::Forget() {
  for (const Way way : kWays) damager_.Forget(way);
  to_board_.clear();
  to_host_.clear();
}

void DamagedLine::Unplug() {
  line_->Unplug();
  Forget();
}

bool DamagedLine::Connected() {
  const bool now = line_->Connected();
  if (connected_ && !now) Forget();
  connected_ = now;
  if (now) Flush();
  return now;
}

void DamagedLine::Flush() {
  damager_.Take(Way::kToHost, clock_(), to_host_);
  if (!to_host_.empty()) DropFront(to_host_, line_->Write(to_host_));
}

size_t DamagedLine::Read(std::span<uint8_t> in) {
  damager_.Take(Way::kToBoard, clock_(), to_board_);
  if (passes(to_board_) && damager_.idle()) return line_->Read(in);
  if (to_board_.size() < kMostWaiting) {
    std::array<uint8_t, 1024> fresh{};
    damager_.Feed(Way::kToBoard, std::span<const uint8_t>(fresh).first(line_->Read(fresh)), clock_());
    damager_.Take(Way::kToBoard, clock_(), to_board_);
  }
  const size_t count = std::min(in.size(), to_board_.size());
  std::copy_n(to_board_.begin(), count, in.begin());
  DropFront(to_board_, count);
  return count;
}

size_t DamagedLine::Write(std::span<const uint8_t> out) {
  Flush();
  if (passes(to_host_) && damager_.idle()) return line_->Write(out);
  if (to_host_.size() >= kMostWaiting) return 0;
  damager_.Feed(Way::kToHost, out, clock_());
  Flush();
  return out.size();
}

}  // namespace faraday::sim
