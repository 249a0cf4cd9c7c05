// The Runners port: one faraday-runner process an attempt, spoken to through the attempt's folder (folder.h). Runners
// outlive the agent; Adopt watches one again. Loop's thread.
//
// In a process that is a subreaper (process_tree.h), every child that was not started through Child is taken for an
// orphan of a killed runner, and killed when one is lost.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "agent/core/ports.h"
#include "agent/process/child.h"
#include "evloop/loop.h"

namespace faraday::agent {

class ProcessRunners : public Runners {
 public:
  using OnEnded = std::function<void(const std::string& attempt, const RunEnd& end)>;
  // `program` is faraday-runner; `folder` holds the attempts' folders.
  ProcessRunners(evloop::Loop& loop, std::string program, std::string folder, OnEnded on_ended);
  ~ProcessRunners() override;  // leaves the runners alone

  Status Start(const AttemptRecord& record,
               const std::map<std::string, std::string>& extra,
               BootTime lease_end) override;
  void SetLeaseEnd(const std::string& attempt, BootTime lease_end) override;
  Result<BootTime> LeaseEnd(const std::string& attempt) override;
  void Cancel(const std::string& attempt) override;
  void Adopt(const std::string& attempt) override;
  size_t running() const { return watched_.size(); }

 private:
  std::string FolderOf(const std::string& attempt) const { return folder_ + "/" + attempt; }
  Status WriteOrder(const AttemptRecord& record, const std::map<std::string, std::string>& extra, BootTime lease_end);
  void Look();
  bool LookAt(const std::string& attempt);

  evloop::Loop& loop_;
  std::string program_;
  std::string folder_;
  OnEnded on_ended_;
  evloop::Handle ticker_ = 0;
  std::map<std::string, std::unique_ptr<Child>> watched_;  // attempt -> runner; null when adopted
};

}  // namespace faraday::agent
