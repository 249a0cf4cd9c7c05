#include "rackconfig/yaml_rack_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace faraday::rackconfig {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// Two slots, everything good; tests spoil one line of it.
const std::string kGood =
    "rack: r01\n"  // 1
    "controller: {listen: \"tcp://127.0.0.1:0\", events: \"tcp://127.0.0.1:0\", state_dir: state}\n"
    "hosts:\n"  // 3
    "- name: h01\n"
    "boards:\n"  // 5
    "- port: {path: /dev/ttyACM0}\n"
    "  rails: [{name: A, budget_ma: 4000}]\n"  // 7
    "slots:\n"
    "  defaults:\n"  // 9
    "    current_limit_ma: 2000\n"
    "    hosts: [{host: h01, adb: \"127.0.0.1:56{slot:02}\"}]\n"  // 11
    "  list:\n"
    "  - slots: 1-2\n";  // 13

std::optional<std::string> NoEnvironment(const std::string&) { return std::nullopt; }

LoadedRack Load(const std::string& text) { return ParseRackConfig(text, "/etc/faraday/r01.yaml", NoEnvironment); }

std::string Complaints(const std::string& text) {
  std::string out;
  for (Mistake mistake : Load(text).mistakes) {
    mistake.file = "r01.yaml";
    out += ToString(mistake) + "\n";
  }
  return out;
}

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(RackConfig, DefaultsAndTemplatesMakeTheSlots) {
  const LoadedRack loaded = Load(kGood);
  ASSERT_TRUE(loaded.ok()) << Describe(loaded.mistakes);
  EXPECT_THAT(loaded.mistakes, IsEmpty());
  const RackConfig& config = *loaded.config;
  EXPECT_EQ(config.rack, "r01");
  EXPECT_EQ(config.controller.state_dir, "/etc/faraday/state");
  EXPECT_EQ(config.hosts[0].agent, "h01");
  EXPECT_EQ(config.rack_budget, Milliamps(4000));
  ASSERT_THAT(config.slots, SizeIs(2));
  EXPECT_EQ(config.slots[1].number, 2);
  EXPECT_EQ(config.slots[1].board_slot, 2);
  EXPECT_EQ(config.slots[1].hosts[0].adb, "127.0.0.1:5602");
  EXPECT_EQ(CheckReport(loaded, "r01.yaml"), "r01.yaml is good: rack r01, 1 board, 1 rail, 2 slots, 1 host\n");
}

TEST(RackConfig, OverridesChangeOnlyWhatTheySay) {
  const LoadedRack loaded = Load(kGood +
                                 "  - {slot: 3, board_slot: 9, labels: {bay: left, name: \"{rack}-{slot:03}\"}}\n"
                                 "  - slots: 4\n"
                                 "  overrides:\n"
                                 "  - {slots: \"1, 3-4\", expected_phone: pixel-8, safe_state: hold}\n"
                                 "  - {slot: 3, current_limit_ma: 900, hosts: [], labels: {bay: right}}\n");
  ASSERT_TRUE(loaded.ok()) << Describe(loaded.mistakes);
  const auto& slots = loaded.config->slots;
  EXPECT_EQ(slots[0].expected_phone, "pixel-8");
  EXPECT_EQ(slots[1].expected_phone, "");
  EXPECT_EQ(slots[1].safe_state, SafeState::kCharge);
  EXPECT_EQ(slots[2].safe_state, SafeState::kHold);
  EXPECT_EQ(slots[2].current_limit, Milliamps(900));
  EXPECT_THAT(slots[2].hosts, IsEmpty());
  EXPECT_EQ(slots[2].labels.at("bay"), "right");
  EXPECT_EQ(slots[2].labels.at("name"), "r01-003");
  EXPECT_EQ(slots[2].board_slot, 9);
  EXPECT_EQ(slots[3].board_slot, 10);
}

