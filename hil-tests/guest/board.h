// The rack's board: the firmware image in QEMU with its chips and their physics, and its UART as a unix socket.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "sim/qemu/mini_plant.h"
#include "sim/qemu/qemu_process.h"
#include "sim/qemu/qmp_client.h"

namespace faraday::hil {

class Board {
 public:
  // Why this machine cannot run it; OK when it can.
  static Status CheckPrerequisites();
  // The machine stands still until Run(). Files go to `dir` (short: unix socket paths hold 107 bytes).
  static Result<std::unique_ptr<Board>> Start(const std::string& dir);
  Status Run();
  // The UART: one client at a time.
  const std::string& uart() const { return files_.uart; }
  const std::string& log() const { return files_.log; }
  sim::qemu::MiniPlant& plant() { return *plant_; }

 private:
  explicit Board(const std::string& dir) : files_(dir) {}
  Status StartMachine();

  sim::qemu::MachineFiles files_;
  std::optional<sim::qemu::QemuProcess> process_;
  std::optional<sim::qemu::QmpClient> control_;
  std::unique_ptr<sim::qemu::MiniPlant> plant_;
};

}  // namespace faraday::hil
