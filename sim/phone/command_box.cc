#include "sim/phone/command_box.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

#include "base/log.h"

namespace faraday::sim {
namespace fs = std::filesystem;

std::string_view WallsName(Walls walls) {
  constexpr std::string_view kNames[] = {"namespaces", "user namespace", "bare"};
  return kNames[static_cast<size_t>(walls)];
}

// Everything a child needs, made before it exists: after clone() it may only make system calls.
struct CommandPlan {
  Walls walls = Walls::kBare;
  std::string root;
  std::string state;
  std::vector<std::pair<std::string, std::string>> programs;  // host folder -> place in the phone, read-only
  std::vector<std::string> areas;                             // writable places
  std::string dev;
  std::string proc;
  std::vector<std::pair<std::string, std::string>> devices;  // host node -> place in the phone
  std::vector<std::pair<std::string, std::string>> links;    // target -> place in the phone's /dev
  std::string properties;
  std::string uid_map;
  std::string gid_map;
  bool drop = false;  // the process is root: become uid, gid
  uid_t uid = 0;
  gid_t gid = 0;
  bool terminal = false;  // `in` becomes the controlling terminal
  int in = -1, out = -1, err = -1;
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
  std::vector<char*> argv;
  std::vector<char*> envp;
};

namespace {

constexpr int kCannotStart = 126;  // as shells: found but not started

// In the child, before the command: says what failed on the command's stderr and ends.
[[noreturn]] void Die(int err, const char* what) {
  const char* cause = strerrordesc_np(errno);
  char line[256];
  size_t at = 0;
  const auto add = [&](const char* text) {
    while (*text != '\0' && at < sizeof(line)) line[at++] = *text++;
  };
  add("phone: cannot ");
  add(what);
  add(": ");
  add(cause != nullptr ? cause : "unknown error");
  add("\n");
  [[maybe_unused]] const auto written = ::write(err, line, at);
  _exit(kCannotStart);
}

bool WriteFile(const char* path, const std::string& content) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool good = ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size());
  ::close(fd);
  return good;
}

bool Bind(const std::string& from, const std::string& to) {
  return ::mount(from.c_str(), to.c_str(), nullptr, MS_BIND | MS_REC, nullptr) == 0;
}

bool Restrict(const std::string& path, uint64_t attributes, unsigned flags) {
  mount_attr attr{};
  attr.attr_set = attributes;
  return ::mount_setattr(AT_FDCWD, path.c_str(), flags, &attr, sizeof(attr)) == 0;
}

pid_t RawFork(unsigned long flags, int* pidfd) {
  return static_cast<pid_t>(syscall(SYS_clone, flags | SIGCHLD, nullptr, pidfd, nullptr, nullptr));
}

