// What adb and Android say as text, as values. Pure functions.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace faraday::agent {

struct AdbDevice {
  std::string serial;  // adb's name of the transport
  std::string state;   // "device", "offline", "unauthorized", "no permissions", ...
  std::string usb;     // "1-1.4", empty for TCP
};

// The answer of host:devices-l; lines out of form are left out.
std::vector<AdbDevice> ParseDevices(std::string_view text);
// The answer of getprop: "[ro.serialno]: [X]" lines.
std::map<std::string, std::string> ParseProperties(std::string_view text);
// "  level: 73" of dumpsys battery; -1 when it is not there or not 0 to 100.
int ParseBatteryLevel(std::string_view text);
// "Pixel 8" -> "pixel-8": lower case; what no selector can hold becomes '-'.
std::string SelectorSpelling(std::string_view model);

}  // namespace faraday::agent
