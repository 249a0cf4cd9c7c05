// The firmware image in QEMU, spoken to on its line: every register-level driver takes part.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>

#include "hil-tests/qemu/board_line.h"
#include "link/slot_bits.h"

namespace faraday::hil {
namespace {

using firmware::Output;
using link::SlotBits;

constexpr uint32_t kLoadMa = 480;

class QemuLink : public BoardLine {};

TEST_F(QemuLink, BootsAndSaysWhatItIs) {
  ASSERT_NO_FATAL_FAILURE(BootAndGreet());
  const link::HelloReply hello = Greet();
  EXPECT_EQ(hello.board.view(), "ast1030");
  EXPECT_EQ(hello.slots, 32U);
  EXPECT_EQ(hello.boot_reason, link::BootReason::kPowerOn);
  EXPECT_NE(hello.session, 0U);
  EXPECT_EQ(hello.term, 2U);
}

TEST_F(QemuLink, EveryChipOfTheRackAnswers) {
  ASSERT_NO_FATAL_FAILURE(BootAndGreet());
  link::Telemetry last;
  EXPECT_TRUE(Eventually([this, &last] {
    if (const auto telemetry = line_->NextTelemetry(); telemetry.ok()) last = *telemetry;
    return last.state.size() == 32 && std::ranges::all_of(last.state, [](uint32_t word) {
             const SlotBits bits = link::Unpack(word);
             return bits.monitor_fresh && bits.temperature_fresh && bits.vbus_measured_off && !bits.part_missing &&
                    !bits.read_back_mismatch && bits.relay_sense == link::RelaySense::kIsolated;
           });
  }));
  EXPECT_EQ(last.faults & (link::kFaultI2cBus | link::kFaultNvmReadOnly), 0U);
}

TEST_F(QemuLink, SwitchesVbusOfOneSlotAndReadsItBack) {
  plant().SetLoad(kSlot, kLoadMa);
  ASSERT_NO_FATAL_FAILURE(BootAndGreet());
  ConfigureAndLease();

  const link::CommandDone on = Finish(MustDo(link::SetVbus{.slot = kSlot, .epoch = epoch_, .on = true}));
  EXPECT_TRUE(plant().Driven(kSlot, Output::kVbus));
  EXPECT_GE(on.vbus_mv, 4750U);
  EXPECT_LE(on.vbus_mv, 5500U);
  EXPECT_TRUE(link::Unpack(on.state).vbus_measured_on);
  EXPECT_TRUE(Eventually([this] {
    const auto telemetry = line_->NextTelemetry();
    return telemetry.ok() && telemetry->vbus_ma[kSlot - 1] > kLoadMa * 9 / 10;
  }));
  const auto telemetry = line_->NextTelemetry();
  ASSERT_TRUE(telemetry.ok()) << ToString(telemetry.status());
  EXPECT_LT(telemetry->vbus_ma[kSlot - 1], kLoadMa * 11 / 10);
  EXPECT_NEAR(telemetry->tray_deci_c[kSlot - 1], 250, 20) << "a tray at rest";
  EXPECT_TRUE(link::Unpack(telemetry->state[kSlot]).vbus_measured_off) << "slot 8 beside it stays off";

  const link::CommandDone off = Finish(MustDo(link::SetVbus{.slot = kSlot, .epoch = epoch_, .on = false}));
  EXPECT_FALSE(plant().Driven(kSlot, Output::kVbus));
  EXPECT_LT(off.vbus_mv, 800U);
  EXPECT_TRUE(link::Unpack(off.state).vbus_measured_off);
}

TEST_F(QemuLink, RelaySenseComesFromItsPin) {
  ASSERT_NO_FATAL_FAILURE(BootAndGreet());
  ConfigureAndLease();
  const link::CommandDone coupled = Finish(MustDo(link::SetShield{.slot = kSlot, .epoch = epoch_, .couple = true}));
  EXPECT_TRUE(plant().Driven(kSlot, Output::kRfRelay));
  EXPECT_EQ(link::Unpack(coupled.state).relay_sense, link::RelaySense::kCoupled);
}

TEST_F(QemuLink, CommandWithoutTheEpochMovesNothing) {
  ASSERT_NO_FATAL_FAILURE(BootAndGreet());
  ConfigureAndLease();
  const auto reply = line_->Do(link::SetVbus{.slot = kSlot, .epoch = epoch_ - 1, .on = true});
  ASSERT_TRUE(reply.ok()) << ToString(reply.status());
  EXPECT_EQ(reply->verdict, link::Verdict::kFenced);
  EXPECT_EQ(reply->epoch, epoch_);
  EXPECT_FALSE(plant().Driven(kSlot, Output::kVbus));
}

TEST_F(QemuLink, OverCurrentTurnsTheSlotOff) {
  plant().SetLoad(kSlot, kLoadMa);
  ASSERT_NO_FATAL_FAILURE(BootAndGreet());
  ConfigureAndLease();
  Finish(MustDo(link::SetVbus{.slot = kSlot, .epoch = epoch_, .on = true}));
  plant().SetLoad(kSlot, 2500);  // its limit is 2000 mA
  const auto trip = line_->WaitTrip();
  ASSERT_TRUE(trip.ok()) << ToString(trip.status());
  EXPECT_EQ(trip->slot, kSlot);
  EXPECT_EQ(trip->reason, link::TripReason::kOverCurrent);
  EXPECT_EQ(trip->limit, 2000U);
  EXPECT_TRUE(Eventually([this] { return !plant().Driven(kSlot, Output::kVbus); }));
}

TEST_F(QemuLink, StopFrameAssertsTheStopPin) {
  ASSERT_NO_FATAL_FAILURE(BootAndGreet());
  ConfigureAndLease();
  Finish(MustDo(link::SetVbus{.slot = kSlot, .epoch = epoch_, .on = true}));
  ASSERT_FALSE(plant().stopped());
  ASSERT_TRUE(line_->SendStop().ok());
  EXPECT_TRUE(Eventually([this] { return plant().stopped(); }));
  EXPECT_FALSE(plant().Driven(kSlot, Output::kVbus));
  EXPECT_TRUE(Eventually([this] {
    const auto telemetry = line_->NextTelemetry();
    return telemetry.ok() && (telemetry->faults & link::kFaultStopped) != 0 && telemetry->vbus_mv[kSlot - 1] < 800;
  }));
}

TEST_F(QemuLink, NoiseOnTheLineIsCountedAndHarmless) {
  ASSERT_NO_FATAL_FAILURE(BootAndGreet());
  ConfigureAndLease();
  std::array<uint8_t, 6000> noise{};  // longer than the receive ring and than any frame
  for (size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<uint8_t>(i * 167 + i / 251);
  ASSERT_TRUE(line_->SendRaw(noise).ok());
  ASSERT_TRUE(line_->SendRaw(std::array<uint8_t, 1>{0}).ok());
  const link::CommandDone on = Finish(MustDo(link::SetVbus{.slot = kSlot, .epoch = epoch_, .on = true}));
  EXPECT_GE(on.vbus_mv, 4750U);
  const auto telemetry = line_->NextTelemetry();
  ASSERT_TRUE(telemetry.ok()) << ToString(telemetry.status());
  EXPECT_GT(telemetry->frames_bad, 0U);
  EXPECT_GT(telemetry->stack_high_water_bytes, 0U);
  EXPECT_LT(telemetry->stack_high_water_bytes, 6144U) << "three quarters of the stack";
}

class QemuWithoutExpander : public BoardLine {
  std::string MissingChip() const override { return "exp3"; }  // slots 7 and 8
};

TEST_F(QemuWithoutExpander, ItsSlotsSayPartMissingAndTheOthersWork) {
  ASSERT_NO_FATAL_FAILURE(BootAndGreet());
  ConfigureAndLease();
  EXPECT_TRUE(Eventually([this] {
    const auto telemetry = line_->NextTelemetry();
    return telemetry.ok() && link::Unpack(telemetry->state[kSlot - 1]).part_missing;
  }));
  const auto telemetry = line_->NextTelemetry();
  ASSERT_TRUE(telemetry.ok()) << ToString(telemetry.status());
  EXPECT_TRUE(link::Unpack(telemetry->state[7]).part_missing);
  EXPECT_FALSE(link::Unpack(telemetry->state[8]).part_missing);

  const link::Reply on = MustDo(link::SetVbus{.slot = kSlot, .epoch = epoch_, .on = true});
  const auto failed = line_->WaitDone(on.command_id);
  ASSERT_TRUE(failed.ok()) << ToString(failed.status());
  EXPECT_NE(failed->code, link::DoneCode::kOk);
  EXPECT_TRUE(link::Unpack(failed->state).part_missing) << "the state says why";
  MustDo(link::SetLease{.slot = 9, .epoch = epoch_, .duration_ms = 600'000});
  const auto done = line_->WaitDone(MustDo(link::SetVbus{.slot = 9, .epoch = epoch_, .on = true}).command_id);
  ASSERT_TRUE(done.ok()) << ToString(done.status());
  EXPECT_EQ(done->code, link::DoneCode::kOk);
  EXPECT_TRUE(plant().Driven(9, Output::kVbus));
}

class QemuWithoutEeprom : public BoardLine {
  std::string MissingChip() const override { return "nvm"; }
};

TEST_F(QemuWithoutEeprom, BootsAndSaysThatEpochsAreLost) {
  ASSERT_NO_FATAL_FAILURE(BootAndGreet());
  EXPECT_TRUE(Greet().nvm_lost);
  const auto telemetry = line_->NextTelemetry();
  ASSERT_TRUE(telemetry.ok()) << ToString(telemetry.status());
  EXPECT_NE(telemetry->faults & link::kFaultNvmReadOnly, 0U);
}

}  // namespace
}  // namespace faraday::hil
