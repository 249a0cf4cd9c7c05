// What one verb of `faraday` is, as data: its words, arguments, examples and what it runs. The verb families
// (status.cc, lease.cc, ...) give tables of these; arguments.cc alone turns them into a command line parser.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace faraday::cli {

// The program's exit codes. `faraday run` tells its own apart, see ExitOfOutcome in outcome.h.
inline constexpr int kExitOk = 0;
inline constexpr int kExitRefused = 1;      // refused or failed
inline constexpr int kExitUsage = 2;        // mend the command line
inline constexpr int kExitUnavailable = 3;  // a server does not answer: the same command may work later
inline constexpr int kExitNoDevice = 4;     // run: no device in time
inline constexpr int kExitCancelled = 5;    // run: cancelled, or the lease was lost

struct Argument {
  enum class Kind { kPositional, kOption, kRepeated, kFlag };
  Kind kind = Kind::kOption;
  std::string names = {};  // "-l,--selector" or, positional, "slot"
  std::string value = {};  // "SELECTOR"; empty with kFlag
  std::string doc = {};    // one line
  bool required = false;
};

// The parsed command line of one verb. Names are the long ones without dashes: "selector".
struct Invocation {
  std::map<std::string, std::vector<std::string>> values;
  std::vector<std::string> rest;  // after "--"

  bool Has(const std::string& name) const { return values.count(name) > 0; }
  // The (last) value, or `fallback`.
  std::string Get(const std::string& name, const std::string& fallback = "") const;
  std::vector<std::string> All(const std::string& name) const;
  // The value as milliseconds within [min, max], `fallback` when not given. Errors: kInvalidArgument that names the
  // option and the allowed range.
  Result<int64_t> DurationMs(const std::string& name, int64_t fallback, int64_t min_ms, int64_t max_ms) const;
  // The same for a whole number.
  Result<uint32_t> Number(const std::string& name, uint32_t fallback, uint32_t min, uint32_t max) const;
};

class Session;

struct Verb {
  std::vector<std::string> path = {};  // {"power", "on"}
  std::string summary = {};            // one line
  std::vector<Argument> arguments = {};
  bool takes_command = false;  // "-- CMD..." follows
  std::string examples = {};   // shown by --help
  std::function<int(Session&, const Invocation&)> run = {};
};

// What a word that has verbs below it is about: {"power", "Switch a slot's VBUS"}.
struct Group {
  std::string word;
  std::string summary;
};

}  // namespace faraday::cli
