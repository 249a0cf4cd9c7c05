// A whole rack on the image: faraday-sim with --board ast1030, the real controller, and what can happen to both. One
// boot for all cases of a suite, which run in their order.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "hil-tests/process/rack_under_test.h"
#include "sim/qemu/qemu_machine.h"

namespace faraday::hil {
namespace {

using Part = RackUnderTest::Part;
using std::chrono::seconds;

constexpr seconds kGenerous{60};
// No phone sits in slots 13 to 15, so nothing else switches them. A case that takes a lease has a slot of its own.
constexpr const char* kSlot = "r01/13";

// Why this machine cannot run the suite; empty when it can.
std::string Missing() {
  const Status image = sim::qemu::QemuMachine::Factory(FARADAY_FIRMWARE_ELF).status();
  return image.ok() ? "" : image.message();
}

// Emulators that work in a run folder.
std::vector<pid_t> EmulatorsIn(const std::string& folder) {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(entry.path() / "cmdline");
    std::string words(std::istreambuf_iterator<char>(file), {});
    if (words.starts_with("qemu-system-arm") && words.find(folder) != std::string::npos)
      found.push_back(std::stoi(name));
  }
  return found;
}

class SimRack : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!Missing().empty()) return;
    rack_ = std::make_unique<RackUnderTest>();
    rack_->AddSimArguments({"--board", "ast1030"});
    for (const Part part : {Part::kSim, Part::kController}) {
      const Status status = rack_->Start(part);
      EXPECT_TRUE(status.ok()) << status.message();
    }
  }
  static void TearDownTestSuite() {
    if (rack_ == nullptr) return;
    if (testing::UnitTest::GetInstance()->current_test_suite()->Failed()) rack_->KeepFolder();
    const std::string folder = rack_->folder();
    EXPECT_EQ(rack_->Stop(Part::kController), 0);
    EXPECT_EQ(rack_->Stop(Part::kSim), 0);
    EXPECT_TRUE(EmulatorsIn(folder).empty());
    rack_.reset();
  }
  void SetUp() override {
    if (const std::string missing = Missing(); !missing.empty()) GTEST_SKIP() << "SKIPPED: " << missing;
    ASSERT_TRUE(WaitFor([] { return Online(); }, kGenerous)) << Sim("state 0");
  }

  static std::string Sim(const std::string& line) {
    const auto answer = rack_->Sim(line);
    return answer.ok() ? *answer : answer.status().message();
  }
  static bool StateHas(const std::string& what, const std::string& text) {
    return Sim("state " + what).find(text) != std::string::npos;
  }
  static bool StateBecomes(const std::string& what, const std::string& text) {
    return WaitFor([&] { return StateHas(what, text); }, kGenerous);
  }
  static int Bites() {
    const std::string state = Sim("state 0");
    const std::string key = "watchdog_bites=";
    return std::atoi(state.c_str() + state.find(key) + key.size());
  }
  static v1::BoardState Board() {
    v1::Request request;
    request.mutable_get_rack();
    const auto reply = rack_->CallController(std::move(request), "watcher", "viewer");
    return reply.ok() && reply->get_rack().rack().boards_size() == 1 ? reply->get_rack().rack().boards(0)
                                                                     : v1::BoardState{};
  }
  static bool Online() { return Board().online(); }
  static bool OnlineInAnotherSession(uint32_t before) {
    return WaitFor(
        [before] {
          const v1::BoardState board = Board();
          return board.online() && board.session() != before;
        },
        kGenerous);
  }
  // The epoch of a lease that a tech takes.
  static uint32_t Acquire(const std::string& slot) {
    uint32_t epoch = 0;
    WaitFor(
        [&] {
          v1::Request request;
          request.mutable_acquire()->set_slot(slot);
          request.mutable_acquire()->set_purpose(v1::PURPOSE_PERSON);
          request.mutable_acquire()->set_duration_ms(600'000);
          request.set_idempotency_key("lease-" + std::to_string(++keys_));
          const auto reply = rack_->CallController(std::move(request), "tess", "tech");
          if (reply.ok()) epoch = reply->acquire().lease().epoch();
          return epoch != 0;
        },
        kGenerous);
    return epoch;
  }
  static Result<v1::Reply> Power(const std::string& slot, uint32_t epoch, v1::PowerCall::Action action) {
    v1::Request request;
    request.mutable_power()->set_slot(slot);
    request.mutable_power()->set_epoch(epoch);
    request.mutable_power()->set_action(action);
    return rack_->CallController(std::move(request), "tess", "tech");
  }
  // Repeats a level command until it was carried out.
  static bool PowerBecomes(const std::string& slot, uint32_t epoch, bool on) {
    const auto action = on ? v1::PowerCall::ACTION_ON : v1::PowerCall::ACTION_OFF;
    return WaitFor([&] { return Power(slot, epoch, action).ok(); }, kGenerous);
  }

  static inline std::unique_ptr<RackUnderTest> rack_;
  static inline int keys_ = 0;
};

