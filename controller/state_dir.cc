#include "controller/state_dir.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace faraday::controller {

Result<std::unique_ptr<StateDir>> StateDir::Open(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  const std::string lock_path = path + "/lock";
  const int fd = error ? -1 : ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) {
    return Status{Code::kUnavailable,
                  fmt::format("state_dir {}: {}; make it writable for this user or set controller.state_dir",
                              path,
                              error ? error.message() : std::strerror(errno))};
  }
  std::unique_ptr<StateDir> dir(new StateDir(path, fd));
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return dir;
  return Status{
      Code::kFailedPrecondition,
      fmt::format("state_dir {} is in use by another faraday-controller; stop it, or give this rack its own", path)};
}

StateDir::~StateDir() { ::close(lock_); }

Status StateDir::WriteEndpoints(const std::string& listen, const std::string& events) const {
  const std::string path = path_ + "/endpoints";
  const std::string fresh = path + ".new";
  {
    std::ofstream file(fresh, std::ios::trunc);
    file << "listen " << listen << "\nevents " << events << "\n";
    if (!file.flush()) return {Code::kUnavailable, fmt::format("{}: {}", fresh, std::strerror(errno))};
  }
  if (std::rename(fresh.c_str(), path.c_str()) == 0) return OkStatus();
  return {Code::kUnavailable, fmt::format("{}: {}", path, std::strerror(errno))};
}

std::string BootId() {
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  return id;
}

}  // namespace faraday::controller
