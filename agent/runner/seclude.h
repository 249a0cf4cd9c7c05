// Keeps a job out of the agent's state folder: its key, its roster, other jobs' orders, logs and files. Landlock, which
// needs no privilege and is inherited by whatever the job starts; it also keeps the job from tracing any process
// outside, the agent among them, and, on Linux 6.12 and later, from sending signals to any.
//
// What it does not keep from: renaming or changing modes is the file system's matter, names in the folder can be
// listed, signals pass before Linux 6.12, and phones and network are the job's anyway.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace faraday::agent {

// The state folder that an attempt's folder belongs to: STATE/attempts/ID, else the folder above.
std::string StateFolderOf(const std::string& attempt_folder);

// Whether this kernel can: Linux 5.19 and later, with Landlock switched on.
bool CanSeclude();
// Whether it can also keep signals in: Linux 6.12 and later.
bool CanScopeSignals();

// REQUIRES: CanSeclude(). From here on this process, and all that it starts, open nothing below `hidden`, but what is
// below `open` (which may lie in it); and make nothing new beside `hidden` or beside the folders above it. Cannot be
// taken back. kInternal when the kernel refuses.
Status Seclude(const std::string& hidden, const std::vector<std::string>& open);

}  // namespace faraday::agent
