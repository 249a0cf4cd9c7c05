#include "hil-tests/guest/board.h"

#include <fmt/format.h>

#include <filesystem>
#include <string_view>

#include "hil-tests/guest/deadlines.h"

namespace faraday::hil {
namespace {

constexpr const char* kSim = FARADAY_BIN_DIR "/faraday-sim";
constexpr const char* kConfig = FARADAY_SOURCE_DIR "/hil-tests/guest/rack-at-the-bench.yaml";
constexpr const char* kScenario = FARADAY_SOURCE_DIR "/hil-tests/guest/no-phones.yaml";

std::vector<std::string> Arguments(const std::string& dir) {
  return {kSim, "--config", kConfig, "--scenario", kScenario, "--run-dir", dir + "/sim", "--board", "ast1030"};
}

}  // namespace

Status Board::CheckPrerequisites() {
  if (!std::string_view(FARADAY_FIRMWARE_ELF).empty()) return OkStatus();
  return {Code::kUnimplemented,
          "arm-none-eabi-g++ was missing when this was built, so there is no firmware image; apt install "
          "gcc-arm-none-eabi libstdc++-arm-none-eabi-newlib, then configure again"};
}

Board::Board(const std::string& dir) : dir_(dir), sim_(Arguments(dir), {{"FARADAY_RUN", dir}}, dir + "/faraday-sim") {}

Result<std::unique_ptr<Board>> Board::Start(const std::string& dir) {
  std::unique_ptr<Board> board(new Board(dir));
  const auto ready = [&dir] { return std::filesystem::exists(dir + "/sim/ready"); };
  WaitFor([&] { return ready() || !board->sim_.running(); }, kBoot);
  if (ready()) return board;
  return Status(Code::kUnavailable, "faraday-sim does not start: " + board->log());
}

bool Board::VbusOn(int slot) const {
  Program ask({kSim, "ctl", "--run-dir", dir_ + "/sim", "state", fmt::format("r01/{:02}", slot)}, {}, dir_ + "/ctl");
  const Output told = ask.Finish(kGenerous);
  std::filesystem::remove(dir_ + "/ctl.out");
  return told.out.find(" outputs=vbus") != std::string::npos;
}

}  // namespace faraday::hil