// The exit status as shells count: 128 + signal.
int ExitCode(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

int WaitFor(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return ExitCode(status);
}

// execve's vectors point into the plan's own strings.
void FillVectors(CommandPlan& plan) {
  for (std::string& word : plan.arguments) plan.argv.push_back(word.data());
  for (std::string& word : plan.environment) plan.envp.push_back(word.data());
  plan.argv.push_back(nullptr);
  plan.envp.push_back(nullptr);
}

void MapUser(const CommandPlan& plan) {
  if (!WriteFile("/proc/self/setgroups", "deny") || !WriteFile("/proc/self/uid_map", plan.uid_map) ||
      !WriteFile("/proc/self/gid_map", plan.gid_map)) {
    Die(plan.err, "map its user");
  }
}

void MountDevices(const CommandPlan& plan) {
  if (::mount("tmpfs", plan.dev.c_str(), "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k") != 0) {
    Die(plan.err, "mount /dev");
  }
  for (const auto& [node, place] : plan.devices) {
    ::close(::open(place.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
    if (!Bind(node, place)) Die(plan.err, "bind a device");
  }
  for (const auto& [target, place] : plan.links) {
    [[maybe_unused]] const int made = ::symlink(target.c_str(), place.c_str());
  }
  ::mkdir(plan.properties.c_str(), 0755);
  if (!Bind(plan.state, plan.properties) || !Restrict(plan.properties, MOUNT_ATTR_RDONLY, 0)) {
    Die(plan.err, "bind the properties");
  }
}

// Makes the phone's tree of mounts and enters it. The root itself turns read-only last, when the writable areas are
// mounts of their own.
void BuildWalls(const CommandPlan& plan) {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) Die(plan.err, "make its mounts private");
  if (!Bind(plan.root, plan.root)) Die(plan.err, "bind its root");
  for (const auto& [host, place] : plan.programs) {
    if (!Bind(host, place)) Die(plan.err, "bind the host's programs");
    if (!Restrict(place, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, AT_RECURSIVE)) Die(plan.err, "protect the programs");
  }
  for (const std::string& area : plan.areas) {
    if (!Bind(area, area) || !Restrict(area, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0)) Die(plan.err, "bind an area");
  }
  MountDevices(plan);
  // A container that masks parts of /proc forbids a fresh one; the phone then has an empty /proc.
  [[maybe_unused]] const int proc =
      ::mount("proc", plan.proc.c_str(), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  if (!Restrict(plan.root, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0)) {
    Die(plan.err, "protect its root");
  }
  if (::chdir(plan.root.c_str()) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 || ::umount2(".", MNT_DETACH) != 0 ||
      ::chdir("/") != 0) {
    Die(plan.err, "enter its root");
  }
}

void GiveUpRights(const CommandPlan& plan) {
  if (plan.drop &&
      (syscall(SYS_setgroups, 0, nullptr) != 0 || syscall(SYS_setresgid, plan.gid, plan.gid, plan.gid) != 0 ||
       syscall(SYS_setresuid, plan.uid, plan.uid, plan.uid) != 0)) {
    Die(plan.err, "become its user");
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  if (syscall(SYS_capset, &header, none) != 0 || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    Die(plan.err, "give up its rights");
  }
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
}

void DefaultSignals() {
  struct sigaction plain {};
  plain.sa_handler = SIG_DFL;
  for (int signal = 1; signal < 32; ++signal) ::sigaction(signal, &plain, nullptr);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Moves the three descriptors to 0, 1, 2 even when they overlap, closes the rest.
void PlaceDescriptors(const CommandPlan& plan) {
  const int high[3] = {::fcntl(plan.in, F_DUPFD, 10), ::fcntl(plan.out, F_DUPFD, 10), ::fcntl(plan.err, F_DUPFD, 10)};
  for (int i = 0; i < 3; ++i) {
    if (high[i] < 0 || ::dup2(high[i], i) < 0) Die(plan.err, "set up its descriptors");
  }
  ::close_range(3, ~0u, 0);
}

[[noreturn]] void Exec(const CommandPlan& plan) {
  ::setsid();
  PlaceDescriptors(plan);
  if (plan.terminal && ::ioctl(0, TIOCSCTTY, 0) != 0) Die(2, "take its terminal");
  ::execve("/bin/sh", plan.argv.data(), plan.envp.data());
  Die(2, "run /bin/sh");
}

// Process 1 of the namespace: waits for the command and takes every orphan; its end ends all that is left.
[[noreturn]] void RunAsInit(const CommandPlan& plan) {
  const pid_t shell = RawFork(0, nullptr);
  if (shell < 0) Die(plan.err, "start a process");
  if (shell == 0) Exec(plan);
  ::close_range(0, ~0u, 0);
  for (;;) {
    int status = 0;
    const pid_t ended = ::waitpid(-1, &status, 0);
    if (ended == shell) _exit(ExitCode(status));
    if (ended < 0 && errno != EINTR) _exit(kCannotStart);
  }
}

[[noreturn]] void Child(const CommandPlan& plan) {
  if (plan.walls == Walls::kUserNamespace) MapUser(plan);
  if (plan.walls != Walls::kBare) BuildWalls(plan);
  GiveUpRights(plan);
  // After the change of user, which clears it: a killed simulator leaves no command behind.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  DefaultSignals();
  if (plan.walls != Walls::kBare) RunAsInit(plan);
  if (::chdir(plan.root.c_str()) != 0) Die(plan.err, "enter its folder");
  Exec(plan);
}

}  // namespace

CommandBox::CommandBox(evloop::Loop& loop, const PhoneFiles& files) : loop_(loop), files_(files) {
  // The answer is the same for every phone of a process; the trial costs a few processes.
  static std::optional<Walls> found;
  if (!found) {
    found = Walls::kBare;
    const Walls wanted = files_.drops() ? Walls::kNamespaces : Walls::kUserNamespace;
    if (Works(wanted)) found = wanted;
    if (*found == Walls::kBare) {
      log::Warn(
          "phones: this machine forbids mount namespaces, so shell commands run without walls: /sdcard and /data "
          "do not exist for them (they start in {}); allow unprivileged user namespaces or run as root",
          files.root().string());
    }
  }
  walls_ = *found;
}

CommandBox::~CommandBox() {
  for (auto& [pid, ending] : ending_) {
    loop_.Remove(ending.watch);
    Reap(ending.started);
  }
}

CommandPlan CommandBox::MakePlan(const CommandLine& line, Walls walls) const {
  CommandPlan plan;
  plan.walls = walls;
  plan.root = files_.root();
  plan.state = files_.state();
  const std::string& root = plan.root;
  for (const char* name : {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc/alternatives"}) {
    const fs::path host = fs::path("/") / name;
    std::error_code error;
    if (fs::is_directory(host, error) && !fs::is_symlink(host, error))
      plan.programs.push_back({host, root + "/" + name});
  }
  plan.areas = {root + "/sdcard", root + "/data/local/tmp"};
  plan.dev = root + "/dev";
  plan.proc = root + "/proc";
  for (const char* name : {"null", "zero", "full", "random", "urandom", "tty"}) {
    const std::string node = std::string("/dev/") + name;
    std::error_code error;
    if (fs::exists(node, error)) plan.devices.push_back({node, plan.dev + "/" + name});
  }
  plan.links = {{"/proc/self/fd", plan.dev + "/fd"},
                {"/proc/self/fd/0", plan.dev + "/stdin"},
                {"/proc/self/fd/1", plan.dev + "/stdout"},
                {"/proc/self/fd/2", plan.dev + "/stderr"}};
  plan.properties = plan.dev + "/__properties__";
  plan.uid_map = std::to_string(files_.command_uid()) + " " + std::to_string(geteuid()) + " 1";
  plan.gid_map = std::to_string(files_.command_gid()) + " " + std::to_string(getegid()) + " 1";
  plan.drop = files_.drops();
  plan.uid = files_.uid();
  plan.gid = files_.gid();
  const std::string base = walls == Walls::kBare ? root : "";
  plan.arguments = {"sh"};
  if (!line.text.empty()) plan.arguments = {"sh", "-c", line.text};
  plan.terminal = line.terminal;
  plan.environment = {"PATH=" + base + "/system/bin:/bin:/usr/bin",
                      "HOME=" + base + "/data/local/tmp",
                      "TMPDIR=" + base + "/data/local/tmp",
                      "ANDROID_ROOT=" + base + "/system",
                      "ANDROID_DATA=" + base + "/data",
                      "EXTERNAL_STORAGE=" + base + "/sdcard",
                      "PHONE_STATE=" + (base.empty() ? "/dev/__properties__" : plan.state),
                      "USER=shell",
                      "LOGNAME=shell",
                      "SHELL=/bin/sh",
                      "LANG=C.UTF-8",
                      "TERM=" + (line.term.empty() ? "dumb" : line.term),
                      "PS1=shell:$PWD $ "};
  return plan;
}

Started CommandBox::Spawn(const CommandPlan& plan, Walls walls) const {
  const unsigned long flags = walls == Walls::kBare         ? 0
                              : walls == Walls::kNamespaces ? CLONE_NEWNS | CLONE_NEWPID
                                                            : CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID;
  int pidfd = -1;
  const pid_t pid = RawFork(flags | CLONE_PIDFD, &pidfd);
  if (pid == 0) Child(plan);
  if (pid < 0) return {};
  return {pid, OwnedFd(pidfd)};
}

bool CommandBox::Works(Walls walls) const {
  CommandPlan plan =
      MakePlan({.text = ": >/data/local/tmp/.walls && rm /data/local/tmp/.walls && [ -d /usr/bin ]"}, walls);
  const OwnedFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  plan.in = plan.out = plan.err = null.get();
  FillVectors(plan);
  const Started started = Spawn(plan, walls);
  return started.pid > 0 && WaitFor(started.pid) == 0;
}

Result<Started> CommandBox::Start(const CommandLine& line, const CommandStreams& streams) {
  CommandPlan plan = MakePlan(line, walls_);
  plan.in = streams.in->get();
  plan.out = streams.out->get();
  plan.err = streams.err->get();
  FillVectors(plan);
  Started started = Spawn(plan, walls_);
  if (started.pid < 0) {
    return Status{Code::kResourceExhausted, std::string("phone: cannot start a process: ") + std::strerror(errno)};
  }
  return started;
}

void CommandBox::Kill(const Started& started) const {
  // Its own session and so its own group once it has exec'd; before that only the process itself exists.
  if (walls_ == Walls::kBare) ::kill(-started.pid, SIGKILL);
  syscall(SYS_pidfd_send_signal, started.pidfd.get(), SIGKILL, nullptr, 0);
}

void CommandBox::End(Started started) {
  Kill(started);
  const pid_t pid = started.pid;
  const int fd = started.pidfd.get();
  Ending& ending = ending_[pid];
  ending.started = std::move(started);
  ending.watch = loop_.AddFd("phone command's end", fd, POLLIN, [this, pid](short) {
    const auto found = ending_.find(pid);
    loop_.Remove(found->second.watch);
    Reap(found->second.started);
    ending_.erase(found);
  });
}

int CommandBox::Reap(Started& started) {
  if (walls_ == Walls::kBare) ::kill(-started.pid, SIGKILL);  // before the wait frees the number
  started.pidfd.Reset();
  return WaitFor(started.pid);
}

}  // namespace faraday::sim
