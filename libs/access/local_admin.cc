#include "access/local_admin.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "access/key.h"

namespace faraday::access {
namespace {

// A running server holds its folder's lock.
Status CheckRunning(const std::string& state_dir) {
  const Status not_running{Code::kFailedPrecondition,
                           fmt::format("no server runs on {}: start it first, it is the one that acts", state_dir)};
  const int fd = ::open((state_dir + "/lock").c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return not_running;
  if (fd < 0) {
    return {Code::kFailedPrecondition,
            fmt::format("{}/lock: {}; run this as the server's own user", state_dir, std::strerror(errno))};
  }
  const bool is_free = ::flock(fd, LOCK_EX | LOCK_NB) == 0;
  ::close(fd);
  return is_free ? not_running : OkStatus();
}

// Every interface is this machine's too.
std::string Near(std::string endpoint) {
  for (const auto& [any, own] : {std::pair{"//0.0.0.0:", "//127.0.0.1:"}, std::pair{"//[::]:", "//[::1]:"}}) {
    if (const size_t at = endpoint.find(any); at != std::string::npos) endpoint.replace(at, std::strlen(any), own);
  }
  return endpoint;
}

Result<std::string> ListenOf(const std::string& state_dir) {
  std::ifstream file(state_dir + "/endpoints");
  std::string word;
  std::string endpoint;
  if (file >> word >> endpoint && word == "listen") return Near(endpoint);
  return Status(Code::kFailedPrecondition, fmt::format("{}/endpoints says nothing: is the server up?", state_dir));
}

}  // namespace

Status CheckOwner(const std::string& state_dir) {
  struct stat info {};
  if (::stat(state_dir.c_str(), &info) != 0 || info.st_uid == ::geteuid()) return OkStatus();
  const passwd* owner = ::getpwuid(info.st_uid);
  const std::string name = owner != nullptr ? owner->pw_name : fmt::format("#{}", info.st_uid);
  return {Code::kFailedPrecondition,
          fmt::format("{} belongs to user {}: run this as that user, sudo -u {} ...", state_dir, name, name)};
}

bool IsAdminWord(const std::string& word) { return word == "user" || word == "audit"; }

Status BecomeAdmin(const LocalAdmin& admin) {
  FARADAY_TRY(CheckOwner(admin.state_dir));
  FARADAY_TRY(CheckRunning(admin.state_dir));
  FARADAY_TRY_ASSIGN(const std::string endpoint, ListenOf(admin.state_dir));
  std::error_code error;
  const std::string program = std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "faraday";
  std::vector<std::string> words = {program, admin.server_option, endpoint};
  if (admin.plain) {
    words.insert(words.end(), {"--plain", "--user", "admin", "--role", "admin"});
  } else {
    const std::string keys = admin.state_dir + "/keys/";
    FARADAY_TRY_ASSIGN(const SecretKey server, ReadSecret(keys + "server.key"));
    words.insert(words.end(), {"--key", keys + "admin.key", "--server-key", ToHex(KeyPairOf(server).public_key)});
  }
  words.insert(words.end(), admin.words.begin(), admin.words.end());
  // The caller's own standing does not count here.
  for (const char* name : {"FARADAY_LAB",
                           "FARADAY_CONTROLLER",
                           "FARADAY_USER",
                           "FARADAY_ROLE",
                           "FARADAY_TEAM",
                           "FARADAY_TOKEN",
                           "FARADAY_TOKEN_FILE",
                           "FARADAY_PLAIN"}) {
    ::unsetenv(name);
  }
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  return {Code::kNotFound, fmt::format("cannot run {}: {}", program, std::strerror(errno))};
}

}  // namespace faraday::access
