#include "agent/runner/seclude.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace faraday::agent {
namespace {

namespace fs = std::filesystem;

// 2 came with Linux 5.19; before it every rename into another folder failed.
constexpr long kNeeded = 2;
constexpr __u64 kFileRights = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE;
constexpr __u64 kAllRights = (LANDLOCK_ACCESS_FS_REFER << 1) - 1;

// Of Linux 6.12; Debian 12's headers end before.
constexpr long kScopes = 6;
constexpr __u64 kScopeSignal = 1U << 1;
struct RulesetAttributes {
  __u64 handled_access_fs;
  __u64 handled_access_net;
  __u64 scoped;
};

long Version() { return ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION); }

// One set of rules; what no rule allows is refused.
class Rules {
 public:
  Rules() {
    const RulesetAttributes attributes{kAllRights, 0, CanScopeSignals() ? kScopeSignal : 0};
    const size_t size = CanScopeSignals() ? sizeof(attributes) : sizeof(attributes.handled_access_fs);
    set_ = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, size, 0));
  }
  ~Rules() {
    if (set_ >= 0) ::close(set_);
  }
  Rules(const Rules&) = delete;
  Rules& operator=(const Rules&) = delete;
  bool made() const { return set_ >= 0; }

  // What vanishes meanwhile, or may not be looked at, gets no rule: it stays closed.
  void Allow(const fs::path& path, __u64 rights) {
    const int fd = ::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return;
    struct stat status {};
    const bool folder = ::fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
    const landlock_path_beneath_attr rule{.allowed_access = folder ? rights : rights & kFileRights, .parent_fd = fd};
    if (rule.allowed_access != 0) ::syscall(SYS_landlock_add_rule, set_, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    ::close(fd);
  }
  Status Obey() {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::syscall(SYS_landlock_restrict_self, set_, 0) == 0)
      return OkStatus();
    return {Code::kInternal, fmt::format("cannot obey Landlock rules: {}", std::strerror(errno))};
  }

 private:
  int set_ = -1;
};

// Everything beside the way from / to `hidden`.
void AllowAllBut(const fs::path& hidden, Rules* rules) {
  fs::path folder = "/";
  for (const fs::path& next : hidden.relative_path()) {
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
      if (entry.path().filename() != next) rules->Allow(entry.path(), kAllRights);
    }
    folder /= next;
  }
}

}  // namespace

std::string StateFolderOf(const std::string& attempt_folder) {
  const fs::path above = fs::path(attempt_folder).parent_path();
  return above.filename() == "attempts" ? above.parent_path() : above;
}

bool CanSeclude() { return Version() >= kNeeded; }

bool CanScopeSignals() { return Version() >= kScopes; }

Status Seclude(const std::string& hidden, const std::vector<std::string>& open) {
  std::error_code error;
  const fs::path real = fs::canonical(hidden, error);
  if (error) return {Code::kInternal, fmt::format("{}: {}", hidden, error.message())};
  Rules rules;
  if (!rules.made()) return {Code::kInternal, fmt::format("no Landlock rules: {}", std::strerror(errno))};
  rules.Allow("/", LANDLOCK_ACCESS_FS_READ_DIR);
  AllowAllBut(real, &rules);
  for (const std::string& path : open) rules.Allow(fs::canonical(path, error), kAllRights);
  return rules.Obey();
}

}  // namespace faraday::agent
