#include "sim/phone/command.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace faraday::sim {
namespace {

constexpr size_t kReadAtOnce = 64 * 1024;  // a pipe's capacity on Linux

struct PipeEnds {
  OwnedFd read;
  OwnedFd write;
};

Result<PipeEnds> MakePipe() {
  int fds[2] = {-1, -1};
  if (::pipe2(fds, O_CLOEXEC) != 0) {
    return Status{Code::kResourceExhausted, std::string("phone: cannot make a pipe: ") + std::strerror(errno)};
  }
  return PipeEnds{OwnedFd(fds[0]), OwnedFd(fds[1])};
}

// Only our end: the command's own end must block as programs expect.
void SetNonBlocking(const OwnedFd& fd) { ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK); }

}  // namespace

Result<std::unique_ptr<Command>> Command::Start(evloop::Loop& loop, CommandBox& box, const std::string& line,
                                                const std::string& term, bool merge,
                                                std::function<void()> on_event) {
  FARADAY_TRY_ASSIGN(PipeEnds in, MakePipe());
  FARADAY_TRY_ASSIGN(PipeEnds out, MakePipe());
  FARADAY_TRY_ASSIGN(PipeEnds err, MakePipe());
  std::unique_ptr<Command> command(new Command(loop, box, std::move(on_event)));
  const int err_fd = merge ? out.write.get() : err.write.get();
  FARADAY_TRY_ASSIGN(command->started_, box.Start(line, term, in.read.get(), out.write.get(), err_fd));
  command->in_.fd = std::move(in.write);
  command->out_.fd = std::move(out.read);
  command->err_.fd = std::move(err.read);
  for (const Pipe* pipe : {&command->in_, &command->out_, &command->err_}) SetNonBlocking(pipe->fd);
  command->end_watch_ = loop.AddFd("phone command", command->started_.pidfd.get(), POLLIN,
                                   [raw = command.get()](short) { raw->HasEnded(); });
  command->Watch(command->out_, POLLIN);
  command->Watch(command->err_, POLLIN);
  return command;
}

Command::~Command() {
  for (Pipe* pipe : {&in_, &out_, &err_}) ClosePipe(*pipe);
  loop_.Remove(end_watch_);
  if (started_.pidfd) box_.End(std::move(started_));
}

// One event a watch: it is taken off until the next read or write finds the pipe blocked again.
void Command::Watch(Pipe& pipe, short events) {
  if (pipe.watch != 0 || !pipe.fd) return;
  pipe.watch = loop_.AddFd("phone command's pipe", pipe.fd.get(), events, [this, &pipe](short) {
    loop_.Remove(std::exchange(pipe.watch, 0));
    if (&pipe == &in_) FlushInput();
    Tell();
  });
}

void Command::ClosePipe(Pipe& pipe) {
  loop_.Remove(std::exchange(pipe.watch, 0));
  pipe.fd.Reset();
}

std::string Command::Read(Pipe& pipe, size_t max) {
  if (!pipe.fd) return {};
  std::string bytes(std::min(max, kReadAtOnce), '\0');
  ssize_t got = 0;
  do {
    got = ::read(pipe.fd.get(), bytes.data(), bytes.size());
  } while (got < 0 && errno == EINTR);
  // After the end an empty pipe is as good as a closed one: what still holds it open has left the command's group.
  if (got == 0 || (got < 0 && (errno != EAGAIN || code_))) ClosePipe(pipe);
  if (got < 0) Watch(pipe, POLLIN);
  bytes.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return bytes;
}

void Command::Write(std::string_view bytes) {
  if (!in_.fd) return;
  input_ += bytes;
  FlushInput();
}

void Command::CloseInput() {
  close_input_ = true;
  FlushInput();
}

void Command::FlushInput() {
  while (in_.fd && !input_.empty()) {
    const ssize_t wrote = ::write(in_.fd.get(), input_.data(), input_.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0 && errno == EAGAIN) return Watch(in_, POLLOUT);
    if (wrote < 0) ClosePipe(in_);
    input_.erase(0, wrote < 0 ? std::string::npos : static_cast<size_t>(wrote));
  }
  if (close_input_ || !in_.fd) ClosePipe(in_);
}

void Command::LetFinish() {
  ClosePipe(out_);
  ClosePipe(err_);
  CloseInput();
}

void Command::HasEnded() {
  loop_.Remove(std::exchange(end_watch_, 0));
  code_ = box_.Reap(started_);
  input_.clear();
  ClosePipe(in_);
  Tell();
}

// By a copy: the call may destroy this command, its callback included.
void Command::Tell() {
  const auto call = on_event_;
  call();
}

std::optional<int> Command::exit_code() const {
  if (out_.fd || err_.fd) return std::nullopt;
  return code_;
}

}  // namespace faraday::sim
