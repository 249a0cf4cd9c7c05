#include "lab/test/lab_process.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/check.h"

extern char** environ;

namespace faraday::lab {

namespace {

int Wait(pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

LabProcess::LabProcess(const std::vector<RackLine>& racks, bool plain) {
  std::string pattern = (std::filesystem::temp_directory_path() / "faraday-lab-XXXXXX").string();
  FARADAY_CHECK(::mkdtemp(pattern.data()) != nullptr);
  folder_ = pattern;
  std::ofstream config(folder_ + "/lab.yaml");
  config << "listen: tcp://127.0.0.1:0\nevents: tcp://127.0.0.1:0\nstate_dir: state\n";
  config << (plain ? "security: plain\nracks:\n" : "racks:\n");
  for (const auto& line : racks)
    config << fmt::format("  - {{rack: {}, controller: \"{}\"}}\n", line.rack, line.controller);
}

LabProcess::~LabProcess() {
  KillHard();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

pid_t LabProcess::Spawn(const std::vector<std::string>& words) const {
  const std::string log = folder_ + "/lab.log";
  std::vector<char*> argv = {const_cast<char*>(FARADAY_LAB_PROGRAM)};
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  pid_t pid = -1;
  const int failed = ::posix_spawn(&pid, FARADAY_LAB_PROGRAM, &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  FARADAY_CHECK(failed == 0);
  return pid;
}

void LabProcess::Start() {
  const std::string endpoints = folder_ + "/state/endpoints";
  std::error_code ignored;
  std::filesystem::remove(endpoints, ignored);
  pid_ = Spawn({"--config", folder_ + "/lab.yaml"});
  FARADAY_CHECK(Eventually([&] { return std::filesystem::exists(endpoints); }));
  std::ifstream in(endpoints);
  std::string word;
  in >> word >> endpoint_ >> word >> events_;
}

int LabProcess::RunAnother(const std::vector<std::string>& words) const { return Wait(Spawn(words)); }

void LabProcess::KillHard() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  Wait(std::exchange(pid_, -1));
}

int LabProcess::End() {
  ::kill(pid_, SIGTERM);
  return Wait(std::exchange(pid_, -1));
}

Result<v1::Reply> LabProcess::Call(v1::Request request,
                                   const std::string& user,
                                   const std::string& role,
                                   Milliseconds timeout) {
  request.mutable_caller()->set_user(user);
  request.mutable_caller()->set_role(role);
  return rpc::CallOnce(context_, endpoint_, std::move(request), timeout);
}

Result<v1::Reply> LabProcess::CallWith(v1::Request request, const access::KeyPair& keys, Milliseconds timeout) {
  FARADAY_TRY_ASSIGN(const access::SecretKey server, access::ReadSecret(folder_ + "/state/keys/server.key"));
  rpc::Credentials who;
  who.keys = std::make_shared<const access::KeyPair>(keys);
  who.server_key = [key = access::KeyPairOf(server).public_key](const std::string&) -> Result<access::PublicKey> {
    return key;
  };
  return rpc::CallOnce(context_, endpoint_, std::move(request), timeout, std::move(who));
}

Result<v1::Reply> LabProcess::AsLocalAdmin(v1::Request request) {
  FARADAY_TRY_ASSIGN(const access::SecretKey secret, access::ReadSecret(folder_ + "/state/keys/admin.key"));
  return CallWith(std::move(request), access::KeyPairOf(secret));
}

std::string LabProcess::Log() const {
  std::ifstream in(folder_ + "/lab.log");
  return {std::istreambuf_iterator<char>(in), {}};
}

bool Eventually(const std::function<bool()>& condition) {
  const BootTime end = BootClock::now() + Milliseconds(30'000);
  while (BootClock::now() < end) {
    if (condition()) return true;
    ::usleep(20'000);
  }
  return condition();
}

}  // namespace faraday::lab
