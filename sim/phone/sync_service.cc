#include "sim/phone/sync_service.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <vector>

namespace faraday::sim {
namespace {

constexpr uint32_t Id(const char (&name)[5]) {
  uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = (value << 8) | static_cast<unsigned char>(name[i]);
  return value;
}

constexpr uint32_t kMaxPath = 1024;         // adb's limit for a path, mode included
constexpr uint32_t kMaxChunk = 64 * 1024;   // adb's SYNC_DATA_MAX
constexpr size_t kPullAtOnce = 256 * 1024;  // chosen: a turn of the loop stays short
constexpr size_t kBacklogBytes = 1 << 20;   // chosen: answers kept for a slow host before its next request is taken

void Put32(std::string& out, uint64_t value) {
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(value >> shift);
}
void Put64(std::string& out, uint64_t value) {
  Put32(out, value & 0xffffffffu);
  Put32(out, value >> 32);
}
uint32_t Get32(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value |= uint32_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
  return value;
}

// mode, size, mtime of the first protocol; all zero says "no such file".
void PutStat1(std::string& out, const struct stat& status) {
  Put32(out, status.st_mode);
  Put32(out, static_cast<uint64_t>(status.st_size));
  Put32(out, static_cast<uint64_t>(status.st_mtime));
}

void PutStat2(std::string& out, int error, const struct stat& status) {
  Put32(out, static_cast<uint64_t>(error));
  Put64(out, status.st_dev);
  Put64(out, status.st_ino);
  Put32(out, status.st_mode);
  Put32(out, status.st_nlink);
  Put32(out, status.st_uid);
  Put32(out, status.st_gid);
  Put64(out, static_cast<uint64_t>(status.st_size));
  Put64(out, static_cast<uint64_t>(status.st_atime));
  Put64(out, static_cast<uint64_t>(status.st_mtime));
  Put64(out, static_cast<uint64_t>(status.st_ctime));
}

}  // namespace

const SyncService::Request* SyncService::FindRequest(uint32_t id) {
  static constexpr Request kRequests[] = {
      {Id("STAT"), &SyncService::Stat1},
      {Id("STA2"), &SyncService::Stat2},
      {Id("LST2"), &SyncService::Lstat2},
      {Id("LIST"), &SyncService::List1},
      {Id("LIS2"), &SyncService::List2},
      {Id("SEND"), &SyncService::StartUpload},
      {Id("RECV"), &SyncService::StartDownload},
      {Id("QUIT"), &SyncService::Quit},
  };
  for (const Request& request : kRequests) {
    if (request.id == id) return &request;
  }
  return nullptr;
}

void SyncService::Deliver(std::string_view bytes) {
  input_ += bytes;
  owes_ = true;
  Work();
}

std::string SyncService::Pull(size_t max) {
  max = std::min(max, kPullAtOnce);
  while (output_.size() < max && download_) ReadMore();
  std::string out = output_.substr(0, max);
  output_.erase(0, max);
  Work();
  return out;
}

// Takes whole requests while the answers fit; the host may send more once only an unfinished one is left.
void SyncService::Work() {
  while (!ended_ && !download_ && output_.size() < kBacklogBytes) {
    if (TakeOne()) continue;
    if (std::exchange(owes_, false)) stream_.Consumed();
    return;
  }
  if (ended_ && std::exchange(owes_, false)) stream_.Consumed();
}

bool SyncService::TakeOne() {
  if (input_.size() < 8) return false;
  const uint32_t id = Get32(input_, 0);
  const uint32_t length = Get32(input_, 4);
  return uploading_ ? TakeUpload(id, length) : TakeRequest(id, length);
}

bool SyncService::TakeRequest(uint32_t id, uint32_t length) {
  const Request* request = FindRequest(id);
  if (request == nullptr) {
    FailAndEnd("unknown sync request");
    return true;
  }
  if (length > kMaxPath) {
    FailAndEnd("path too long: " + std::to_string(length) + " bytes, allowed 1 to " + std::to_string(kMaxPath));
    return true;
  }
  std::string argument;
  if (!TakeBody(length, &argument)) return false;
  (this->*request->handler)(argument);
  return true;
}

bool SyncService::TakeUpload(uint32_t id, uint32_t length) {
  if (id == Id("DONE")) {
    input_.erase(0, 8);
    FinishUpload(length);
    return true;
  }
  if (id != Id("DATA") || length > kMaxChunk) {
    FailAndEnd(id == Id("DATA") ? "data chunk over 65536 bytes" : "expected DATA or DONE");
    return true;
  }
  std::string chunk;
  if (!TakeBody(length, &chunk)) return false;
  if (!upload_failed_) UploadData(chunk);
  return true;
}

bool SyncService::TakeBody(uint32_t length, std::string* body) {
  if (input_.size() < 8 + size_t{length}) return false;
  *body = input_.substr(8, length);
  input_.erase(0, 8 + size_t{length});
  return true;
}

void SyncService::Stat1(const std::string& path) {
  struct stat status {};
  files_.Stat(path, false, &status);
  output_ += "STAT";
  PutStat1(output_, status);
}

void SyncService::Stat2(const std::string& path) { StatTwo(Id("STA2"), path, true); }
void SyncService::Lstat2(const std::string& path) { StatTwo(Id("LST2"), path, false); }

void SyncService::StatTwo(uint32_t id, const std::string& path, bool follow) {
  struct stat status {};
  const int error = files_.Stat(path, follow, &status);
  Put32(output_, id);
  PutStat2(output_, error, status);
}

void SyncService::List1(const std::string& path) {
  std::vector<PhoneFiles::Entry> entries;
  files_.List(path, &entries);  // what cannot be listed is empty, as on a phone
  for (const auto& entry : entries) {
    output_ += "DENT";
    PutStat1(output_, entry.status);
    Put32(output_, entry.name.size());
    output_ += entry.name;
  }
  output_ += "DONE" + std::string(16, '\0');
}

void SyncService::List2(const std::string& path) {
  std::vector<PhoneFiles::Entry> entries;
  files_.List(path, &entries);
  for (const auto& entry : entries) {
    output_ += "DNT2";
    PutStat2(output_, 0, entry.status);
    Put32(output_, entry.name.size());
    output_ += entry.name;
  }
  output_ += "DONE" + std::string(72, '\0');
}

// "/data/local/tmp/t.sh,33261": the mode is decimal and holds the file type.
void SyncService::StartUpload(const std::string& path_and_mode) {
  uploading_ = true;
  upload_failed_ = upload_link_ = false;
  const size_t comma = path_and_mode.rfind(',');
  uint32_t mode = 0;
  const char* end = path_and_mode.data() + path_and_mode.size();
  const auto parsed = comma == std::string::npos ? std::from_chars_result{nullptr, std::errc::invalid_argument}
                                                 : std::from_chars(path_and_mode.data() + comma + 1, end, mode);
  if (parsed.ec != std::errc() || parsed.ptr != end) return Fail("SEND wants PATH,MODE with a decimal mode");
  upload_path_ = path_and_mode.substr(0, comma);
  if (S_ISLNK(mode)) {
    upload_link_ = true;
    return;
  }
  // As adbd does: what the owner may, group and others may.
  mode |= ((mode >> 3) & 0070) | ((mode >> 6) & 0007);
  auto opened = files_.CreateFile(upload_path_, mode & 0777);
  if (opened.error != 0) return Fail(std::string("couldn't create file: ") + std::strerror(opened.error));
  upload_ = std::move(opened.fd);
}

void SyncService::UploadData(const std::string& chunk) {
  if (upload_link_) {
    // adb ends the target with a NUL of its own.
    const int error = files_.CreateLink(upload_path_, chunk.c_str());
    if (error != 0) Fail(std::string("couldn't create symlink: ") + std::strerror(error));
    return;
  }
  for (size_t at = 0; at < chunk.size();) {
    const ssize_t wrote = ::write(upload_.get(), chunk.data() + at, chunk.size() - at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return Fail(std::string("write failed: ") + std::strerror(errno));
    at += static_cast<size_t>(wrote);
  }
}

void SyncService::FinishUpload(uint32_t mtime) {
  uploading_ = false;
  if (upload_failed_) {
    ended_ = true;  // as adbd: after a failure the stream ends once the host has noticed
    return;
  }
  if (upload_) {
    const timespec times[2] = {{mtime, 0}, {mtime, 0}};
    ::futimens(upload_.get(), times);
  }
  upload_.Reset();
  output_ += "OKAY" + std::string(4, '\0');
}

void SyncService::StartDownload(const std::string& path) {
  auto opened = files_.OpenForRead(path);
  if (opened.error != 0) return Fail(std::string("open failed: ") + std::strerror(opened.error));
  download_ = std::move(opened.fd);
}

void SyncService::ReadMore() {
  std::string chunk(kMaxChunk, '\0');
  ssize_t got = 0;
  do {
    got = ::read(download_.get(), chunk.data(), chunk.size());
  } while (got < 0 && errno == EINTR);
  if (got > 0) {
    output_ += "DATA";
    Put32(output_, static_cast<uint64_t>(got));
    output_.append(chunk, 0, static_cast<size_t>(got));
    return;
  }
  const int error = errno;
  download_.Reset();
  if (got < 0) return Fail(std::string("read failed: ") + std::strerror(error));
  output_ += "DONE" + std::string(4, '\0');
}

void SyncService::Quit(const std::string&) { ended_ = true; }

void SyncService::Fail(const std::string& reason) {
  upload_failed_ = uploading_;
  upload_.Reset();
  output_ += "FAIL";
  Put32(output_, reason.size());
  output_ += reason;
}

void SyncService::FailAndEnd(const std::string& reason) {
  Fail(reason);
  ended_ = true;
}

}  // namespace faraday::sim
