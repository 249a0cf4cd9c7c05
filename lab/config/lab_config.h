// The lab's config file: its addresses, its state, its list of racks.
#pragma once

#include <string>
#include <vector>

#include "rackconfig/yaml_reader.h"

namespace faraday::lab {

struct RackEntry {
  std::string rack;
  std::string controller;
  std::string events;  // empty: the rack is only polled
  int line = 0;
};

struct LabConfig {
  std::string listen = "tcp://127.0.0.1:7710";
  std::string events = "tcp://127.0.0.1:7711";
  std::string state_dir = "/var/lib/faraday/lab";
  rackconfig::Security security = rackconfig::Security::kCurve;  // plain: to its controllers too
  rackconfig::AuditConfig audit;
  std::vector<RackEntry> racks;
};

// Fills `config`; every mistake with file:line.
std::vector<rackconfig::Mistake> ReadLabConfig(const std::string& path, LabConfig* config);

}  // namespace faraday::lab
