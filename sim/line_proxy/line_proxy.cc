#include "sim/line_proxy/line_proxy.h"

#include <fmt/core.h>
#include <poll.h>

#include <algorithm>
#include <array>

#include "base/clock.h"

namespace faraday::sim {
namespace {

constexpr uint64_t kTryAgainMs = 200;       // chosen
constexpr uint64_t kLookMs = 20;            // whether a controller has come; chosen
constexpr size_t kMostWaiting = 64 * 1024;  // then the other end is not read; chosen

uint64_t BootMs() { return static_cast<uint64_t>(BootClock::now().time_since_epoch().count()); }

void DropFront(std::vector<uint8_t>& bytes, size_t count) {
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
}

}  // namespace

LineProxy::LineProxy(std::unique_ptr<LinePort> host,
                     PortName board,
                     int baud,
                     const DamageRates& rates,
                     uint64_t seed,
                     std::function<void(const std::string&)> say)
    : host_(std::move(host)), board_(std::move(board), baud), damager_(rates, seed), say_(std::move(say)) {}

std::string LineProxy::Counts() const {
  return fmt::format(
      "to board: {}\nto host: {}", Describe(damager_.counts(Way::kToBoard)), Describe(damager_.counts(Way::kToHost)));
}

Status LineProxy::Turn(int wake_fd) {
  const uint64_t now_ms = BootMs();
  FARADAY_TRY(KeepEnds(now_ms));
  Move(now_ms);
  Wait(wake_fd, now_ms);
  return OkStatus();
}

Status LineProxy::KeepEnds(uint64_t now_ms) {
  if (!board_.open() && board_was_open_) {
    say_("the board's port is gone; the controller's is unplugged until it is back");
    board_was_open_ = false;
    host_->Unplug();
    Lose();
  }
  if (!board_.open() && now_ms >= try_again_ms_) {
    try_again_ms_ = now_ms + kTryAgainMs;
    const Status opened = board_.Open();
    if (opened.code() == Code::kInvalidArgument) return opened;
    if (!opened.ok() && opened.message() != last_refusal_) say_(opened.message() + "; trying again");
    last_refusal_ = opened.message();
    if (opened.ok()) {
      FARADAY_TRY(host_->Plug());
      board_was_open_ = true;
      say_("the board's port is open; the controller's is " + host_->Describe());
    }
  }
  const bool host = host_->Connected();
  if (host_was_there_ && !host) Lose();
  if (host != host_was_there_) say_(host ? "a controller has come" : "the controller has gone");
  host_was_there_ = host;
  return OkStatus();
}

void LineProxy::Lose() {
  for (const Way way : kWays) damager_.Forget(way);
  to_board_.clear();
  to_host_.clear();
}

void LineProxy::Move(uint64_t now_ms) {
  std::array<uint8_t, 4096> bytes{};
  const auto read = [&](size_t count) { return std::span<const uint8_t>(bytes).first(count); };
  if (to_board_.size() < kMostWaiting) damager_.Feed(Way::kToBoard, read(host_->Read(bytes)), now_ms);
  if (to_host_.size() < kMostWaiting) damager_.Feed(Way::kToHost, read(board_.Read(bytes)), now_ms);
  damager_.Take(Way::kToBoard, now_ms, to_board_);
  damager_.Take(Way::kToHost, now_ms, to_host_);
  if (!to_board_.empty()) DropFront(to_board_, board_.Write(to_board_));
  if (!to_host_.empty()) DropFront(to_host_, host_->Write(to_host_));
}

void LineProxy::Wait(int wake_fd, uint64_t now_ms) {
  const auto wish = [](size_t to_read, size_t to_write) {
    return static_cast<short>((to_read < kMostWaiting ? POLLIN : 0) | (to_write > 0 ? POLLOUT : 0));
  };
  std::array<pollfd, 3> watch = {{{wake_fd, POLLIN, 0},
                                  {host_->poll_fd(), wish(to_board_.size(), to_host_.size()), 0},
                                  {board_.fd(), wish(to_host_.size(), to_board_.size()), 0}}};
  uint64_t wait_ms = kLookMs;
  if (const auto due = damager_.NextDue()) wait_ms = std::clamp<uint64_t>(*due - std::min(*due, now_ms), 1, kLookMs);
  ::poll(watch.data(), watch.size(), static_cast<int>(wait_ms));
}

}  // namespace faraday::sim
