// The host's end of a simulated board's serial line: a pty behind a symlink, or a unix stream socket. What happens at
// the far end (nobody there, opens, dies, opens again, reads too slowly) is a UART's life: the firmware is not told.
// One thread uses it.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "firmware/boards/native/serial_line.h"

namespace faraday::sim {

class LinePort : public firmware::SerialLine {
 public:
  // Makes the path appear. OK when it is there already.
  // Errors: kFailedPrecondition when the path is taken or cannot be made, kResourceExhausted no pty left.
  virtual Status Plug() = 0;
  // As if the cable were pulled: the far end gets EIO or end of file and the path vanishes.
  virtual void Unplug() = 0;
  virtual bool plugged() const = 0;
  // Looks whether somebody is at the far end now. Call once a pass.
  virtual bool Connected() = 0;
  // What to poll(2) for bytes (POLLIN); -1 while nobody is at the far end.
  virtual int poll_fd() const = 0;
  // "pty /run/x/mcu0", "socket /run/x/mcu0.sock".
  virtual std::string Describe() const = 0;
};

std::unique_ptr<LinePort> MakePtyLine(std::string symlink_path);
std::unique_ptr<LinePort> MakeSocketLine(std::string path);

}  // namespace faraday::sim
