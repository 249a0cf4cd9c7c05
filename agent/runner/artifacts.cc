#include "agent/runner/artifacts.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

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

// All regular files below `root`, relative, symbolic links not followed.
std::vector<std::string> FilesBelow(const fs::path& root) {
  std::vector<std::string> files;
  std::error_code error;
  if (fs::symlink_status(root, error).type() != fs::file_type::directory) return files;
  const auto options = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator it(root, options, error), end; !error && it != end; it.increment(error)) {
    if (it->symlink_status(error).type() == fs::file_type::regular)
      files.push_back(it->path().lexically_relative(root));
  }
  std::sort(files.begin(), files.end());
  return files;
}

class Collection {
 public:
  explicit Collection(fs::path work) : work_(std::move(work)) {}

  // `path` is relative to work.
  void Add(const std::string& path, std::string name) {
    if (!paths_.insert(path).second) return;
    std::error_code error;
    const uint64_t size = fs::file_size(work_ / path, error);
    if (error) return;
    if (by_name_.size() >= kArtifactFiles || bytes_ + size > kArtifactBytes) {
      ++left_out_;
      return;
    }
    bytes_ += size;
    // "log" is the log's own name at the lab.
    if (name == "log" || by_name_.contains(name)) name = path == name ? "work/" + path : path;
    by_name_[name] = {name, size, "", (work_ / path).string()};
  }

  FoundArtifacts Take() {
    FoundArtifacts found;
    for (auto& [name, artifact] : by_name_) found.artifacts.push_back(std::move(artifact));
    if (left_out_ > 0) {
      found.problem = fmt::format("{} artefacts were left out: at most {} MiB and {} files of a job are kept",
                                  left_out_,
                                  kArtifactBytes >> 20,
                                  kArtifactFiles);
    }
    return found;
  }

 private:
  fs::path work_;
  std::set<std::string> paths_;
  std::map<std::string, Artifact> by_name_;
  uint64_t bytes_ = 0;
  size_t left_out_ = 0;
};

void AddProblem(std::string& problem, const std::string& more) { problem += (problem.empty() ? "" : "; ") + more; }

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
  for (const std::string& file : FilesBelow(fs::path(work) / "artifacts")) collection.Add("artifacts/" + file, file);
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
    for (const std::string& file : FilesBelow(work)) {
      const bool named = std::ranges::any_of(wanted, [&](const std::string& glob) { return Matches(glob, file); });
      if (named || (fs::path(work) / file) == fs::path(junit_path)) collection.Add(file, file);
    }
  }
  FoundArtifacts found = collection.Take();
  if (!refused.empty()) AddProblem(found.problem, refused);
  return found;
}

}  // namespace faraday::agent
