#include "lab/config/lab_config.h"

#include <fmt/core.h>

#include <map>

#include "model/slot_id.h"

namespace faraday::lab {
namespace {

using namespace rackconfig;

Table RackTable(RackEntry& entry) {
  return {
      {"rack", Need::kRequired, NotingLine(&entry.line, Text(&entry.rack)), "the rack's name, e.g. r01"},
      {"controller", Need::kRequired, Endpoint(&entry.controller), "its controller, tcp://HOST:PORT"},
      {"events", Need::kOptional, Endpoint(&entry.events), "its controller's events, tcp://HOST:PORT"},
  };
}

struct LabLines {
  int listen = 0;
  int events = 0;
};

Table LabTable(LabConfig* config, LabLines* lines) {
  return {
      {"listen",
       Need::kOptional,
       NotingLine(&lines->listen, Endpoint(&config->listen, true)),
       "where the lab serves calls"},
      {"events",
       Need::kOptional,
       NotingLine(&lines->events, Endpoint(&config->events, true)),
       "where the lab publishes events"},
      SecurityRow(&config->security),
      {"audit", Need::kOptional, MapOf(AuditTable(&config->audit)), "how long the audit log is kept"},
      {"state_dir", Need::kOptional, Path(&config->state_dir), "where records, logs and artefacts live"},
      {"racks", Need::kRequired, ListOf(&config->racks, "rack", RackTable), "the racks of this lab"},
  };
}

void CheckRacks(const std::vector<RackEntry>& racks, Report& report) {
  std::map<std::string, int> lines;
  for (const RackEntry& entry : racks) {
    if (!model::IsRackName(entry.rack)) {
      report.Add(
          entry.line,
          fmt::format("rack: '{}' is no rack name: 1 to 15 of a-z, 0-9 and '-', beginning with a letter", entry.rack));
    }
    const auto [first, is_new] = lines.emplace(entry.rack, entry.line);
    if (!is_new) {
      report.Add(entry.line, fmt::format("rack: '{}' is listed twice, first in line {}", entry.rack, first->second));
    }
  }
  if (racks.empty()) report.Add(0, "racks: is empty; list at least one rack with its controller");
}

}  // namespace

std::vector<Mistake> ReadLabConfig(const std::string& path, LabConfig* config) {
  Report report(path);
  if (const auto root = LoadYaml(report)) {
    LabLines lines;
    ReadMap(*root, LabTable(config, &lines), report);
    CheckPlain(config->security,
               {{"listen", config->listen, lines.listen}, {"events", config->events, lines.events}},
               "",
               report);
    for (const RackEntry& entry : config->racks) {
      CheckPlain(config->security,
                 {{"controller", entry.controller, entry.line}, {"events", entry.events, entry.line}},
                 "rack " + entry.rack,
                 report);
    }
    if (report.errors() == 0) CheckRacks(config->racks, report);
  }
  return report.TakeMistakes();
}

}  // namespace faraday::lab
