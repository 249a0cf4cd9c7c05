// The board's log in the emulated W25Q64: what is written, and what a reset leaves of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>

#include "hil-tests/qemu/board_line.h"

namespace faraday::hil {
namespace {

using link::LogKind;
using Record = LinkClient::Record;

class QemuLog : public BoardLine {
 protected:
  std::vector<Record> Log() {
    auto log = line_->ReadLog();
    EXPECT_TRUE(log.ok()) << ToString(log.status());
    return log.ok() ? *log : std::vector<Record>{};
  }
  static bool Holds(const std::vector<Record>& log, uint32_t boot, LogKind kind, uint32_t detail = 0) {
    return std::ranges::any_of(log,
                               [&](const Record& r) { return r.boot == boot && r.kind == kind && r.detail == detail; });
  }
};

TEST_F(QemuLog, SurvivesAReset) {
  ASSERT_NO_FATAL_FAILURE(BootAndGreet());
  EXPECT_EQ(Greet().boot_number, 1U) << "a blank flash";
  ConfigureAndLease();
  ASSERT_TRUE(line_->SendStop().ok());
  ASSERT_TRUE(Eventually([this] { return Holds(Log(), 1, LogKind::kStop, 1); })) << "the stop frame";
  const std::vector<Record> before = Log();
  PressReset();
  ASSERT_TRUE(Eventually([this] { return plant().resets() > 0; }));
  EXPECT_EQ(Greet().boot_number, 2U);
  ASSERT_TRUE(Eventually([this] { return Holds(Log(), 2, LogKind::kHello); }));
  const std::vector<Record> after = Log();
  ASSERT_GE(after.size(), before.size());
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(after[i].value, before[i].value) << i;
  EXPECT_TRUE(Holds(after, 1, LogKind::kBoot));
  EXPECT_TRUE(Holds(after, 1, LogKind::kConfigured));
  EXPECT_TRUE(Holds(after, 2, LogKind::kBoot));
  const auto telemetry = line_->NextTelemetry();
  ASSERT_TRUE(telemetry.ok());
  EXPECT_EQ(telemetry->faults & link::kFaultLog, 0U);
  std::cout << "log: " << after.size() << " records over two boots\n";
}

}  // namespace
}  // namespace faraday::hil
