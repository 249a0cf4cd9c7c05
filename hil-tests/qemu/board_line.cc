#include "hil-tests/qemu/board_line.h"

#include <algorithm>

#include "sim/qemu/unix_socket.h"

namespace faraday::hil {

void BoardLine::BootAndGreet() {
  const auto fd = sim::qemu::ConnectUnix(files().uart, BootClock::now() + kGenerous);
  ASSERT_TRUE(fd.ok()) << ToString(fd.status());
  line_.emplace(*fd);
  Continue();
  Greet();
}

link::HelloReply BoardLine::Greet() {
  const auto hello = line_->Hello("r01");
  EXPECT_TRUE(hello.ok()) << ToString(hello.status());
  return hello.ok() ? *hello : link::HelloReply{};
}

void BoardLine::ConfigureAndLease() {
  link::Configure configure;
  configure.rack_budget_ma = 20'000;
  configure.stagger_ms = 100;
  configure.min_off_ms = 500;
  for (size_t slot = 0; slot < link::kMaxSlots; ++slot) {
    configure.current_limit_ma.push_back(2000);
    configure.safe_state.push_back(static_cast<uint32_t>(link::SafeState::kOff));
    configure.rail.push_back(0);
  }
  configure.rail_budget_ma.push_back(20'000);
  configure.host_silent_ms = 60'000;
  configure.host_silent_max_ms = 600'000;
  MustDo(configure);
  epoch_ = std::max(epoch_, 1000U);
  MustDo(link::SetLease{.slot = kSlot, .epoch = epoch_, .duration_ms = 600'000});
}

link::CommandDone BoardLine::Finish(const link::Reply& reply) {
  const auto done = line_->WaitDone(reply.command_id);
  EXPECT_TRUE(done.ok()) << ToString(done.status());
  if (!done.ok()) return {};
  EXPECT_EQ(done->code, link::DoneCode::kOk);
  EXPECT_EQ(done->slot, kSlot);
  return *done;
}

}  // namespace faraday::hil
