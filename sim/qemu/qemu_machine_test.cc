// What needs no emulator: a board that cannot start one. The rest runs in hil-tests/qemu/sim_rack_test.cc.
#include "sim/qemu/qemu_machine.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace faraday::sim::qemu {
namespace {

namespace fs = std::filesystem;

class QemuMachineTest : public testing::Test {
 protected:
  QemuMachineTest() {
    std::string form = (fs::temp_directory_path() / "faraday-machine-XXXXXX").string();
    folder_ = ::mkdtemp(form.data());
    MachineOrder order;
    order.name = "board 0";
    order.slot_rails.assign(32, 0);
    order.line = MakePtyLine(folder_ + "/mcu0");
    order.eeprom = folder_ + "/eeprom";
    order.folder = folder_ + "/machine";
    machine_ = std::make_unique<QemuMachine>(std::move(order), folder_ + "/no-such.elf");
  }
  ~QemuMachineTest() override {
    machine_.reset();
    fs::remove_all(folder_);
  }

  std::string folder_;
  std::unique_ptr<QemuMachine> machine_;
};

TEST_F(QemuMachineTest, APowerCycleThatFailsLeavesADeadBoardThatSaysWhy) {
  ASSERT_TRUE(machine_->line().Plug().ok());
  EXPECT_EQ(machine_->Start().code(), Code::kNotFound);
  EXPECT_EQ(machine_->McuReset(link::BootReason::kPowerOn).code(), Code::kNotFound);
  for (int turn = 0; turn < 3; ++turn) {
    machine_->Pass();
    std::vector<pollfd> watch;
    EXPECT_GT(machine_->Watch(watch), 0);
  }
  const BoardFacts facts = machine_->facts();
  EXPECT_NE(facts.mcu.find("dead: board 0: no firmware image at " + folder_), std::string::npos) << facts.mcu;
  EXPECT_TRUE(facts.stopped);
  EXPECT_EQ(facts.boots, 0);
  for (const Status& refused : {machine_->McuHang(),
                                machine_->McuReset(link::BootReason::kWatchdog),
                                machine_->McuReset(link::BootReason::kFault),
                                machine_->ResetExpander(0)}) {
    EXPECT_EQ(refused.code(), Code::kFailedPrecondition);
    EXPECT_NE(refused.message().find("power-on\" tries again"), std::string::npos) << refused.message();
  }
  EXPECT_TRUE(machine_->PressStopButton(true).ok());
  machine_->Pass();
}

}  // namespace
}  // namespace faraday::sim::qemu
