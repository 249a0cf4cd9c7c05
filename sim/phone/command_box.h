// Where a phone's shell commands run: a fresh mount and process namespace whose root is the phone's folder, with the
// host's /usr and friends read-only, its own /dev and /proc, no way to the rest of the host's files, and an
// unprivileged user. As root the namespaces are made first and the user is given up after; as an ordinary user a user
// namespace gives the right to make them. Where neither is allowed it says so once in the log and runs commands bare:
// same user rules, the phone's folder as working folder and in the environment, but /sdcard and /data do not exist
// and the host's files can be read.
//
// In a namespace a command's whole tree ends with it, whatever it forked; bare, its process group does.
// Linux only. All calls in the loop's thread.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "evloop/loop.h"
#include "sim/phone/owned_fd.h"
#include "sim/phone/phone_files.h"

namespace faraday::sim {

struct CommandPlan;

enum class Walls { kNamespaces, kUserNamespace, kBare };
std::string_view WallsName(Walls walls);

struct CommandLine {
  std::string text{};     // empty: an interactive shell
  std::string term{};     // $TERM
  bool terminal = false;  // a pseudo terminal for all three streams
  bool merge = false;     // standard error goes where standard output goes
};

// The command's own ends of its streams; one descriptor may stand in several places.
struct CommandStreams {
  std::shared_ptr<OwnedFd> in;
  std::shared_ptr<OwnedFd> out;
  std::shared_ptr<OwnedFd> err;
};

// What a started command is known by. `pidfd` becomes readable when it has ended.
struct Started {
  pid_t pid = -1;
  OwnedFd pidfd;
};

class CommandBox {
 public:
  // Finds the best walls this process may build by trying them (a few ms, blocking) and logs a warning for kBare.
  // `files` and `loop` must outlive this.
  CommandBox(evloop::Loop& loop, const PhoneFiles& files);
  // Waits for every command that was ended and not yet reaped.
  ~CommandBox();
  CommandBox(const CommandBox&) = delete;
  CommandBox& operator=(const CommandBox&) = delete;

  Walls walls() const { return walls_; }

  // Runs `/bin/sh -c text` (or a plain `/bin/sh` for no text) on the streams, cwd "/".
  // Returns: kResourceExhausted when no process can be made.
  Result<Started> Start(const CommandLine& line, const CommandStreams& streams);
  // Ends the command's whole tree and reaps it in the background.
  void End(Started started);
  // The exit status of a command whose pidfd is readable; 128 + signal as shells count.
  int Reap(Started& started);

 private:
  Started Spawn(const CommandPlan& plan, Walls walls) const;
  CommandPlan MakePlan(const CommandLine& line, Walls walls) const;
  bool Works(Walls walls) const;
  void Kill(const Started& started) const;

  evloop::Loop& loop_;
  const PhoneFiles& files_;
  Walls walls_ = Walls::kBare;
  struct Ending {
    Started started;
    evloop::Handle watch = 0;
  };
  std::map<pid_t, Ending> ending_;
};

}  // namespace faraday::sim
