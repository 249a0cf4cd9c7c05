#include "hil-tests/process/rack_under_test.h"

#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

namespace faraday::hil {
namespace {

using Part = RackUnderTest::Part;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Sanitizers and a busy two-core machine: generous, but it ends.
constexpr seconds kStartLimit{60};

std::string Binary(const std::string& name) { return std::string(FARADAY_BIN_DIR) + "/" + name; }
std::string Config(const std::string& name) { return std::string(FARADAY_SOURCE_DIR) + "/rack-configs/" + name; }

// Who joins every rack, and with which role.
const std::map<std::string, std::string>& Everybody() {
  static const std::map<std::string, std::string> people = {{"ana", "user"},
                                                            {"bob", "user"},
                                                            {"cai", "ci"},
                                                            {"tina", "tech"},
                                                            {"tess", "tech"},
                                                            {"ada", "admin"},
                                                            {"bench", "admin"},
                                                            {"watcher", "viewer"}};
  return people;
}

struct PartRow {
  Part part;
  const char* name;
  std::vector<std::string> arguments;
  const char* ready_file;  // below the run folder
};

const std::vector<PartRow>& Rows() {
  static const std::vector<PartRow> rows = {
      {Part::kLab, "faraday-lab", {"--config", Config("lab.yaml")}, "lab/endpoints"},
      {Part::kSim, "faraday-sim", {}, "sim/ready"},
      {Part::kController, "faraday-controller", {}, "controller/endpoints"},
      {Part::kAgent, "faraday-agent", {"--config", Config("agent-h01.yaml")}, "agent-h01/ready"},
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
  rack_config_ = folder_ + "/r01.yaml";
  WriteFile(rack_config_, ReadFile(Config("r01.yaml")));
  for (const char* part : {"sim", "controller", "agent-h01", "lab", "cli"})
    std::filesystem::create_directory(folder_ + "/" + part);
}

RackUnderTest::~RackUnderTest() {
  for (const auto part : {Part::kAgent, Part::kController, Part::kLab, Part::kSim}) {
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

void RackUnderTest::SetRackConfig(const std::string& words, const std::string& by) {
  std::string text = ReadFile(rack_config_);
  const size_t at = text.find(words);
  if (at == std::string::npos) abort();
  WriteFile(rack_config_, text.replace(at, words.size(), by));
}

Environment RackUnderTest::EnvironmentOf(const std::string& user) const {
  return {{"FARADAY_RUN", folder_},
          {"FARADAY_ADDR", address_},
          {"FARADAY_LAB", Endpoint(Part::kLab)},
          {"XDG_CONFIG_HOME", folder_ + "/cli/" + user},
          {"HOME", folder_ + "/cli"}};
}

std::string RackUnderTest::Endpoint(Part part) const {
  return fmt::format("tcp://{}:{}", address_, part == Part::kLab ? 7710 : 7700);
}

Status RackUnderTest::RunWith(const std::string& secret, const std::string& command, const std::string& user) {
  const std::string log = fmt::format("{}/cli/{}", folder_, commands_++);
  WriteFile(log + ".in", secret + "\n");
  const auto output =
      Program({"/bin/sh", "-c", command + " <" + log + ".in"}, EnvironmentOf(user), log).Finish(kStartLimit);
  std::filesystem::remove(log + ".in");
  if (output.exit_code == 0) return OkStatus();
  return {Code::kInternal, fmt::format("{}: exit {}: {}{}", command, output.exit_code, output.out, output.err)};
}

Status RackUnderTest::Login(const std::string& user) {
  std::filesystem::create_directories(folder_ + "/cli/" + user);
  v1::Request another;
  another.mutable_rotate_user()->set_name(user);
  another.mutable_rotate_user()->set_keep(true);
  FARADAY_TRY_ASSIGN(const v1::Reply code, people_->AsAdmin(another));
  return RunWith(code.user().secret(), Binary("faraday") + " login " + Endpoint(Part::kLab), user);
}

Status RackUnderTest::Enrol(Part first) {
  FARADAY_TRY(Launch(Part::kLab));
  people_ = std::make_unique<People>(Endpoint(Part::kLab), folder_ + "/lab");
  for (const auto& [user, role] : Everybody()) FARADAY_TRY(people_->Join(user, {role}));
  for (const char* user : {"ana", "bob"}) FARADAY_TRY(Login(user));
  FARADAY_TRY_ASSIGN(const std::string rack, people_->Add("r01", {"controller"}));
  FARADAY_TRY(RunWith(
      rack,
      fmt::format("{} --config {} --enrol {}", Binary("faraday-controller"), rack_config_, Endpoint(Part::kLab)),
      "ana"));
  FARADAY_TRY_ASSIGN(const std::string agent, people_->Add("h01", {"agent"}));
  FARADAY_TRY(RunWith(agent, Binary("faraday-agent") + " --config " + Config("agent-h01.yaml") + " --enrol", "ana"));
  FARADAY_TRY_ASSIGN(const rpc::Keys controller, People::KeysOf(folder_ + "/controller/keys/server.key"));
  controller_key_ = controller->public_key;
  if (first != Part::kLab && Stop(Part::kLab) != 0) return {Code::kInternal, "the lab did not end"};
  return OkStatus();
}

Status RackUnderTest::Start(Part part) {
  if (part != Part::kSim && people_ == nullptr) {
    FARADAY_TRY(Enrol(part));
    if (part == Part::kLab) return OkStatus();
  }
  return Launch(part);
}

Status RackUnderTest::Launch(Part part) {
  const auto& row = RowOf(part);
  const std::string ready = folder_ + "/" + row.ready_file;
  std::filesystem::remove(ready);
  std::vector<std::string> argv = {Binary(row.name)};
  argv.insert(argv.end(), row.arguments.begin(), row.arguments.end());
  if (part == Part::kSim || part == Part::kController) argv.insert(argv.end(), {"--config", rack_config_});
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

Output RackUnderTest::CliAs(const std::string& user, std::vector<std::string> args, milliseconds limit) {
  args.insert(args.begin(), Binary("faraday"));
  return Program(std::move(args), EnvironmentOf(user), fmt::format("{}/cli/{}", folder_, commands_++)).Finish(limit);
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

Result<v1::Reply> RackUnderTest::CallWith(Part part,
                                          const rpc::Keys& keys,
                                          v1::Request request,
                                          const std::string& role) {
  const access::PublicKey& server = part == Part::kLab ? people_->server_key() : *controller_key_;
  return people_->Call(Endpoint(part), server, keys, std::move(request), role);
}

Result<v1::Reply> RackUnderTest::CallController(v1::Request request, const std::string& user, const std::string& role) {
  return CallWith(Part::kController, people_->Of(user), std::move(request), role);
}

Result<v1::Reply> RackUnderTest::CallLab(v1::Request request, const std::string& user, const std::string& role) {
  return CallWith(Part::kLab, people_->Of(user), std::move(request), role);
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
