#include "lab/core/attributes.h"

#include <array>
#include <string_view>

namespace faraday::lab {
namespace {

constexpr std::array<std::string_view, 6> kPhoneKeys = {"platform", "model", "os", "serial", "battery", "adb"};

// The config names a model only; its family gives the platform until an agent has seen the phone.
std::string ExpectedPlatform(const std::string& expected) {
  if (expected.empty()) return "";
  return expected.starts_with("iphone") || expected.starts_with("ipad") ? "ios" : "android";
}

const std::string& FirstKnown(const std::string& seen, const std::string& expected) {
  return seen.empty() ? expected : seen;
}

}  // namespace

model::Attributes AttributesOf(const SlotFacts& slot) {
  const DeviceFacts& device = slot.device;
  model::Attributes attributes = slot.labels;
  const auto set = [&](const char* key, const std::string& value) {
    if (value.empty()) {
      attributes.erase(key);
    } else {
      attributes[key] = value;
    }
  };
  set("rack", slot.slot.rack);
  set("slot", model::ToString(slot.slot));
  set("platform", FirstKnown(device.platform, ExpectedPlatform(device.expected)));
  set("model", FirstKnown(device.model, device.expected));
  set("expected", device.expected);
  set("os", device.os_version);
  set("serial", device.serial);
  set("battery", !device.never_seen && device.battery_percent >= 0 ? std::to_string(device.battery_percent) : "");
  set("adb", device.never_seen ? "" : device.adb_state);
  return attributes;
}

bool MayChange(const SlotFacts& slot, const std::string& key) {
  if (key == "battery" || key == "adb") return true;
  if (!slot.device.never_seen || slot.hosts.empty()) return false;
  if (key == "model" || key == "platform") return slot.device.expected.empty();
  for (const auto phone_key : kPhoneKeys) {
    if (key == phone_key) return true;
  }
  return false;
}

bool HasPhone(const SlotFacts& slot) {
  if (slot.device.never_seen) return !slot.device.expected.empty();
  return slot.device.adb_state != "absent";
}

}  // namespace faraday::lab
