#include "sim/phone/command.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
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
void SetNonBlocking(const OwnedFd& fd) {
  if (fd) ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
}

std::shared_ptr<OwnedFd> Share(OwnedFd fd) { return std::make_shared<OwnedFd>(std::move(fd)); }

}  // namespace

Result<CommandStreams> Command::MakePipes(bool merge) {
  FARADAY_TRY_ASSIGN(PipeEnds in, MakePipe());
  FARADAY_TRY_ASSIGN(PipeEnds out, MakePipe());
  in_.fd = std::move(in.write);
  out_.fd = std::move(out.read);
  CommandStreams theirs{Share(std::move(in.read)), Share(std::move(out.write)), nullptr};
  theirs.err = theirs.out;
  if (merge) return theirs;
  FARADAY_TRY_ASSIGN(PipeEnds err, MakePipe());
  err_.fd = std::move(err.read);
  theirs.err = Share(std::move(err.write));
  return theirs;
}

Result<CommandStreams> Command::MakeTerminal() {
  OwnedFd ours(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  char name[64] = {};
  if (!ours || ::grantpt(ours.get()) != 0 || ::unlockpt(ours.get()) != 0 ||
      ::ptsname_r(ours.get(), name, sizeof(name)) != 0) {
    return Status{Code::kResourceExhausted, std::string("phone: cannot make a terminal: ") + std::strerror(errno)};
  }
  const auto theirs = Share(OwnedFd(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC)));
  in_.fd.Reset(::fcntl(ours.get(), F_DUPFD_CLOEXEC, 0));
  out_.fd = std::move(ours);
  terminal_ = true;
  return CommandStreams{theirs, theirs, theirs};
}

Result<std::unique_ptr<Command>> Command::Start(evloop::Loop& loop,
                                                CommandBox& box,
                                                const CommandLine& line,
                                                std::function<void()> on_event) {
  std::unique_ptr<Command> command(new Command(loop, box, std::move(on_event)));
  FARADAY_TRY_ASSIGN(const CommandStreams theirs,
                     line.terminal ? command->MakeTerminal() : command->MakePipes(line.merge));
  FARADAY_TRY_ASSIGN(command->started_, box.Start(line, theirs));
  for (const Pipe* pipe : {&command->in_, &command->out_, &command->err_}) SetNonBlocking(pipe->fd);
  command->end_watch_ = loop.AddFd(
      "phone command", command->started_.pidfd.get(), POLLIN, [raw = command.get()](short) { raw->HasEnded(); });
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

void Command::SetWindow(uint16_t rows, uint16_t columns) {
  const winsize size{rows, columns, 0, 0};
  if (terminal_ && in_.fd) ::ioctl(in_.fd.get(), TIOCSWINSZ, &size);
}

void Command::CloseInput() {
  // A terminal has no end of its own; the character that means one is what a person would type.
  if (terminal_ && !close_input_) input_ += '\x04';
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
