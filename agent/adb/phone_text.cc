#include "agent/adb/phone_text.h"

#include <cctype>
#include <charconv>

namespace faraday::agent {
namespace {

std::vector<std::string_view> Lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    lines.push_back(line);
  }
  return lines;
}

std::string_view Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace

std::vector<AdbDevice> ParseDevices(std::string_view text) {
  std::vector<AdbDevice> devices;
  for (const std::string_view line : Lines(text)) {
    const size_t serial_end = line.find_first_of(" \t");
    if (serial_end == std::string_view::npos || serial_end == 0) continue;
    std::string_view rest = Trim(line.substr(serial_end));
    AdbDevice device{std::string(line.substr(0, serial_end)), "", ""};
    constexpr std::string_view kNoPermissions = "no permissions";
    device.state = rest.starts_with(kNoPermissions) ? kNoPermissions : rest.substr(0, rest.find(' '));
    const size_t usb = rest.find("usb:");
    if (usb != std::string_view::npos) {
      const std::string_view path = rest.substr(usb + 4);
      device.usb = path.substr(0, path.find(' '));
    }
    if (!device.state.empty()) devices.push_back(std::move(device));
  }
  return devices;
}

std::map<std::string, std::string> ParseProperties(std::string_view text) {
  std::map<std::string, std::string> properties;
  for (const std::string_view line : Lines(text)) {
    const size_t middle = line.find("]: [");
    if (!line.starts_with('[') || middle == std::string_view::npos || !line.ends_with(']')) continue;
    const size_t value = middle + 4;
    properties[std::string(line.substr(1, middle - 1))] = line.substr(value, line.size() - value - 1);
  }
  return properties;
}

int ParseBatteryLevel(std::string_view text) {
  for (const std::string_view line : Lines(text)) {
    const std::string_view trimmed = Trim(line);
    if (!trimmed.starts_with("level:")) continue;
    const std::string_view number = Trim(trimmed.substr(6));
    int level = -1;
    std::from_chars(number.data(), number.data() + number.size(), level);
    return level >= 0 && level <= 100 ? level : -1;
  }
  return -1;
}

std::string SelectorSpelling(std::string_view model) {
  std::string text;
  for (const char c : Trim(model)) {
    const auto byte = static_cast<unsigned char>(c);
    const bool allowed = std::isalnum(byte) != 0 || c == '_' || c == '.' || c == '+' || c == '-';
    const char out = allowed ? static_cast<char>(std::tolower(byte)) : '-';
    if (out != '-' || text.empty() || text.back() != '-') text += out;
  }
  return text;
}

}  // namespace faraday::agent
