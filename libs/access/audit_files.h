// Port: the files of one audit folder. Names are plain file names in it. Any thread.
//
// Implementations: PosixAuditFiles, and fake_audit_files.h whose disk is full, slow or loses what was not synced.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace faraday::access {

class AuditFiles {
 public:
  virtual ~AuditFiles() = default;
  // In the order of their names.
  virtual Result<std::vector<std::string>> List() = 0;
  // `most` bytes from `offset`, fewer at the end.
  virtual Result<std::string> Read(const std::string& name, uint64_t offset, uint64_t most) = 0;
  virtual Result<uint64_t> Size(const std::string& name) = 0;
  // Adds at the file's end, makes the file (0600) when there is none. Returns the bytes written, perhaps not all.
  virtual Result<size_t> Append(const std::string& name, std::string_view bytes) = 0;
  virtual Status Truncate(const std::string& name, uint64_t size) = 0;
  virtual Status Remove(const std::string& name) = 0;
  // On disk when it returns OK: the file's bytes, and with `folder` its name.
  virtual Status Sync(const std::string& name, bool folder) = 0;
};

class PosixAuditFiles final : public AuditFiles {
 public:
  // Makes the folder (0700). kFailedPrecondition when others may read or write it, kUnavailable when it cannot be made.
  static Result<PosixAuditFiles> Open(const std::string& folder);

  Result<std::vector<std::string>> List() override;
  Result<std::string> Read(const std::string& name, uint64_t offset, uint64_t most) override;
  Result<uint64_t> Size(const std::string& name) override;
  Result<size_t> Append(const std::string& name, std::string_view bytes) override;
  Status Truncate(const std::string& name, uint64_t size) override;
  Status Remove(const std::string& name) override;
  Status Sync(const std::string& name, bool folder) override;

 private:
  explicit PosixAuditFiles(std::string folder) : folder_(std::move(folder)) {}
  std::string PathOf(const std::string& name) const { return folder_ + "/" + name; }
  std::string folder_;
};

}  // namespace faraday::access
