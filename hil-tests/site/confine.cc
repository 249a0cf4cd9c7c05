// Runs a program under what its systemd unit says, without systemd: an imitation for tests, made of the same kernel
// means (seccomp by libseccomp, mount, IPC, UTS and user namespaces, capabilities). Needs root.
//
//   confine UNIT USER_ID STATE_FOLDER PROGRAM ARGUMENTS...     PROGRAM replaces ExecStart's
//   confine UNIT                                               says which of the unit's lines are not imitated
//
// Not imitated: what is the cgroup's business (devices, memory, tasks, IP addresses), and systemd's own supervision.
#include <fcntl.h>
#include <fmt/core.h>
#include <grp.h>
#include <linux/mount.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

using Unit = std::multimap<std::string, std::string>;

[[noreturn]] void Fail(const std::string& what) {
  fmt::print(stderr, "confine: {}: {}\n", what, std::strerror(errno));
  std::exit(125);
}
void Must(bool good, const std::string& what) {
  if (!good) Fail(what);
}

std::vector<std::string> Words(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

Unit ReadUnit(const std::string& path) {
  std::ifstream in(path);
  Must(in.good(), path);
  Unit unit;
  bool service = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("[")) service = line == "[Service]";
    const size_t equals = line.find('=');
    if (!service || line.empty() || line[0] == '#' || equals == std::string::npos) continue;
    unit.emplace(line.substr(0, equals), line.substr(equals + 1));
  }
  return unit;
}

bool Says(const Unit& unit, const std::string& key, const std::string& value) {
  const auto [first, last] = unit.equal_range(key);
  for (auto it = first; it != last; ++it) {
    if (it->second == value) return true;
  }
  return false;
}

// ---- file systems ----

void ReadOnly(const char* path, bool yes) {
  mount_attr attributes{};
  (yes ? attributes.attr_set : attributes.attr_clr) = MOUNT_ATTR_RDONLY;
  Must(::syscall(SYS_mount_setattr, AT_FDCWD, path, AT_RECURSIVE, &attributes, sizeof(attributes)) == 0, path);
}

void Tmpfs(const char* path, const char* options) {
  if (::access(path, F_OK) == 0) Must(::mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options) == 0, path);
}

void PrivateDevices() {
  Must(::mkdir("/tmp/dev", 0755) == 0 && ::mount("tmpfs", "/tmp/dev", "tmpfs", MS_NOSUID, "mode=0755") == 0,
       "/tmp/dev");
  for (const std::string name : {"null", "zero", "full", "random", "urandom", "tty"}) {
    const int fd = ::open(("/tmp/dev/" + name).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
    ::close(fd);
    Must(::mount(("/dev/" + name).c_str(), ("/tmp/dev/" + name).c_str(), nullptr, MS_BIND, nullptr) == 0, name);
  }
  Must(::mount("/tmp/dev", "/dev", nullptr, MS_MOVE, nullptr) == 0, "/dev");
}

void Mounts(const Unit& unit, const std::string& state, const std::string& program) {
  Must(::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "mounts");
  if (Says(unit, "ProtectSystem", "strict")) {
    Must(::mount(state.c_str(), state.c_str(), nullptr, MS_BIND, nullptr) == 0, state);
    ReadOnly("/", true);
    for (const char* path : {state.c_str(), "/dev", "/proc"}) ReadOnly(path, false);
  }
  Tmpfs("/tmp", "mode=1777");  // PrivateTmp, or the agent's TemporaryFileSystem
  Tmpfs("/var/tmp", "mode=1777");
  if (Says(unit, "PrivateDevices", "yes")) PrivateDevices();
  if (Says(unit, "ProtectProc", "invisible"))
    Must(::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=invisible") == 0, "/proc");
  if (!Says(unit, "ProtectHome", "yes")) return;
  for (const char* home : {"/home", "/root", "/run/user"}) {
    // A checkout in somebody's home: there the programs must stay.
    if (!program.starts_with(std::string(home) + "/")) Tmpfs(home, "mode=0000");
  }
}

// ---- system calls ----

std::set<std::string> CallsOf(const std::string& name) {
  if (!name.starts_with("@")) return {name};
  static std::map<std::string, std::set<std::string>> known;
  if (const auto found = known.find(name); found != known.end()) return found->second;
  std::set<std::string> calls;
  std::FILE* pipe = ::popen(("systemd-analyze --no-pager syscall-filter " + name).c_str(), "r");
  char line[256];
  while (pipe != nullptr && std::fgets(line, sizeof(line), pipe) != nullptr) {
    const auto words = Words(line);
    if (line[0] == '@' || words.empty() || words[0] == "#") continue;
    calls.merge(CallsOf(words[0]));
  }
  Must(pipe != nullptr && ::pclose(pipe) == 0 && !calls.empty(), "systemd-analyze syscall-filter " + name);
  return known[name] = calls;
}

std::set<std::string> AllowedCalls(const Unit& unit) {
  std::set<std::string> allowed;
  const auto [first, last] = unit.equal_range("SystemCallFilter");
  for (auto it = first; it != last; ++it) {
    const bool takes = it->second.starts_with("~");
    for (const std::string& word : Words(it->second.substr(takes ? 1 : 0))) {
      for (const std::string& call : CallsOf(word)) takes ? (void)allowed.erase(call) : (void)allowed.insert(call);
    }
  }
  return allowed;
}

// Fills a filter, then obeys it.
void Filter(uint32_t otherwise, const std::function<void(scmp_filter_ctx)>& fill) {
  scmp_filter_ctx filter = seccomp_init(otherwise);
  Must(filter != nullptr, "seccomp");
  seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);  // its own line of the unit
  fill(filter);
  Must(seccomp_load(filter) == 0, "seccomp filter");
  seccomp_release(filter);
}

void Refuse(scmp_filter_ctx filter, const char* call, int error, std::vector<scmp_arg_cmp> when = {}) {
  const int number = seccomp_syscall_resolve_name(call);
  if (number != __NR_SCMP_ERROR)
    seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(error), number, static_cast<unsigned>(when.size()), when.data());
}
scmp_arg_cmp Has(unsigned argument, uint64_t bits) { return {argument, SCMP_CMP_MASKED_EQ, bits, bits}; }
scmp_arg_cmp Is(unsigned argument, uint64_t value) { return {argument, SCMP_CMP_EQ, value, 0}; }

