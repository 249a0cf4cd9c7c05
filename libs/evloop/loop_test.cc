#include "evloop/loop.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>
#include <zmq.h>

#include <thread>

namespace faraday::evloop {
namespace {

// Runs rounds until `done` holds; fails the test after 20 s.
template <typename Done>
void RunUntil(Loop& loop, Done done) {
  const auto end = BootClock::now() + Milliseconds(20'000);
  while (!done()) {
    ASSERT_LT(BootClock::now(), end) << "the condition never held";
    loop.RunOnce(Milliseconds(100));
  }
}

TEST(Loop, Timers_RunInTheOrderOfTheirTimesAndOnce) {
  Loop loop;
  std::string order;
  const auto base = BootClock::now();
  loop.AddTimer("b", base + Milliseconds(2), [&] { order += 'b'; });
  loop.AddTimer("a", base + Milliseconds(1), [&] { order += 'a'; });
  const auto removed = loop.AddTimer("x", base, [&] { order += 'x'; });
  loop.Remove(removed);
  int rounds = 0;
  loop.AddPeriodic("period", Milliseconds(1), [&] { ++rounds; });
  RunUntil(loop, [&] { return rounds >= 5 && order.size() >= 2; });
  EXPECT_EQ(order, "ab");
}

TEST(Loop, Fd_CallsBackWhileReadableAndMayRemoveItself) {
  Loop loop;
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  ASSERT_EQ(write(fds[1], "xy", 2), 2);
  int calls = 0;
  Handle watch = 0;
  watch = loop.AddFd("pipe", fds[0], POLLIN, [&](short revents) {
    EXPECT_TRUE(revents & POLLIN);
    if (++calls == 2) loop.Remove(watch);
  });
  RunUntil(loop, [&] { return calls == 2; });
  loop.RunOnce(Milliseconds(0));
  EXPECT_EQ(calls, 2);
  close(fds[0]);
  close(fds[1]);
}

TEST(Loop, Fd_TellsTheEndOfThePeer) {
  Loop loop;
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  close(fds[1]);
  bool ended = false;
  loop.AddFd("pipe", fds[0], POLLIN, [&](short) {
    char byte;
    ended = read(fds[0], &byte, 1) == 0;
  });
  RunUntil(loop, [&] { return ended; });
  close(fds[0]);
}

TEST(Loop, Post_FromAnotherThreadKeepsTheOrder) {
  Loop loop;
  std::vector<int> seen;
  std::thread sender([&] {
    for (int i = 0; i < 100; ++i) loop.Post([&seen, i] { seen.push_back(i); });
  });
  RunUntil(loop, [&] { return seen.size() == 100; });
  sender.join();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], i);
}

TEST(Loop, Socket_CallsBackForMessages) {
  Loop loop;
  void* context = zmq_ctx_new();
  void* a = zmq_socket(context, ZMQ_PAIR);
  void* b = zmq_socket(context, ZMQ_PAIR);
  ASSERT_EQ(zmq_bind(a, "inproc://pair"), 0);
  ASSERT_EQ(zmq_connect(b, "inproc://pair"), 0);
  int received = 0;
  loop.AddSocket("pair", a, [&] {
    char byte;
    while (zmq_recv(a, &byte, 1, ZMQ_DONTWAIT) == 1) ++received;
  });
  for (int i = 0; i < 10; ++i) ASSERT_EQ(zmq_send(b, "x", 1, 0), 1);
  RunUntil(loop, [&] { return received == 10; });
  zmq_close(a);
  zmq_close(b);
  zmq_ctx_term(context);
}

TEST(Loop, Signals_ArriveInTheLoopAndStopIt) {
  Loop loop;
  loop.OnSignals({SIGUSR1}, [&](int signo) { loop.Stop(signo); });
  raise(SIGUSR1);
  EXPECT_EQ(loop.Run(), SIGUSR1);
}

}  // namespace
}  // namespace faraday::evloop
