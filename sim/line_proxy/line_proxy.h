// The pump of faraday-line-proxy: a controller's port that it makes appear, a board's port that it opens, and a
// LineDamager between them. The cable is transparent: while the board's port is gone the controller's is unplugged.
// One thread, real time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/board/line_port.h"
#include "sim/line_proxy/board_end.h"
#include "sim/line_proxy/line_damager.h"

namespace faraday::sim {

class LineProxy {
 public:
  // `say` gets a line whenever an end comes or goes.
  LineProxy(std::unique_ptr<LinePort> host,
            PortName board,
            int baud,
            const DamageRates& rates,
            uint64_t seed,
            std::function<void(const std::string&)> say);

  // Moves what can be moved, then waits for bytes, for what the damager holds, for `wake_fd`, or a short while.
  // Errors: kFailedPrecondition, kResourceExhausted the controller's port cannot be made, kInvalidArgument the baud.
  Status Turn(int wake_fd);
  // Two lines of counts, one a way.
  std::string Counts() const;

 private:
  Status KeepEnds(uint64_t now_ms);
  void Lose();
  void Move(uint64_t now_ms);
  void Wait(int wake_fd, uint64_t now_ms);

  std::unique_ptr<LinePort> host_;
  BoardEnd board_;
  LineDamager damager_;
  std::function<void(const std::string&)> say_;
  std::vector<uint8_t> to_board_;
  std::vector<uint8_t> to_host_;
  uint64_t try_again_ms_ = 0;
  bool board_was_open_ = false;
  bool host_was_there_ = false;
  std::string last_refusal_;
};

}  // namespace faraday::sim
