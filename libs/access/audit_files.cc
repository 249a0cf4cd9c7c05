#include "access/audit_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace faraday::access {
namespace {

class Fd {
 public:
  Fd(const std::string& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600)) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

Status Failed(const char* what, const std::string& path) {
  return {Code::kUnavailable, fmt::format("cannot {} {}: {}", what, path, std::strerror(errno))};
}

}  // namespace

Result<PosixAuditFiles> PosixAuditFiles::Open(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(folder).parent_path(), error);
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return Failed("make the audit folder", folder);
  struct stat about {};
  if (::stat(folder.c_str(), &about) != 0) return Failed("look at", folder);
  if ((about.st_mode & 077) != 0 || about.st_uid != ::geteuid()) {
    return Status(
        Code::kFailedPrecondition,
        fmt::format(
            "others may read or write {}; mend it: chown {} {} && chmod 0700 {}", folder, ::geteuid(), folder, folder));
  }
  return PosixAuditFiles(folder);
}

Result<std::vector<std::string>> PosixAuditFiles::List() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error))
    names.push_back(entry.path().filename());
  if (error) return Status(Code::kUnavailable, fmt::format("cannot list {}: {}", folder_, error.message()));
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::string> PosixAuditFiles::Read(const std::string& name, uint64_t offset, uint64_t most) {
  const Fd fd(PathOf(name), O_RDONLY);
  if (!fd.ok()) return Failed("read", PathOf(name));
  std::string bytes(most, '\0');
  size_t have = 0;
  while (have < most) {
    const ssize_t got = ::pread(fd.get(), bytes.data() + have, most - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failed("read", PathOf(name));
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

Result<uint64_t> PosixAuditFiles::Size(const std::string& name) {
  struct stat about {};
  if (::lstat(PathOf(name).c_str(), &about) != 0) return Failed("look at", PathOf(name));
  return static_cast<uint64_t>(about.st_size);
}

Result<size_t> PosixAuditFiles::Append(const std::string& name, std::string_view bytes) {
  const Fd fd(PathOf(name), O_WRONLY | O_APPEND | O_CREAT);
  if (!fd.ok()) return Failed("open", PathOf(name));
  ssize_t written = 0;
  do {
    written = ::write(fd.get(), bytes.data(), bytes.size());
  } while (written < 0 && errno == EINTR);
  if (written < 0) return Failed("write", PathOf(name));
  return static_cast<size_t>(written);
}

Status PosixAuditFiles::Truncate(const std::string& name, uint64_t size) {
  if (::truncate(PathOf(name).c_str(), static_cast<off_t>(size)) == 0) return OkStatus();
  return Failed("cut", PathOf(name));
}

Status PosixAuditFiles::Remove(const std::string& name) {
  if (::unlink(PathOf(name).c_str()) == 0 || errno == ENOENT) return OkStatus();
  return Failed("remove", PathOf(name));
}

Status PosixAuditFiles::Sync(const std::string& name, bool folder) {
  const Fd fd(PathOf(name), O_RDONLY);
  if (!fd.ok()) return Failed("open", PathOf(name));
  if (::fdatasync(fd.get()) != 0) return Failed("sync", PathOf(name));
  if (!folder) return OkStatus();
  const Fd in(folder_, O_RDONLY | O_DIRECTORY);
  if (in.ok() && ::fsync(in.get()) == 0) return OkStatus();
  return Failed("sync", folder_);
}

}  // namespace faraday::access
