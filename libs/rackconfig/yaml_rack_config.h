// Reads one rack's YAML into RackConfig: the tables of its keys, and the checks that need more than one key.
// docs/reference/rack-config.md explains every key. Nothing throws; any thread.
//
//   LoadedRack loaded = LoadRackConfig("rack-configs/r01.yaml");
//   if (!loaded.ok()) { fmt::print(stderr, "{}", Describe(loaded.mistakes)); return 2; }
//   const RackConfig& config = *loaded.config;
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rackconfig/rack_config.h"
#include "rackconfig/yaml_reader.h"

namespace faraday::rackconfig {

struct LoadedRack {
  std::optional<RackConfig> config;  // set when there are at most warnings
  std::vector<Mistake> mistakes;     // every one, in file order; warnings among them (Mistake::warning)
  bool ok() const { return config.has_value(); }
};

LoadedRack LoadRackConfig(const std::string& path, const Environment& environment = ProcessEnvironment());
// The same from memory; `file` is for messages and for relative paths.
LoadedRack ParseRackConfig(std::string_view text,
                           const std::string& file,
                           const Environment& environment = ProcessEnvironment());

// What `--check` prints: the mistakes, or "r01.yaml is good: rack r01, 1 board, 4 rails, 32 slots, 1 host", after any
// warnings. Ends with a newline.
std::string CheckReport(const LoadedRack& loaded, const std::string& path);

// Every key the tables accept, dotted: "controller.listen", "slots.list[].rail"; a test finds each in
// docs/reference/rack-config.md.
std::vector<std::string> RackKeys();

}  // namespace faraday::rackconfig