void SystemCalls(const std::set<std::string>& allowed) {
  if (allowed.empty()) return;
  Filter(SCMP_ACT_ERRNO(EPERM), [&](scmp_filter_ctx filter) {
    for (const std::string& call : allowed) {
      const int number = seccomp_syscall_resolve_name(call.c_str());
      if (number != __NR_SCMP_ERROR) seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
    }
  });
}

void AddressFamilies(const Unit& unit) {
  const std::map<std::string, int> kFamilies = {
      {"AF_UNIX", AF_UNIX}, {"AF_INET", AF_INET}, {"AF_INET6", AF_INET6}, {"AF_NETLINK", AF_NETLINK}};
  const auto line = unit.find("RestrictAddressFamilies");
  if (line == unit.end()) return;
  std::set<int> allowed;
  for (const std::string& word : Words(line->second)) allowed.insert(kFamilies.at(word));
  Filter(SCMP_ACT_ALLOW, [&](scmp_filter_ctx filter) {
    for (int family = 0; family < AF_MAX; ++family) {
      if (allowed.count(family) == 0) Refuse(filter, "socket", EAFNOSUPPORT, {Is(0, static_cast<uint64_t>(family))});
    }
  });
}

// One row a yes/no line of the unit that is a filter.
using Fill = void (*)(scmp_filter_ctx);
const std::map<std::string, Fill> kFilters = {
    {"MemoryDenyWriteExecute",
     [](scmp_filter_ctx filter) {
       Refuse(filter, "mmap", EPERM, {Has(2, PROT_WRITE | PROT_EXEC)});
       Refuse(filter, "mprotect", EPERM, {Has(2, PROT_EXEC)});
       Refuse(filter, "pkey_mprotect", EPERM, {Has(2, PROT_EXEC)});
       Refuse(filter, "shmat", EPERM, {Has(2, SHM_EXEC)});
     }},
    {"RestrictNamespaces",
     [](scmp_filter_ctx filter) {
       for (const uint64_t space :
            {CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP}) {
         Refuse(filter, "unshare", EPERM, {Has(0, space)});
         Refuse(filter, "clone", EPERM, {Has(0, space)});
       }
       Refuse(filter, "setns", EPERM);
       Refuse(filter, "clone3", ENOSYS);
     }},
    {"RestrictRealtime",
     [](scmp_filter_ctx filter) {
       for (const uint64_t policy : {SCHED_FIFO, SCHED_RR, 6})
         Refuse(filter, "sched_setscheduler", EPERM, {Is(1, policy)});
     }},
    {"RestrictSUIDSGID",
     [](scmp_filter_ctx filter) {
       for (const uint64_t bit : {S_ISUID, S_ISGID}) {
         Refuse(filter, "chmod", EPERM, {Has(1, bit)});
         Refuse(filter, "fchmod", EPERM, {Has(1, bit)});
         Refuse(filter, "fchmodat", EPERM, {Has(2, bit)});
       }
     }},
    {"LockPersonality",
     [](scmp_filter_ctx filter) {
       Refuse(filter, "personality", EPERM, {{0, SCMP_CMP_NE, 0, 0}});
     }},
    {"ProtectKernelModules",
     [](scmp_filter_ctx filter) {
       for (const char* call : {"init_module", "finit_module", "delete_module"}) Refuse(filter, call, EPERM);
     }},
    {"ProtectKernelLogs", [](scmp_filter_ctx filter) { Refuse(filter, "syslog", EPERM); }},
    {"ProtectClock",
     [](scmp_filter_ctx filter) {
       for (const char* call : {"clock_settime", "settimeofday", "adjtimex", "clock_adjtime"})
         Refuse(filter, call, EPERM);
     }},
    {"ProtectHostname",
     [](scmp_filter_ctx filter) {
       for (const char* call : {"sethostname", "setdomainname"}) Refuse(filter, call, EPERM);
     }},
};

