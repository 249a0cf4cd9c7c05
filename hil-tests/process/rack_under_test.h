// A whole rack as its users run it: the real programs on their production wires, encrypted and enrolled, in a folder
// and on a loopback address of their own. Before the first of controller, agent and lab starts, the lab is started for
// a moment: controller and agent enrol as an admin would have them do, and these people join:
//   ana, bob (user), cai (ci), tina, tess (tech), ada, bench (admin), watcher (viewer); ana and bob log in with the
//   CLI.
// Uses programs, wire and rack-configs only, nothing of their inside.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "faraday/v1/envelope.pb.h"
#include "hil-tests/process/people.h"
#include "hil-tests/process/program.h"

namespace faraday::hil {

class RackUnderTest {
 public:
  enum class Part { kSim, kController, kAgent, kLab };

  // Prepares folder and address; starts nothing.
  RackUnderTest();
  ~RackUnderTest();  // ends every part, removes the folder
  // Keeps the folder with every log, and says where.
  void KeepFolder();

  // More words for the simulator's command line: {"--board", "ast1030"}. Before its start.
  void AddSimArguments(std::vector<std::string> words) { sim_arguments_ = std::move(words); }
  // Another scenario file for the simulator than the demo's. Before its start.
  void SetScenario(std::string path) { scenario_ = std::move(path); }
  // Replaces words of the rack's config. Before anything starts.
  void SetRackConfig(const std::string& words, const std::string& by);
  // Starts a part and waits until it says it is ready. Error: what it said instead.
  Status Start(Part part);
  Status StartAll();
  void Kill9(Part part);
  // SIGTERM, then the exit code.
  int Stop(Part part);
  Program& program(Part part) { return *programs_.at(part); }

  // Runs the CLI to its end, as ana.
  Output Cli(std::vector<std::string> args, std::chrono::milliseconds limit = std::chrono::seconds(60));
  // Another one of those who have joined logs in with the CLI. REQUIRES: the lab runs.
  Status Login(const std::string& user);
  // The same as ana, bob or whoever has logged in.
  Output CliAs(const std::string& user,
               std::vector<std::string> args,
               std::chrono::milliseconds limit = std::chrono::seconds(60));
  // Starts it as ana; the caller waits.
  Program StartCli(std::vector<std::string> args);
  // Sends one line to the simulator: "fault r01/07 short on". Returns its answer; what is not "ok" is an error.
  Result<std::string> Sim(const std::string& line);

  // Whoever may come in. REQUIRES: a part was started.
  People& people() { return *people_; }
  const access::PublicKey& controller_key() const { return *controller_key_; }
  // One call to the controller or lab with these keys.
  Result<v1::Reply> CallWith(Part part, const rpc::Keys& keys, v1::Request request, const std::string& role = "");
  // The same as somebody who has joined, in `role`.
  Result<v1::Reply> CallController(v1::Request request, const std::string& user, const std::string& role);
  Result<v1::Reply> CallLab(v1::Request request, const std::string& user, const std::string& role);
  // The slot as the controller sees it; an empty SlotState (and no failure) while it does not answer.
  v1::SlotState Slot(const std::string& slot);
  bool WaitForSlot(const std::string& slot,
                   const std::function<bool(const v1::SlotState&)>& condition,
                   std::chrono::milliseconds limit = std::chrono::seconds(60));

  const std::string& folder() const { return folder_; }
  const std::string& address() const { return address_; }
  Environment environment() const { return EnvironmentOf("ana"); }

 private:
  Environment EnvironmentOf(const std::string& user) const;
  Status Launch(Part part);
  Status Enrol(Part first);
  // Runs a program to its end with `secret` on its stdin.
  Status RunWith(const std::string& secret, const std::string& command, const std::string& user);
  std::string Endpoint(Part part) const;

  std::string folder_;
  std::string address_;
  std::string rack_config_;
  std::unique_ptr<People> people_;
  std::optional<access::PublicKey> controller_key_;
  std::map<Part, std::unique_ptr<Program>> programs_;
  std::vector<std::string> sim_arguments_;
  std::string scenario_;
  int commands_ = 0;
  bool keep_ = false;
};

}  // namespace faraday::hil