TEST_F(SimRack, TheControllerSwitchesASlotOfTheImage) {
  EXPECT_EQ(Board().board(), "ast1030");
  const uint32_t epoch = Acquire(kSlot);
  ASSERT_GT(epoch, 0U);
  const auto on = Power(kSlot, epoch, v1::PowerCall::ACTION_ON);
  ASSERT_TRUE(on.ok()) << on.status().message();
  EXPECT_EQ(on->slot().slot().vbus().measured_on(), v1::TRI_STATE_YES);
  EXPECT_TRUE(StateHas(kSlot, "outputs=vbus")) << Sim(std::string("state ") + kSlot);
  ASSERT_TRUE(PowerBecomes(kSlot, epoch, false));
  EXPECT_TRUE(StateBecomes(kSlot, "vbus_mv=0"));
}

TEST_F(SimRack, StateAnswersWithTheKeysOfBothBoards) {
  const std::string board = Sim("state 0");
  for (const char* key : {"board=0",
                          "boots=",
                          "stopped=",
                          "line=connected",
                          "damaged=",
                          "inputs=",
                          "slots=32",
                          "slipped_ms=",
                          "watchdog_bites=",
                          "mcu="}) {
    EXPECT_NE(board.find(key), std::string::npos) << key << " in " << board;
  }
  EXPECT_TRUE(StateHas("r01/01", "phone=booted"));
}

TEST_F(SimRack, WhatTheEmulatedMcuCannotIsSaid) {
  for (const char* line : {"bus 0 4 stuck",
                           "bus 0 4 stretch 3",
                           "eeprom 0 worn 2",
                           "mcu-reset 0 brown-out",
                           "fault r01/13 expander-missing on"}) {
    EXPECT_NE(Sim(line).find("not on the emulated MCU"), std::string::npos) << line << ": " << Sim(line);
  }
}

TEST_F(SimRack, ACutLineIsRestoredInTheSameSession) {
  const uint32_t session = Board().session();
  Sim("line 0 cut");
  EXPECT_TRUE(StateHas("0", "line=cut"));
  ASSERT_TRUE(WaitFor([] { return !Online(); }, kGenerous));
  Sim("line 0 restore");
  ASSERT_TRUE(WaitFor([] { return Online(); }, kGenerous));
  EXPECT_EQ(Board().session(), session);
}

TEST_F(SimRack, ADamagedLineStillSwitches) {
  const std::string slot = "r01/14";
  const uint32_t epoch = Acquire(slot);
  ASSERT_GT(epoch, 0U);
  const auto unharmed = [] { return StateHas("0", " damaged=0 "); };
  ASSERT_EQ(Sim("line 0 damage 10 7").find("error"), std::string::npos);
  for (int i = 0; i < 4 || (unharmed() && i < 100); ++i) {
    EXPECT_TRUE(PowerBecomes(slot, epoch, i % 2 == 0)) << i;
    EXPECT_TRUE(StateBecomes(slot, i % 2 == 0 ? "outputs=vbus" : "vbus_mv=0"));
  }
  EXPECT_FALSE(unharmed());
  Sim("line 0 damage 0");
  EXPECT_TRUE(WaitFor([] { return Online(); }, kGenerous));
}

TEST_F(SimRack, AHungFirmwareIsResetByItsWatchdog) {
  const uint32_t session = Board().session();
  const int before = Bites();  // a starved emulator's watchdog may have bitten already
  ASSERT_EQ(Sim("mcu-hang 0").find("error"), std::string::npos);
  EXPECT_TRUE(WaitFor([before] { return Bites() > before; }, kGenerous));
  ASSERT_TRUE(OnlineInAnotherSession(session));
  EXPECT_EQ(Board().boot_reason(), "watchdog");
  EXPECT_TRUE(StateHas("0", "mcu=alive"));
}

TEST_F(SimRack, AResetByFaultAndAPowerCycleSayWhatTheyWere) {
  uint32_t session = Board().session();
  Sim("mcu-reset 0 fault");
  ASSERT_TRUE(OnlineInAnotherSession(session));
  EXPECT_EQ(Board().boot_reason(), "fault");
  session = Board().session();
  Sim("mcu-reset 0 power-on");
  ASSERT_TRUE(OnlineInAnotherSession(session));
  EXPECT_EQ(Board().boot_reason(), "power-on");
}

TEST_F(SimRack, AnEmulatorThatWentAwayIsStartedAgain) {
  const uint32_t session = Board().session();
  const auto emulators = EmulatorsIn(rack_->folder());
  ASSERT_EQ(emulators.size(), 1U);
  kill(emulators[0], SIGKILL);
  ASSERT_TRUE(OnlineInAnotherSession(session)) << Sim("state 0");
  EXPECT_TRUE(StateHas("0", "mcu=alive"));
  EXPECT_NE(EmulatorsIn(rack_->folder()).at(0), emulators[0]);
}

