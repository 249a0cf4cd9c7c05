#include "cli/job_files.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/crc32.h"
#include "cli/job_text.h"
#include "cli/text.h"

namespace faraday::cli {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kChunkBytes = 256 * 1024;  // the contract's most (proto/faraday/v1/envelope.proto)

Status CannotWrite(const std::string& path) {
  return {Code::kInternal, fmt::format("cannot write {}: {}", path, std::strerror(errno))};
}

// Reads all of it into `file`.
Status Copy(Session& session,
            const std::string& attempt,
            const std::string& name,
            std::FILE* file,
            const std::string& path,
            uint64_t expected_size,
            BootTime give_up) {
  uint64_t offset = 0;
  while (true) {
    FARADAY_TRY_ASSIGN(const Chunk chunk, ReadChunk(session, attempt, name, offset, Milliseconds(1000), give_up));
    if (std::fwrite(chunk.data.data(), 1, chunk.data.size(), file) != chunk.data.size()) return CannotWrite(path);
    offset += chunk.data.size();
    if (chunk.complete && offset >= chunk.size) break;
    if (BootClock::now() >= give_up) return {Code::kDeadlineExceeded, name + " did not arrive in time"};
  }
  if (expected_size > 0 && offset != expected_size) {
    return {Code::kDataLoss, fmt::format("{} has {} bytes, the agent counted {}", name, offset, expected_size)};
  }
  return OkStatus();
}

}  // namespace

Result<Chunk> ReadChunk(Session& session,
                        const std::string& attempt,
                        const std::string& name,
                        uint64_t offset,
                        Milliseconds wait,
                        BootTime give_up) {
  v1::Request request;
  auto& call = *request.mutable_read_chunk();
  call.set_attempt(attempt);
  call.set_name(name);
  call.set_offset(offset);
  call.set_max_bytes(kChunkBytes);
  call.set_wait_ms(static_cast<uint32_t>(wait.count()));
  FARADAY_TRY_ASSIGN(v1::Reply reply, session.CallUntil(session.lab(), request, wait + Milliseconds(5000), give_up));
  v1::ReadChunkResult& result = *reply.mutable_read_chunk();
  if (result.offset() != offset && !result.data().empty()) {
    return Status(Code::kDataLoss, fmt::format("{}: asked from byte {}, got byte {}", name, offset, result.offset()));
  }
  if (result.crc32() != 0 && result.crc32() != Crc32(result.data())) {
    return Status(Code::kDataLoss, fmt::format("{}: the bytes from {} on are damaged", name, offset));
  }
  return Chunk{.data = std::move(*result.mutable_data()), .size = result.size(), .complete = result.complete()};
}

Result<std::string> ArtifactPath(const std::string& folder, const std::string& name) {
  const std::string below = PrintableName(name.rfind("artifacts/", 0) == 0 ? name.substr(10) : name);
  const bool climbs = ("/" + below + "/").find("/../") != std::string::npos;
  if (below.empty() || below[0] == '/' || below.back() == '/' || climbs) {
    return Status(Code::kInvalidArgument,
                  fmt::format("artefact '{}' is not kept: its name leaves the folder", Printable(name)));
  }
  return folder + "/artifacts/" + below;
}

Status FetchFile(Session& session,
                 const std::string& attempt,
                 const std::string& name,
                 const std::string& path,
                 uint64_t expected_size,
                 BootTime give_up) {
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  // Beside it, under a name that no artefact of the job has: one may be called anything.
  const std::string part = (fs::path(path).parent_path() / (".part-" + Session::NewKey())).string();
  std::FILE* file = std::fopen(part.c_str(), "wb");
  if (file == nullptr) return CannotWrite(part);
  Status status = Copy(session, attempt, name, file, part, expected_size, give_up);
  if (std::fclose(file) != 0 && status.ok()) status = CannotWrite(part);
  if (status.ok() && std::rename(part.c_str(), path.c_str()) != 0) status = CannotWrite(path);
  if (!status.ok()) std::remove(part.c_str());
  return status;
}

Fetched FetchArtifacts(Session& session, const v1::Job& job, const std::string& folder, BootTime give_up) {
  Fetched fetched;
  const v1::Attempt* attempt = LastAttempt(job);
  if (attempt == nullptr) return fetched;
  for (const v1::Artifact& artifact : attempt->artifacts()) {
    const auto path = ArtifactPath(folder, artifact.name());
    const Status status =
        path.ok() ? FetchFile(session, attempt->id(), artifact.name(), *path, artifact.size(), give_up) : path.status();
    ++(status.ok() ? fetched.files : fetched.failed);
    if (!status.ok()) session.Say(Printable(artifact.name()) + ": " + Printable(status.message()));
  }
  return fetched;
}

}  // namespace faraday::cli
