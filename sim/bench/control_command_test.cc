#include "sim/bench/control_command.h"

#include <gtest/gtest.h>

namespace faraday::sim {
namespace {

rackconfig::RackConfig Rack() {
  rackconfig::RackConfig rack;
  rack.rack = "r01";
  rack.boards.resize(2);
  rack.slots.resize(8);
  const auto rail = [](const char* name) {
    rackconfig::RailConfig config;
    config.name = name;
    return config;
  };
  rack.rails = {{rail("A"), rail("B")}, {rail("A")}};
  rack.inputs.emplace_back().name = "door";
  return rack;
}

ControlCommand Parsed(const std::string& line) {
  const auto command = ParseControlCommand(line, Rack());
  EXPECT_TRUE(command.ok()) << line << ": " << command.status().message();
  return command.ok() ? *command : ControlCommand{};
}

std::string Refused(const std::string& line) {
  const auto command = ParseControlCommand(line, Rack());
  EXPECT_EQ(command.status().code(), Code::kInvalidArgument) << line;
  return command.status().message();
}

TEST(ControlCommand, Fault_NamesSlotFaultAndSwitch) {
  const ControlCommand command = Parsed("fault r01/07 short on");
  EXPECT_EQ(command.verb, Verb::kFault);
  EXPECT_EQ(command.slot, 7);
  EXPECT_EQ(command.what, "short");
  EXPECT_TRUE(command.on);
  EXPECT_FALSE(Parsed("fault 7 monitor-missing off").on);
}

TEST(ControlCommand, EachVerbIsUnderstood) {
  EXPECT_EQ(Parsed("  help \r").verb, Verb::kHelp);
  EXPECT_EQ(Parsed("list").verb, Verb::kList);
  EXPECT_EQ(Parsed("state r01/08").slot, 8);
  EXPECT_EQ(Parsed("state 1").board, 1);
  EXPECT_EQ(Parsed("mcu-reset 0").what, "");
  EXPECT_EQ(Parsed("mcu-reset 0 brown-out").what, "brown-out");
  EXPECT_EQ(Parsed("line 1 cut").what, "cut");
  EXPECT_EQ(Parsed("phone r01/1 hung").what, "hang");
  EXPECT_EQ(Parsed("battery r01/01 0").percent, 0);
  EXPECT_TRUE(Parsed("input door active").on);
  EXPECT_EQ(Parsed("expander-reset 7").slot, 7);
  EXPECT_EQ(Parsed("mcu-hang 1").board, 1);
  EXPECT_EQ(Parsed("bus 0 3 stuck").place, 3);
  EXPECT_EQ(Parsed("bus 0 3 stretch 4").amount, 4);
  EXPECT_EQ(Parsed("eeprom 0 worn 2").place, 2);
  EXPECT_EQ(Parsed("line 0 damage 5").amount, 5);
  EXPECT_EQ(Parsed("line 0 damage 5 77").seed, 77);
  EXPECT_EQ(Parsed("load r01/03 2500").amount, 2500);
  EXPECT_EQ(Parsed("rail 0 B sag").place, 1);
  EXPECT_EQ(Parsed("rail 0 B psu-lost").what, "psu-lost");
  EXPECT_EQ(Parsed("ambient 0 -5").amount, -5);
  EXPECT_TRUE(Parsed("board 0 reset-line-broken on").on);
}

TEST(ControlCommand, Mistakes_NameTheChoices) {
  EXPECT_NE(Refused("falt r01/01 short on").find("did you mean \"fault\""), std::string::npos);
  EXPECT_NE(Refused("fault r01/09 short on").find("r01/01 to r01/08"), std::string::npos);
  EXPECT_NE(Refused("fault r02/01 short on").find("r01/01 to r01/08"), std::string::npos);
  EXPECT_NE(Refused("fault r01/01 shrt on").find("did you mean \"short\""), std::string::npos);
  EXPECT_NE(Refused("fault r01/01 short maybe").find("on, off"), std::string::npos);
  EXPECT_NE(Refused("fault r01/01").find("fault SLOT NAME on|off"), std::string::npos);
  EXPECT_NE(Refused("line 2 cut").find("0 to 1"), std::string::npos);
  EXPECT_NE(Refused("battery r01/01 101").find("0 to 100"), std::string::npos);
  EXPECT_NE(Refused("input smoke active").find("door"), std::string::npos);
  EXPECT_NE(Refused("").find("help"), std::string::npos);
  EXPECT_EQ(Refused("bus 0 3 stretch"), "stretch needs MS");
  EXPECT_EQ(Refused("bus 0 3 ok 5"), "ok takes no more words");
  EXPECT_EQ(Refused("line 0 cut 5"), "cut takes no more words");
  EXPECT_NE(Refused("line 0 damage 101").find("0 to 100 %"), std::string::npos);
  EXPECT_NE(Refused("bus 0 x stuck").find("\"x\""), std::string::npos);
  EXPECT_NE(Refused("load 1 5001").find("0 to 5000 mA"), std::string::npos);
  EXPECT_NE(Refused("rail 1 B sag").find("use A"), std::string::npos);
  EXPECT_NE(Refused("rail 0 A low").find("sag, over, dead, psu-lost"), std::string::npos);
  EXPECT_NE(Refused("ambient 0 81").find("-20 to 80 degC"), std::string::npos);
  EXPECT_NE(Refused("board 0 reset on").find("reset-line-broken"), std::string::npos);
  Refused("state");
  Refused("list all");
  Refused("state 99999999999999999999");
}

}  // namespace
}  // namespace faraday::sim
