// A job's log and artefacts, read from the lab in chunks with offset and checksum. Reads go on where they stopped when
// the lab restarts.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "cli/session.h"

namespace faraday::cli {

struct Chunk {
  std::string data;
  uint64_t size = 0;      // of the file, so far
  bool complete = false;  // no more will come after this chunk
};

// At most 256 KiB from `offset`, waiting up to `wait` for there to be any. Errors: kNotFound while the attempt has no
// such file yet, kDataLoss for a damaged chunk, and the calls'.
Result<Chunk> ReadChunk(Session& session,
                        const std::string& attempt,
                        const std::string& name,
                        uint64_t offset,
                        Milliseconds wait,
                        BootTime give_up);

// Where an artefact is kept below `folder`: folder/artifacts/NAME, with control characters and such written %1B.
// Errors: kInvalidArgument for a name that would leave it.
Result<std::string> ArtifactPath(const std::string& folder, const std::string& name);

// Writes one file of an attempt to `path` (its folders made), whole or not at all. Errors: kDataLoss when size or
// checksum differ, kInternal when it cannot be written, and the calls'.
Status FetchFile(Session& session,
                 const std::string& attempt,
                 const std::string& name,
                 const std::string& path,
                 uint64_t expected_size,
                 BootTime give_up);

// FetchFile of every artefact of the job's last attempt into folder/artifacts. Names each failure, then goes on.
// Returns how many came.
struct Fetched {
  int files = 0;
  int failed = 0;
};
Fetched FetchArtifacts(Session& session, const v1::Job& job, const std::string& folder, BootTime give_up);

}  // namespace faraday::cli
