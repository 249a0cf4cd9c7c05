// The bench of the QEMU tests: one emulated board with the firmware image, its plant and its monitors, in a folder of
// its own. Skips a test, saying why, when this machine cannot run it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "sim/qemu/plant_thread.h"
#include "sim/qemu/qemu_process.h"
#include "sim/qemu/qmp_client.h"

namespace faraday::hil {

// Five times what an idle machine needs: these tests run beside a build.
inline constexpr Milliseconds kGenerous{20'000};

class QemuBench : public testing::Test {
 protected:
  QemuBench();
  ~QemuBench() override;

  // Starts the machine with its processor stopped and its inputs at rest. Skips or fails the test when it cannot.
  void SetUp() override;
  void TearDown() override;

  // Lets the firmware run.
  void Continue();
  // Asks QEMU for a reset, as a reset button would.
  void PressReset();
  // Writes `halfword` over the instruction that the firmware is about to run.
  void BreakFirmware(uint16_t halfword);
  // Lets the firmware's stack end at `address`.
  void MoveStack(uint32_t address);
  // Looks again until `condition` holds or the generous deadline is over.
  template <typename Condition>
  bool Eventually(Condition condition) {
    const BootTime deadline = BootClock::now() + kGenerous;
    while (!condition()) {
      if (BootClock::now() >= deadline) return condition();
      Pause();
    }
    return true;
  }

  const std::string& dir() const { return dir_; }
  const sim::qemu::MachineFiles& files() const { return *files_; }
  sim::qemu::PlantThread& plant() { return *plant_; }
  // Ends the plant while the machine runs on, and attaches another one.
  void ReplacePlant();

  // A chip that is not plugged in: an expander ("exp3") or "nvm"; empty: all are there.
  virtual std::string MissingChip() const { return {}; }
  // What is wrong with the machine from its start.
  virtual sim::qemu::MachineFaults Faults() const;

 private:
  static void Pause();
  void RequirePrerequisites();
  void StartMachine();

  std::string dir_;
  std::optional<sim::qemu::MachineFiles> files_;
  std::optional<sim::qemu::QemuProcess> process_;
  std::optional<sim::qemu::QmpClient> control_;
  std::unique_ptr<sim::qemu::PlantThread> plant_;
};

}  // namespace faraday::hil
