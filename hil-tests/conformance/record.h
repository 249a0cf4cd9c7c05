// What one board did in one script, as lines that can be laid beside another board's: the script's line, and what was
// said. As a file and in memory. Comparing knows tolerances, no board.
//
//   script vbus
//   board native
//   tolerance vbus_mv=60
//   14 event command_done command_id=3 code=ok slot=7 vbus_mv=5023 ...
//   end passed
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace faraday::hil {

struct Record {
  struct Row {
    int line = 0;  // of the script
    std::string text;
  };
  std::string script;
  std::string board;
  std::map<std::string, int> tolerance;
  std::vector<Row> rows;
  bool passed = false;
};

std::string ToText(const Record& record);
// Errors: kDataLoss what is no record, with the line.
Result<Record> ParseRecord(const std::string& text);

// Empty when both did the same: order and content, measured values within the tolerance of `left`. Else the rows side
// by side around the first difference.
std::string Difference(const Record& left, const Record& right);

}  // namespace faraday::hil
