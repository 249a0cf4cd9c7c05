#include "link/human.h"

#include <gtest/gtest.h>

namespace faraday::link {
namespace {

// Describe(ParseHuman(line)).
std::string Again(std::string_view line) {
  const auto parsed = ParseHuman(line);
  if (!parsed.ok()) return ToString(parsed.status());
  return Describe(parsed->direction, {parsed->header, parsed->payload});
}

TEST(Human, LinesComeBackAsTheyWere) {
  for (const char* line : {
           "-> hello protocol=1 rack=\"r01\" host_version=\"0.1.0 (test)\" nonce=7",
           "-> command #12 (session=0x1a2b3c4d term=5 ack=3) id=112 set_vbus slot=7 epoch=3 on=true",
           "-> command #1 (session=0x00000001 term=1) id=1 stop_slot slot=0",
           "-> command #1 (session=0x00000001 term=1) id=1 set_data slot=2 epoch=9 path=host host_index=1",
           "<- reply #12 (session=0x1a2b3c4d term=5) command_id=112 verdict=looser_than_ceiling value=3 limit=3000",
           "<- telemetry (session=0x1a2b3c4d term=5) number=1 vbus_mv=[0,5010] tray_deci_c=[-15,250] faults=2",
           "<- event (session=0x1a2b3c4d term=5) id=9 uptime_ms=1000 tripped slot=7 reason=over_current value=2100 "
           "limit=2000",
           "-> keepalive (session=0x1a2b3c4d term=5 ack=9)",
           "-> stop",
           "-> stop payload=<00 01>",
           "<- refusal (session=0x1a2b3c4d term=5) reason=out_of_order term=5 session=0x1a2b3c4d expected_seq=13 "
           "protocol=1",
       }) {
    EXPECT_EQ(Again(line), line);
  }
}

TEST(Human, MistakesNameTheWordAndTheWayOut) {
  EXPECT_EQ(
      Again("-> comand #1"),
      "INVALID_ARGUMENT: \"comand\": no channel; hello, command, reply, telemetry, event, keepalive, stop or refusal");
  EXPECT_EQ(Again("-> command #1 id=1 set_data path=hots"),
            "INVALID_ARGUMENT: \"path=hots\": one of open, charge, host");
  EXPECT_EQ(Again("-> command #1 id=1 set_vbus on=yes"), "INVALID_ARGUMENT: \"on=yes\": true or false");
  EXPECT_EQ(Again("-> command #1 id=1 set_vbus slott=1"),
            "INVALID_ARGUMENT: \"slott=1\": SetVbus has: slot, epoch, on");
  EXPECT_EQ(Again("-> keepalive away_ms=4294967296"),
            "INVALID_ARGUMENT: \"away_ms=4294967296\": a number of 0 to 4294967295, decimal or 0x hexadecimal");
  EXPECT_EQ(Again("power on"),
            "INVALID_ARGUMENT: a frame starts with -> (to the MCU) or <- (to the host) and a channel");
  EXPECT_FALSE(ParseHuman("<- command id=1 ping").ok());
  EXPECT_FALSE(ParseHuman("").ok());
}

TEST(Human, PayloadThatCannotBeDecoded_IsShownAsBytes) {
  const std::vector<uint8_t> payload = {0x08, 0xFF};
  const FrameHeader header{.channel = Channel::kCommand, .seq = 4};
  EXPECT_EQ(Describe(Direction::kToMcu, {header, payload}),
            "-> command #4 payload=<08 ff> undecodable: varint truncated or too long");
}

TEST(Human, UnknownChannel_IsShownByNumber) {
  const FrameHeader header{.channel = static_cast<Channel>(77)};
  EXPECT_EQ(Describe(Direction::kToHost, {header, {}}), "<- channel-77 payload=<>");
}

}  // namespace
}  // namespace faraday::link
