// The Spool port: reads what an attempt leaves and sends it to the lab in chunks of at most 256 KiB.
//
// The lab's next_offset decides where each chunk begins, so an interrupted upload goes on where it stopped, also after
// a restart of either side. One chunk an attempt is under way; the log of a running command goes at most every 200 ms.
// Files are hashed in slices between other callbacks. Loop's thread.
#pragma once

#include <sodium.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/core/ports.h"
#include "agent/zmq/lab_link.h"
#include "evloop/loop.h"

namespace faraday::agent {

inline constexpr size_t kChunkBytes = 256 * 1024;  // design section 8: chunks, bounded by envelope.proto

class Uploader : public Spool {
 public:
  // `folder` holds the attempts' folders.
  Uploader(evloop::Loop& loop, LabLink& lab, std::string folder);
  ~Uploader() override;

  void FollowLog(const std::string& attempt) override;
  void Collect(const AttemptRecord& record, std::function<void(Collected)> done) override;
  void Upload(const AttemptRecord& record, std::function<void(Uploaded)> done) override;

 private:
  struct File {
    std::string name;
    std::string path;
    std::string sha256;
    uint64_t offset = 0;
    bool done = false;
  };
  struct Transfer {
    std::vector<File> files;  // [0] is the log
    size_t current = 0;
    bool following = false;  // the log still grows
    bool in_flight = false;
    BootTime not_before{};
    Milliseconds pause{0};
    Uploaded uploaded;
    std::function<void(Uploaded)> done;
  };
  struct Hashing {
    Collected collected;
    std::string log_path;
    size_t next = 0;  // index into artifacts; its size is the log
    int fd = -1;
    crypto_hash_sha256_state state;
    std::function<void(Collected)> done;
    ~Hashing();
  };

  std::string FolderOf(const std::string& attempt) const { return folder_ + "/" + attempt; }
  Transfer& TransferOf(const std::string& attempt);
  void HashSlice(const std::string& attempt);
  bool HashOpenFile(Hashing& hashing, std::string* sha256);
  void Look();
  void Pump(const std::string& attempt, Transfer& transfer, bool ticked);
  void OnPut(const std::string& attempt, bool complete, Result<uint64_t> next_offset);
  void OnRefused(Transfer& transfer, const Status& status);
  // The current file will never be at the lab.
  void GiveUp(Transfer& transfer, const std::string& why);
  void FinishTransfer(const std::string& attempt);

  evloop::Loop& loop_;
  LabLink& lab_;
  std::string folder_;
  evloop::Handle ticker_ = 0;
  std::map<std::string, Transfer> transfers_;
  std::map<std::string, std::unique_ptr<Hashing>> hashings_;
  std::map<std::string, std::string> log_sha256_;
};

}  // namespace faraday::agent
