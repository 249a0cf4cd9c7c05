// One connection to QEMU's machine protocol (QMP): JSON lines over a unix socket.
//
// Knows only what the plant and the tests need: send a command, tell replies, errors and events apart. Not thread
// safe; QEMU gives each user a monitor of its own.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace faraday::sim::qemu {

struct QmpMessage {
  enum class Kind { kReturn, kError, kEvent };
  Kind kind;
  std::string name;  // of an event: "RESET"; else empty
  std::string text;  // the whole line
};

// Errors: kDataLoss the line is none of the three kinds (the greeting is none either).
Result<QmpMessage> ParseQmpLine(std::string_view line);

class QmpClient {
 public:
  // Connects to the unix socket at `path`, waiting for it to appear, and enters command mode.
  // Errors: kUnavailable not there or silent for `timeout`, or not `alive()` any more.
  static Result<QmpClient> Connect(const std::string& path,
                                   Milliseconds timeout,
                                   const std::function<bool()>& alive = {});
  // Takes a connected descriptor (owned from here on) that already is in command mode.
  explicit QmpClient(int fd) : fd_(fd) {}
  QmpClient(QmpClient&& other) noexcept;
  QmpClient& operator=(QmpClient&& other) noexcept;
  ~QmpClient();

  // Readable when Receive() has something to give.
  int fd() const { return fd_; }
  // Sends one command; `arguments` is the inside of a JSON object, may be empty.
  // Errors: kUnavailable QEMU has closed the line.
  Status Send(std::string_view command, std::string_view arguments);
  // What has arrived by now, without waiting. Errors: kUnavailable closed, kDataLoss no QMP.
  Result<std::vector<QmpMessage>> Receive();
  // Sends and waits for the answer; events that come meanwhile are kept for TakeEvents().
  // Errors: kFailedPrecondition QEMU's own error text, kDeadlineExceeded, kUnavailable.
  Result<std::string> Execute(std::string_view command, std::string_view arguments, Milliseconds timeout);
  std::vector<QmpMessage> TakeEvents();
  // Keeps the events that have arrived by now. REQUIRES: no command is unanswered. Errors: as Receive.
  Status KeepEvents();

 private:
  Result<std::string> WaitForAnswer(std::string_view command, BootTime deadline);

  int fd_ = -1;
  std::string received_;
  std::vector<QmpMessage> events_;
};

// The arguments of qom-set: `value` as JSON (5000, true, "off" with its quotes).
std::string QomSetArguments(std::string_view path, std::string_view property, std::string_view value);

}  // namespace faraday::sim::qemu
