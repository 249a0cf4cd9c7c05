// One running shell command and its three pipes, in the loop: nothing blocks, and nothing is read before it is asked
// for, so a slow host slows the command down instead of filling memory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "evloop/loop.h"
#include "sim/phone/command_box.h"
#include "sim/phone/owned_fd.h"

namespace faraday::sim {

class Command {
 public:
  // `on_event`: there may be more to read, room for more input, or the end. It may destroy the Command.
  static Result<std::unique_ptr<Command>> Start(evloop::Loop& loop,
                                                CommandBox& box,
                                                const CommandLine& line,
                                                std::function<void()> on_event);
  // Ends the command's tree if it still runs.
  ~Command();
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  // Up to `max` bytes; empty: none now (on_event follows) or none any more.
  std::string ReadOut(size_t max) { return Read(out_, max); }
  std::string ReadErr(size_t max) { return Read(err_, max); }
  // Gives input to the command, keeping what its pipe does not take yet. Input nobody reads any more is thrown away.
  void Write(std::string_view bytes);
  // All input given so far is in the pipe.
  bool input_taken() const { return input_.empty(); }
  // The size of its terminal; nothing without one.
  void SetWindow(uint16_t rows, uint16_t columns);
  // The command's standard input ends after what was written.
  void CloseInput();
  // Nobody listens any more, but the command may still finish: input ends after what was given, output is thrown away.
  void LetFinish();
  // It has ended, read out or not.
  bool has_ended() const { return code_.has_value(); }
  // Calls something else from now on.
  void OnEvent(std::function<void()> on_event) { on_event_ = std::move(on_event); }
  // Once it has ended and both outputs are read to their end; 128 + signal as shells count.
  std::optional<int> exit_code() const;

 private:
  struct Pipe {
    OwnedFd fd;
    evloop::Handle watch = 0;
  };
  Command(evloop::Loop& loop, CommandBox& box, std::function<void()> on_event)
      : loop_(loop), box_(box), on_event_(std::move(on_event)) {}
  std::string Read(Pipe& pipe, size_t max);
  void Watch(Pipe& pipe, short events);
  void ClosePipe(Pipe& pipe);
  void FlushInput();
  Result<CommandStreams> MakePipes(bool merge);
  Result<CommandStreams> MakeTerminal();
  void HasEnded();
  void Tell();

  evloop::Loop& loop_;
  CommandBox& box_;
  std::function<void()> on_event_;
  Pipe in_;
  Pipe out_;
  Pipe err_;
  std::string input_;
  bool close_input_ = false;
  bool terminal_ = false;
  Started started_;
  evloop::Handle end_watch_ = 0;
  std::optional<int> code_;
};

}  // namespace faraday::sim
