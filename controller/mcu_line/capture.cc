#include "controller/mcu_line/capture.h"

#include <fmt/core.h>

#include <cerrno>
#include <cstring>
#include <iterator>

namespace faraday::controller {

Result<std::unique_ptr<Capture>> Capture::Open(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "ae");
  if (file == nullptr) {
    return Status{Code::kInvalidArgument, fmt::format("capture file {}: {}", path, std::strerror(errno))};
  }
  return std::unique_ptr<Capture>(new Capture(file));
}

Capture::~Capture() { std::fclose(file_); }

void Capture::Line(const char* arrow, std::span<const uint8_t> wire, BootTime at) {
  std::string line = fmt::format("{} {} ", at.time_since_epoch().count(), arrow);
  for (const uint8_t byte : wire) fmt::format_to(std::back_inserter(line), "{:02x}", byte);
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), file_);
  std::fflush(file_);
}

}  // namespace faraday::controller
