// What stands around the board while a script is played: a faraday-sim that this program started, with its control
// socket; for a board of one's own, nothing. One thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "hil-tests/process/program.h"

namespace faraday::hil {

struct SimOptions {
  std::string bin_dir;                    // where faraday-sim is
  std::string rack;                       // the rack's YAML
  std::string board = "native";           // native or ast1030
  std::string firmware;                   // ELF for ast1030; empty: faraday-sim's default
  std::vector<std::string> start_faults;  // "missing expander r01/07"
};

class SimRig {
 public:
  // Starts faraday-sim in a new temporary folder and waits until it is ready.
  // Errors: kFailedPrecondition with what it said.
  static Result<std::unique_ptr<SimRig>> Start(const SimOptions& options);
  // Ends it (SIGTERM, then the group by force) and removes the folder.
  ~SimRig();

  // One command of `faraday-sim ctl`; the answer's text. Errors: kFailedPrecondition with the text after "error".
  Result<std::string> Ctl(const std::string& command);
  // Where board 0's line is.
  const std::string& line() const { return line_; }
  // The end of what it said.
  std::string Said() const;

 private:
  SimRig() = default;
  Status AwaitReady();

  std::string dir_;
  std::string line_;
  std::unique_ptr<Program> sim_;
};

}  // namespace faraday::hil
