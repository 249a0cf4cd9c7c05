#include "access/known_servers.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>

#include "access/durable_file.h"

namespace faraday::access {
namespace {

constexpr size_t kLargestFile = 1 << 20;
constexpr std::string_view kHeading =
    "# Faraday rack: servers met. endpoint <tab> public key <tab> own key file <tab> own user name\n";

struct Line {
  std::string text;  // without the end of line
  std::optional<KnownServer> server;
};

Status Damaged(const std::string& path, size_t number, std::string_view why) {
  return {Code::kDataLoss,
          fmt::format("{} line {} {}: mend or remove the line, then log in to that server anew", path, number, why)};
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (size_t at = 0;;) {
    const size_t end = text.find(separator, at);
    parts.push_back(text.substr(at, end == std::string_view::npos ? end : end - at));
    if (end == std::string_view::npos) return parts;
    at = end + 1;
  }
}

Result<std::vector<Line>> ReadLines(const std::string& path) {
  std::vector<Line> lines;
  auto text = ReadPrivateFile(path, kLargestFile);
  if (text.status().code() == Code::kNotFound) return lines;
  if (!text.ok()) return text.status();
  if (text->ends_with('\n')) text->pop_back();
  if (text->empty()) return lines;
  for (const std::string_view line : Split(*text, '\n')) {
    lines.push_back({std::string(line), std::nullopt});
    if (line.empty() || line.starts_with('#')) continue;
    const auto fields = Split(line, '\t');
    if (fields.size() != 4 || fields[0].empty()) return Damaged(path, lines.size(), "does not have four fields");
    const auto key = PublicKeyOf(fields[1]);
    if (!key.ok()) return Damaged(path, lines.size(), "has no key of 64 hex digits");
    lines.back().server = KnownServer{std::string(fields[0]), *key, std::string(fields[2]), std::string(fields[3])};
  }
  return lines;
}

Status WriteLines(const std::string& path, const std::vector<Line>& lines) {
  std::string text;
  for (const Line& line : lines) text += line.text + "\n";
  return ReplaceFile(path, lines.empty() || lines.front().server ? std::string(kHeading) + text : text);
}

bool IsField(const std::string& text) {
  return std::none_of(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// Held until it goes.
class Lock {
 public:
  static Result<Lock> Take(const std::string& path) {
    std::error_code error;
    const auto folder = std::filesystem::path(path).parent_path();
    if (!folder.empty() && !std::filesystem::exists(folder, error)) {
      std::filesystem::create_directories(folder, error);
      if (!error) std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
    }
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    while (fd >= 0 && ::flock(fd, LOCK_EX) != 0) {
      if (errno == EINTR) continue;
      ::close(fd);
      return Status(Code::kUnavailable, fmt::format("cannot lock {}: {}", path, std::strerror(errno)));
    }
    if (fd < 0) return Status(Code::kUnavailable, fmt::format("{}: {}", path, std::strerror(errno)));
    return Lock(fd);
  }
  Lock(Lock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Lock& operator=(Lock&&) = delete;
  ~Lock() {
    if (fd_ >= 0) ::close(fd_);
  }

 private:
  explicit Lock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace

Result<std::vector<KnownServer>> KnownServers::List() const {
  FARADAY_TRY_ASSIGN(const std::vector<Line> lines, ReadLines(path_));
  std::vector<KnownServer> servers;
  for (const Line& line : lines) {
    if (line.server) servers.push_back(*line.server);
  }
  return servers;
}

Result<std::optional<KnownServer>> KnownServers::Find(const std::string& endpoint) const {
  FARADAY_TRY_ASSIGN(std::vector<KnownServer> servers, List());
  const auto found =
      std::find_if(servers.begin(), servers.end(), [&](const KnownServer& s) { return s.endpoint == endpoint; });
  if (found == servers.end()) return std::optional<KnownServer>();
  return std::optional<KnownServer>(std::move(*found));
}

Status KnownServers::Change(const KnownServer* put, const std::string& endpoint) const {
  FARADAY_TRY_ASSIGN(const Lock lock, Lock::Take(path_ + ".lock"));
  FARADAY_TRY_ASSIGN(std::vector<Line> lines, ReadLines(path_));
  std::erase_if(lines, [&](const Line& line) { return line.server && line.server->endpoint == endpoint; });
  if (put != nullptr) {
    lines.push_back({fmt::format("{}\t{}\t{}\t{}", put->endpoint, ToHex(put->key), put->key_file, put->user), *put});
  }
  return WriteLines(path_, lines);
}

Status KnownServers::Add(const KnownServer& server) const {
  if (server.endpoint.empty() || server.endpoint.starts_with('#')) {
    return {Code::kInvalidArgument, "a known server needs an endpoint, such as tcp://lab:7710"};
  }
  if (!IsField(server.endpoint) || !IsField(server.key_file) || !IsField(server.user)) {
    return {Code::kInvalidArgument, "endpoint, key file and user of a known server may not hold control characters"};
  }
  return Change(&server, server.endpoint);
}

Status KnownServers::Remove(const std::string& endpoint) const { return Change(nullptr, endpoint); }

}  // namespace faraday::access
