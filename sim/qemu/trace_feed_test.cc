#include "sim/qemu/trace_feed.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

namespace faraday::sim::qemu {
namespace {

// Lines as QEMU 7.2.22 wrote them with -msg timestamp=on.
TEST(TraceLine, ExpanderPin) {
  const auto event = ParseTraceLine("10743@1795432168.027635:pca955x_gpio_change exp3 GPIO id:0 status: 0 -> 1");
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(std::get<ExpanderPinChanged>(*event), (ExpanderPinChanged{"exp3", 0, true}));
}

TEST(TraceLine, ExpanderPinReleasedWithoutTimeStamp) {
  const auto event = ParseTraceLine("pca955x_gpio_change exp15 GPIO id:15 status: 1 -> 0");
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(std::get<ExpanderPinChanged>(*event), (ExpanderPinChanged{"exp15", 15, false}));
}

TEST(TraceLine, GpioRegister) {
  const auto event = ParseTraceLine("10640@1795432127.129104:aspeed_gpio_write offset: 0x7c value 0x1");
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(std::get<GpioWritten>(*event), (GpioWritten{0x7C, 1}));
}

TEST(TraceLine, Reset) {
  const auto event = ParseTraceLine("16968@1795432505.174479:resettable_reset obj=0x5634fad94c00 cold=0");
  ASSERT_TRUE(event.has_value());
  EXPECT_TRUE(std::holds_alternative<MachineReset>(*event));
}

TEST(TraceLine, OtherAndBrokenLinesAreNoEvents) {
  for (const char* line : {"",
                           "qemu-system-arm: warning: something",
                           "pca955x_gpio_change",
                           "pca955x_gpio_change exp3",
                           "pca955x_gpio_change exp3 GPIO id:x status: 0 -> 1",
                           "pca955x_gpio_change exp3 GPIO id:16 status: 0 -> 1",
                           "pca955x_gpio_change exp3 GPIO id:1 status: 0 -> ",
                           "aspeed_gpio_write offset: 0x",
                           "aspeed_gpio_write offset: 0x78 value zero"}) {
    EXPECT_FALSE(ParseTraceLine(line).has_value()) << line;
  }
}

TEST(TraceFeed, JoinsLinesThatComeInPieces) {
  std::string dir = "/tmp/faraday-trace-XXXXXX";
  ASSERT_NE(mkdtemp(dir.data()), nullptr);
  const std::string path = dir + "/trace";
  {
    auto feed = TraceFeed::Create(path);
    ASSERT_TRUE(feed.ok()) << ToString(feed.status());
    const int writer = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_GE(writer, 0);
    const auto write_text = [writer](std::string_view text) {
      EXPECT_EQ(write(writer, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    };
    write_text("pca955x_gpio_change exp0 GPIO id:1 sta");
    EXPECT_TRUE(feed->Read().empty());
    write_text("tus: 0 -> 1\nnoise\naspeed_gpio_write offset: 0x78 value 0x0\n");
    const std::vector<TraceEvent> expected = {ExpanderPinChanged{"exp0", 1, true}, GpioWritten{0x78, 0}};
    EXPECT_EQ(feed->Read(), expected);
    close(writer);
  }
  unlink(path.c_str());
  rmdir(dir.c_str());
}

}  // namespace
}  // namespace faraday::sim::qemu
