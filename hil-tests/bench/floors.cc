#include "hil-tests/bench/floors.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <vector>

#include "base/check.h"

namespace faraday::hil {
namespace {

pid_t ForkChild() {
  const pid_t pid = fork();
  FARADAY_CHECK(pid >= 0);
  if (pid == 0) prctl(PR_SET_PDEATHSIG, SIGKILL);
  return pid;
}

void EndChild(pid_t pid) {
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
}

[[noreturn]] void EchoRouter(int report_fd) {
  zmq::context_t context;
  zmq::socket_t socket(context, zmq::socket_type::router);
  socket.bind("tcp://127.0.0.1:0");
  const auto endpoint = socket.get(zmq::sockopt::last_endpoint);
  FARADAY_CHECK(write(report_fd, endpoint.data(), endpoint.size()) > 0);
  close(report_fd);
  for (;;) {
    zmq::message_t peer;
    zmq::message_t body;
    [[maybe_unused]] auto got_peer = socket.recv(peer);
    [[maybe_unused]] auto got_body = socket.recv(body);
    socket.send(peer, zmq::send_flags::sndmore);
    socket.send(body, zmq::send_flags::none);
  }
}

bool WaitReadable(int fd) {
  pollfd item = {fd, POLLIN, 0};
  return poll(&item, 1, 10'000) > 0;
}

void ReadExactly(int fd, size_t count) {
  std::vector<char> buffer(count);
  size_t have = 0;
  while (have < count) {
    FARADAY_CHECK(WaitReadable(fd));
    const auto got = read(fd, buffer.data(), count - have);
    FARADAY_CHECK(got > 0);
    have += static_cast<size_t>(got);
  }
}

}  // namespace

RouterFloor::RouterFloor(size_t bytes) : payload_(bytes, 'x'), socket_(context_, zmq::socket_type::dealer) {
  int fds[2];
  FARADAY_CHECK(pipe(fds) == 0);
  child_ = ForkChild();
  if (child_ == 0) EchoRouter(fds[1]);
  close(fds[1]);
  char endpoint[128] = {};
  FARADAY_CHECK(read(fds[0], endpoint, sizeof(endpoint) - 1) > 0);
  close(fds[0]);
  socket_.set(zmq::sockopt::linger, 0);
  socket_.connect(endpoint);
}

RouterFloor::~RouterFloor() { EndChild(child_); }

void RouterFloor::Exchange() {
  socket_.send(zmq::buffer(payload_), zmq::send_flags::none);
  zmq::message_t body;
  FARADAY_CHECK(socket_.recv(body).has_value());
}

PtyFloor::PtyFloor(size_t out, size_t back) : out_(out, 'x'), back_(back) {
  const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  FARADAY_CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
  fd_ = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
  FARADAY_CHECK(fd_ >= 0);
  termios raw{};
  tcgetattr(fd_, &raw);
  cfmakeraw(&raw);
  tcsetattr(fd_, TCSANOW, &raw);
  child_ = ForkChild();
  if (child_ == 0) {
    const std::string answer(back_, 'y');
    for (;;) {
      ReadExactly(master, out_.size());
      FARADAY_CHECK(write(master, answer.data(), answer.size()) == static_cast<ssize_t>(answer.size()));
    }
  }
  close(master);
}

PtyFloor::~PtyFloor() {
  EndChild(child_);
  close(fd_);
}

void PtyFloor::Exchange() {
  FARADAY_CHECK(write(fd_, out_.data(), out_.size()) == static_cast<ssize_t>(out_.size()));
  ReadExactly(fd_, back_);
}

}  // namespace faraday::hil
