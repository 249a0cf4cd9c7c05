// The Journal port as files, so that a killed agent's successor knows what ran:
//
//   <state_dir>/epochs                   "r01/07 42" lines: the largest epoch seen of each slot
//   <state_dir>/attempts/<id>/wish       SyncResult.Attempt, as the lab sent it
//   <state_dir>/attempts/<id>/record     the phase's number, a newline, v1.Attempt
//   <state_dir>/trash/                   folders of forgotten attempts, until they are removed
// The attempt's folder also holds what the runner keeps there (runner/folder.h). Loop's thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/core/ports.h"
#include "agent/journal/trash.h"
#include "base/result.h"
#include "evloop/loop.h"

namespace faraday::agent {

class FileJournal : public Journal {
 public:
  FileJournal(evloop::Loop& loop, std::string state_dir);

  void Keep(const AttemptRecord& record) override;
  void Forget(const std::string& attempt) override;
  void KeepEpochs(const std::map<std::string, uint32_t>& epochs) override;

  // What an earlier agent kept. Damaged records are logged and moved aside ("<id>.damaged"); folders without a record
  // are of attempts that were half forgotten, or never begun, and go.
  std::vector<AttemptRecord> LoadAttempts();
  std::map<std::string, uint32_t> LoadEpochs();
  std::string FolderOf(const std::string& attempt) const { return state_dir_ + "/attempts/" + attempt; }

 private:
  Result<AttemptRecord> LoadAttempt(const std::string& attempt);

  std::string state_dir_;
  Trash trash_;
};

}  // namespace faraday::agent
