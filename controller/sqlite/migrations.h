// The schema as a list of numbered steps; the file's user_version says which are done. Steps are never changed.
#pragma once

#include "base/result.h"

struct sqlite3;

namespace faraday::controller {

inline constexpr int kSchemaVersion = 4;

// Brings the file up to `to`, one transaction a step. Errors: kFailedPrecondition for a file of a newer controller.
Status Migrate(sqlite3* db, int to = kSchemaVersion);

}  // namespace faraday::controller
