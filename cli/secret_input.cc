#include "cli/secret_input.h"

#include <termios.h>
#include <unistd.h>

#include <cerrno>

namespace faraday::cli {
namespace {

constexpr size_t kLongest = 4096;

// A terminal without echo, while it lives.
class Quiet {
 public:
  explicit Quiet(int fd) : fd_(fd), is_terminal_(tcgetattr(fd, &before_) == 0) {
    if (!is_terminal_) return;
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    quiet.c_lflag |= ECHONL;
    tcsetattr(fd_, TCSAFLUSH, &quiet);
  }
  ~Quiet() {
    if (is_terminal_) tcsetattr(fd_, TCSAFLUSH, &before_);
  }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;

 private:
  int fd_;
  termios before_{};
  bool is_terminal_;
};

}  // namespace

Result<std::string> ReadSecretLine(std::FILE* in,
                                   std::FILE* err,
                                   const std::string& prompt,
                                   const std::function<bool()>& interrupted) {
  const int fd = fileno(in);
  if (isatty(fd) == 1) {
    std::fputs(prompt.c_str(), err);
    std::fflush(err);
  }
  const Quiet quiet(fd);
  std::string line;
  // Byte by byte: what follows the line is not ours.
  for (char byte = 0; line.size() <= kLongest;) {
    const ssize_t got = ::read(fd, &byte, 1);
    if (got < 0 && errno == EINTR) {
      if (interrupted()) return Status(Code::kCancelled, "interrupted");
      continue;
    }
    if (got <= 0 || byte == '\n') break;
    line += byte;
  }
  if (line.size() > kLongest) return Status(Code::kInvalidArgument, "the code is too long: it is one line");
  if (line.find_first_not_of(" \t\r") == std::string::npos) {
    return Status(Code::kInvalidArgument, "no code was given: type it, pipe it in, or use --code");
  }
  return line;
}

}  // namespace faraday::cli
