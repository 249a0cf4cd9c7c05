#include "rackconfig/yaml_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace faraday::rackconfig {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct Port {
  std::string name;
  int number = 0;
};

struct Config {
  std::string agent;
  int64_t poll_ms = 0;
  std::chrono::milliseconds grace{0};
  int limit = 0;
  Milliamps budget{0};
  std::optional<int> board;
  bool loud = false;
  double chance = 0;
  std::string state_dir;
  std::string listen;
  std::vector<std::string> controllers;
  std::vector<Port> ports;
  std::map<std::string, std::string> labels;
  char mode = 'a';
};

Table PortTable(Port& port) {
  return {{"name", Need::kRequired, Text(&port.name), "the port's name"},
          {"number", Need::kOptional, Integer(&port.number, Range{1, 9, ""}), ""}};
}

Table ConfigTable(Config* config) {
  return {
      {"agent", Need::kRequired, Text(&config->agent), "the agent's name"},
      {"poll", Need::kOptional, Duration(&config->poll_ms, Range{100, 60'000, "ms"}), ""},
      {"grace", Need::kOptional, Duration(&config->grace, Range{0, 60'000, "ms"}), ""},
      {"limit", Need::kOptional, Integer(&config->limit, Range{100, 3000, "mA"}), ""},
      {"budget_ma", Need::kOptional, Integer(&config->budget, Range{0, 9000, "mA"}), ""},
      {"board", Need::kOptional, Integer(&config->board, Range{0, 31, ""}), ""},
      {"loud", Need::kOptional, Boolean(&config->loud), ""},
      {"chance", Need::kOptional, Number(&config->chance, 0, 1, ""), ""},
      {"state_dir", Need::kOptional, Path(&config->state_dir), ""},
      {"listen", Need::kOptional, Endpoint(&config->listen, true), ""},
      {"controllers", Need::kOptional, EndpointList(&config->controllers, 1), ""},
      {"ports", Need::kOptional, ListOf<Port>(&config->ports, "port", PortTable), ""},
      {"labels", Need::kOptional, TextMap(&config->labels), ""},
      {"mode",
       Need::kOptional,
       Choice(&config->mode, std::vector<std::pair<std::string, char>>{{"fast", 'f'}, {"slow", 's'}}),
       ""},
  };
}

std::optional<std::string> TestEnvironment(const std::string& name) {
  if (name == "RUN") return "/tmp/run";
  if (name == "EMPTY") return "";
  return std::nullopt;
}

// What Describe says of `text`, and the config read from it.
std::vector<Mistake> Read(const std::string& text, Config* config) {
  Report report("/etc/faraday/a.yaml");
  const auto root = ParseYaml(text, report, TestEnvironment);
  if (root) ReadMap(*root, ConfigTable(config), report);
  return report.TakeMistakes();
}

std::string Complaints(const std::string& text) {
  Config config;
  std::string out;
  for (Mistake& mistake : Read(text, &config)) {
    mistake.file = "a.yaml";
    out += ToString(mistake) + "\n";
  }
  return out;
}

TEST(YamlReader, ReadsEveryTypeIntoItsPlace) {
  Config config;
  const auto mistakes = Read(
      "agent: h01\n"
      "poll: 1m\n"
      "grace: 1.5s\n"
      "limit: 2000\n"
      "budget_ma: 8000\n"
      "board: 0\n"
      "loud: true\n"
      "chance: 0.25\n"
      "state_dir: state\n"
      "listen: tcp://127.0.0.1:0\n"
      "controllers: [tcp://127.0.0.1:7700, \"ipc:///run/c\"]\n"
      "ports:\n- {name: a, number: 3}\n- name: b\n"
      "labels: {bench: \"1\", team: radio}\n"
      "mode: slow\n",
      &config);
  EXPECT_THAT(mistakes, IsEmpty());
  EXPECT_EQ(config.agent, "h01");
  EXPECT_EQ(config.poll_ms, 60'000);
  EXPECT_EQ(config.grace, std::chrono::milliseconds(1500));
  EXPECT_EQ(config.limit, 2000);
  EXPECT_EQ(config.budget, Milliamps(8000));
  EXPECT_EQ(config.board, 0);
  EXPECT_TRUE(config.loud);
  EXPECT_EQ(config.chance, 0.25);
  EXPECT_EQ(config.state_dir, "/etc/faraday/state");
  EXPECT_EQ(config.listen, "tcp://127.0.0.1:0");
  EXPECT_THAT(config.controllers, ElementsAre("tcp://127.0.0.1:7700", "ipc:///run/c"));
  ASSERT_THAT(config.ports, SizeIs(2));
  EXPECT_EQ(config.ports[0].number, 3);
  EXPECT_EQ(config.ports[1].name, "b");
  EXPECT_EQ(config.labels.at("team"), "radio");
  EXPECT_EQ(config.mode, 's');
}

TEST(YamlReader, CollectsEveryMistakeInFileOrder) {
  EXPECT_EQ(Complaints("pol: 2s\n"
                       "limit: 5000\n"
                       "loud: yes\n"
                       "ports:\n"
                       "- number: 12\n"
                       "mode: fats\n"),
            "a.yaml:1: unknown key \"pol\" (did you mean \"poll\"?)\n"
            "a.yaml:1: key \"agent\" is missing: the agent's name\n"
            "a.yaml:2: limit: 5000 mA is out of range, allowed 100 to 3000 mA\n"
            "a.yaml:3: loud: must be true or false, not \"yes\"\n"
            "a.yaml:5: port 0: number: 12 is out of range, allowed 1 to 9\n"
            "a.yaml:5: port 0: key \"name\" is missing: the port's name\n"
            "a.yaml:6: mode: \"fats\" is not one of fast, slow (did you mean \"fast\"?)\n");
}

struct BadText {
  const char* name;
  const char* yaml;
  const char* complaint;
};

class YamlReaderBadText : public ::testing::TestWithParam<BadText> {};

TEST_P(YamlReaderBadText, SaysWhatAndWhere) {
  EXPECT_THAT(Complaints(GetParam().yaml), HasSubstr(GetParam().complaint));
}

const BadText kBadTexts[] = {
    {"doubled_key",
     "agent: a\nlimit: 100\nagent: b\n",
     "a.yaml:3: key \"agent\" stands twice, first in line 1: keep one"},
    {"time_without_unit",
     "agent: a\npoll: 200\n",
     "a.yaml:2: poll: 200 has no unit: write 200ms, 200s, 200m or 200h, allowed 100ms to 1m"},
    {"time_out_of_range", "agent: a\npoll: 2h\n", "a.yaml:2: poll: 2h is out of range, allowed 100ms to 1m"},
    {"no_time",
     "agent: a\npoll: soon\n",
     "poll: must be a time such as 500ms, 2s, 30m or 8h, allowed 100ms to 1m, not \"soon\""},
    {"number_wanted", "agent: a\nlimit: [1]\n", "a.yaml:2: limit: must be a whole number, 100 to 3000 mA, not a list"},
    {"octal", "agent: a\nlimit: 0200\n", "limit: must be a whole number"},
    {"not_a_number", "agent: a\nchance: .nan\n", "chance: must be a number, 0 to 1"},
    {"too_large_for_64_bits", "agent: a\nlimit: 99999999999999999999\n", "limit: must be a whole number"},
    {"text_wanted", "agent: {a: b}\n", "a.yaml:1: agent: must be a text, not a map"},
    {"nothing_given", "agent:\n", "a.yaml:1: agent: must be a text, not nothing"},
    {"list_wanted", "agent: a\nports: 3\n", "a.yaml:2: ports: must be a list"},
    {"empty_list", "agent: a\ncontrollers: []\n", "controllers: has 0 entries, at least 1 needed"},
    {"no_host", "agent: a\nlisten: \"tcp://:7700\"\n", "listen: \"tcp://:7700\" names no host"},
    {"every_interface_is_no_place_to_connect_to",
     "agent: a\ncontrollers: [\"tcp://*:7700\"]\n",
     "controllers: \"tcp://*:7700\" names no host to connect to"},
    {"port_out_of_range", "agent: a\nlisten: tcp://127.0.0.1:70000\n", "has no valid port, allowed 0 to 65535"},
    {"no_port", "agent: a\nlisten: \"tcp://127.0.0.1:\"\n", "has no valid port"},
    {"no_endpoint", "agent: a\nlisten: 7700\n", "is no endpoint: write tcp://127.0.0.1:PORT"},
    {"variable_unset",
     "agent: ${NOWHERE}\n",
     "a.yaml:1: the environment variable NOWHERE is not set: set it, or give a default as ${NOWHERE:-...}"},
    {"variable_empty_counts_as_unset", "agent: ${EMPTY}\n", "EMPTY is not set"},
    {"variable_open", "agent: \"${RUN\"\n", "has a ${ without its }"},
    {"variable_without_name", "agent: \"${1x}\"\n", "names no environment variable"},
    {"syntax", "agent: a\nports: [1, 2\nmode: x\n", "a.yaml:3: YAML syntax, column"},
    {"tab", "agent: a\nports:\n\t- x\n", "a.yaml:3: YAML syntax"},
    {"two_documents", "agent: a\n---\nagent: b\n", "a second document begins (---): one file holds one"},
    {"list_at_top", "- agent\n", "a.yaml:1: must be keys with values (\"agent: ...\"), not a list"},
    {"key_is_a_list", "agent: a\n? [x]\n: y\n", "a key must be one word"},
    {"control_bytes", "agent: \"a\\eb\"\n", "agent: holds control characters"},
    {"alias_in_itself", "agent: &x [*x]\n", "a.yaml:1:"},
    {"empty_file", "", "a.yaml:1: key \"agent\" is missing: the agent's name"},
    {"unknown_and_nothing_near", "agent: a\nzzzzzz: 1\n", "unknown key \"zzzzzz\": valid here: agent, poll,"},
};

INSTANTIATE_TEST_SUITE_P(All, YamlReaderBadText, ::testing::ValuesIn(kBadTexts), [](const auto& param) {
  return param.param.name;
});

TEST(YamlReader, PutsTheEnvironmentIn) {
  Config config;
  EXPECT_THAT(
      Read("agent: \"${NOBODY:-h02}\"\nstate_dir: ${RUN}/agent\nlabels: {a: \"$${RUN}\", b: $RUN, c: \"${X:-}\"}\n",
           &config),
      IsEmpty());
  EXPECT_EQ(config.agent, "h02");
  EXPECT_EQ(config.state_dir, "/tmp/run/agent");
  EXPECT_EQ(config.labels.at("a"), "${RUN}");
  EXPECT_EQ(config.labels.at("b"), "$RUN");
  EXPECT_EQ(config.labels.at("c"), "");
}

TEST(YamlReader, DeepNestingAndAliasBombsEndInAMistake) {
  EXPECT_THAT(Complaints("agent: " + std::string(5000, '[')), HasSubstr("nested deeper than 32 levels"));
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'k'; ++c) {
    const std::string before = std::string("*") + static_cast<char>(c - 1);
    bomb += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 10; ++i) bomb += before + ",";
    bomb += "x]\n";
  }
  EXPECT_THAT(Complaints(bomb), HasSubstr("more than 200000 values"));
  EXPECT_THAT(Complaints(std::string(5 << 20, '#')), HasSubstr("is larger than 4 MiB"));
}

TEST(YamlReader, MissingFileNamesThePathAndWhatToDo) {
  Config config;
  const auto mistakes = ReadYamlFile("/nowhere/a.yaml", ConfigTable(&config));
  ASSERT_THAT(mistakes, SizeIs(1));
  EXPECT_THAT(ToString(mistakes[0]),
              HasSubstr("/nowhere/a.yaml: cannot be read: No such file or directory: check the path"));
  EXPECT_THAT(ToString(ReadYamlFile("/tmp", ConfigTable(&config))[0]), HasSubstr("Is a directory"));
}

TEST(YamlReader, MistakesOfATemplateAreTheFirstAndACount) {
  Report report("r.yaml");
  for (const char* slot : {"slot r01/01", "slot r01/02", "slot r01/03"}) report.AddAt(4, slot, "adb: is bad");
  report.WarnAt(2, "", "odd");
  EXPECT_EQ(Describe(report.TakeMistakes()),
            "r.yaml:2: warning: odd\n"
            "r.yaml:4: slot r01/01 (and 2 more): adb: is bad\n"
            "1 mistake and 1 warning in r.yaml\n");
}

TEST(YamlReader, TerminalEscapesInTheFileDoNotReachTheTerminal) {
  EXPECT_EQ(Complaints("agent: a\n\"x\\e[31m\": 1\n").find('\x1b'), std::string::npos);
}

TEST(Durations, ParseAndFormat) {
  EXPECT_EQ(ParseDuration("500ms"), 500);
  EXPECT_EQ(ParseDuration("2s"), 2000);
  EXPECT_EQ(ParseDuration("1h30m"), 5'400'000);
  EXPECT_EQ(ParseDuration("0.5s"), 500);
  EXPECT_EQ(ParseDuration("1d"), 86'400'000);
  for (const char* bad : {"", "s", "5", "5x", "-5s", "5s ", " 5s", "1e3s", "999999999d", "5sm"}) {
    EXPECT_EQ(ParseDuration(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(FormatDuration(0), "0s");
  EXPECT_EQ(FormatDuration(500), "500ms");
  EXPECT_EQ(FormatDuration(5'400'000), "1h30m");
  EXPECT_EQ(FormatDuration(1500), "1s500ms");
}

TEST(Nearest, FindsTyposAndStemsOnly) {
  const std::vector<std::string> names{"current_limit_ma", "safe_state", "rail", "hosts"};
  EXPECT_EQ(Nearest("curent_limit_ma", names), "current_limit_ma");
  EXPECT_EQ(Nearest("current_limit", names), "current_limit_ma");
  EXPECT_EQ(Nearest("rial", names), "rail");
  EXPECT_EQ(Nearest("host", names), "hosts");
  EXPECT_EQ(Nearest("banana", names), "");
}

TEST(Plain, IsForLoopbackAndIpcOnly) {
  const std::vector<NamedEndpoint> near = {{"listen", "tcp://127.0.0.1:1", 1},
                                           {"listen", "tcp://[::1]:1", 1},
                                           {"listen", "tcp://localhost:1", 1},
                                           {"listen", "ipc:///tmp/x", 1},
                                           {"lab", "", 1}};
  const std::vector<NamedEndpoint> far = {{"listen", "tcp://*:1", 1},
                                          {"listen", "tcp://0.0.0.0:1", 1},
                                          {"listen", "tcp://127.evil.example:1", 1},
                                          {"listen", "tcp://[::]:1", 1}};
  Report report("a.yaml");
  CheckPlain(Security::kPlain, near, "", report);
  CheckPlain(Security::kCurve, far, "", report);
  EXPECT_EQ(report.errors(), 0u);
  for (const NamedEndpoint& one : far) {
    Report refused("a.yaml");
    CheckPlain(Security::kPlain, {one}, "", refused);
    EXPECT_EQ(refused.errors(), 1u) << one.endpoint;
  }
}

}  // namespace
}  // namespace faraday::rackconfig
