#include "hil-tests/guest/board.h"

#include <string_view>
#include <utility>

#include "hil-tests/guest/deadlines.h"
#include "sim/qemu/trace_feed.h"

namespace faraday::hil {

using sim::qemu::MiniPlant;
using sim::qemu::QemuProcess;
using sim::qemu::QmpClient;
using sim::qemu::TraceFeed;

Status Board::CheckPrerequisites() {
  if (std::string_view(FARADAY_FIRMWARE_ELF).empty()) {
    return {Code::kUnimplemented,
            "arm-none-eabi-g++ was missing when this was built, so there is no firmware image; apt install "
            "gcc-arm-none-eabi libstdc++-arm-none-eabi-newlib, then configure again"};
  }
  return sim::qemu::CheckQemu();
}

Result<std::unique_ptr<Board>> Board::Start(const std::string& dir) {
  std::unique_ptr<Board> board(new Board(dir));
  FARADAY_TRY(board->StartMachine());
  return board;
}

Status Board::StartMachine() {
  FARADAY_TRY_ASSIGN(TraceFeed trace, TraceFeed::Create(files_.trace));
  FARADAY_TRY_ASSIGN(QemuProcess process, QemuProcess::Start(files_, FARADAY_FIRMWARE_ELF));
  process_.emplace(std::move(process));
  FARADAY_TRY_ASSIGN(QmpClient plant_monitor, QmpClient::Connect(files_.plant_qmp, kGenerous));
  FARADAY_TRY_ASSIGN(QmpClient control, QmpClient::Connect(files_.control_qmp, kGenerous));
  control_.emplace(std::move(control));
  FARADAY_TRY_ASSIGN(plant_, MiniPlant::Start(std::move(plant_monitor), std::move(trace)));
  return OkStatus();
}

Status Board::Run() { return control_->Execute("cont", "", kGenerous).status(); }

}  // namespace faraday::hil
