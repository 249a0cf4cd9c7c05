#include "agent/runner/folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

namespace faraday::agent::folder {
namespace {

Status Errno(const std::string& path, const char* doing) {
  const Code code = errno == ENOENT ? Code::kNotFound : Code::kInternal;
  return {code, fmt::format("cannot {} {}: {}", doing, path, std::strerror(errno))};
}

bool WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

constexpr const char* kWhyNames[] = {"exited", "timeout", "lease_lost", "cancelled", "cannot_start", "runner_lost"};

// The result file's lines are these rows.
struct ResultRow {
  const char* key;
  int64_t (*get)(const RunEnd&);
  void (*set)(RunEnd&, int64_t);
};
constexpr ResultRow kResultRows[] = {
    {"exit_code",
     [](const RunEnd& e) { return int64_t{e.exit_code}; },
     [](RunEnd& e, int64_t v) { e.exit_code = static_cast<int>(v); }},
    {"started_utc_ms",
     [](const RunEnd& e) { return e.started_utc_ms; },
     [](RunEnd& e, int64_t v) { e.started_utc_ms = v; }},
    {"ended_utc_ms", [](const RunEnd& e) { return e.ended_utc_ms; }, [](RunEnd& e, int64_t v) { e.ended_utc_ms = v; }},
    {"log_size",
     [](const RunEnd& e) { return static_cast<int64_t>(e.log_size); },
     [](RunEnd& e, int64_t v) { e.log_size = static_cast<uint64_t>(v); }},
    {"log_dropped",
     [](const RunEnd& e) { return static_cast<int64_t>(e.log_dropped); },
     [](RunEnd& e, int64_t v) { e.log_dropped = static_cast<uint64_t>(v); }},
};

Result<int64_t> ParseNumber(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return Status(Code::kDataLoss, fmt::format("'{}' is no number", text));
  }
  return value;
}

Status TakeResultLine(std::string_view key, std::string_view value, RunEnd& end) {
  if (key == "message") end.message = value;
  if (key == "why") {
    for (size_t i = 0; i < std::size(kWhyNames); ++i) {
      if (value == kWhyNames[i]) end.why = static_cast<RunEnd::Why>(i);
    }
  }
  for (const ResultRow& row : kResultRows) {
    if (key != row.key) continue;
    FARADAY_TRY_ASSIGN(const int64_t number, ParseNumber(value));
    row.set(end, number);
  }
  return OkStatus();
}

}  // namespace

Result<std::string> Read(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Errno(path, "open");
  std::string text;
  char buffer[16384];
  ssize_t got = 0;
  while ((got = ::read(fd, buffer, sizeof(buffer))) > 0 || (got < 0 && errno == EINTR)) {
    if (got > 0) text.append(buffer, static_cast<size_t>(got));
  }
  const Status status = got < 0 ? Errno(path, "read") : OkStatus();
  ::close(fd);
  if (!status.ok()) return status;
  return text;
}

Status Replace(const std::string& path, std::string_view text) {
  const std::string beside = path + ".new";
  const int fd = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return Errno(beside, "create");
  const bool written = WriteAll(fd, text) && ::fsync(fd) == 0;
  const Status status = written ? OkStatus() : Errno(beside, "write");
  ::close(fd);
  if (!status.ok()) return status;
  if (::rename(beside.c_str(), path.c_str()) != 0) return Errno(path, "replace");
  return OkStatus();
}

std::string JoinNul(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) (text += word) += '\0';
  return text;
}

std::vector<std::string> SplitNul(std::string_view text) {
  std::vector<std::string> words;
  for (size_t end = 0; (end = text.find('\0')) != std::string_view::npos; text.remove_prefix(end + 1)) {
    words.emplace_back(text.substr(0, end));
  }
  return words;
}

Status WriteDeadline(const std::string& folder, BootTime deadline) {
  return Replace(folder + "/deadline", fmt::format("{}\n", deadline.time_since_epoch().count()));
}

Result<BootTime> ReadDeadline(const std::string& folder) {
  FARADAY_TRY_ASSIGN(std::string text, Read(folder + "/deadline"));
  if (!text.empty() && text.back() == '\n') text.pop_back();
  FARADAY_TRY_ASSIGN(const int64_t number, ParseNumber(text));
  return BootTime(Milliseconds(number));
}

Status WriteResult(const std::string& folder, const RunEnd& end) {
  std::string text = fmt::format("why {}\n", kWhyNames[static_cast<size_t>(end.why)]);
  for (const ResultRow& row : kResultRows) text += fmt::format("{} {}\n", row.key, row.get(end));
  std::string message = end.message;
  for (char& c : message) c = c == '\n' ? ' ' : c;
  text += fmt::format("message {}\n", message);
  return Replace(folder + "/result", text);
}

Result<RunEnd> ReadResult(const std::string& folder) {
  FARADAY_TRY_ASSIGN(const std::string text, Read(folder + "/result"));
  RunEnd end;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const size_t space = line.find(' ');
    if (space == std::string_view::npos) continue;
    FARADAY_TRY(TakeResultLine(line.substr(0, space), line.substr(space + 1), end));
  }
  return end;
}

Result<int> Lock(const std::string& folder) {
  const std::string path = folder + "/lock";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return Errno(path, "open");
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  ::close(fd);
  return Status(Code::kAlreadyExists, path + " is held by another process");
}

}  // namespace faraday::agent::folder
