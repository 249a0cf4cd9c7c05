#include "sim/phone/models.h"

namespace faraday::sim {
namespace {

using std::chrono_literals::operator""ms;

// Names, device codes and battery capacities are the makers' published ones. Times are chosen short, so that a demo
// waits seconds where a phone takes half a minute; their order follows the phones' class. Currents are chosen within
// what such phones draw at 5 V: tens of mA idle, about 2 W to 4 W while booting or working.
const PhoneModel kModels[] = {
    {.name = "pixel-8",
     .marketing = "Pixel 8",
     .manufacturer = "Google",
     .device = "shiba",
     .product = "shiba",
     .android = "14",
     .adbd_after = 1000ms,
     .boot_time = 2500ms,
     .idle_ma = 45,
     .boot_ma = 600,
     .active_ma = 420,
     .battery_mah = 4575},
    {.name = "pixel-7a",
     .marketing = "Pixel 7a",
     .manufacturer = "Google",
     .device = "lynx",
     .product = "lynx",
     .android = "13",
     .adbd_after = 1200ms,
     .boot_time = 2800ms,
     .idle_ma = 50,
     .boot_ma = 620,
     .active_ma = 430,
     .battery_mah = 4385},
    {.name = "galaxy-s23",
     .marketing = "SM-S911B",
     .manufacturer = "samsung",
     .device = "dm1q",
     .product = "dm1qxxx",
     .android = "14",
     .adbd_after = 1400ms,
     .boot_time = 3200ms,
     .idle_ma = 40,
     .boot_ma = 700,
     .active_ma = 500,
     .battery_mah = 3900},
    {.name = "redmi-note-12",
     .marketing = "23021RAAEG",
     .manufacturer = "Xiaomi",
     .device = "tapas",
     .product = "tapas_global",
     .android = "13",
     .adbd_after = 1500ms,
     .boot_time = 3500ms,
     .idle_ma = 55,
     .boot_ma = 520,
     .active_ma = 380,
     .battery_mah = 5000,
     .boots_on_vbus = false},
};

// Android version to API level, from the platform's table of releases.
constexpr struct {
  std::string_view android;
  std::string_view sdk;
} kSdks[] = {{"10", "29"}, {"11", "30"}, {"12", "31"}, {"13", "33"}, {"14", "34"}, {"15", "35"}};

}  // namespace

std::span<const PhoneModel> PhoneModels() { return kModels; }

const PhoneModel* FindPhoneModel(std::string_view name) {
  for (const PhoneModel& model : kModels) {
    if (model.name == name) return &model;
  }
  return nullptr;
}

std::string PhoneModelNames() {
  std::string names;
  for (const PhoneModel& model : kModels) names += (names.empty() ? "" : ", ") + model.name;
  return names;
}

std::string_view SdkOf(std::string_view android) {
  for (const auto& row : kSdks) {
    if (row.android == android) return row.sdk;
  }
  return {};
}

}  // namespace faraday::sim
