// The LabCalls port by RPC: Sync loop for the attempts, a channel for reports, another for chunks, so that a large
// upload does not hold back a report. Loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/core/ports.h"
#include "agent/zmq/sync_loop.h"
#include "evloop/loop.h"
#include "rpc/client.h"

namespace faraday::agent {

// A piece of a log or an artefact.
struct Chunk {
  std::string attempt;
  std::string name;
  uint64_t offset = 0;
  std::string data;       // at most 256 KiB
  bool complete = false;  // the file ends with it
  std::string sha256;     // hex, with `complete`
};

class LabLink : public LabCalls {
 public:
  using OnAttempts = std::function<void(const std::vector<AttemptWish>& attempts)>;
  // Takes a newer signed roster; gives the number to go on from: of the one in force, or of one that was refused, which
  // need not come again.
  using OnRoster = std::function<uint64_t(const v1::SignedRoster& roster)>;
  // `roster`: the number that the agent has. An empty endpoint: there is no lab, and every call is answered
  // kUnavailable.
  LabLink(evloop::Loop& loop,
          zmq::context_t& context,
          const std::string& endpoint,
          const rpc::Credentials& who,
          std::string agent,
          std::string host,
          OnAttempts on_attempts,
          uint64_t roster,
          OnRoster on_roster);

  void Report(const AttemptRecord& record, std::function<void(Result<bool>)> done) override;
  // Gives the offset to go on from.
  void Put(const Chunk& chunk, std::function<void(Result<uint64_t>)> done);

 private:
  void OnSync(const v1::SyncResult& result);
  void NoLab(std::function<void(Status)> done);

  evloop::Loop& loop_;
  std::string agent_;
  OnAttempts on_attempts_;
  OnRoster on_roster_;
  std::unique_ptr<SyncLoop> sync_;
  std::unique_ptr<rpc::Channel> reports_;
  std::unique_ptr<rpc::Channel> chunks_;
};

}  // namespace faraday::agent
