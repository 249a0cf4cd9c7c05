#include "agent/zmq/uploader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "agent/runner/artifacts.h"
#include "agent/runner/junit.h"
#include "base/log.h"

namespace faraday::agent {
namespace {

constexpr Milliseconds kFollowEvery{200};       // the figure
constexpr Milliseconds kFirstPause{500};        // chosen
constexpr Milliseconds kLongestPause{5'000};    // chosen
constexpr size_t kHashSlice = size_t{2} << 20;  // about 10 ms of SHA-256; chosen

uint64_t SizeOf(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

Result<std::string> ReadAt(const std::string& path, uint64_t offset, size_t most) {
  std::string data(most, '\0');
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  const ssize_t got = fd < 0 ? -1 : ::pread(fd, data.data(), most, static_cast<off_t>(offset));
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (got < 0) return Status(Code::kDataLoss, fmt::format("it cannot be read: {}", std::strerror(error)));
  data.resize(static_cast<size_t>(got));
  return data;
}

std::string Hex(const unsigned char* bytes, size_t size) {
  std::string text(size * 2 + 1, '\0');
  sodium_bin2hex(text.data(), text.size(), bytes, size);
  text.pop_back();
  return text;
}

bool MayPass(Code code) {
  return code == Code::kUnavailable || code == Code::kDeadlineExceeded || code == Code::kUnknown ||
         code == Code::kDataLoss || code == Code::kAborted || code == Code::kInternal;
}

}  // namespace

Uploader::Hashing::~Hashing() {
  if (fd >= 0) ::close(fd);
}

Uploader::Uploader(evloop::Loop& loop, LabLink& lab, std::string folder)
    : loop_(loop), lab_(lab), folder_(std::move(folder)) {
  ticker_ = loop_.AddPeriodic("uploads", kFollowEvery, [this] { Look(); });
}

Uploader::~Uploader() { loop_.Remove(ticker_); }

Uploader::Transfer& Uploader::TransferOf(const std::string& attempt) {
  Transfer& transfer = transfers_[attempt];
  if (transfer.files.empty()) transfer.files.push_back({"log", FolderOf(attempt) + "/log", "", 0, false});
  return transfer;
}

void Uploader::FollowLog(const std::string& attempt) { TransferOf(attempt).following = true; }

// ---- reading ----

void Uploader::Collect(const AttemptRecord& record, std::function<void(Collected)> done) {
  const std::string& attempt = record.wish.attempt;
  const std::string work = FolderOf(attempt) + "/work";
  auto hashing = std::make_unique<Hashing>();
  FoundArtifacts found = FindArtifacts(work, record.wish.spec.artifact_globs, record.wish.spec.junit);
  hashing->collected.artifacts = std::move(found.artifacts);
  hashing->collected.problem = std::move(found.problem);
  hashing->log_path = FolderOf(attempt) + "/log";
  hashing->done = std::move(done);
  if (const std::string& junit = record.wish.spec.junit; !junit.empty()) {
    const std::string path = FindJobFile(work, junit);
    const auto summary = path.empty() ? Status(Code::kNotFound, "it was not written") : ReadJunit(path);
    Collected& collected = hashing->collected;
    collected.has_junit = summary.ok();
    if (summary.ok()) collected.junit = *summary;
    collected.junit_bad = !summary.ok();
    if (!summary.ok()) {
      collected.problem +=
          fmt::format("{}JUnit file {}: {}", collected.problem.empty() ? "" : "; ", junit, summary.status().message());
    }
  }
  hashings_[attempt] = std::move(hashing);
  loop_.AddTimer("hash " + attempt, BootClock::now(), [this, attempt] { HashSlice(attempt); });
}

void Uploader::HashSlice(const std::string& attempt) {
  const auto found = hashings_.find(attempt);
  if (found == hashings_.end()) return;
  Hashing& hashing = *found->second;
  auto& artifacts = hashing.collected.artifacts;
  std::string sha256;
  if (HashOpenFile(hashing, &sha256)) {
    if (hashing.next < artifacts.size())
      artifacts[hashing.next].sha256 = sha256;
    else
      log_sha256_[attempt] = sha256;
    ++hashing.next;
  }
  if (hashing.next <= artifacts.size()) {
    loop_.AddTimer("hash " + attempt, BootClock::now(), [this, attempt] { HashSlice(attempt); });
    return;
  }
  const auto done = std::move(hashing.done);
  Collected collected = std::move(hashing.collected);
  hashings_.erase(found);
  done(std::move(collected));
}

// True when the current file is through.
bool Uploader::HashOpenFile(Hashing& hashing, std::string* sha256) {
  const auto& artifacts = hashing.collected.artifacts;
  if (hashing.fd < 0) {
    const std::string& path = hashing.next < artifacts.size() ? artifacts[hashing.next].path : hashing.log_path;
    crypto_hash_sha256_init(&hashing.state);
    hashing.fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (hashing.fd < 0) return true;
  }
  static std::array<unsigned char, 65536> buffer;
  for (size_t hashed = 0; hashed < kHashSlice;) {
    const ssize_t got = ::read(hashing.fd, buffer.data(), buffer.size());
    if (got <= 0) {
      std::array<unsigned char, crypto_hash_sha256_BYTES> digest;
      crypto_hash_sha256_final(&hashing.state, digest.data());
      *sha256 = Hex(digest.data(), digest.size());
      ::close(hashing.fd);
      hashing.fd = -1;
      return true;
    }
    crypto_hash_sha256_update(&hashing.state, buffer.data(), static_cast<unsigned long long>(got));
    hashed += static_cast<size_t>(got);
  }
  return false;
}

// ---- sending ----

void Uploader::Upload(const AttemptRecord& record, std::function<void(Uploaded)> done) {
  const std::string& attempt = record.wish.attempt;
  Transfer& transfer = TransferOf(attempt);
  transfer.following = false;
  transfer.done = std::move(done);
  transfer.files[0].sha256 = log_sha256_[attempt];
  log_sha256_.erase(attempt);
  transfer.files.resize(1);
  for (const Artifact& artifact : record.artifacts) {
    transfer.files.push_back({artifact.name, artifact.path, artifact.sha256, 0, false});
  }
  // Not from within the caller's call.
  loop_.AddTimer("upload " + attempt, BootClock::now(), [this, attempt] {
    if (const auto found = transfers_.find(attempt); found != transfers_.end()) Pump(attempt, found->second, true);
  });
}

void Uploader::Look() {
  std::vector<std::string> attempts;
  for (const auto& [attempt, transfer] : transfers_) attempts.push_back(attempt);
  for (const std::string& attempt : attempts) {
    if (const auto found = transfers_.find(attempt); found != transfers_.end()) Pump(attempt, found->second, true);
  }
}

void Uploader::Pump(const std::string& attempt, Transfer& transfer, bool ticked) {
  if (transfer.in_flight || BootClock::now() < transfer.not_before) return;
  while (transfer.current < transfer.files.size() && transfer.files[transfer.current].done) ++transfer.current;
  if (transfer.current == transfer.files.size()) {
    if (transfer.done) FinishTransfer(attempt);
    return;
  }
  if (!transfer.following && !transfer.done) return;  // between the command's end and its collection
  const File& file = transfer.files[transfer.current];
  const uint64_t size = SizeOf(file.path);
  const uint64_t left = size - std::min(size, file.offset);
  if (transfer.following && (left == 0 || (!ticked && left < kChunkBytes))) return;
  auto data = left == 0 ? Result<std::string>(std::string()) : ReadAt(file.path, file.offset, kChunkBytes);
  if (data.ok() && data->empty() && left > 0) data = Status(Code::kDataLoss, "it is shorter than its size says");
  if (!data.ok() && !transfer.following) return GiveUp(transfer, data.status().message());  // the next look goes on
  if (!data.ok()) return;
  Chunk chunk{attempt, file.name, file.offset, std::move(*data), false, ""};
  chunk.complete = !transfer.following && file.offset + chunk.data.size() >= size;
  if (chunk.complete) chunk.sha256 = file.sha256;
  transfer.in_flight = true;
  lab_.Put(chunk,
           [this, attempt, complete = chunk.complete](Result<uint64_t> next) { OnPut(attempt, complete, next); });
}

void Uploader::OnPut(const std::string& attempt, bool complete, Result<uint64_t> next_offset) {
  const auto found = transfers_.find(attempt);
  if (found == transfers_.end()) return;
  Transfer& transfer = found->second;
  transfer.in_flight = false;
  if (!next_offset.ok()) {
    OnRefused(transfer, next_offset.status());
  } else {
    File& file = transfer.files[transfer.current];
    transfer.pause = Milliseconds(0);
    // Complete only when the lab has this chunk, not when it wants an earlier one first.
    file.done = complete && *next_offset >= SizeOf(file.path);
    // The lab has lost bytes, or holds more than we have: never faster than the pause.
    const bool backwards = *next_offset < file.offset || *next_offset > SizeOf(file.path);
    if (backwards) transfer.not_before = BootClock::now() + kFirstPause;
    file.offset = std::min(*next_offset, SizeOf(file.path));
  }
  Pump(attempt, transfer, false);
}

void Uploader::OnRefused(Transfer& transfer, const Status& status) {
  if (MayPass(status.code())) {
    transfer.pause = std::clamp(transfer.pause * 2, kFirstPause, kLongestPause);
    transfer.not_before = BootClock::now() + transfer.pause;
    return;
  }
  if (status.code() == Code::kAlreadyExists)
    transfer.files[transfer.current].done = true;
  else
    GiveUp(transfer, status.message());
}

void Uploader::GiveUp(Transfer& transfer, const std::string& why) {
  File& file = transfer.files[transfer.current];
  file.done = true;
  log::Warn("{} is not at the lab: {}", file.path, why);
  if (transfer.current > 0) transfer.uploaded.missing.push_back(file.name);
  if (transfer.uploaded.problem.empty())
    transfer.uploaded.problem = fmt::format("'{}' is not at the lab: {}", file.name, why);
}

void Uploader::FinishTransfer(const std::string& attempt) {
  auto transfer = transfers_.extract(attempt);
  transfer.mapped().done(std::move(transfer.mapped().uploaded));
}

}  // namespace faraday::agent
