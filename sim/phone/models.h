// The phone models that a bench can be filled with: names, properties and electrical figures, as data.
// Not their behaviour: that is one state machine for all of them (phone.h).
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace faraday::sim {

struct PhoneModel {
  std::string name;            // what configs and selectors call it: "pixel-8"
  std::string marketing;       // ro.product.model
  std::string manufacturer;    // ro.product.manufacturer, ro.product.brand
  std::string device;          // ro.product.device
  std::string product;         // ro.product.name
  std::string android;         // ro.build.version.release as shipped; PhoneIdentity may override it
  Milliseconds adbd_after{0};  // from the start of a boot until it enumerates on USB
  Milliseconds boot_time{0};   // from the start of a boot until sys.boot_completed=1
  int idle_ma = 0;             // booted, screen off; these three in mA referred to VBUS 5 V
  int boot_ma = 0;             // booting
  int active_ma = 0;           // while commands or file transfers run
  int battery_mah = 0;         // typical capacity by the maker's data
  bool boots_on_vbus = false;  // whether VBUS at a switched-off phone starts it (few models do)
};

// All models, in the order of the table.
std::span<const PhoneModel> PhoneModels();
// Null when there is none of that name.
const PhoneModel* FindPhoneModel(std::string_view name);
// "pixel-8, pixel-7a, ..." for messages.
std::string PhoneModelNames();
// The API level of an Android version, "14" -> "34"; empty when unknown.
std::string_view SdkOf(std::string_view android);

}  // namespace faraday::sim
