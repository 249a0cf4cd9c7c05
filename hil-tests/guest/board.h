// The rack's board: faraday-sim with the firmware's own image in QEMU, its UART as a unix socket.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "hil-tests/process/program.h"

namespace faraday::hil {

class Board {
 public:
  // Why this machine cannot run it; OK when it can.
  static Status CheckPrerequisites();
  // Files go to `dir` (short: unix socket paths hold 107 bytes). Errors: kUnavailable with what faraday-sim said.
  static Result<std::unique_ptr<Board>> Start(const std::string& dir);
  // The UART: one client at a time.
  std::string uart() const { return dir_ + "/uart"; }
  // Whether the slot's VBUS switch is on, at the pin.
  bool VbusOn(int slot) const;
  std::string log() const { return sim_.out() + sim_.err(); }

 private:
  explicit Board(const std::string& dir);

  std::string dir_;
  Program sim_;
};

}  // namespace faraday::hil
