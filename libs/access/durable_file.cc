#include "access/durable_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace faraday::access {
namespace {

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

Status Trouble(const std::string& path, int error) {
  return {error == ENOENT ? Code::kNotFound : Code::kUnavailable, fmt::format("{}: {}", path, std::strerror(error))};
}

Status NotWritten(const std::string& path, int error) {
  return {Code::kUnavailable,
          fmt::format("cannot write {}: {}; nothing was changed. Make room or mend the folder, then try again",
                      path,
                      std::strerror(error))};
}

Status CheckPrivate(const std::string& path, int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return Trouble(path, errno);
  if (!S_ISREG(status.st_mode)) return {Code::kFailedPrecondition, path + " is no ordinary file"};
  if (status.st_uid != ::geteuid()) {
    return {Code::kFailedPrecondition,
            fmt::format("{} belongs to user {}, not to this one: chown {} {}", path, status.st_uid, ::geteuid(), path)};
  }
  if ((status.st_mode & 077) == 0) return OkStatus();
  return {
      Code::kFailedPrecondition,
      fmt::format("{} has mode {:04o}: it decides who may come in, so nobody else may read or write it; look whether "
                  "it was changed, then chmod 600 {}",
                  path,
                  static_cast<unsigned>(status.st_mode & 07777),
                  path)};
}

// 0, or errno.
int WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return written < 0 ? errno : ENOSPC;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return ::fsync(fd) == 0 ? 0 : errno;
}

Status MakeFolder(const std::filesystem::path& folder) {
  std::error_code error;
  if (folder.empty() || std::filesystem::exists(folder, error)) return OkStatus();
  std::filesystem::create_directories(folder, error);
  if (error) return {Code::kUnavailable, fmt::format("{}: {}", folder.string(), error.message())};
  std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  return OkStatus();
}

}  // namespace

Result<std::string> ReadPrivateFile(const std::string& path, size_t limit) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.get() < 0) return Trouble(path, errno);
  FARADAY_TRY(CheckPrivate(path, file.get()));
  std::string bytes(limit + 1, '\0');
  size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t got = ::read(file.get(), bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Trouble(path, errno);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > limit) return Status(Code::kDataLoss, fmt::format("{} is larger than {} bytes", path, limit));
  bytes.resize(size);
  return bytes;
}

Status ReplaceFile(const std::string& path, std::string_view bytes) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  FARADAY_TRY(MakeFolder(folder));
  const std::string fresh = path + ".new";
  ::unlink(fresh.c_str());
  {
    const Fd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file.get() < 0) return NotWritten(fresh, errno);
    const int error = WriteAll(file.get(), bytes);
    if (error != 0) {
      ::unlink(fresh.c_str());
      return NotWritten(path, error);
    }
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(fresh.c_str());
    return NotWritten(path, error);
  }
  const Fd dir(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (dir.get() >= 0 && ::fsync(dir.get()) == 0) return OkStatus();
  return {Code::kUnknown,
          fmt::format("{} was replaced, but its folder cannot be written to disk ({}): read the state again",
                      path,
                      std::strerror(errno))};
}

}  // namespace faraday::access
