#include "agent/runner/process_runners.h"

#include <dirent.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cctype>
#include <cstdlib>
#include <filesystem>

#include "agent/runner/folder.h"
#include "agent/runner/process_tree.h"
#include "base/log.h"

namespace faraday::agent {
namespace {

constexpr Milliseconds kLookEvery{100};          // chosen
constexpr Milliseconds kSweepPatience{50};       // chosen: the loop waits that long; what is left is for the next look
constexpr Milliseconds kRunnerPatience{15'000};  // chosen: after the lease's end; twice a runner's own 5 s, margin

// What every job starts from: nothing of the agent's own environment.
const std::map<std::string, std::string> kBaseEnvironment = {
    {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, {"LANG", "C.UTF-8"}};

// A runner that was itself killed cannot clean up: its job's processes are known by their environment.
void KillByEnvironment(const std::string& variable) {
  DIR* proc = ::opendir("/proc");
  if (proc == nullptr) return;
  while (const dirent* entry = ::readdir(proc)) {
    if (std::isdigit(static_cast<unsigned char>(entry->d_name[0])) == 0) continue;
    const auto environment = folder::Read(fmt::format("/proc/{}/environ", entry->d_name));
    if (!environment.ok()) continue;
    for (const std::string& one : folder::SplitNul(*environment)) {
      if (one == variable) ::kill(std::atoi(entry->d_name), SIGKILL);
    }
  }
  ::closedir(proc);
}

// What descends from a runner that was killed has become this process's own, whatever its environment says. True: none
// of it is left. A process that is no subreaper gets no orphans and need not look.
bool SweepOrphans() { return !IsSubreaper() || KillChildrenBut(&Child::Started, kSweepPatience); }

}  // namespace

ProcessRunners::ProcessRunners(evloop::Loop& loop, std::string program, std::string folder, OnEnded on_ended)
    : loop_(loop), program_(std::move(program)), folder_(std::move(folder)), on_ended_(std::move(on_ended)) {
  ticker_ = loop_.AddPeriodic("runners", kLookEvery, [this] { Look(); });
}

ProcessRunners::~ProcessRunners() { loop_.Remove(ticker_); }

Status ProcessRunners::WriteOrder(const AttemptRecord& record,
                                  const std::map<std::string, std::string>& extra,
                                  BootTime lease_end) {
  const std::string folder = FolderOf(record.wish.attempt);
  std::error_code error;
  std::filesystem::create_directories(folder + "/work/artifacts", error);
  if (!error) std::filesystem::create_directories(folder + "/tmp", error);
  if (error) return {Code::kInternal, fmt::format("cannot make {}/work and tmp: {}", folder, error.message())};
  // The later wins: base, the job's own, ours.
  auto environment = kBaseEnvironment;
  environment["HOME"] = folder + "/work";
  environment["TMPDIR"] = folder + "/tmp";
  for (const auto& [name, value] : record.wish.spec.environment) environment[name] = value;
  for (const auto& [name, value] : extra) environment[name] = value;
  environment["FARADAY_ARTIFACTS"] = folder + "/work/artifacts";
  std::vector<std::string> lines;
  for (const auto& [name, value] : environment) lines.push_back(name + "=" + value);
  FARADAY_TRY(folder::Replace(folder + "/command", folder::JoinNul(record.wish.spec.command)));
  FARADAY_TRY(folder::Replace(folder + "/environment", folder::JoinNul(lines)));
  FARADAY_TRY(folder::Replace(folder + "/limits", fmt::format("timeout_ms {}\n", record.wish.spec.timeout.count())));
  return folder::WriteDeadline(folder, lease_end);
}

Status ProcessRunners::Start(const AttemptRecord& record,
                             const std::map<std::string, std::string>& extra,
                             BootTime lease_end) {
  const std::string& attempt = record.wish.attempt;
  FARADAY_TRY(WriteOrder(record, extra, lease_end));
  FARADAY_TRY_ASSIGN(const int lock, folder::Lock(FolderOf(attempt)));
  const ChildOrder order{{program_, FolderOf(attempt), "3"},
                         {"PATH=" + kBaseEnvironment.at("PATH")},
                         FolderOf(attempt),
                         FolderOf(attempt) + "/runner.log",
                         lock};
  auto child = Child::Spawn(loop_, order, [this, attempt] { LookAt(attempt); });
  ::close(lock);
  if (!child.ok()) return child.status();
  watched_[attempt] = std::move(*child);
  return OkStatus();
}

void ProcessRunners::SetLeaseEnd(const std::string& attempt, BootTime lease_end) {
  const Status status = folder::WriteDeadline(FolderOf(attempt), lease_end);
  if (!status.ok())
    log::Error("attempt {}: the lease's end cannot be told to its runner: {}", attempt, status.message());
}

Result<BootTime> ProcessRunners::LeaseEnd(const std::string& attempt) {
  return folder::ReadDeadline(FolderOf(attempt));
}

void ProcessRunners::Cancel(const std::string& attempt) {
  const Status status = folder::Replace(FolderOf(attempt) + "/cancel", "");
  if (!status.ok()) log::Error("attempt {}: its runner cannot be told to end: {}", attempt, status.message());
}

void ProcessRunners::Adopt(const std::string& attempt) { watched_[attempt] = nullptr; }

void ProcessRunners::Look() {
  for (auto it = watched_.begin(); it != watched_.end();) {
    const std::string attempt = it->first;
    ++it;
    LookAt(attempt);
  }
}

bool ProcessRunners::LookAt(const std::string& attempt) {
  const auto found = watched_.find(attempt);
  if (found == watched_.end()) return false;
  const std::string folder = FolderOf(attempt);
  Child* runner = found->second.get();
  // A runner that was stopped (SIGSTOP) ends nothing: it is ended.
  const auto deadline = folder::ReadDeadline(folder);
  if (runner != nullptr && deadline.ok() && BootClock::now() > *deadline + kRunnerPatience) runner->Signal(SIGKILL);
  // Looked at when it is through: only then are its orphans ours.
  if (runner != nullptr && runner->running()) return false;
  // The lock first: a runner that ends between the two looks has written its result.
  const auto lock = folder::Lock(folder);
  if (lock.ok()) ::close(*lock);
  auto result = folder::ReadResult(folder);
  if (!result.ok() && !lock.ok()) return false;
  if (!result.ok()) {
    if (!SweepOrphans()) return false;  // the attempt has not ended while one lives
    KillByEnvironment("FARADAY_ARTIFACTS=" + folder + "/work/artifacts");
    RunEnd end;
    end.why = RunEnd::Why::kRunnerLost;
    end.message = "the runner of the command was killed, or the host restarted";
    std::error_code error;
    end.log_size = std::filesystem::file_size(folder + "/log", error);
    if (error) end.log_size = 0;
    result = end;
  }
  watched_.erase(found);
  on_ended_(attempt, *result);
  return true;
}

}  // namespace faraday::agent
