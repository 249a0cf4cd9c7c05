// A whole rack as its users run it: the real programs on their production wires, in a folder and on a loopback address
// of their own. Uses programs, wire and rack-configs only, nothing of their inside.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "faraday/v1/envelope.pb.h"
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
  // Starts a part and waits until it says it is ready. Error: what it said instead.
  Status Start(Part part);
  Status StartAll();
  void Kill9(Part part);
  // SIGTERM, then the exit code.
  int Stop(Part part);
  Program& program(Part part) { return *programs_.at(part); }

  // Runs the CLI to its end.
  Output Cli(std::vector<std::string> args, std::chrono::milliseconds limit = std::chrono::seconds(60));
  // Starts it; the caller waits.
  Program StartCli(std::vector<std::string> args);
  // Sends one line to the simulator: "fault r01/07 short on". Returns its answer; what is not "ok" is an error.
  Result<std::string> Sim(const std::string& line);

  // One call to the controller or lab as `user` with `role`.
  Result<v1::Reply> CallController(v1::Request request, const std::string& user, const std::string& role);
  Result<v1::Reply> CallLab(v1::Request request, const std::string& user, const std::string& role);
  // The slot as the controller sees it; an empty SlotState (and no failure) while it does not answer.
  v1::SlotState Slot(const std::string& slot);
  bool WaitForSlot(const std::string& slot,
                   const std::function<bool(const v1::SlotState&)>& condition,
                   std::chrono::milliseconds limit = std::chrono::seconds(60));

  const std::string& folder() const { return folder_; }
  const std::string& address() const { return address_; }
  Environment environment() const;

 private:
  Result<v1::Reply> Call(const std::string& endpoint,
                         v1::Request request,
                         const std::string& user,
                         const std::string& role);

  std::string folder_;
  std::string address_;
  std::map<Part, std::unique_ptr<Program>> programs_;
  std::vector<std::string> sim_arguments_;
  std::string scenario_;
  int commands_ = 0;
  bool keep_ = false;
};

}  // namespace faraday::hil
