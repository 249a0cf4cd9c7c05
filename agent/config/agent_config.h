// The agent's YAML as a plain struct:
//
//   agent: h01                              # its name; default: the host's
//   host: h01                               # this computer's name in the rack configs
//   controllers: [tcp://127.0.0.1:7700]     # of the racks whose cables run here
//   lab: tcp://127.0.0.1:7710               # optional: without one no jobs are taken
//   state_dir: /var/lib/faraday/agent       # journal, logs and artefacts not yet at the lab, adb servers' homes
//   security: curve                         # plain: to controllers and a lab that are plain, on loopback only
//   adb: adb                                # program
//   model_names: {sm-s911b: galaxy-s23}     # what phones call themselves (lower case, '-' for ' ') -> what people say
//   runner: /usr/lib/faraday/faraday-runner # default: beside faraday-agent
#pragma once

#include <map>
#include <string>
#include <vector>

#include "rackconfig/yaml_reader.h"

namespace faraday::agent {

struct AgentConfig {
  std::string agent;
  std::string host;
  std::vector<std::string> controllers;
  std::string lab;
  std::string state_dir = "/var/lib/faraday/agent";
  std::string adb = "adb";
  std::string runner;
  rackconfig::Security security = rackconfig::Security::kCurve;  // of its connections
  std::map<std::string, std::string> model_names;
};

// Fills `config`; every mistake with file:line.
std::vector<rackconfig::Mistake> ReadAgentConfig(const std::string& path, AgentConfig* config);

}  // namespace faraday::agent
