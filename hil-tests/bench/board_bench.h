// The boards of `./dev bench`: what a command, a closed loop over 32 slots, an echo and a telemetry cost on the native
// board and on the emulated MCU, side by side, each against its floor of the same run. README.md says what each is.
#pragma once

#include <string>
#include <vector>

namespace faraday::hil {

// What one board made of one row. ratio: ours / floor, 0: there is no floor.
struct Figure {
  double ours = 0;
  double floor = 0;
};
struct Row {
  std::string what;
  std::string unit;
  std::string aim;  // of the ratio, in words
  std::vector<Figure> boards;
};

// `native` or `ast1030`. Empty: the board does not start here, and why is on stderr.
std::vector<Row> MeasureBoard(const std::string& board);
// Rows of several boards in one table.
void PrintBoards(const std::vector<std::string>& names, const std::vector<std::vector<Row>>& boards);
// What faraday-firmware-cost prints of the telemetry, when it is there.
void PrintFirmwareCost();

}  // namespace faraday::hil
