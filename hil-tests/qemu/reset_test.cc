// What resets do to the image in QEMU: the cause is known afterwards, outputs fall to the reset state, epochs stay.
#include <gtest/gtest.h>

#include "hil-tests/qemu/board_line.h"

namespace faraday::hil {
namespace {

using firmware::Output;

constexpr uint16_t kBranchToSelf = 0xE7FE;  // Thumb: b .
constexpr uint16_t kUndefined = 0xDE00;     // Thumb: udf #0

constexpr uint32_t kGuard = 0x40000;  // image.ld: the lowest 256 bytes of RAM

class QemuReset : public BoardLine {
 protected:
  // Slot 7 on, as before each kind of accident.
  void SwitchOn() {
    ASSERT_NO_FATAL_FAILURE(BootAndGreet());
    session_ = Greet().session;
    ConfigureAndLease();
    Finish(MustDo(link::SetVbus{.slot = kSlot, .epoch = epoch_, .on = true}));
    ASSERT_TRUE(plant().Driven(kSlot, Output::kVbus));
  }
  // The board is back as another session, knows why, and drives nothing.
  void ExpectFreshBoot(link::BootReason reason) {
    ASSERT_TRUE(Eventually([this] { return plant().resets() > 0; })) << "the board was not reset";
    const link::HelloReply hello = Greet();
    EXPECT_EQ(hello.boot_reason, reason);
    EXPECT_NE(hello.session, session_);
    EXPECT_NE(hello.config_crc, 0U) << "the EEPROM keeps the configuration";
    ASSERT_EQ(hello.epochs.size(), 32U);
    EXPECT_EQ(hello.epochs[kSlot - 1], epoch_) << "the EEPROM keeps the epoch";
    EXPECT_EQ(hello.lease_left_ms[kSlot - 1], 0U);
    EXPECT_FALSE(plant().Driven(kSlot, Output::kVbus));
  }
  uint32_t session_ = 0;
};

TEST_F(QemuReset, HungFirmwareIsResetByTheWatchdog) {
  ASSERT_NO_FATAL_FAILURE(SwitchOn());
  ASSERT_NO_FATAL_FAILURE(BreakFirmware(kBranchToSelf));
  ExpectFreshBoot(link::BootReason::kWatchdog);
  EXPECT_GE(plant().watchdog_bites(), 1);
}

// The UART's handler moves the pin by itself; after the watchdog's reset the pin's reset state holds until the boot.
TEST_F(QemuReset, StopFrameActsAlthoughTheMainLoopHangs) {
  ASSERT_NO_FATAL_FAILURE(SwitchOn());
  ASSERT_NO_FATAL_FAILURE(BreakFirmware(kBranchToSelf));
  const int resets = plant().resets();
  ASSERT_TRUE(line_->SendStop().ok());
  EXPECT_TRUE(Eventually([this, resets] { return plant().stopped() || plant().resets() != resets; }));
  EXPECT_EQ(plant().resets(), resets) << "before the watchdog came";
  EXPECT_FALSE(plant().Driven(kSlot, Output::kVbus));
}

TEST_F(QemuReset, FaultIsRecordedAndResets) {
  ASSERT_NO_FATAL_FAILURE(SwitchOn());
  ASSERT_NO_FATAL_FAILURE(BreakFirmware(kUndefined));
  ExpectFreshBoot(link::BootReason::kFault);
}

TEST_F(QemuReset, StackThatRunsIntoItsGuardIsAFault) {
  ASSERT_NO_FATAL_FAILURE(SwitchOn());
  ASSERT_NO_FATAL_FAILURE(MoveStack(kGuard + 128));
  ExpectFreshBoot(link::BootReason::kFault);
}

TEST_F(QemuReset, AfterAResetTheSlotWorksAgain) {
  ASSERT_NO_FATAL_FAILURE(SwitchOn());
  PressReset();
  ExpectFreshBoot(link::BootReason::kWatchdog);  // nobody announced it
  ++epoch_;
  ConfigureAndLease();
  const link::CommandDone on = Finish(MustDo(link::SetVbus{.slot = kSlot, .epoch = epoch_, .on = true}));
  EXPECT_GE(on.vbus_mv, 4750U);
}

}  // namespace
}  // namespace faraday::hil
