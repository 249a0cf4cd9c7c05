// The controller's state folder: one instance at a time, and the file that says where it listens.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"

namespace faraday::controller {

class StateDir {
 public:
  // Makes the folder when it is missing and locks it until the object ends. Errors: kUnavailable when it cannot be
  // made, kFailedPrecondition when another controller has it.
  static Result<std::unique_ptr<StateDir>> Open(const std::string& path);
  ~StateDir();
  const std::string& path() const { return path_; }
  // Writes <path>/endpoints in one step: "listen tcp://...\nevents tcp://...\n".
  Status WriteEndpoints(const std::string& listen, const std::string& events) const;

 private:
  StateDir(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}
  std::string path_;
  int lock_;
};

// Tells this boot of the machine from others.
std::string BootId();

}  // namespace faraday::controller
