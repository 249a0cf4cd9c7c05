// A LeaseStore in memory whose commits fail on demand: models a full or broken disk for tests.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "controller/core/lease_store.h"

namespace faraday::controller {

class MemoryStore final : public LeaseStore {
 public:
  Result<std::vector<Tenure>> Load() override {
    std::vector<Tenure> all;
    for (const auto& [slot, tenure] : tenures) all.push_back(tenure);
    return all;
  }
  Result<std::optional<StopRecord>> LoadStop() override { return stop; }
  Status Commit(const Change& change) override {
    ++commits;
    if (failing || commits == fail_at) return {Code::kUnavailable, "store: disk full (injected)"};
    for (const Tenure& tenure : change.tenures) tenures[tenure.slot] = tenure;
    if (change.once) once[{change.once->user, change.once->key}] = *change.once;
    if (change.forget) once.erase({change.forget->user, change.forget->key});
    if (change.stop) stop = change.stop->user.empty() ? std::nullopt : change.stop;
    for (const AuditLine& line : change.audit) audit.push_back(line);
    return OkStatus();
  }
  Result<std::optional<OnceRecord>> FindOnce(const std::string& user, const std::string& key, UtcTime now) override {
    const auto it = once.find({user, key});
    if (it == once.end() || now.since_epoch - it->second.created.since_epoch > kOnceKept) {
      return std::optional<OnceRecord>();
    }
    return std::optional<OnceRecord>(it->second);
  }

  bool failing = false;
  int fail_at = 0;  // the number of the commit that fails, counted from 1; 0: none
  int commits = 0;
  std::map<int, Tenure> tenures;
  std::map<std::pair<std::string, std::string>, OnceRecord> once;
  std::vector<AuditLine> audit;
  std::optional<StopRecord> stop;
};

}  // namespace faraday::controller
