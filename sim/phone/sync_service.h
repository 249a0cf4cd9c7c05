// The "sync:" service: adb push, pull and ls. A request is a 4-byte id and a little-endian u32, then a path or data.
// STAT LSTAT STA2 LST2 LIST LIS2 SEND RECV QUIT; anything else fails the stream with a reason.
// It reads and writes files of PhoneFiles only, a chunk at a time. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "sim/phone/phone_files.h"
#include "sim/phone/service.h"

namespace faraday::sim {

class SyncService : public Service {
 public:
  // Both must outlive this.
  SyncService(const PhoneFiles& files, Stream& stream) : files_(files), stream_(stream) {}

  void Deliver(std::string_view bytes) override;
  std::string Pull(size_t max) override;
  bool Ended() const override { return ended_ && output_.empty(); }

 private:
  using Handler = void (SyncService::*)(const std::string& argument);
  struct Request {
    uint32_t id;
    Handler handler;
  };
  static const Request* FindRequest(uint32_t id);

  void Work();
  bool TakeOne();
  bool TakeRequest(uint32_t id, uint32_t length);
  bool TakeUpload(uint32_t id, uint32_t length);
  bool TakeBody(uint32_t length, std::string* body);
  void Stat1(const std::string& path);
  void Stat2(const std::string& path);
  void Lstat2(const std::string& path);
  void StatTwo(uint32_t id, const std::string& path, bool follow);
  void List1(const std::string& path);
  void List2(const std::string& path);
  void StartUpload(const std::string& path_and_mode);
  void UploadData(const std::string& chunk);
  void FinishUpload(uint32_t mtime);
  void StartDownload(const std::string& path);
  void ReadMore();
  void Quit(const std::string& unused);
  void Fail(const std::string& reason);
  void FailAndEnd(const std::string& reason);

  const PhoneFiles& files_;
  Stream& stream_;
  std::string input_;
  std::string output_;
  bool owes_ = false;  // the host waits for Consumed()
  bool ended_ = false;
  OwnedFd download_;
  bool uploading_ = false;
  bool upload_failed_ = false;  // the reason was sent; the rest of the data is thrown away
  bool upload_link_ = false;
  std::string upload_path_;
  OwnedFd upload_;
};

}  // namespace faraday::sim
