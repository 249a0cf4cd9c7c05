#include "link/vectors.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "link/human.h"

namespace faraday::link {
namespace {

Status ReadLine(std::string_view key, std::string_view value, const std::string& where, std::vector<Vector>& vectors) {
  if (key == "vector") {
    vectors.push_back({where, std::string(value), {}, {}, {}});
    return OkStatus();
  }
  if (vectors.empty()) return {Code::kInvalidArgument, where + ": the first line of a vector is \"vector: sentence\""};
  Vector& vector = vectors.back();
  if (key == "human")
    vector.human = value;
  else if (key == "outcome")
    vector.outcome = value;
  else if (key == "wire") {
    const auto bytes = FromHex(value);
    if (!bytes.ok()) return {Code::kInvalidArgument, where + ": " + bytes.status().message()};
    vector.wire.insert(vector.wire.end(), bytes->begin(), bytes->end());
  } else {
    return {Code::kInvalidArgument, fmt::format("{}: \"{}\" is none of vector, wire, human, outcome", where, key)};
  }
  return OkStatus();
}

}  // namespace

Result<std::vector<Vector>> ReadVectors(const std::string& path) {
  std::ifstream file(path);
  if (!file) return Status(Code::kNotFound, path + ": cannot be read");
  std::vector<Vector> vectors;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (line.empty() || line[0] == '#') continue;
    const std::string where = fmt::format("{}:{}", std::filesystem::path(path).filename().string(), number);
    const size_t colon = line.find(": ");
    if (colon == line.npos) return Status(Code::kInvalidArgument, where + ": a line is \"key: value\"");
    FARADAY_TRY(ReadLine(line.substr(0, colon), std::string_view(line).substr(colon + 2), where, vectors));
  }
  return vectors;
}

}  // namespace faraday::link
