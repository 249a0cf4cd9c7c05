// The test at the board's line: a bench whose UART socket the test itself holds.
#pragma once

#include <optional>

#include "hil-tests/qemu/bench.h"
#include "hil-tests/qemu/link_client.h"

namespace faraday::hil {

class BoardLine : public QemuBench {
 protected:
  // Takes the line, lets the firmware run, says Hello.
  void BootAndGreet();
  link::HelloReply Greet();
  // Configures all 32 slots with 2 A each and gives slot 7 to the test.
  void ConfigureAndLease();
  // The reply, whatever its verdict.
  template <typename Call>
  link::Reply MustReply(const Call& call) {
    const auto reply = line_->Do(call);
    EXPECT_TRUE(reply.ok()) << ToString(reply.status());
    return reply.ok() ? *reply : link::Reply{.verdict = link::Verdict::kInvalid};
  }
  // The reply, which must be OK or ACCEPTED.
  template <typename Call>
  link::Reply MustDo(const Call& call) {
    const link::Reply reply = MustReply(call);
    EXPECT_TRUE(reply.verdict == link::Verdict::kOk || reply.verdict == link::Verdict::kAccepted)
        << "verdict " << static_cast<int>(reply.verdict);
    return reply;
  }
  // The state after an accepted command came to its end.
  link::CommandDone Finish(const link::Reply& reply);

  static constexpr uint32_t kSlot = 7;
  uint32_t epoch_ = 1;
  std::optional<LinkClient> line_;
};

}  // namespace faraday::hil
