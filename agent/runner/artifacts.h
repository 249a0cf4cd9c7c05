// Finds what an ended job leaves: everything under work/artifacts/, and what its globs name in work/.
//
// Only regular files, never through a symbolic link, never outside the working folder; of bounded number, size and
// length of names together, and only what can be read here and named at the lab. Call it when nothing of the job runs
// any more. Blocking but without reading file contents.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/core/wishes.h"

namespace faraday::agent {

inline constexpr uint64_t kArtifactBytes = uint64_t{256} << 20;  // the bound
inline constexpr size_t kArtifactFiles = 2'000;                  // chosen
// A report names every artefact in one message of at most 1 MiB; chosen so that half of it is enough.
inline constexpr size_t kArtifactNameBytes = size_t{400} << 10;
inline constexpr size_t kArtifactExtraBytes = 84;   // of a report for each artefact: size, SHA-256 in hex, tags
inline constexpr size_t kEntriesLookedAt = 20'000;  // files and folders; chosen: about 0.1 s

struct FoundArtifacts {
  std::vector<Artifact> artifacts;  // by name; sha256 not filled
  std::string problem;              // what was left out and why, empty: nothing
};

// `work` is the job's working folder. Globs are relative to it: '*' and '?' stay within one folder, "**/" is any depth.
// Names: of files under artifacts/ relative to it, of others relative to work/. A file that two rules name comes once.
FoundArtifacts FindArtifacts(const std::string& work, const std::vector<std::string>& globs, const std::string& junit);

// The path of `relative` below work/ or work/artifacts/, or empty when there is no such regular file inside.
std::string FindJobFile(const std::string& work, const std::string& relative);

}  // namespace faraday::agent
