#include "cli/slot_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <sstream>

namespace faraday::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kNow = 1'795'435'200'000;  // 2026-11-23T12:00Z

v1::SlotState FreeSlot(const std::string& name) {
  v1::SlotState slot;
  slot.set_slot(name);
  slot.set_health(v1::HEALTH_GOOD);
  slot.set_allocation(v1::ALLOCATION_FREE);
  slot.mutable_lease()->set_holder("care");
  slot.mutable_lease()->set_purpose(v1::PURPOSE_CARE);
  slot.mutable_lease()->set_epoch(41);
  slot.mutable_vbus()->set_commanded_on(v1::TRI_STATE_NO);
  slot.mutable_vbus()->set_measured_on(v1::TRI_STATE_NO);
  slot.mutable_vbus()->set_measured_mv(12);
  slot.mutable_data()->set_commanded(v1::DATA_PATH_OPEN);
  slot.mutable_data()->set_measured(v1::DATA_PATH_OPEN);
  slot.mutable_shield()->set_commanded(v1::SHIELD_STATE_ISOLATED);
  slot.mutable_shield()->set_measured(v1::SHIELD_STATE_ISOLATED);
  slot.set_measured_age_ms(80);
  slot.set_tray_deci_celsius(251);
  slot.mutable_device()->set_never_seen(true);
  return slot;
}

