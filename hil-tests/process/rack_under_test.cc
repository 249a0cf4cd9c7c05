#include "hil-tests/process/rack_under_test.h"

#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>
#include <zmq.hpp>

#include "rpc/client.h"

namespace faraday::hil {
namespace {

using Part = RackUnderTest::Part;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Sanitizers and a busy two-core machine: generous, but it ends.
constexpr seconds kStartLimit{60};

std::string Binary(const std::string& name) { return std::string(FARADAY_BIN_DIR) + "/" + name; }
std::string Config(const std::string& name) { return std::string(FARADAY_SOURCE_DIR) + "/rack-configs/" + name; }

struct PartRow {
  Part part;
  const char* name;
  std::vector<std::string> arguments;
  const char* ready_file;  // below the run folder
};

const std::vector<PartRow>& Rows() {
  static const std::vector<PartRow> rows = {
      {Part::kSim, "faraday-sim", {"--config", Config("r01.yaml")}, "sim/ready"},
      {Part::kController, "faraday-controller", {"--config", Config("r01.yaml")}, "controller/endpoints"},
      {Part::kAgent, "faraday-agent", {"--config", Config("agent-h01.yaml")}, "agent-h01/ready"},
      {Part::kLab, "faraday-lab", {"--config", Config("lab.yaml")}, "lab/endpoints"},
  };
  return rows;
}

const PartRow& RowOf(Part part) {
  for (const auto& row : Rows()) {
    if (row.part == part) return row;
  }
  abort();
}

// Every process of this machine gets another loopback address, so that fixed ports never meet.
std::string PrivateLoopback() {
  const auto pid = static_cast<unsigned>(getpid());
  static unsigned count = 0;
  return fmt::format("127.{}.{}.{}", 64 + (count++ % 128), (pid >> 8) % 256, 1 + pid % 254);
}

}  // namespace

RackUnderTest::RackUnderTest()
    : address_(PrivateLoopback()), scenario_(std::string(FARADAY_SOURCE_DIR) + "/sim/scenarios/demo.yaml") {
  std::string form = (std::filesystem::temp_directory_path() / "faraday-test-XXXXXX").string();
  if (mkdtemp(form.data()) == nullptr) abort();
  folder_ = form;
  for (const char* part : {"sim", "controller", "agent-h01", "lab", "cli"})
    std::filesystem::create_directory(folder_ + "/" + part);
}

RackUnderTest::~RackUnderTest() {
  for (const auto part : {Part::kLab, Part::kAgent, Part::kController, Part::kSim}) {
    if (programs_.contains(part) && programs_[part]->running()) {
      programs_[part]->Signal(SIGTERM);
      programs_[part]->Wait(seconds(10));
    }
  }
  programs_.clear();
  if (keep_) return;
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void RackUnderTest::KeepFolder() {
  keep_ = true;
  fprintf(stderr, "kept for you: %s\n", folder_.c_str());
}

Environment RackUnderTest::environment() const {
  return {{"FARADAY_RUN", folder_},
          {"FARADAY_ADDR", address_},
          {"FARADAY_LAB", fmt::format("tcp://{}:7710", address_)},
          {"FARADAY_USER", "ana"},
          {"HOME", folder_ + "/cli"}};
}

Status RackUnderTest::Start(Part part) {
  const auto& row = RowOf(part);
  const std::string ready = folder_ + "/" + row.ready_file;
  std::filesystem::remove(ready);
  std::vector<std::string> argv = {Binary(row.name)};
  argv.insert(argv.end(), row.arguments.begin(), row.arguments.end());
  if (part == Part::kSim) {
    argv.insert(argv.end(), {"--run-dir", folder_ + "/sim", "--scenario", scenario_});
    argv.insert(argv.end(), sim_arguments_.begin(), sim_arguments_.end());
  }
  programs_[part] = std::make_unique<Program>(argv, environment(), folder_ + "/" + row.name);
  auto& program = *programs_[part];
  const bool is_ready =
      WaitFor([&] { return !program.running() || std::filesystem::exists(ready); }, kStartLimit) && program.running();
  if (is_ready) return OkStatus();
  return {Code::kUnavailable, fmt::format("{} did not start: {}{}", row.name, program.out(), program.err())};
}

Status RackUnderTest::StartAll() {
  for (const auto& row : Rows()) FARADAY_TRY(Start(row.part));
  return OkStatus();
}

void RackUnderTest::Kill9(Part part) {
  program(part).Signal(SIGKILL);
  program(part).Wait(seconds(10));
}

int RackUnderTest::Stop(Part part) {
  program(part).Signal(SIGTERM);
  return program(part).Wait(seconds(30)).value_or(-1);
}

Program RackUnderTest::StartCli(std::vector<std::string> args) {
  args.insert(args.begin(), Binary("faraday"));
  return Program(std::move(args), environment(), fmt::format("{}/cli/{}", folder_, commands_++));
}

Output RackUnderTest::Cli(std::vector<std::string> args, milliseconds limit) {
  return StartCli(std::move(args)).Finish(limit);
}

Result<std::string> RackUnderTest::Sim(const std::string& line) {
  const std::string log = fmt::format("{}/cli/{}", folder_, commands_++);
  std::vector<std::string> argv = {Binary("faraday-sim"), "ctl", "--run-dir", folder_ + "/sim"};
  std::istringstream words(line);
  for (std::string word; words >> word;) argv.push_back(word);
  const auto output = Program(argv, environment(), log).Finish(seconds(20));
  if (output.exit_code != 0) return Status(Code::kInternal, fmt::format("{}: {}{}", line, output.out, output.err));
  return output.out;
}

Result<v1::Reply> RackUnderTest::Call(const std::string& endpoint,
                                      v1::Request request,
                                      const std::string& user,
                                      const std::string& role) {
  static zmq::context_t context;
  request.mutable_caller()->set_user(user);
  request.mutable_caller()->set_role(role);
  return rpc::CallOnce(context, endpoint, std::move(request), seconds(10));
}

Result<v1::Reply> RackUnderTest::CallController(v1::Request request, const std::string& user, const std::string& role) {
  return Call(fmt::format("tcp://{}:7700", address_), std::move(request), user, role);
}

Result<v1::Reply> RackUnderTest::CallLab(v1::Request request, const std::string& user, const std::string& role) {
  return Call(fmt::format("tcp://{}:7710", address_), std::move(request), user, role);
}

v1::SlotState RackUnderTest::Slot(const std::string& slot) {
  v1::Request request;
  request.mutable_get_rack()->set_slot(slot);
  const auto reply = CallController(std::move(request), "watcher", "viewer");
  if (!reply.ok() || reply->get_rack().rack().slots_size() != 1) return {};
  return reply->get_rack().rack().slots(0);
}

bool RackUnderTest::WaitForSlot(const std::string& slot,
                                const std::function<bool(const v1::SlotState&)>& condition,
                                milliseconds limit) {
  return WaitFor([&] { return condition(Slot(slot)); }, limit);
}

}  // namespace faraday::hil
