#include "lab/sqlite/spool.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/crc32.h"
#include "lab/core/records.h"

namespace faraday::lab {
namespace {

constexpr size_t kMaxOpenFiles = 32;     // chosen: a file per running attempt of a rack
constexpr size_t kMaxGrowing = 20'000;   // chosen: ten attempts of the most files, about 6 MiB
constexpr size_t kMaxKnownTotals = 256;  // chosen
// Dirty bytes are written out in between, so that the last fsync stays short (chosen).
constexpr uint64_t kSyncEvery = 8ULL << 20;
constexpr size_t kMaxNameBytes = 512;

Status DiskError(const std::string& path) {
  const int error = errno;
  if (error == ENOSPC || error == EDQUOT) {
    return {Code::kUnavailable,
            fmt::format("the disk that holds {} is full: make room; the agent sends again by itself", path)};
  }
  return {Code::kUnavailable, fmt::format("cannot write {}: {}", path, std::strerror(error))};
}

std::string Hex(const crypto_hash_sha256_state& state) {
  crypto_hash_sha256_state copy = state;
  std::array<unsigned char, crypto_hash_sha256_BYTES> digest{};
  crypto_hash_sha256_final(&copy, digest.data());
  std::string text;
  for (const unsigned char byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

void Hash(std::string_view data, crypto_hash_sha256_state* state) {
  crypto_hash_sha256_update(state, reinterpret_cast<const unsigned char*>(data.data()), data.size());
}

void SyncFolder(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

Status CheckChunk(const Chunk& chunk) {
  if (!JobOfAttemptName(chunk.attempt)) {
    return {Code::kInvalidArgument, fmt::format("'{}' is no attempt id; they look like job-12.1", chunk.attempt)};
  }
  FARADAY_TRY(CheckFileName(chunk.name));
  if (chunk.data.size() > kMaxChunkBytes) {
    return {Code::kInvalidArgument,
            fmt::format("chunk of {} bytes; at most {} bytes a chunk", chunk.data.size(), kMaxChunkBytes)};
  }
  if (Crc32(chunk.data) == chunk.crc32) return OkStatus();
  return {Code::kDataLoss,
          fmt::format("crc32 of {} {} at {} differs: send the chunk again", chunk.attempt, chunk.name, chunk.offset)};
}

bool IsPlainByte(char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f && c != '\\'; }

}  // namespace

Status CheckFileName(const std::string& name) {
  bool good = !name.empty() && name.size() <= kMaxNameBytes && std::ranges::all_of(name, IsPlainByte);
  for (size_t begin = 0; good && begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    const std::string part = name.substr(begin, end - begin);
    good = !part.empty() && part != "." && part != ".." && part.size() <= 255;
    begin = end + 1;
  }
  if (good) return OkStatus();
  return {Code::kInvalidArgument,
          fmt::format("file name of {} bytes is not allowed: use a relative path with '/', without "
                      "'..', '.', empty parts or control bytes, at most {} bytes",
                      name.size(),
                      kMaxNameBytes)};
}

Spool::Growing::Growing() { crypto_hash_sha256_init(&hash); }

Spool::Growing::~Growing() {
  if (fd >= 0) ::close(fd);
}

Spool::~Spool() = default;

Result<std::unique_ptr<Spool>> Spool::Open(Database& database, std::string folder, uint64_t max_attempt_bytes) {
  if (sodium_init() < 0) return Status(Code::kInternal, "libsodium does not start");
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return Status(Code::kUnavailable, fmt::format("cannot make folder {}: {}", folder, error.message()));
  return std::unique_ptr<Spool>(new Spool(database, std::move(folder), max_attempt_bytes));
}

std::string Spool::PathOf(const std::string& attempt, const std::string& name) const {
  return folder_ + "/" + attempt + "/" + name;
}

Result<bool> Spool::FindComplete(const std::string& attempt,
                                 const std::string& name,
                                 uint64_t* size,
                                 std::string* sha256) {
  Statement select(database_, "SELECT size, sha256 FROM files WHERE attempt=? AND name=?");
  select.Bind(attempt).Bind(name);
  FARADAY_TRY_ASSIGN(const bool row, select.Next());
  if (!row) return false;
  *size = select.Number(0);
  *sha256 = select.Text(1);
  return true;
}

Result<uint64_t> Spool::Put(const Chunk& chunk) {
  FARADAY_TRY(CheckChunk(chunk));
  uint64_t size = 0;
  std::string sha256;
  FARADAY_TRY_ASSIGN(const bool complete, FindComplete(chunk.attempt, chunk.name, &size, &sha256));
  if (complete) return size;
  Totals& totals = TotalsOf(chunk.attempt);
  FARADAY_TRY(CheckBounds(chunk, totals));
  const bool is_new = ::access(PathOf(chunk.attempt, chunk.name).c_str(), F_OK) != 0;
  FARADAY_TRY_ASSIGN(Growing * file, OpenForAppend(chunk.attempt, chunk.name));
  totals.files += is_new ? 1 : 0;
  if (chunk.offset != file->size) return file->size;
  FARADAY_TRY(Append(chunk.data, file));
  totals.bytes += chunk.data.size();
  size = file->size;
  if (chunk.complete) FARADAY_TRY(Complete(chunk, file));
  return size;
}

Spool::Totals& Spool::TotalsOf(const std::string& attempt) {
  if (const auto known = totals_.find(attempt); known != totals_.end()) return known->second;
  if (totals_.size() >= kMaxKnownTotals) totals_.clear();
  Totals totals;
  std::error_code error;
  std::filesystem::recursive_directory_iterator walk(folder_ + "/" + attempt, error);
  for (; !error && walk != std::filesystem::recursive_directory_iterator(); walk.increment(error)) {
    if (!walk->is_regular_file(error)) continue;
    totals.bytes += walk->file_size(error);
    ++totals.files;
  }
  return totals_[attempt] = totals;
}

Status Spool::CheckBounds(const Chunk& chunk, const Totals& totals) const {
  if (totals.bytes + chunk.data.size() > max_attempt_bytes_) {
    return {Code::kResourceExhausted,
            fmt::format("{} holds {} bytes, the lab keeps at most {} bytes an attempt: send less, or drop the rest",
                        chunk.attempt,
                        totals.bytes,
                        max_attempt_bytes_)};
  }
  if (totals.files <= kMaxAttemptFiles) return OkStatus();
  return {Code::kResourceExhausted,
          fmt::format("{} has {} files, the lab keeps at most {}: pack them into one",
                      chunk.attempt,
                      totals.files,
                      kMaxAttemptFiles)};
}

Status Spool::Create(const std::string& path) const {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (!error) return OkStatus();
  if (error == std::errc::no_space_on_device || error.value() == EDQUOT) {
    return {Code::kUnavailable, "the lab's disk is full: make room; the agent sends again by itself"};
  }
  return {Code::kInvalidArgument,
          fmt::format("cannot make the folder of {}: {} (does a file of that name exist?)", path, error.message())};
}

Result<Spool::Growing*> Spool::OpenForAppend(const std::string& attempt, const std::string& name) {
  const std::string path = PathOf(attempt, name);
  const auto known = std::ranges::find(open_, path, &Growing::path);
  if (known != open_.end()) {
    open_.splice(open_.begin(), open_, known);
    return open_.front();
  }
  FARADAY_TRY(Create(path));
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
  if (fd < 0 && (errno == EISDIR || errno == ENAMETOOLONG)) {
    return Status(Code::kInvalidArgument,
                  fmt::format("cannot keep '{}' of {}: {}", name, attempt, std::strerror(errno)));
  }
  if (fd < 0) return DiskError(path);
  Growing* file = &growing_[path];
  file->path = path;
  file->fd = fd;
  open_.push_front(file);
  if (const Status taken = TakeUp(file); !taken.ok()) {
    Drop(file);
    return taken;
  }
  LimitWhatIsKept();
  return file;
}

// The remembered hash serves when the file is still as long as it was.
Status Spool::TakeUp(Growing* file) const {
  struct stat info {};
  if (::fstat(file->fd, &info) != 0) return DiskError(file->path);
  return static_cast<uint64_t>(info.st_size) == file->size ? OkStatus() : HashWhatIsThere(file);
}

// The file just used is open, so it stays.
void Spool::LimitWhatIsKept() {
  if (open_.size() > kMaxOpenFiles) {
    ::close(open_.back()->fd);
    open_.back()->fd = -1;
    open_.pop_back();
  }
  if (growing_.size() <= kMaxGrowing) return;
  std::erase_if(growing_, [](const auto& entry) { return entry.second.fd < 0; });
}

void Spool::Drop(Growing* file) {
  open_.remove(file);
  growing_.erase(std::string(file->path));
}

void Spool::Forget(const std::string& attempt) {
  const std::string folder = PathOf(attempt, "");
  open_.remove_if([&](const Growing* file) { return file->path.starts_with(folder); });
  std::erase_if(growing_, [&](const auto& entry) { return entry.first.starts_with(folder); });
  totals_.erase(attempt);
}

// After a restart the running hash is made anew from the file.
Status Spool::HashWhatIsThere(Growing* file) const {
  file->size = 0;
  file->synced = 0;
  crypto_hash_sha256_init(&file->hash);
  std::string buffer(kMaxChunkBytes, '\0');
  while (true) {
    const ssize_t got = ::pread(file->fd, buffer.data(), buffer.size(), static_cast<off_t>(file->size));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return DiskError(file->path);
    if (got == 0) return OkStatus();
    Hash(std::string_view(buffer).substr(0, static_cast<size_t>(got)), &file->hash);
    file->size += static_cast<uint64_t>(got);
  }
}

Status Spool::Append(std::string_view data, Growing* file) const {
  for (size_t done = 0; done < data.size();) {
    const ssize_t wrote =
        ::pwrite(file->fd, data.data() + done, data.size() - done, static_cast<off_t>(file->size + done));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      const Status failed = DiskError(file->path);
      // Half a chunk must not count as sent.
      if (::ftruncate(file->fd, static_cast<off_t>(file->size)) != 0) return DiskError(file->path);
      return failed;
    }
    done += static_cast<size_t>(wrote);
  }
  Hash(data, &file->hash);
  file->size += data.size();
  if (file->size - file->synced >= kSyncEvery) {
    if (::fdatasync(file->fd) != 0) return DiskError(file->path);
    file->synced = file->size;
  }
  return OkStatus();
}

Status Spool::Complete(const Chunk& chunk, Growing* file) {
  const std::string sha256 = Hex(file->hash);
  if (!chunk.sha256.empty() && chunk.sha256 != sha256) {
    totals_.erase(chunk.attempt);
    const bool dropped = ::ftruncate(file->fd, 0) == 0;
    Drop(file);
    return {Code::kDataLoss,
            fmt::format("sha256 of {} {} is {}, not {}: {}",
                        chunk.attempt,
                        chunk.name,
                        sha256,
                        chunk.sha256,
                        dropped ? "send it again from 0" : "and it cannot be dropped")};
  }
  if (::fsync(file->fd) != 0) return DiskError(file->path);
  SyncFolder(std::filesystem::path(file->path).parent_path());
  SyncFolder(folder_);
  const Status noted = Statement(database_, "INSERT INTO files VALUES (?,?,?,?)")
                           .Bind(chunk.attempt)
                           .Bind(chunk.name)
                           .Bind(file->size)
                           .Bind(sha256)
                           .Run();
  // A full disk is no bound of the attempt: the agent must keep its copy and come again.
  if (!noted.ok()) return {Code::kUnavailable, noted.message()};
  Drop(file);
  return OkStatus();
}

Result<Piece> Spool::Read(const std::string& attempt, const std::string& name, uint64_t offset, uint32_t max_bytes) {
  if (!JobOfAttemptName(attempt)) {
    return Status(Code::kInvalidArgument, fmt::format("'{}' is no attempt id; they look like job-12.1", attempt));
  }
  FARADAY_TRY(CheckFileName(name));
  Piece piece;
  FARADAY_TRY_ASSIGN(piece.complete, FindComplete(attempt, name, &piece.size, &piece.sha256));
  FARADAY_TRY(ReadBytes(PathOf(attempt, name), offset, max_bytes, &piece));
  return piece;
}

Status Spool::ReadBytes(const std::string& path, uint64_t offset, uint32_t max_bytes, Piece* piece) const {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  struct stat info {};
  if (fd < 0 || ::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    if (fd >= 0) ::close(fd);
    return {Code::kNotFound, fmt::format("the lab has no file {}", path.substr(folder_.size() + 1))};
  }
  piece->size = static_cast<uint64_t>(info.st_size);
  const uint64_t most = max_bytes == 0 ? kMaxChunkBytes : std::min<uint64_t>(max_bytes, kMaxChunkBytes);
  piece->data.resize(offset >= piece->size ? 0 : std::min(most, piece->size - offset));
  const ssize_t got = ::pread(fd, piece->data.data(), piece->data.size(), static_cast<off_t>(offset));
  const Status failed = got < 0 ? DiskError(path) : OkStatus();
  ::close(fd);
  FARADAY_TRY(failed);
  piece->data.resize(static_cast<size_t>(got));
  if (offset <= piece->size) return OkStatus();
  return {Code::kOutOfRange,
          fmt::format("offset {} is beyond the {} bytes of {}", offset, piece->size, path.substr(folder_.size() + 1))};
}

}  // namespace faraday::lab
