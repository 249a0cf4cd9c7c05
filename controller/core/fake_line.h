// A RackLine onto a FakeBoard: commands wait until the test lets them through, the line is cut and mended at will.
#pragma once

#include <deque>

#include "controller/core/fake_board.h"
#include "controller/core/rack_line.h"

namespace faraday::controller {

class FakeLine final : public RackLine {
 public:
  FakeLine(FakeBoard& board, LineEvents& events) : board_(board), events_(events) {}

  Status Send(const link::Command& command, Now) override {
    if (!up_) return {Code::kUnavailable, "the line is not up"};
    waiting_.push_back(command);
    return OkStatus();
  }
  void SendStop() override {
    ++stop_frames;
    if (up_) board_.StopFrame();
  }
  uint32_t ConfigureCrc(const link::Configure& configure) const override { return board_.crc_of(configure); }
  LineCounters counters() const override { return {}; }

  void Up(Now now) {
    up_ = true;
    events_.OnUp(board_.Hello(0), now);
  }
  void Down(const std::string& reason, Now now) {
    up_ = false;
    waiting_.clear();
    events_.OnDown(reason, now);
  }
  // Lets everything through, commands that follow from answers too; then one telemetry.
  void Run(Now now) {
    while (up_ && (!waiting_.empty() || !board_.events.empty())) {
      if (!waiting_.empty()) {
        const link::Command command = waiting_.front();
        waiting_.pop_front();
        events_.OnReply(board_.Take(command), now);
      }
      while (!board_.pages.empty()) {
        const link::LogPage page = board_.pages.front();
        board_.pages.pop_front();
        events_.OnLogPage(page, now);
      }
      while (!board_.events.empty()) {
        const link::Event event = board_.events.front();
        board_.events.pop_front();
        events_.OnEvent(event, now);
      }
    }
    if (up_) events_.OnTelemetry(board_.Telemetry(), now);
  }
  size_t waiting() const { return waiting_.size(); }

  int stop_frames = 0;

 private:
  FakeBoard& board_;
  LineEvents& events_;
  bool up_ = false;
  std::deque<link::Command> waiting_;
};

}  // namespace faraday::controller
