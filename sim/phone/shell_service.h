// The "shell" and "exec" services: one command of the phone's shell on one adb stream.
//
//   "shell,v2,TERM=xterm,raw:CMD"  framed: id byte + little-endian u32 length + data; 0 stdin, 1 stdout, 2 stderr,
//                                  3 exit status (1 byte), 4 close stdin, 5 window size
//   "shell:CMD", "exec:CMD"        raw bytes both ways, standard error merged, no exit status
// No CMD is an interactive shell. There is no pseudo terminal: window sizes are read and not used.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "evloop/loop.h"
#include "sim/phone/command.h"
#include "sim/phone/command_box.h"
#include "sim/phone/service.h"

namespace faraday::sim {

// What a service name asks for.
struct ShellRequest {
  bool framed = false;  // v2
  bool pty = false;
  std::string term;
  std::string line;
};

// Empty when `name` is no shell or exec service, or carries an argument that does not exist.
std::optional<ShellRequest> ParseShellService(std::string_view name);

class ShellService : public Service {
 public:
  // Null when no process can be started (the stream is refused). All but `request` must outlive this.
  static std::unique_ptr<Service> Open(evloop::Loop& loop, CommandBox& box, Stream& stream,
                                       const ShellRequest& request);

  void Deliver(std::string_view bytes) override;
  std::string Pull(size_t max) override;
  bool Ended() const override { return ended_; }

 private:
  ShellService(Stream& stream, bool framed) : stream_(stream), framed_(framed) {}
  void OnEvent();
  void TakeFrames(std::string_view bytes);
  void SayConsumed();

  Stream& stream_;
  const bool framed_;
  bool owes_ = false;
  bool ended_ = false;
  std::string header_;      // of the frame that is being received, up to 5 bytes
  uint32_t frame_left_ = 0;
  std::unique_ptr<Command> command_;
};

}  // namespace faraday::sim
