// The real faraday-lab program in a folder of its own, for tests: start, kill -9, start again, call it. Test's thread.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "access/key.h"
#include "base/clock.h"
#include "faraday/v1/envelope.pb.h"
#include "rpc/client.h"

namespace faraday::lab {

struct RackLine {
  std::string rack;
  std::string controller;
};

class LabProcess {
 public:
  // Writes the config; does not start. `plain`: the lab believes callers, its racks are plain too.
  explicit LabProcess(const std::vector<RackLine>& racks, bool plain = true);
  ~LabProcess();  // ends the program and removes the folder

  // Starts and waits until it serves.
  void Start();
  void KillHard();
  // SIGTERM; the exit code.
  int End();
  pid_t pid() const { return pid_; }
  const std::string& folder() const { return folder_; }
  const std::string& endpoint() const { return endpoint_; }
  const std::string& events() const { return events_; }
  // Runs the program once more, to its end; the exit code.
  int RunAnother(const std::vector<std::string>& words) const;

  Result<v1::Reply> Call(v1::Request request,
                         const std::string& user,
                         const std::string& role,
                         Milliseconds timeout = Milliseconds(10'000));
  // On a lab that is not plain.
  Result<v1::Reply> CallWith(v1::Request request,
                             const access::KeyPair& keys,
                             Milliseconds timeout = Milliseconds(10'000));
  Result<v1::Reply> AsLocalAdmin(v1::Request request);
  // What the program and its further runs have said.
  std::string Log() const;
  Result<v1::Reply> AsAna(v1::Request request) { return Call(std::move(request), "ana", "user"); }
  Result<v1::Reply> AsAgent(v1::Request request) { return Call(std::move(request), "h01", "agent"); }

 private:
  pid_t Spawn(const std::vector<std::string>& words) const;
  std::string folder_;
  std::string endpoint_;
  std::string events_;
  pid_t pid_ = -1;
  zmq::context_t context_;
};

// Asks `condition` again and again for at most 30 s (a generous deadline, not a measurement).
bool Eventually(const std::function<bool()>& condition);

}  // namespace faraday::lab