TEST_F(SimRack, AKilledSimulatorComesBackWithItsMemoryAndNoOrphan) {
  const std::string slot = "r01/15";
  const uint32_t epoch = Acquire(slot);
  ASSERT_GT(epoch, 0U);
  ASSERT_TRUE(PowerBecomes(slot, epoch, true));
  const uint32_t session = Board().session();
  const auto before = EmulatorsIn(rack_->folder());
  rack_->Kill9(Part::kSim);
  const Status again = rack_->Start(Part::kSim);
  ASSERT_TRUE(again.ok()) << again.message();
  EXPECT_TRUE(StateHas("0", "boots=1"));
  const auto after = EmulatorsIn(rack_->folder());
  ASSERT_EQ(after.size(), 1U) << "the earlier one is gone";
  EXPECT_NE(after[0], before.at(0));
  EXPECT_TRUE(StateHas(slot, "outputs=none")) << "a fresh machine";
  ASSERT_TRUE(OnlineInAnotherSession(session));
  EXPECT_EQ(Board().boot_reason(), "power-on");
  EXPECT_GE(rack_->Slot(slot).lease().epoch(), epoch) << "the EEPROM kept the epochs";
  const v1::BoardState board = Board();
  for (const std::string& fault : board.faults()) EXPECT_EQ(fault.find("epoch"), std::string::npos) << fault;
}

// The image is gone for a while: no board, but a simulator that says so, and a board again once it is back.
TEST(SimRackBroken, APowerCycleWithoutItsImageLeavesADeadBoardThatCanComeBack) {
  if (const std::string missing = Missing(); !missing.empty()) GTEST_SKIP() << "SKIPPED: " << missing;
  RackUnderTest rack;
  const std::string image = rack.folder() + "/image.elf";
  std::filesystem::copy_file(FARADAY_FIRMWARE_ELF, image);
  rack.AddSimArguments({"--board", "ast1030", "--firmware", image});
  const Status started = rack.Start(Part::kSim);
  ASSERT_TRUE(started.ok()) << started.message();
  std::filesystem::remove(image);
  const auto refused = rack.Sim("mcu-reset 0 power-on");
  EXPECT_NE(refused.status().message().find("no firmware image at " + image), std::string::npos)
      << refused.status().message();
  const auto dead = rack.Sim("state 0");
  ASSERT_TRUE(dead.ok()) << dead.status().message();
  EXPECT_NE(dead->find("mcu=dead: "), std::string::npos) << *dead;
  EXPECT_NE(rack.Sim("mcu-hang 0").status().message().find("the board is dead"), std::string::npos);
  EXPECT_TRUE(rack.Sim("state r01/01").ok());
  std::filesystem::copy_file(FARADAY_FIRMWARE_ELF, image);
  const auto again = rack.Sim("mcu-reset 0 power-on");
  EXPECT_TRUE(again.ok()) << again.status().message();
  const auto alive = rack.Sim("state 0");
  EXPECT_TRUE(alive.ok() && alive->find("mcu=alive") != std::string::npos)
      << (alive.ok() ? *alive : alive.status().message());
}

// Parts that are missing and a memory that cannot be written, from the start.
TEST(SimRackBroken, TheImageStartsWithoutPartsAndSaysSo) {
  if (const std::string missing = Missing(); !missing.empty()) GTEST_SKIP() << "SKIPPED: " << missing;
  RackUnderTest rack;
  const std::string scenario = rack.folder() + "/broken.yaml";
  WriteFile(scenario,
            "phones: []\nboard_faults:\n- {board: 0, missing: expander r01/05}\n- {board: 0, missing: monitor 9}\n"
            "- {board: 0, eeprom: read-only}\n");
  rack.SetScenario(scenario);
  rack.AddSimArguments({"--board", "ast1030"});
  for (const Part part : {Part::kSim, Part::kController}) {
    const Status status = rack.Start(part);
    ASSERT_TRUE(status.ok()) << status.message();
  }
  const auto state = [&rack](const std::string& slot) {
    return rack.Sim("state " + slot).ok() ? *rack.Sim("state " + slot) : "";
  };
  EXPECT_NE(state("r01/05").find("faults=expander-missing"), std::string::npos) << state("r01/05");
  EXPECT_NE(state("r01/06").find("faults=expander-missing"), std::string::npos) << "it serves two slots";
  EXPECT_NE(state("r01/07").find("faults=none"), std::string::npos);
  EXPECT_NE(state("r01/09").find("faults=monitor-missing"), std::string::npos);
  const auto part_missing = [](const v1::SlotState& slot) {
    return std::find(slot.conditions().begin(), slot.conditions().end(), "part-missing") != slot.conditions().end();
  };
  EXPECT_TRUE(rack.WaitForSlot("r01/05", part_missing)) << rack.Slot("r01/05").ShortDebugString();
  EXPECT_TRUE(rack.WaitForSlot("r01/09", part_missing)) << rack.Slot("r01/09").ShortDebugString();
  EXPECT_FALSE(part_missing(rack.Slot("r01/07"))) << rack.Slot("r01/07").ShortDebugString();
  std::ifstream file(rack.folder() + "/sim/board0.eeprom", std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  EXPECT_EQ(bytes, std::string(8192, '\xFF')) << "nothing the firmware wrote arrived";
}

}  // namespace
}  // namespace faraday::hil