TEST(RackConfig, SumsAreWarnings) {
  const LoadedRack loaded = Load(Replaced(kGood, "budget_ma: 4000", "budget_ma: 3000"));
  ASSERT_TRUE(loaded.ok());
  EXPECT_THAT(
      Describe(loaded.mistakes),
      HasSubstr("r01.yaml:7: warning: board 0, rail A: budget_ma: 3000 mA, but its 2 slots may draw 4000 mA together"));
  EXPECT_THAT(CheckReport(loaded, "r01.yaml"), HasSubstr("r01.yaml is good"));
}

struct BadRack {
  const char* name;
  const char* from;
  const char* to;
  const char* complaint;
};

class RackConfigBad : public ::testing::TestWithParam<BadRack> {};

TEST_P(RackConfigBad, SaysWhatAndWhere) {
  const std::string text = Replaced(kGood, GetParam().from, GetParam().to);
  EXPECT_FALSE(Load(text).ok());
  EXPECT_THAT(Complaints(text), HasSubstr(GetParam().complaint));
}

const BadRack kBadRacks[] = {
    {"no_rack_name", "rack: r01", "rack: R_01", "r01.yaml:1: rack: \"R_01\" is no rack name: 1 to 15 of a-z"},
    {"limit_too_high",
     "current_limit_ma: 2000",
     "current_limit_ma: 5000",
     "r01.yaml:10: slot defaults: current_limit_ma: 5000 mA is out of range, allowed 100 to 3000 mA"},
    {"limit_missing",
     "    current_limit_ma: 2000\n",
     "",
     "slot r01/01 (and 1 more): current_limit_ma: is missing, allowed 100 to 3000 mA"},
    {"limit_above_rail",
     "budget_ma: 4000",
     "budget_ma: 1500",
     "r01.yaml:10: slot r01/01 (and 1 more): current_limit_ma: 2000 mA is more than its rail A can give: at most 1500 "
     "mA"},
    {"rail_above_the_boards_ceiling",
     "budget_ma: 4000",
     "budget_ma: 20001",
     "budget_ma: 20001 mA is out of range, allowed 100 to 20000 mA"},
    {"misspelt_key",
     "current_limit_ma",
     "curent_limit_ma",
     "r01.yaml:10: slot defaults: unknown key \"curent_limit_ma\" (did you mean \"current_limit_ma\"?)"},
    {"gap", "slots: 1-2", "slots: \"1, 4\"", "r01.yaml:13: slot r01/04: slots 2-3 are missing before it"},
    {"not_from_one", "slots: 1-2", "slots: 2-3", "r01.yaml:13: slot r01/02: slot 1 is missing before it"},
    {"twice",
     "  - slots: 1-2\n",
     "  - slots: 1-2\n  - slot: 2\n",
     "r01.yaml:14: slot r01/02: is laid out twice, first in line 13"},
    {"no_slots_named",
     "  - slots: 1-2\n",
     "  - rail: A\n",
     "r01.yaml:13: slots entry: says nothing of which slots it is about"},
    {"backwards", "slots: 1-2", "slots: 2-1", "r01.yaml:13: slots 2-1: slots: \"2-1\" names no slots: write 7, 1-8"},
    {"board_slot_taken",
     "  - slots: 1-2\n",
     "  - {slot: 1, board_slot: 5}\n  - {slot: 2, board_slot: 5}\n",
     "r01.yaml:14: slot r01/02: board_slot: 5 of board 0 is taken by slot r01/01"},
    {"too_many_for_a_board",
     "slots: 1-2",
     "slots: 1-33",
     "slot r01/33: board_slot: 33 is out of range, allowed 1 to 32"},
    {"no_such_board",
     "  - slots: 1-2\n",
     "  - {slots: 1-2, board: 1}\n",
     "r01.yaml:13: slot r01/01 (and 1 more): board: there is no board 1, allowed 0 to 0"},
    {"no_such_rail",
     "  - slots: 1-2\n",
     "  - {slots: 1-2, rail: AA}\n",
     "r01.yaml:13: slot r01/01 (and 1 more): rail: \"AA\" is no rail of board 0: it has A (did you mean \"A\"?)"},
    {"rail_twice",
     "rails: [{name: A, budget_ma: 4000}]",
     "rails:\n  - {name: A, budget_ma: 4000}\n  - {name: A, budget_ma: 4000}",
     "r01.yaml:9: board 0: rail \"A\" stands twice, first in line 8"},
    {"no_such_host",
     "host: h01",
     "host: h1",
     "r01.yaml:11: slot r01/01, host h1 (and 1 more): is not in hosts (did you mean \"h01\"?)"},
    {"host_twice",
     "- name: h01\n",
     "- name: h01\n- name: h01\n",
     "r01.yaml:5: host 1: name: \"h01\" is taken by the host in line 4"},
    {"adb_taken", "56{slot:02}", "5601", "slot r01/02, host h01: adb 127.0.0.1:5601 is taken by slot r01/01"},
    {"adb_port", "127.0.0.1:56{slot:02}", "127.0.0.1:77{slot:04}", "is no address: write HOST:PORT, port 1 to 65535"},
    {"neither_adb_nor_usb", ", adb: \"127.0.0.1:56{slot:02}\"", "", "has neither adb and usb: give exactly one"},
    {"usb_path", "adb: \"127.0.0.1:56{slot:02}\"", "usb: \"1.{slot}\"", "usb: \"1.1\" is no USB port path"},
    {"bad_placeholder",
     "{slot:02}",
     "{slto}",
     "r01.yaml:11: slot r01/01 (and 1 more): \"127.0.0.1:56{slto}\" has an unknown {...}"},
    {"no_port",
     "{path: /dev/ttyACM0}",
     "{baud: 115200}",
     "r01.yaml:6: board 0, port: has none of usb_serial, path and socket"},
    {"two_ports",
     "{path: /dev/ttyACM0}",
     "{path: /dev/ttyACM0, usb_serial: X}",
     "board 0, port: has several of usb_serial"},
    {"no_boards",
     "boards:\n- port: {path: /dev/ttyACM0}\n  rails: [{name: A, budget_ma: 4000}]\n",
     "boards: []\n",
     "r01.yaml:5: boards: needs at least one"},
    {"too_many_rails",
     "[{name: A, budget_ma: 4000}]",
     "[{name: A, budget_ma: 4000}, {name: B, budget_ma: 1}, {name: C, budget_ma: 1}, {name: D, budget_ma: 1}, {name: "
     "E, budget_ma: 1}, {name: F, budget_ma: 1}, {name: G, budget_ma: 1}, {name: H, budget_ma: 1}, {name: I, "
     "budget_ma: 1}]",
     "r01.yaml:7: board 0: rails: 9 are given, a board has at most 8"},
    {"same_port_twice",
     "  rails: [{name: A, budget_ma: 4000}]\n",
     "  rails: [{name: A, budget_ma: 4000}]\n- port: {path: /dev/ttyACM0}\n  rails: [{name: A, budget_ma: 4000}]\n",
     "board 1, port: path /dev/ttyACM0 is taken by the board in line 6"},
    {"stagger",
     "slots:\n",
     "budgets: {stagger: 20ms}\nslots:\n",
     "r01.yaml:8: budgets: stagger: 20ms is out of range, allowed 50ms to 10s"},
    {"min_off", "slots:\n", "budgets: {min_off: 2m}\nslots:\n", "min_off: 2m is out of range, allowed 500ms to 1m"},
    {"silence",
     "slots:\n",
     "budgets: {host_silent: 30s, host_silent_max: 20s}\nslots:\n",
     "host_silent_max 20s must be longer than host_silent 30s"},
    {"duty", "slots:\n", "budgets: {charge_on: 3h}\nslots:\n", "charge_on 3h is longer than charge_period 2h"},
    {"rack_budget",
     "slots:\n",
     "budgets: {rack_ma: 1000}\nslots:\n",
     "rack_ma: 1000 mA is less than one slot's current limit: at least 2000 mA"},
    {"lease_times",
     "state_dir: state",
     "state_dir: state, lease_default: 10h",
     "controller: lease_default 10h is longer than lease_max 8h"},
    {"plain_beyond_loopback",
     "listen: \"tcp://127.0.0.1:0\"",
     "security: plain, listen: \"tcp://*:7700\"",
     "r01.yaml:2: controller: listen: \"tcp://*:7700\" is not a loopback address"},
    {"security",
     "state_dir: state",
     "state_dir: state, security: none",
     "security: \"none\" is not one of curve, plain"},
    {"audit",
     "state_dir: state",
     "state_dir: state, audit: {keep_days: 0}",
     "keep_days: 0 days is out of range, allowed 1 to 3650 days"},
    {"input_pin_twice",
     "slots:\n",
     "inputs: [{name: door, pin: 1}, {name: fan, pin: 1}]\nslots:\n",
     "input fan: pin: 1 is taken by the input in line 8"},
    {"safe_state",
     "current_limit_ma: 2000",
     "current_limit_ma: 2000\n    safe_state: on",
     "safe_state: \"on\" is not one of charge, hold, off"},
};

