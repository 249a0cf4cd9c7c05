// A PC in QEMU (software emulation, no KVM) with Debian's kernel, the real faraday-controller and a USB host controller
// whose serial adapters the test plugs and pulls. One shell for the test, forwarded ports for the controller's calls.
// Blocking, one thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "hil-tests/process/program.h"
#include "sim/qemu/qmp_client.h"

namespace faraday::hil {

class Guest {
 public:
  // Why this machine cannot run it; OK when it can.
  static Status CheckPrerequisites();
  // Boots it, with the adapter FT4RACK02 (nothing behind it) as /dev/ttyUSB0 and FT4RACK01, wired to the unix socket
  // `board_uart`, as /dev/ttyUSB1. Files go to `dir`.
  static Result<std::unique_ptr<Guest>> Boot(const std::string& dir, const std::string& board_uart);
  ~Guest();

  struct Answer {
    int status = -1;
    std::string text;  // stdout and stderr
  };
  // Runs one line in the guest's root shell. A program that stays must be sent to the background, its output to a file.
  // Errors: kDeadlineExceeded.
  Result<Answer> Shell(const std::string& line, Milliseconds timeout);

  // `id` names the plug for Pull(); `wire` is "board" or "spare" (nothing behind it); a wire has one adapter at a time.
  Status Plug(const std::string& id, const std::string& usb_serial, const std::string& wire);
  Status Pull(const std::string& id);

  // Where the test reaches the guest's 127.0.0.1:`port` (7700 or 7702).
  std::string Endpoint(int port) const { return endpoints_.at(port); }
  std::string console() const;

 private:
  explicit Guest(std::string dir) : dir_(std::move(dir)) {}
  Status Start(const std::string& board_uart);
  std::vector<std::string> Arguments(const std::string& board_uart) const;
  Status FindEndpoints();
  Result<std::string> ReadUntil(const std::string& mark, BootTime deadline);

  std::string dir_;
  std::optional<Program> qemu_;
  std::optional<sim::qemu::QmpClient> monitor_;
  int shell_ = -1;
  std::string received_;  // from the shell, not yet read
  std::map<int, std::string> endpoints_;
};

}  // namespace faraday::hil