v1::SlotState LeasedSlot(const std::string& name) {
  v1::SlotState slot = FreeSlot(name);
  slot.set_allocation(v1::ALLOCATION_LEASED);
  v1::Lease& lease = *slot.mutable_lease();
  lease.set_id("r01-07-42");
  lease.set_slot(name);
  lease.set_epoch(42);
  lease.set_holder("ana");
  lease.set_purpose(v1::PURPOSE_PERSON);
  lease.set_end_utc_ms(kNow + 140 * 60'000);
  lease.set_left_ms(140 * 60'000);
  lease.set_note("modem bug");
  slot.mutable_vbus()->set_commanded_on(v1::TRI_STATE_YES);
  slot.mutable_vbus()->set_measured_on(v1::TRI_STATE_YES);
  slot.mutable_vbus()->set_measured_mv(5021);
  slot.mutable_vbus()->set_measured_ma(412);
  slot.mutable_data()->set_commanded(v1::DATA_PATH_HOST);
  slot.mutable_data()->set_commanded_host("h01");
  slot.mutable_data()->set_measured(v1::DATA_PATH_HOST);
  slot.mutable_data()->set_measured_host("h01");
  v1::Device& device = *slot.mutable_device();
  device.set_never_seen(false);
  device.set_expected("pixel-8");
  device.set_model("pixel-8");
  device.set_serial("SIM07");
  device.set_platform("android");
  device.set_os_version("14");
  device.set_battery_percent(87);
  device.set_adb_state("device");
  device.set_boot_completed(v1::TRI_STATE_YES);
  device.set_age_ms(3'000);
  device.set_agent("h01");
  return slot;
}

v1::SlotState TrippedSlot(const std::string& name) {
  v1::SlotState slot = FreeSlot(name);
  slot.set_health(v1::HEALTH_SUSPECT);
  slot.set_trip("over-current 2410 mA > 2000 mA");
  slot.set_reason("tripped: over-current 2410 mA > 2000 mA");
  slot.mutable_vbus()->set_commanded_on(v1::TRI_STATE_YES);
  slot.mutable_device()->set_expected("galaxy-s23");
  slot.set_measured_age_ms(12'000);
  return slot;
}

v1::RackState Rack() {
  v1::RackState rack;
  rack.set_rack("r01");
  auto& board = *rack.add_boards();
  board.set_online(true);
  board.set_board("native");
  board.set_firmware_version("0.1.0");
  *rack.add_slots() = FreeSlot("r01/01");
  *rack.add_slots() = LeasedSlot("r01/07");
  *rack.add_slots() = TrippedSlot("r01/08");
  return rack;
}

class SlotTextTest : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("TZ", "UTC", 1);
    tzset();
  }
};

TEST_F(SlotTextTest, WideTableShowsAllOnOneLineASlot) {
  EXPECT_EQ(RenderRack(Rack(), kNow, 120),
            "rack r01; board 0 online (native 0.1.0); 3 slots: 2 free, 1 leased, 1 not in good health\n"
            "SLOT    PHONE           SEEN  HEALTH   LEASE            VBUS      mV   mA  SHIELD    DATA      REASON\n"
            "r01/01  -                  -  good     free             off       12    0  isolated  open\n"
            "r01/07  pixel-8 14 87%    3s  good     ana until 14:20  on      5021  412  isolated  host:h01\n"
            "r01/08  (galaxy-s23?)      -  suspect  free             on>off    12    0  isolated  open      tripped: "
            "over-current "
            "2410 mA > 2000 mA; measured 12s ago\n");
}

TEST_F(SlotTextTest, NarrowTablePutsReasonsUnderTheirRows) {
  const std::string text = RenderRack(Rack(), kNow, 100);
  EXPECT_THAT(text, HasSubstr("\n        tripped: over-current 2410 mA > 2000 mA; measured 12s ago\n"));
  EXPECT_THAT(text, Not(HasSubstr("REASON")));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100U) << line;
}

TEST_F(SlotTextTest, AReasonIsToldOnceInItsFullestForm) {
  v1::SlotState slot = TrippedSlot("r01/08");
  slot.set_reason("tripped: over-current 2410 mA > 2000 mA at 11:59:01; inspect the cable; cleaning");
  slot.set_health_reason("tripped: over-current 2410 mA > 2000 mA at 11:59:01; inspect the cable");
  slot.add_conditions("over-current");
  slot.add_conditions("relay-worn");
  slot.set_measured_age_ms(0);
  EXPECT_THAT(RenderCard(slot, kNow),
              HasSubstr("  health    suspect: tripped: over-current 2410 mA > 2000 mA at 11:59:01; inspect the cable; "
                        "cleaning; relay-worn\n"));
}

TEST_F(SlotTextTest, ABoardThatIsAwaySaysWhy) {
  v1::RackState rack = Rack();
  rack.mutable_boards(0)->set_online(false);
  rack.mutable_boards(0)->set_reason("cannot open /dev/ttyACM0: No such file or directory");
  EXPECT_THAT(RenderRack(rack, kNow, 120),
              HasSubstr("board 0 is OFFLINE: cannot open /dev/ttyACM0: No such file or directory"));
  EXPECT_THAT(RenderRack(rack, kNow, 120, 65'000), HasSubstr("as of 65s ago"));
}

TEST_F(SlotTextTest, CardTellsEverything) {
  EXPECT_EQ(RenderCard(LeasedSlot("r01/07"), kNow),
            "slot r01/07\n"
            "  health    good\n"
            "  lease     ana until 14:20\n"
            "            lease r01-07-42, epoch 42, 2h left\n"
            "            note: modem bug\n"
            "  phone     pixel-8 serial SIM07, android 14\n"
            "            battery 87%, adb device, booted; read 3s ago by agent h01\n"
            "  VBUS      commanded on, measured on: 5021 mV, 412 mA\n"
            "  data      commanded host:h01, measured host:h01\n"
            "  shield    commanded isolated, measured isolated\n"
            "  tray      25.1 degC\n"
            "  measured  80ms ago\n");
}

TEST_F(SlotTextTest, WhatNobodySeesIsUnknownNeverNo) {
  v1::SlotState slot = FreeSlot("r01/02");
  slot.mutable_vbus()->set_measured_on(v1::TRI_STATE_UNKNOWN);
  slot.mutable_shield()->set_measured(v1::SHIELD_STATE_UNKNOWN);
  EXPECT_EQ(VbusWords(slot.vbus()), "off>?");
  EXPECT_EQ(ShieldWords(slot.shield()), "isolated>?");
  EXPECT_EQ(DataWords(v1::Data()), "?");
}

TEST_F(SlotTextTest, PhonesAndNotesCannotSteerTheTerminal) {
  v1::SlotState slot = LeasedSlot("r01/07");
  slot.mutable_device()->set_serial("S\x1b[2J");
  slot.mutable_device()->set_model("p\x1b]0;x\x07");
  slot.mutable_lease()->set_note("n\r\n\x1b[31m");
  slot.mutable_lease()->set_holder(
      "a\x1b"
      "b");
  slot.set_reason("r\x1b");
  (*slot.mutable_labels())["l\x1b"] = "v\x1b";
  v1::RackState rack;
  *rack.add_slots() = slot;
  EXPECT_EQ(RenderCard(slot, kNow).find('\x1b'), std::string::npos);
  EXPECT_EQ(RenderRack(rack, kNow, 80).find('\x1b'), std::string::npos);
}

TEST_F(SlotTextTest, MeasuredLineAfterASwitch) {
  EXPECT_EQ(RenderMeasured(LeasedSlot("r01/07")), "r01/07: VBUS on, 5021 mV, 412 mA; data host:h01; RF isolated\n");
}

}  // namespace
}  // namespace faraday::cli
