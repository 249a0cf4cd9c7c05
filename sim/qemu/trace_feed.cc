#include "sim/qemu/trace_feed.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace faraday::sim::qemu {
namespace {

constexpr int kPipeBytes = 1 << 20;  // 10,000 lines: seconds of a reader's absence (chosen)

// Walks along a line. Every step returns false when the line is otherwise.
class Scanner {
 public:
  explicit Scanner(std::string_view line) : rest_(line) {}

  // Skips to after the next `text`.
  bool After(std::string_view text) {
    const size_t at = rest_.find(text);
    if (at == std::string_view::npos) return false;
    rest_.remove_prefix(at + text.size());
    return true;
  }
  bool Word(std::string_view& word) {
    word = rest_.substr(0, rest_.find(' '));
    rest_.remove_prefix(word.size());
    return !word.empty();
  }
  bool Number(uint32_t& number, int base) {
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), number, base);
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return error == std::errc();
  }

 private:
  std::string_view rest_;
};

std::optional<TraceEvent> ParseExpander(Scanner scanner) {
  std::string_view label;
  uint32_t pin = 0;
  uint32_t status = 0;
  if (!scanner.Word(label) || !scanner.After("GPIO id:") || !scanner.Number(pin, 10) || !scanner.After("-> ") ||
      !scanner.Number(status, 10) || pin > 15) {
    return std::nullopt;
  }
  return ExpanderPinChanged{std::string(label), pin, status != 0};
}

std::optional<TraceEvent> ParseGpio(Scanner scanner) {
  GpioWritten written{};
  if (!scanner.After("offset: 0x") || !scanner.Number(written.offset, 16) || !scanner.After("value 0x") ||
      !scanner.Number(written.value, 16)) {
    return std::nullopt;
  }
  return written;
}

}  // namespace

std::optional<TraceEvent> ParseTraceLine(std::string_view line) {
  Scanner scanner(line);
  if (scanner.After("pca955x_gpio_change ")) return ParseExpander(scanner);
  if (scanner.After("aspeed_gpio_write ")) return ParseGpio(scanner);
  if (scanner.After("resettable_reset obj=")) return MachineReset{};
  return std::nullopt;
}

Result<TraceFeed> TraceFeed::Create(const std::string& path) {
  if (mkfifo(path.c_str(), 0600) != 0) {
    return Status(Code::kUnavailable, fmt::format("cannot make the FIFO {}: {}", path, std::strerror(errno)));
  }
  return Open(path);
}

Result<TraceFeed> TraceFeed::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return Status(Code::kUnavailable, fmt::format("cannot open {}: {}", path, std::strerror(errno)));
  fcntl(fd, F_SETPIPE_SZ, kPipeBytes);  // best effort: the default of 64 KiB works too
  return TraceFeed(fd);
}

TraceFeed::TraceFeed(TraceFeed&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), received_(std::move(other.received_)) {}

TraceFeed::~TraceFeed() {
  if (fd_ >= 0) close(fd_);
}

std::vector<TraceEvent> TraceFeed::Read() {
  std::array<char, 65536> buffer{};
  for (ssize_t count = read(fd_, buffer.data(), buffer.size()); count > 0;
       count = read(fd_, buffer.data(), buffer.size())) {
    received_.append(buffer.data(), static_cast<size_t>(count));
  }
  std::vector<TraceEvent> events;
  for (size_t end = received_.find('\n'); end != std::string::npos; end = received_.find('\n')) {
    if (auto event = ParseTraceLine(std::string_view(received_).substr(0, end))) events.push_back(std::move(*event));
    received_.erase(0, end + 1);
  }
  return events;
}

}  // namespace faraday::sim::qemu
