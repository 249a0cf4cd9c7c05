#include "hil-tests/line/line_rack.h"

#include <fmt/format.h>

#include <filesystem>
#include <sstream>

#include "rpc/client.h"

namespace faraday::hil {
namespace {

using std::chrono::seconds;

// Sanitizers, QEMU and a busy two-core machine: generous, but it ends.
constexpr seconds kStartLimit{90};
// Longer than the nightly ten thousand commands take, within the rack's lease_max of 8 h.
constexpr std::chrono::milliseconds kLease = std::chrono::hours(4);

std::string Binary(const char* name) { return std::string(FARADAY_BIN_DIR) + "/" + name; }

void Replace(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// Once `condition` holds while the program runs; else what it said.
Status Await(Program& program, const char* name, const std::function<bool()>& condition) {
  if (WaitFor([&] { return !program.running() || condition(); }, kStartLimit) && program.running()) return OkStatus();
  return {Code::kUnavailable, fmt::format("{} did not start: {}{}", name, program.out(), program.err())};
}

}  // namespace

// The demo's rack with another port, and servers that choose their own.
std::string LineRack::WriteConfig(const std::string& name, const std::string& port) const {
  std::string text = ReadFile(std::string(FARADAY_SOURCE_DIR) + "/rack-configs/r01.yaml");
  Replace(text, "path: ${FARADAY_RUN:-/run/faraday}/sim/board0", port);
  Replace(text, "${FARADAY_RUN:-/run/faraday}/controller", folder() + "/" + name);
  Replace(text, "  grants_users: false", "  security: plain\n  grants_users: false");  // the line is tested, not access
  Replace(text, ":7700", ":0");
  Replace(text, ":7701", ":0");
  const std::string path = folder() + "/" + name + ".yaml";
  WriteFile(path, text);
  return path;
}

Status LineRack::StartSim(const std::string& port) {
  const std::string run_dir = folder() + "/sim";
  sim_ =
      std::make_unique<Program>(std::vector<std::string>{Binary("faraday-sim"),
                                                         "--config",
                                                         WriteConfig("sim-config", port),
                                                         "--scenario",
                                                         std::string(FARADAY_SOURCE_DIR) + "/sim/scenarios/demo.yaml",
                                                         "--run-dir",
                                                         run_dir,
                                                         "--board",
                                                         board_},
                                rack_.environment(),
                                folder() + "/faraday-sim");
  return Await(*sim_, "faraday-sim", [&] { return std::filesystem::exists(run_dir + "/ready"); });
}

Status LineRack::StartProxy(const std::string& host, const std::string& board, const std::string& damage) {
  proxy_ = std::make_unique<Program>(std::vector<std::string>{Binary("faraday-line-proxy"),
                                                              "--host",
                                                              "pty:" + folder() + "/" + host,
                                                              "--board",
                                                              "pty:" + folder() + "/" + board,
                                                              "--damage",
                                                              damage,
                                                              "--seed",
                                                              "42"},
                                     rack_.environment(),
                                     folder() + "/proxy");
  return Await(*proxy_, "faraday-line-proxy", [&] { return std::filesystem::exists(folder() + "/" + host); });
}

Result<Controller> LineRack::StartController(const std::string& name, const std::string& port) {
  Controller controller;
  controller.capture = folder() + "/" + name + ".link";
  const std::string endpoints = folder() + "/" + name + "/endpoints";
  std::filesystem::remove(endpoints);
  controller.program = std::make_unique<Program>(
      std::vector<std::string>{
          Binary("faraday-controller"), "--config", WriteConfig(name, port), "--capture", controller.capture},
      rack_.environment(),
      folder() + "/faraday-" + name);
  FARADAY_TRY(Await(*controller.program, "faraday-controller", [&] { return std::filesystem::exists(endpoints); }));
  std::istringstream text(ReadFile(endpoints));
  std::string word;
  text >> word >> controller.endpoint;
  return controller;
}

Result<v1::Reply> LineRack::Call(const Controller& controller, v1::Request request) const {
  static zmq::context_t context;
  request.mutable_caller()->set_user("tina");
  request.mutable_caller()->set_role("tech");
  return rpc::CallOnce(context, controller.endpoint, std::move(request), seconds(20));
}

Program LineRack::StartCli(const Controller& controller, std::vector<std::string> args) {
  args.insert(args.begin(),
              {Binary("faraday"), "--plain", "--controller", controller.endpoint, "--user", "tina", "--role", "tech"});
  return Program(std::move(args), rack_.environment(), fmt::format("{}/cli/line{}", folder(), clis_++));
}

Output LineRack::Cli(const Controller& controller, std::vector<std::string> args) {
  return StartCli(controller, std::move(args)).Finish(seconds(60));
}

bool LineRack::WaitUntilMeasured(const Controller& controller, const std::string& slot) const {
  return WaitFor(
      [&] {
        v1::Request request;
        request.mutable_get_rack()->set_slot(slot);
        const auto reply = Call(controller, std::move(request));
        return reply.ok() && reply->get_rack().rack().slots_size() == 1 &&
               reply->get_rack().rack().slots(0).vbus().measured_on() != v1::TRI_STATE_UNKNOWN;
      },
      kStartLimit);
}

uint32_t LineRack::Acquire(const Controller& controller, const std::string& slot) const {
  v1::Request request;
  request.mutable_acquire()->set_slot(slot);
  request.mutable_acquire()->set_purpose(v1::PURPOSE_PERSON);
  request.mutable_acquire()->set_duration_ms(kLease.count());
  uint32_t epoch = 0;
  WaitFor(
      [&] {
        const auto reply = Call(controller, request);
        if (reply.ok()) epoch = reply->acquire().lease().epoch();
        return epoch != 0;
      },
      kStartLimit);
  return epoch;
}

}  // namespace faraday::hil
