// For tests: a folder of its own, removed when it goes.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace faraday::access {

class TempFolder {
 public:
  TempFolder() {
    char folder[] = "/tmp/faraday-access-XXXXXX";
    path_ = mkdtemp(folder);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace faraday::access
