// A rack whose line is the matter of a test: the simulator, any number of controllers with state folders of their own,
// and a faraday-line-proxy where it is wanted. In a folder and on a loopback address of their own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "faraday/v1/envelope.pb.h"
#include "hil-tests/process/rack_under_test.h"

namespace faraday::hil {

// One controller process.
struct Controller {
  std::unique_ptr<Program> program;
  std::string endpoint;  // set when it serves
  std::string capture;   // its frames
};

class LineRack {
 public:
  // `board`: "native" or "ast1030".
  explicit LineRack(std::string board) : board_(std::move(board)) {}

  // A line of a rack config: "path: /x/board0", "socket: /x/board0".
  std::string Pty(const std::string& name) const { return "path: " + folder() + "/" + name; }
  std::string Socket(const std::string& name) const { return "socket: " + folder() + "/" + name; }
  const std::string& folder() const { return rack_.folder(); }

  // Each waits until its program says it is ready. Errors: what it said instead.
  Status StartSim(const std::string& port);
  Status StartProxy(const std::string& host, const std::string& board, const std::string& damage);
  Result<Controller> StartController(const std::string& name, const std::string& port);

  Result<std::string> Sim(const std::string& line) { return rack_.Sim(line); }
  Program& proxy() { return *proxy_; }
  // As a tech, at that controller; an answer takes at most 20 s.
  Result<v1::Reply> Call(const Controller& controller, v1::Request request) const;
  // `faraday --controller ... ARGS` as the same tech.
  Program StartCli(const Controller& controller, std::vector<std::string> args);
  Output Cli(const Controller& controller, std::vector<std::string> args);
  // The board is ready for that controller: the slot is measured.
  bool WaitUntilMeasured(const Controller& controller, const std::string& slot) const;
  // A lease on the slot; its epoch, 0 when refused.
  uint32_t Acquire(const Controller& controller, const std::string& slot) const;
  void KeepFolder() { rack_.KeepFolder(); }

 private:
  std::string WriteConfig(const std::string& name, const std::string& port) const;

  const std::string board_;
  RackUnderTest rack_;
  std::unique_ptr<Program> proxy_;
  std::unique_ptr<Program> sim_;
  int clis_ = 0;
};

}  // namespace faraday::hil