// ---- who it is ----

void Put(const std::string& path, const std::string& text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  Must(fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()), path);
  ::close(fd);
}

// Only root and the user itself exist in it. The map of two lines must come from outside.
void PrivateUsers(uid_t user) {
  int gate[2];
  Must(::pipe2(gate, O_CLOEXEC) == 0, "pipe");
  const pid_t self = ::getpid();
  const pid_t writer = ::fork();
  if (writer == 0) {
    char go = 0;
    [[maybe_unused]] const auto got = ::read(gate[0], &go, 1);
    const std::string map = fmt::format("0 0 1\n{0} {0} 1\n", user);
    Put(fmt::format("/proc/{}/uid_map", self), map);
    Put(fmt::format("/proc/{}/gid_map", self), map);
    ::_exit(0);
  }
  Must(::unshare(CLONE_NEWUSER) == 0 && ::write(gate[1], "x", 1) == 1, "user namespace");
  int status = 0;
  Must(::waitpid(writer, &status, 0) == writer && status == 0, "user namespace's map");
}

void Become(const Unit& unit, uid_t user) {
  Must(::setgroups(0, nullptr) == 0, "groups");
  if (Says(unit, "PrivateUsers", "yes")) PrivateUsers(user);
  for (int capability = 0; capability < 64; ++capability) ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  Must(::setresgid(user, user, user) == 0 && ::setresuid(user, user, user) == 0, "user");
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  ::umask(0077);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  if (Says(unit, "NoNewPrivileges", "yes")) Must(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no new privileges");
}

int Tell(const Unit& unit) {
  const std::set<std::string> kImitated = {"ProtectSystem",
                                           "ProtectHome",
                                           "PrivateTmp",
                                           "TemporaryFileSystem",
                                           "PrivateDevices",
                                           "ProtectProc",
                                           "PrivateUsers",
                                           "PrivateIPC",
                                           "CapabilityBoundingSet",
                                           "AmbientCapabilities",
                                           "UMask",
                                           "NoNewPrivileges",
                                           "SystemCallFilter",
                                           "SystemCallErrorNumber",
                                           "RestrictAddressFamilies",
                                           "StateDirectory",
                                           "User",
                                           "ProtectKernelTunables",
                                           "ProtectControlGroups"};
  std::string left;
  for (const auto& [key, value] : unit) {
    const bool known = kImitated.count(key) != 0 || kFilters.count(key) != 0;
    if (!known && left.find(key) == std::string::npos) left += (left.empty() ? "" : ", ") + key;
  }
  fmt::print("not imitated: {}\n", left);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const Unit unit = ReadUnit(argv[1]);
  if (argc == 2) return Tell(unit);
  if (argc < 5) return 2;
  const auto user = static_cast<uid_t>(std::atoi(argv[2]));
  const auto allowed = AllowedCalls(unit);  // asks systemd-analyze: before anything is closed
  char* program = ::realpath(argv[4], nullptr);
  Must(program != nullptr, argv[4]);
  Mounts(unit, argv[3], program);
  Must(::unshare(CLONE_NEWUTS | (Says(unit, "PrivateIPC", "yes") ? CLONE_NEWIPC : 0)) == 0, "namespaces");
  Become(unit, user);
  for (const auto& [key, fill] : kFilters) {
    if (Says(unit, key, "yes")) Filter(SCMP_ACT_ALLOW, fill);
  }
  AddressFamilies(unit);
  SystemCalls(allowed);  // last: it takes the means to add filters
  ::execv(program, argv + 4);
  Fail(program);
}
