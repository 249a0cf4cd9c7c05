// One conversation with an adb server over its smart socket: services one after the other, then one answer.
//
//   C: "000chost:version"   S: "OKAY" "00040029"
//   C: "0018host:transport:r01" S: "OKAY"   C: "...shell,v2,raw:getprop" S: "OKAY", frames id u32 data
// A refusal is "FAIL" + %04x + text. Formats: research of Debian's adb 29.0.6 and its SERVICES.TXT. Asynchronous, in
// the loop's thread, always with a deadline: a hung phone costs nobody else anything.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "evloop/loop.h"

namespace faraday::agent {

class AdbQuery {
 public:
  enum class Form {
    kText,   // %04x and text
    kOkay,   // nothing after the last OKAY
    kShell,  // shell_v2 frames to the exit frame
  };
  struct Question {
    int port = 0;  // of the server, on loopback
    std::vector<std::string> services;
    Form form = Form::kText;
    Milliseconds timeout{3'000};
  };
  struct Answer {
    std::string text;   // kShell: stdout
    int exit_code = 0;  // kShell
  };
  // kUnavailable: no server, or it hung up; kDeadlineExceeded; kFailedPrecondition: adb's own FAIL text;
  // kDataLoss: an answer out of form; kResourceExhausted: more than 1 MiB.
  using Done = std::function<void(Result<Answer>)>;

  // Starts at once; `done` runs later in the loop, at most once, and may destroy this object. Destroying ends it
  // silently.
  AdbQuery(evloop::Loop& loop, Question question, Done done);
  ~AdbQuery();
  AdbQuery(const AdbQuery&) = delete;
  AdbQuery& operator=(const AdbQuery&) = delete;

 private:
  void OnReady(short events);
  void SendMore();
  void ReadMore();
  // Advances as far as the bytes go. False: finished.
  bool Step();
  bool TakeStatus();
  bool TakeText(bool failed);
  bool TakeShell();
  void Finish(Result<Answer> answer);

  evloop::Loop& loop_;
  Question question_;
  Done done_;
  int fd_ = -1;
  evloop::Handle watch_ = 0;
  evloop::Handle timer_ = 0;
  size_t service_ = 0;  // the one whose OKAY is awaited
  std::string unsent_;
  std::string received_;
  bool failed_ = false;  // FAIL was read, its text follows
  Answer answer_;
};

// A service as it goes over the socket: %04x length and text.
std::string AdbRequest(std::string_view service);

}  // namespace faraday::agent
