#include "agent/runner/artifacts.h"

#include <fmt/format.h>
#include <fnmatch.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "agent/core/utf8.h"

namespace faraday::agent {
namespace {

namespace fs = std::filesystem;

// Relative, and free of "..": nothing else is looked at.
bool StaysInside(const std::string& relative) {
  const fs::path path(relative);
  return !relative.empty() && path.is_relative() &&
         std::ranges::none_of(path, [](const fs::path& part) { return part == ".."; });
}

bool Matches(const std::string& glob, const std::string& path) {
  if (glob.find("**") == std::string::npos) return fnmatch(glob.c_str(), path.c_str(), FNM_PATHNAME) == 0;
  if (fnmatch(glob.c_str(), path.c_str(), 0) == 0) return true;
  // "**/x" names x at the top, too.
  const size_t stars = glob.find("**/");
  return stars != std::string::npos && Matches(glob.substr(0, stars) + glob.substr(stars + 3), path);
}

// What the lab takes as a file's name: its parts become names of files there.
bool GoodName(const std::string& name) {
  constexpr size_t kNameBytes = 512;
  constexpr std::ptrdiff_t kPartBytes = 255;
  const auto plain = [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f && c != '\\'; };
  if (name.size() > kNameBytes || !std::ranges::all_of(name, plain) || CleanUtf8(name) != name) return false;
  return std::ranges::all_of(fs::path(name),
                             [](const fs::path& part) { return std::ssize(part.native()) <= kPartBytes; });
}

struct Walk {
  std::vector<std::string> files;
  bool cut = false;  // there was more
};

// All regular files below `root`, relative, symbolic links not followed.
Walk FilesBelow(const fs::path& root) {
  Walk walk;
  std::error_code error;
  if (fs::symlink_status(root, error).type() != fs::file_type::directory) return walk;
  size_t entries = 0;
  const auto options = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator it(root, options, error), end; !error && it != end; it.increment(error)) {
    walk.cut = ++entries > kEntriesLookedAt;
    if (walk.cut) break;
    if (it->symlink_status(error).type() == fs::file_type::regular)
      walk.files.push_back(it->path().lexically_relative(root));
  }
  std::sort(walk.files.begin(), walk.files.end());
  return walk;
}

void AddProblem(std::string& problem, const std::string& more) { problem += (problem.empty() ? "" : "; ") + more; }

class Collection {
 public:
  explicit Collection(fs::path work) : work_(std::move(work)) {}

  // `path` is relative to work.
  void Add(const std::string& path, std::string name) {
    if (!paths_.insert(path).second) return;
    std::error_code error;
    const uint64_t size = fs::file_size(work_ / path, error);
    if (error) return;
    // "log" is the log's own name at the lab.
    if (name == "log" || by_name_.contains(name)) name = path == name ? "work/" + path : path;
    if (!GoodName(name)) return Count(bad_names_);
    if (::access((work_ / path).c_str(), R_OK) != 0) return Count(unreadable_);
    const size_t name_bytes = name.size() + kArtifactExtraBytes;
    if (by_name_.size() >= kArtifactFiles || bytes_ + size > kArtifactBytes ||
        name_bytes_ + name_bytes > kArtifactNameBytes) {
      return Count(left_out_);
    }
    bytes_ += size;
    name_bytes_ += name_bytes;
    by_name_[name] = {name, size, "", (work_ / path).string()};
  }

  FoundArtifacts Take() {
    FoundArtifacts found;
    for (auto& [name, artifact] : by_name_) found.artifacts.push_back(std::move(artifact));
    if (left_out_ > 0) {
      AddProblem(
          found.problem,
          fmt::format("{} artefacts were left out: at most {} MiB, {} files and {} KiB of names of a job are kept",
                      left_out_,
                      kArtifactBytes >> 20,
                      kArtifactFiles,
                      kArtifactNameBytes >> 10));
    }
    if (unreadable_ > 0) AddProblem(found.problem, fmt::format("{} artefacts cannot be read", unreadable_));
    if (bad_names_ > 0) {
      AddProblem(found.problem,
                 fmt::format("{} artefacts were left out for their names: use UTF-8 without control bytes and "
                             "backslashes, at most 512 bytes",
                             bad_names_));
    }
    return found;
  }

 private:
  static void Count(size_t& count) { ++count; }

  fs::path work_;
  std::set<std::string> paths_;
  std::map<std::string, Artifact> by_name_;
  uint64_t bytes_ = 0;
  size_t name_bytes_ = 0;
  size_t left_out_ = 0;
  size_t unreadable_ = 0;
  size_t bad_names_ = 0;
};

}  // namespace

std::string FindJobFile(const std::string& work, const std::string& relative) {
  if (!StaysInside(relative)) return "";
  std::error_code error;
  for (const fs::path& base : {fs::path(work), fs::path(work) / "artifacts"}) {
    const fs::path path = base / relative;
    if (fs::symlink_status(path, error).type() != fs::file_type::regular) continue;
    const fs::path real = fs::canonical(path, error);
    const fs::path root = fs::canonical(work, error);
    if (!error && !real.lexically_relative(root).string().starts_with("..")) return path;
  }
  return "";
}

FoundArtifacts FindArtifacts(const std::string& work, const std::vector<std::string>& globs, const std::string& junit) {
  Collection collection{work};
  const Walk artifacts = FilesBelow(fs::path(work) / "artifacts");
  for (const std::string& file : artifacts.files) collection.Add("artifacts/" + file, file);
  bool cut = artifacts.cut;
  std::string refused;
  std::vector<std::string> wanted;
  for (const std::string& glob : globs) {
    if (StaysInside(glob))
      wanted.push_back(glob);
    else
      AddProblem(
          refused,
          fmt::format("artefact glob '{}' was ignored: it must be relative to the working folder, without '..'", glob));
  }
  const std::string junit_path = FindJobFile(work, junit);
  if (!wanted.empty() || !junit_path.empty()) {
    const Walk all = FilesBelow(work);
    cut |= all.cut;
    for (const std::string& file : all.files) {
      const bool named = std::ranges::any_of(wanted, [&](const std::string& glob) { return Matches(glob, file); });
      if (named || (fs::path(work) / file) == fs::path(junit_path)) collection.Add(file, file);
    }
  }
  FoundArtifacts found = collection.Take();
  if (cut) {
    AddProblem(found.problem,
               fmt::format("artefacts were sought among the first {} files and folders only", kEntriesLookedAt));
  }
  if (!refused.empty()) AddProblem(found.problem, refused);
  return found;
}

}  // namespace faraday::agent
