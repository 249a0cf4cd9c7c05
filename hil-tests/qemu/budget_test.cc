// The stack that the image uses against the stack that its build computed: measured must stay below.
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <iostream>
#include <map>
#include <string>

#include "hil-tests/qemu/board_line.h"

namespace faraday::hil {
namespace {

// The image's build wrote lines of `name value unit`.
std::map<std::string, uint32_t> Computed() {
  std::map<std::string, uint32_t> figures;
  std::ifstream file(FARADAY_FIRMWARE_BUDGET);
  std::string name, unit;
  for (uint32_t value = 0; file >> name >> value >> unit;) figures[name] = value;
  return figures;
}

class QemuBudget : public BoardLine {
 protected:
  // A telemetry whose mark was looked at after now: the board looks once a second.
  link::Telemetry FreshMark() {
    link::Telemetry last;
    uint32_t asked_ms = 0;
    EXPECT_TRUE(Eventually([&] {
      const auto telemetry = line_->NextTelemetry();
      if (!telemetry.ok()) return false;
      last = *telemetry;
      if (asked_ms == 0) asked_ms = last.uptime_ms;
      return last.uptime_ms - asked_ms > 2000;
    })) << "no telemetry for two seconds of the board's time";
    return last;
  }
  // Every kind of command, writes to the EEPROM, a trip, bad frames, the stop path.
  void Exercise() {
    ConfigureAndLease();
    Finish(MustDo(link::SetVbus{.slot = kSlot, .epoch = epoch_, .on = true}));
    Finish(MustDo(link::SetShield{.slot = kSlot, .epoch = epoch_, .couple = true}));
    Finish(MustDo(link::SetData{.slot = kSlot, .epoch = epoch_, .path = link::DataPath::kCharge, .host_index = 0}));
    plant().SetLoad(kSlot, 3500);
    EXPECT_TRUE(line_->WaitTrip().ok());
    std::array<uint8_t, 1500> noise{};
    for (size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<uint8_t>(i * 37 % 256);
    EXPECT_TRUE(line_->SendRaw(noise).ok());
    EXPECT_TRUE(line_->SendStop().ok());
    MustReply(link::ClearTrip{.slot = 0});
  }
};

TEST_F(QemuBudget, MeasuredStackStaysBelowTheComputedWorstCase) {
  ASSERT_NO_FATAL_FAILURE(BootAndGreet());
  const auto computed = Computed();
  ASSERT_TRUE(computed.contains("stack_worst")) << "no figures in " << FARADAY_FIRMWARE_BUDGET;
  const uint32_t worst = computed.at("stack_worst");
  Exercise();
  const uint32_t measured = FreshMark().stack_high_water_bytes;
  RecordProperty("stack_high_water_bytes", static_cast<int>(measured));
  std::cout << "stack: measured " << measured << ", computed worst case " << worst << ", there is "
            << computed.at("stack_size") << " bytes\n";
  EXPECT_GT(measured, worst / 4) << "the mark does not show what the firmware did";
  EXPECT_LE(measured, worst);
  EXPECT_LE(worst, computed.at("stack_size"));
}

}  // namespace
}  // namespace faraday::hil