INSTANTIATE_TEST_SUITE_P(All, RackConfigBad, ::testing::ValuesIn(kBadRacks), [](const auto& param) {
  return param.param.name;
});

TEST(RackConfig, AnEmptyFileListsWhatIsMissing) {
  EXPECT_EQ(Complaints(""),
            "r01.yaml:1: key \"rack\" is missing: the rack's name, such as r01\n"
            "r01.yaml:1: key \"boards\" is missing: the microcontroller boards, at least one\n"
            "r01.yaml:1: key \"slots\" is missing: the phones' places\n");
}

std::string ReadText(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::filesystem::path> ShippedRacks() {
  std::vector<std::filesystem::path> racks;
  for (const auto& entry : std::filesystem::directory_iterator(FARADAY_SOURCE_DIR "/rack-configs")) {
    const std::string name = entry.path().filename().string();
    const bool other = name.rfind("agent", 0) == 0 || name.rfind("lab", 0) == 0 || name.rfind("cli", 0) == 0;
    if (entry.path().extension() == ".yaml" && !other) racks.push_back(entry.path());
  }
  return racks;
}

TEST(ShippedRackConfigs, AreGoodWithoutWarnings) {
  EXPECT_GE(ShippedRacks().size(), 4U);
  for (const auto& path : ShippedRacks()) {
    const LoadedRack loaded = LoadRackConfig(path.string(), NoEnvironment);
    EXPECT_EQ(Describe(loaded.mistakes), "") << path;
  }
}

TEST(ShippedRackConfigs, TheDemoRackHas32SlotsAnd12Phones) {
  const auto environment = [](const std::string& name) -> std::optional<std::string> {
    return name == "FARADAY_RUN" ? std::optional<std::string>("/tmp/f") : std::nullopt;
  };
  const LoadedRack loaded = LoadRackConfig(FARADAY_SOURCE_DIR "/rack-configs/r01.yaml", environment);
  ASSERT_TRUE(loaded.ok()) << Describe(loaded.mistakes);
  const RackConfig& config = *loaded.config;
  EXPECT_EQ(config.boards[0].port.path, "/tmp/f/sim/board0");
  EXPECT_THAT(config.rails[0], SizeIs(4));
  ASSERT_THAT(config.slots, SizeIs(32));
  EXPECT_EQ(config.slots[31].hosts[0].adb, "127.0.0.1:5632");
  EXPECT_EQ(config.slots[31].rail, 3);
  std::map<std::string, int> phones;
  for (const SlotConfig& slot : config.slots) {
    if (!slot.expected_phone.empty()) ++phones[slot.expected_phone];
  }
  EXPECT_EQ(phones,
            (std::map<std::string, int>{{"pixel-8", 3}, {"pixel-7a", 3}, {"galaxy-s23", 3}, {"redmi-note-12", 3}}));
}

TEST(RackConfigReference, ExplainsEveryKey) {
  const std::string page = ReadText(FARADAY_SOURCE_DIR "/docs/reference/rack-config.md");
  for (const std::string& key : RackKeys()) {
    EXPECT_THAT(page, HasSubstr("`" + key + "`"));
  }
}

// ---- what the firmware protects with ------------------------------------------------------------------------------

TEST(RackConfig, ProtectionKeysAreRead) {
  const LoadedRack loaded =
      Load(Replaced(kGood, "    current_limit_ma: 2000\n", "    current_limit_ma: 2000\n    soft_limit_ma: 1500\n") +
           "inputs:\n"
           "- {name: smoke, pin: 1, action: safe_rail, rails: [A]}\n"
           "- {name: fan, pin: 4, active: high, debounce: 1s, alarm: true}\n"
           "budgets: {min_on_ms: 400, tray_warn_celsius: 38, tray_trip_celsius: 45, "
           "relay_warn_count: 500000}\n");
  ASSERT_TRUE(loaded.ok()) << Describe(loaded.mistakes);
  const RackConfig& config = *loaded.config;
  EXPECT_EQ(config.slots[0].soft_limit.count, 1500);
  EXPECT_EQ(config.min_on_ms, 400);
  EXPECT_EQ(config.tray_warn_celsius, 38);
  EXPECT_EQ(config.tray_trip_celsius, 45);
  EXPECT_EQ(config.relay_warn_count, 500'000);
  EXPECT_EQ(config.inputs[0].rails, std::vector<std::string>{"A"});
  EXPECT_FALSE(config.inputs[0].alarm);
  EXPECT_TRUE(config.inputs[1].alarm);
}

TEST(RackConfig, ProtectionKeysOutOfRange_NameLineRangeAndUnit) {
  struct Row {
    std::string text;
    const char* complaint;
  };
  const Row rows[] = {
      {kGood + "budgets: {tray_warn_celsius: 41}\n",
       "r01.yaml:14: budgets: tray_warn_celsius: 41 degC is out of range, "
       "allowed 20 to 40 degC"},
      {kGood + "budgets: {tray_trip_celsius: 51}\n", "allowed 25 to 50 degC"},
      {kGood + "budgets: {tray_trip_celsius: 42}\n",
       "tray_trip_celsius 42 degC must be at least 5 K above tray_warn_celsius 40 degC"},
      {kGood + "budgets: {min_on_ms: 100}\n", "allowed 200 to 60000 ms"},
      {kGood + "budgets: {relay_warn_count: 10}\n", "allowed 1000 to 100000000 moves"},
      {Replaced(kGood, "    current_limit_ma: 2000\n", "    current_limit_ma: 2000\n    soft_limit_ma: 2100\n"),
       "soft_limit_ma: 2100 mA is more than current_limit_ma: allowed 0 to 2000 mA"},
      {kGood + "inputs: [{name: smoke, pin: 1, action: safe_rail, rails: [a]}]\n",
       "rails: \"a\" is no rail of board 0: it has A"},
      {kGood + "inputs: [{name: door, pin: 1, action: stop, rails: [A]}]\n", "only action safe_rail has rails"},
      {kGood + "inputs: [{name: door, pin: 1, debounce: 9s}]\n", "allowed 1ms to 8s"},
  };
  for (const Row& row : rows) EXPECT_THAT(Complaints(row.text), HasSubstr(row.complaint)) << row.text;
}

TEST(RackConfig, MoreInputsThanABoardTakes) {
  std::string text = kGood + "inputs:\n";
  for (int i = 0; i < 17; ++i) text += fmt::format("- {{name: i{}, pin: {}}}\n", i, i);
  EXPECT_THAT(Complaints(text), HasSubstr("board 0 has more than 16"));
}

}  // namespace
}  // namespace faraday::rackconfig
