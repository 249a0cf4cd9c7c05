// The "shell" and "exec" services: one command of the phone's shell on one adb stream.
//
//   "shell,v2,TERM=xterm,raw:CMD"  framed: id byte + little-endian u32 length + data; 0 stdin, 1 stdout, 2 stderr,
//                                  3 exit status (1 byte), 4 close stdin, 5 window size
//   "shell:CMD", "exec:CMD"        raw bytes both ways, standard error merged, no exit status
// No CMD is an interactive shell; the argument "pty" gives it a pseudo terminal.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "evloop/loop.h"
#include "sim/phone/command.h"
#include "sim/phone/command_box.h"
#include "sim/phone/service.h"

namespace faraday::sim {

// What a service name asks for.
struct ShellRequest {
  bool framed = false;    // v2
  bool finishes = false;  // exec: goes on when the host closes the stream, see Leftovers
  bool pty = false;
  std::string term;
  std::string line;
};

// Empty when `name` is no shell or exec service, or carries an argument that does not exist.
std::optional<ShellRequest> ParseShellService(std::string_view name);

// Commands of `adb exec-in`, whose host closes the stream as soon as the last input is sent: they may finish, for at
// most kFinishWithin, as long as the phone keeps its link.
class Leftovers {
 public:
  static constexpr Milliseconds kFinishWithin{10'000};  // chosen

  explicit Leftovers(evloop::Loop& loop) : loop_(loop) {}
  ~Leftovers() { EndAll(); }
  Leftovers(const Leftovers&) = delete;
  Leftovers& operator=(const Leftovers&) = delete;
  void Take(std::unique_ptr<Command> command);
  // The phone lost power or data.
  void EndAll();

 private:
  void End(uint64_t id);
  struct Leftover {
    std::unique_ptr<Command> command;
    evloop::Handle deadline = 0;
  };
  evloop::Loop& loop_;
  uint64_t next_ = 0;
  std::map<uint64_t, Leftover> commands_;
};

class ShellService : public Service {
 public:
  // Null when no process can be started (the stream is refused). All but `request` must outlive this.
  static std::unique_ptr<Service> Open(
      evloop::Loop& loop, CommandBox& box, Leftovers& leftovers, Stream& stream, const ShellRequest& request);
  ~ShellService() override;

  void Deliver(std::string_view bytes) override;
  std::string Pull(size_t max) override;
  bool Ended() const override { return ended_; }

 private:
  ShellService(Leftovers& leftovers, Stream& stream, const ShellRequest& request)
      : leftovers_(leftovers), stream_(stream), framed_(request.framed), finishes_(request.finishes) {}
  void OnEvent();
  void TakeFrames(std::string_view bytes);
  void TakeWindow();
  void SayConsumed();

  Leftovers& leftovers_;
  Stream& stream_;
  const bool framed_;
  const bool finishes_;
  bool owes_ = false;
  bool ended_ = false;
  std::string header_;  // of the frame that is being received, up to 5 bytes
  uint32_t frame_left_ = 0;
  std::string window_;  // the text of a window size
  std::unique_ptr<Command> command_;
};

}  // namespace faraday::sim
