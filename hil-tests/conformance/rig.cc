#include "hil-tests/conformance/rig.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "base/clock.h"

namespace faraday::hil {
namespace {

using namespace std::chrono_literals;

constexpr auto kReadyWithin = 60s;       // a QEMU on a busy machine needs a few
constexpr timeval kAnswerWithin{20, 0};  // an answer takes milliseconds

// Two phones, so that slots 7 and 9 draw current; the other slots are empty.
constexpr std::string_view kPhones =
    "name: conformance\n"
    "phones:\n"
    "  - {slot: 7, model: pixel-8, serial: CONFORMANCE07, battery: 40}\n"
    "  - {slot: 9, model: pixel-8, serial: CONFORMANCE09, battery: 40}\n";

std::string ScenarioOf(const SimOptions& options) {
  std::string text{kPhones};
  if (!options.start_faults.empty()) text += "board_faults:\n";
  for (const std::string& fault : options.start_faults) {
    const size_t space = std::min(fault.find(' '), fault.size() - 1);
    text += fmt::format("  - {{board: 0, {}: {}}}\n", fault.substr(0, space), fault.substr(space + 1));
  }
  return text;
}

int ConnectControl(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return -1;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  ::close(fd);
  return -1;
}

std::string ReadLine(int fd) {
  std::string text;
  std::array<char, 1024> buffer{};
  while (text.find('\n') == std::string::npos) {
    const ssize_t count = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (count <= 0) return {};
    text.append(buffer.data(), static_cast<size_t>(count));
  }
  return text.substr(0, text.find('\n'));
}

// "board0 socket PATH" of the endpoints file.
std::string LineOf(const std::string& endpoints) {
  std::istringstream lines(endpoints);
  for (std::string name, kind, path, rest; lines >> name >> kind; std::getline(lines, rest)) {
    if (name == "board0" && lines >> path) return path;
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<SimRig>> SimRig::Start(const SimOptions& options) {
  auto rig = std::unique_ptr<SimRig>(new SimRig);
  std::string pattern = "/tmp/faraday-conf-XXXXXX";  // short: a unix socket's path holds 107 bytes
  if (::mkdtemp(pattern.data()) == nullptr) return Status{Code::kFailedPrecondition, "no temporary folder in /tmp"};
  rig->dir_ = pattern;
  WriteFile(rig->dir_ + "/scenario.yaml", ScenarioOf(options));
  std::vector<std::string> argv = {options.bin_dir + "/faraday-sim",
                                   "--config",
                                   options.rack,
                                   "--scenario",
                                   rig->dir_ + "/scenario.yaml",
                                   "--run-dir",
                                   rig->dir_ + "/sim"};
  if (options.board != "native") argv.insert(argv.end(), {"--board", options.board});
  if (!options.firmware.empty()) argv.insert(argv.end(), {"--firmware", options.firmware});
  rig->sim_ = std::make_unique<Program>(argv, Environment{{"FARADAY_RUN", rig->dir_}}, rig->dir_ + "/sim-log");
  FARADAY_TRY(rig->AwaitReady());
  return rig;
}

Status SimRig::AwaitReady() {
  const std::string ready = dir_ + "/sim/ready";
  WaitFor([&] { return std::filesystem::exists(ready) || !sim_->running(); },
          std::chrono::duration_cast<std::chrono::milliseconds>(kReadyWithin));
  if (!std::filesystem::exists(ready)) {
    return {Code::kFailedPrecondition, fmt::format("faraday-sim does not get ready; it said:\n{}", Said())};
  }
  line_ = LineOf(ReadFile(dir_ + "/sim/endpoints"));
  if (line_.empty()) return {Code::kInternal, "faraday-sim's endpoints name no board0"};
  return OkStatus();
}

SimRig::~SimRig() {
  if (sim_) {
    sim_->Signal(SIGTERM);
    sim_->Wait(10s);
    sim_.reset();
  }
  std::error_code ignored;
  if (!dir_.empty()) std::filesystem::remove_all(dir_, ignored);
}

Result<std::string> SimRig::Ctl(const std::string& command) {
  const int fd = ConnectControl(dir_ + "/sim/control");
  if (fd < 0) {
    return Status{Code::kUnavailable, fmt::format("nobody serves the bench's control socket; it said:\n{}", Said())};
  }
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kAnswerWithin, sizeof kAnswerWithin);
  const std::string text = command + "\n";
  const bool sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  const std::string answer = sent ? ReadLine(fd) : "";
  ::close(fd);
  if (answer.starts_with("ok")) return answer.size() > 3 ? answer.substr(3) : std::string();
  if (answer.starts_with("error ")) return Status{Code::kFailedPrecondition, answer.substr(6)};
  return Status{Code::kUnavailable, fmt::format("the bench does not answer \"{}\"; it said:\n{}", command, Said())};
}

std::string SimRig::Said() const {
  const std::string text = sim_ ? sim_->out() + sim_->err() : "";
  constexpr size_t kTail = 3000;
  return text.size() > kTail ? text.substr(text.size() - kTail) : text;
}

}  // namespace faraday::hil
