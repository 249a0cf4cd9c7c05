// Where folders of forgotten attempts go: moving one there takes no time, a child process empties it. A job may leave
// any number of files and folders without write permission (a Go module cache); the loop does not wait for either.
#pragma once

#include <memory>
#include <string>

#include "agent/process/child.h"
#include "base/status.h"
#include "evloop/loop.h"

namespace faraday::agent {

class Trash {
 public:
  // `folder` is made when the first thing goes there; it must be on the same file system as what does.
  Trash(evloop::Loop& loop, std::string folder);

  // Moves the folder at `path` away and begins to empty the trash. kInternal with the system's text.
  Status Take(const std::string& path);
  // Begins to remove what an earlier agent left; does nothing when that is nothing.
  void Empty();

 private:
  void OnEmptied();

  evloop::Loop& loop_;
  std::string folder_;
  std::unique_ptr<Child> child_;
  bool again_ = false;  // something came while the child was at work
};

}  // namespace faraday::agent
