#include "agent/runner/kept_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace faraday::agent {

Result<KeptLog> KeptLog::Open(const std::string& path, size_t head, size_t tail) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return Status(Code::kInternal, fmt::format("cannot open {}: {}", path, std::strerror(errno)));
  return KeptLog(fd, head, tail);
}

KeptLog::KeptLog(KeptLog&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      head_(other.head_),
      tail_(other.tail_),
      end_(std::move(other.end_)),
      size_(other.size_),
      dropped_(other.dropped_) {}

KeptLog::~KeptLog() {
  if (fd_ >= 0) ::close(fd_);
}

void KeptLog::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    size_ += static_cast<uint64_t>(written);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  dropped_ += bytes.size();
}

void KeptLog::Append(std::string_view bytes) {
  const size_t room = size_ < head_ ? head_ - static_cast<size_t>(size_) : 0;
  const size_t direct = end_.empty() ? std::min(room, bytes.size()) : 0;
  Write(bytes.substr(0, direct));
  bytes.remove_prefix(direct);
  if (bytes.size() > tail_) {
    dropped_ += end_.size() + bytes.size() - tail_;
    end_.clear();
    bytes.remove_prefix(bytes.size() - tail_);
  }
  end_ += bytes;
  // Trimmed only at twice the size: moving 1 MiB for each small write would slow the job.
  if (end_.size() <= 2 * tail_) return;
  dropped_ += end_.size() - tail_;
  end_.erase(0, end_.size() - tail_);
}

void KeptLog::Finish() {
  if (end_.size() > tail_) {
    dropped_ += end_.size() - tail_;
    end_.erase(0, end_.size() - tail_);
  }
  if (dropped_ > 0 && !end_.empty())
    Write(fmt::format("\n[faraday: {} bytes of output are not kept here]\n", dropped_));
  Write(end_);
  end_.clear();
}

}  // namespace faraday::agent
