// Small private files that outlive a crash: read with their mode checked, replaced in one step. Any thread; one writer
// of a path at a time.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace faraday::access {

// All bytes of `path`. Errors: kNotFound when there is no such file; kFailedPrecondition when others may read or write
// it, or it belongs to another user, with the command that mends it; kDataLoss when it is larger than `limit` bytes;
// kUnavailable when it cannot be read.
Result<std::string> ReadPrivateFile(const std::string& path, size_t limit);

// Replaces `path` by `bytes`, mode 0600: written beside it (`path`.new), fsync, rename, fsync of the folder. Folders
// are made with 0700. After an error before the rename the old file stands untouched. Errors: kUnavailable: not written
// (disk full, no permission); kUnknown: replaced, but the folder's fsync failed, so a power cut may undo it.
Status ReplaceFile(const std::string& path, std::string_view bytes);

}  // namespace faraday::access
