#include "agent/core/wishes.h"

#include <tuple>

namespace faraday::agent {

bool Facts::SameAs(const Facts& other) const {
  const auto tie = [](const Facts& f) {
    return std::tie(
        f.adb_state, f.adb_serial, f.server_port, f.serial, f.model, f.os_version, f.battery_percent, f.booted);
  };
  return tie(*this) == tie(other);
}

const char* PhaseText(Phase phase) {
  static constexpr const char* kTexts[] = {
      "waiting for the controller to show the lease",
      "measuring VBUS before",
      "switching VBUS on",
      "connecting the data path",
      "waiting for adb to see the phone",
      "waiting for the phone to boot",
      "running the command",
      "looking whether the phone is still there",
      "measuring VBUS after",
      "opening the data path",
      "releasing the lease",
      "reading artefacts",
      "sending log and artefacts",
      "ended",
      "ended",
  };
  return kTexts[static_cast<size_t>(phase)];
}

}  // namespace faraday::agent
