#include "sim/board/machine.h"

#include <fmt/core.h>

#include <fstream>

#include "base/clock.h"
#include "sim/board/sim_board.h"
#include "sim/plant/chips.h"

namespace faraday::sim {

std::vector<std::string> FaultNames() { return SimBoard::FaultNames(); }

Status MakeBlankEeprom(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::exists(path, error)) return OkStatus();
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << std::string(At24::kSize, '\xFF');  // as delivered
  file.close();
  if (file) return OkStatus();
  return {Code::kFailedPrecondition,
          fmt::format("cannot write the EEPROM image {}: check the folder's rights and free space", path.string())};
}

uint32_t FreeRunningMs() { return static_cast<uint32_t>(BootClock::now().time_since_epoch().count()); }

}  // namespace faraday::sim
