#include "agent/config/agent_config.h"

#include <filesystem>

namespace faraday::agent {

using namespace rackconfig;  // NOLINT: the table reads as text

std::vector<Mistake> ReadAgentConfig(const std::string& path, AgentConfig* config) {
  Report report(path);
  const auto root = LoadYaml(report);
  int lab = 0;
  int controllers = 0;
  if (root) {
    ReadMap(*root,
            Table{
                {"agent", Need::kOptional, Text(&config->agent), "the agent's name; default: the host's"},
                {"host", Need::kRequired, Text(&config->host), "this computer's name in the rack configs"},
                {"controllers",
                 Need::kRequired,
                 NotingLine(&controllers, EndpointList(&config->controllers, 1)),
                 "tcp://HOST:PORT of each controller"},
                {"lab",
                 Need::kOptional,
                 NotingLine(&lab, Endpoint(&config->lab)),
                 "tcp://HOST:PORT of the lab; without it no jobs run here"},
                SecurityRow(&config->security),
                {"state_dir", Need::kOptional, Path(&config->state_dir), "where journal, logs and artefacts lie"},
                {"adb", Need::kOptional, Text(&config->adb), "the adb program"},
                {"model_names",
                 Need::kOptional,
                 TextMap(&config->model_names),
                 "map: model as the phone says it -> as selectors say it"},
                {"runner",
                 Need::kOptional,
                 Path(&config->runner),
                 "the faraday-runner program; default: beside faraday-agent"},
            },
            report);
    std::vector<NamedEndpoint> servers = {{"lab", config->lab, lab}};
    for (const std::string& endpoint : config->controllers) servers.push_back({"controllers", endpoint, controllers});
    CheckPlain(config->security, servers, "", report);
  }
  if (config->agent.empty()) config->agent = config->host;
  if (config->runner.empty()) {
    std::error_code error;
    config->runner = std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "faraday-runner";
  }
  return report.TakeMistakes();
}

}  // namespace faraday::agent
