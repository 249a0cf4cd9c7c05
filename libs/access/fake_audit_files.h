// An audit folder in memory whose disk is full, broken or slow as told, and which can lose what was not synced: the
// world of a power loss. Any thread.
#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "access/audit_files.h"

namespace faraday::access {

class FakeAuditFiles final : public AuditFiles {
 public:
  // ---- the test's side ----
  // Bytes that still fit; the write that does not fit entirely is cut short, then nothing is taken.
  void SetRoom(uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    room_ = bytes;
  }
  void FailSyncs(bool fail) {
    const std::lock_guard lock(mutex_);
    fail_syncs_ = fail;
  }
  // Every file is as it was at its last sync.
  void LosePower() {
    const std::lock_guard lock(mutex_);
    for (auto& [name, bytes] : files_) bytes = synced_[name];
  }
  int syncs() const {
    const std::lock_guard lock(mutex_);
    return syncs_;
  }
  std::string Get(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    const auto it = files_.find(name);
    return it == files_.end() ? "" : it->second;
  }
  // What a power loss would leave.
  std::string GetSynced(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    const auto it = synced_.find(name);
    return it == synced_.end() ? "" : it->second;
  }
  void Set(const std::string& name, std::string bytes) {
    const std::lock_guard lock(mutex_);
    files_[name] = synced_[name] = std::move(bytes);
  }
  // Held while the disk is slow: a Sync waits for it.
  std::mutex& slow() { return slow_; }

  // ---- the log's side ----
  Result<std::vector<std::string>> List() override {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, bytes] : files_) names.push_back(name);
    return names;
  }
  Result<std::string> Read(const std::string& name, uint64_t offset, uint64_t most) override {
    const std::lock_guard lock(mutex_);
    const auto it = files_.find(name);
    if (it == files_.end()) return Status(Code::kUnavailable, "no file " + name);
    return it->second.substr(std::min<uint64_t>(offset, it->second.size()), most);
  }
  Result<uint64_t> Size(const std::string& name) override {
    const std::lock_guard lock(mutex_);
    return uint64_t{files_[name].size()};
  }
  Result<size_t> Append(const std::string& name, std::string_view bytes) override {
    const std::lock_guard lock(mutex_);
    const size_t fits = std::min<size_t>(bytes.size(), room_);
    if (fits == 0) return Status(Code::kUnavailable, "cannot write " + name + ": No space left on device");
    room_ -= fits;
    files_[name] += bytes.substr(0, fits);
    return fits;
  }
  Status Truncate(const std::string& name, uint64_t size) override {
    const std::lock_guard lock(mutex_);
    files_[name].resize(size);
    return OkStatus();
  }
  Status Remove(const std::string& name) override {
    const std::lock_guard lock(mutex_);
    files_.erase(name);
    synced_.erase(name);
    return OkStatus();
  }
  Status Sync(const std::string& name, bool) override {
    const std::lock_guard slow(slow_);
    const std::lock_guard lock(mutex_);
    ++syncs_;
    if (fail_syncs_) return {Code::kUnavailable, "cannot sync " + name + ": Input/output error"};
    synced_[name] = files_[name];
    return OkStatus();
  }

 private:
  mutable std::mutex mutex_;
  std::mutex slow_;
  std::map<std::string, std::string> files_;  // all below: guarded by mutex_
  std::map<std::string, std::string> synced_;
  uint64_t room_ = UINT64_MAX;
  bool fail_syncs_ = false;
  int syncs_ = 0;
};

}  // namespace faraday::access
