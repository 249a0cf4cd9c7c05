#include "hil-tests/qemu/bench.h"

#include <poll.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "sim/qemu/gdb_stub.h"
#include "sim/qemu/trace_feed.h"

namespace faraday::hil {

using sim::qemu::GdbStub;
using sim::qemu::PlantThread;
using sim::qemu::QemuProcess;
using sim::qemu::QmpClient;
using sim::qemu::TraceFeed;

QemuBench::QemuBench() {
  std::string pattern = "/tmp/faraday-qemu-XXXXXX";  // short: a unix socket's path holds 107 bytes
  if (mkdtemp(pattern.data()) != nullptr) dir_ = pattern;
}

QemuBench::~QemuBench() {
  plant_.reset();
  process_.reset();
  if (dir_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

void QemuBench::SetUp() {
  ASSERT_FALSE(dir_.empty()) << "no temporary folder in /tmp";
  RequirePrerequisites();
  if (!IsSkipped() && !HasFatalFailure()) StartMachine();
}

void QemuBench::RequirePrerequisites() {
  if (std::string_view(FARADAY_FIRMWARE_ELF).empty()) {
    GTEST_SKIP() << "SKIPPED: arm-none-eabi-g++ was missing when this was built, so there is no firmware image; "
                    "apt install gcc-arm-none-eabi libstdc++-arm-none-eabi-newlib, then configure again";
  }
  if (const Status qemu = sim::qemu::CheckQemu(); !qemu.ok()) GTEST_SKIP() << "SKIPPED: " << qemu.message();
}

void QemuBench::StartMachine() {
  files_.emplace(dir_);
  auto trace = TraceFeed::Create(files_->trace);
  ASSERT_TRUE(trace.ok()) << ToString(trace.status());
  auto process = QemuProcess::Start(*files_, FARADAY_FIRMWARE_ELF, Faults());
  ASSERT_TRUE(process.ok()) << ToString(process.status());
  process_.emplace(std::move(*process));
  auto control = QmpClient::Connect(files_->control_qmp, kGenerous);
  ASSERT_TRUE(control.ok()) << ToString(control.status());
  control_.emplace(std::move(*control));
  auto plant = PlantThread::Prepare(*files_, std::move(*trace), Faults());
  ASSERT_TRUE(plant.ok()) << ToString(plant.status());
  plant_ = std::move(*plant);
}

void QemuBench::TearDown() {
  if (plant_ != nullptr) {
    EXPECT_TRUE(plant_->status().ok()) << ToString(plant_->status());
  }
  plant_.reset();
  if (control_.has_value() && control_->Send("quit", "").ok() && process_.has_value()) {
    EXPECT_TRUE(process_->WaitForExit(kGenerous)) << "QEMU does not end on QMP quit";
  }
  if (!HasFailure() || !files_.has_value()) return;
  std::ifstream log(files_->log);
  std::cerr << "qemu said: " << std::string(std::istreambuf_iterator<char>(log), {}) << "\n";
}

sim::qemu::MachineFaults QemuBench::Faults() const {
  sim::qemu::MachineFaults faults;
  if (!MissingChip().empty()) faults.missing.insert(MissingChip());
  return faults;
}

void QemuBench::ReplacePlant() {
  plant_.reset();
  auto plant = PlantThread::Attach(*files_, Faults());
  ASSERT_TRUE(plant.ok()) << ToString(plant.status());
  plant_ = std::move(*plant);
}

void QemuBench::Continue() {
  const auto answer = control_->Execute("cont", "", kGenerous);
  ASSERT_TRUE(answer.ok()) << ToString(answer.status());
}

void QemuBench::PressReset() {
  const auto answer = control_->Execute("system_reset", "", kGenerous);
  ASSERT_TRUE(answer.ok()) << ToString(answer.status());
}

void QemuBench::BreakFirmware(uint16_t halfword) {
  auto gdb = GdbStub::Connect(files_->gdb, kGenerous);
  ASSERT_TRUE(gdb.ok()) << ToString(gdb.status());
  const auto counter = gdb->ProgramCounter();
  ASSERT_TRUE(counter.ok()) << ToString(counter.status());
  const std::array<uint8_t, 2> bytes = {static_cast<uint8_t>(halfword), static_cast<uint8_t>(halfword >> 8)};
  const Status written = gdb->WriteMemory(*counter, bytes);
  ASSERT_TRUE(written.ok()) << ToString(written);
  const Status detached = gdb->Detach();
  ASSERT_TRUE(detached.ok()) << ToString(detached);
}

void QemuBench::MoveStack(uint32_t address) {
  auto gdb = GdbStub::Connect(files_->gdb, kGenerous);
  ASSERT_TRUE(gdb.ok()) << ToString(gdb.status());
  const Status moved = gdb->SetStackPointer(address);
  ASSERT_TRUE(moved.ok()) << ToString(moved);
  const Status detached = gdb->Detach();
  ASSERT_TRUE(detached.ok()) << ToString(detached);
}

void QemuBench::Pause() { poll(nullptr, 0, 10); }

}  // namespace faraday::hil
