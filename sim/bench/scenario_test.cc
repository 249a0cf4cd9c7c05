#include "sim/bench/scenario.h"

#include <gtest/gtest.h>

#include "rackconfig/yaml_rack_config.h"

namespace faraday::sim {
namespace {

rackconfig::RackConfig Rack() {
  rackconfig::RackConfig rack;
  rack.rack = "r01";
  rack.boards.resize(1);
  for (int number = 1; number <= 8; ++number) {
    rackconfig::SlotConfig slot;
    slot.number = slot.board_slot = number;
    slot.hosts.push_back({"h01", "127.0.0.1:5601", ""});
    rack.slots.push_back(slot);
  }
  return rack;
}

std::string Mistakes(const std::string& text) {
  const LoadedScenario loaded = ParseScenario(text, "s.yaml", Rack());
  EXPECT_FALSE(loaded.scenario.has_value());
  return rackconfig::Describe(loaded.mistakes);
}

TEST(Scenario, Phones_WithTheirDefaults) {
  const LoadedScenario loaded = ParseScenario("phones:\n- {slot: 3, model: pixel-8, serial: A1}\n", "s.yaml", Rack());
  ASSERT_TRUE(loaded.scenario) << rackconfig::Describe(loaded.mistakes);
  ASSERT_EQ(loaded.scenario->phones.size(), 1U);
  EXPECT_EQ(loaded.scenario->phones[0].slot, 3);
  EXPECT_EQ(loaded.scenario->phones[0].battery_percent, 70);
  EXPECT_TRUE(loaded.scenario->phones[0].booted);
}

TEST(Scenario, Events_AreControlCommands) {
  const LoadedScenario loaded =
      ParseScenario("phones: []\nevents:\n- {after: 2s, do: fault r01/07 short on}\n", "s.yaml", Rack());
  ASSERT_TRUE(loaded.scenario) << rackconfig::Describe(loaded.mistakes);
  ASSERT_EQ(loaded.scenario->events.size(), 1U);
  EXPECT_EQ(loaded.scenario->events[0].after_ms, 2000);
  EXPECT_EQ(loaded.scenario->events[0].command.slot, 7);
}

TEST(Scenario, BoardFaults_AreThereFromTheStart) {
  const LoadedScenario loaded = ParseScenario(
      "phones: []\nboard_faults:\n- {board: 0, missing: expander r01/05}\n- {board: 0, missing: sensor 6}\n"
      "- {board: 0, missing: eeprom}\n- {board: 0, eeprom: read-only}\n",
      "s.yaml",
      Rack());
  ASSERT_TRUE(loaded.scenario) << rackconfig::Describe(loaded.mistakes);
  const auto& faults = loaded.scenario->board_faults;
  ASSERT_EQ(faults.size(), 4U);
  EXPECT_EQ(faults[0].fault.kind, StartFault::Kind::kExpanderMissing);
  EXPECT_EQ(faults[0].fault.slot_index, 4U);
  EXPECT_EQ(faults[1].fault.slot_index, 5U);
  EXPECT_EQ(faults[2].fault.kind, StartFault::Kind::kEepromMissing);
  EXPECT_EQ(faults[3].fault.kind, StartFault::Kind::kEepromReadOnly);
}

TEST(Scenario, BoardFaults_MistakesAreNamed) {
  const std::string text = Mistakes(
      "phones: []\nboard_faults:\n- {board: 1, missing: eeprom}\n- {board: 0, missing: fan r01/01}\n"
      "- {board: 0, missing: expander r01/99}\n- {board: 0}\n- {board: 0, eeprom: worn}\n");
  for (const char* expected :
       {"s.yaml:3: ", "s.yaml:4: ", "expander SLOT", "s.yaml:5: ", "r01/08", "s.yaml:6: ", "read-only", "s.yaml:7: "}) {
    EXPECT_NE(text.find(expected), std::string::npos) << expected << " in\n" << text;
  }
}

TEST(Scenario, AllMistakesAtOnceWithTheirLines) {
  const std::string text = Mistakes(
      "phones:\n"
      "- {slot: 9, model: pixel-8, serial: A1}\n"
      "- {slot: 2, model: pixl-8, serial: A2}\n"
      "- {slot: 3, model: pixel-8, serial: A3, battery: 120}\n"
      "- {slot: 3, model: pixel-8, serial: A4, android: \"99\"}\n"
      "- {slot: 4, modle: pixel-8, serial: A5}\n"
      "events:\n"
      "- {after: 1s, do: fault r01/01 shrt on}\n"
      "- {after: 1s, do: phone r01/08 absent}\n");
  for (const char* expected : {"s.yaml:2: ",
                               "1 to 8",
                               "s.yaml:3: ",
                               "pixel-8",
                               "s.yaml:4: ",
                               "0 to 100 percent",
                               "s.yaml:5: ",
                               "has a phone already (line 4)",
                               "android \"99\"",
                               "s.yaml:6: ",
                               "model",
                               "s.yaml:8: ",
                               "short",
                               "s.yaml:9: ",
                               "slot 8 has no phone"}) {
    EXPECT_NE(text.find(expected), std::string::npos) << expected << " in\n" << text;
  }
}

TEST(Scenario, NoFileAndNoYamlAreMistakes) {
  EXPECT_FALSE(LoadScenario("/no/such/file.yaml", Rack()).scenario);
  Mistakes("phones: [");
  Mistakes("");
}

TEST(Scenario, TheDemoFitsItsRack) {
  const std::string root = FARADAY_SOURCE_DIR;
  const auto rack = rackconfig::LoadRackConfig(root + "/rack-configs/r01.yaml");
  ASSERT_TRUE(rack.ok()) << rackconfig::Describe(rack.mistakes);
  const LoadedScenario loaded = LoadScenario(root + "/sim/scenarios/demo.yaml", *rack.config);
  ASSERT_TRUE(loaded.scenario) << rackconfig::Describe(loaded.mistakes);
  EXPECT_EQ(loaded.scenario->phones.size(), 12U);
  for (const ScenarioPhone& phone : loaded.scenario->phones) {
    EXPECT_EQ(rack.config->slots[static_cast<size_t>(phone.slot) - 1].expected_phone, phone.model) << phone.slot;
  }
}

}  // namespace
}  // namespace faraday::sim
