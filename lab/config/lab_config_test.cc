#include "lab/config/lab_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

namespace faraday::lab {
namespace {

using ::testing::HasSubstr;

class LabConfigTest : public ::testing::Test {
 protected:
  std::string Read(const std::string& text) {
    std::string path = (std::filesystem::temp_directory_path() / "lab-config-XXXXXX").string();
    const int fd = ::mkstemp(path.data());
    EXPECT_EQ(::write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    ::close(fd);
    config_ = {};
    const std::string mistakes = rackconfig::Describe(ReadLabConfig(path, &config_));
    std::filesystem::remove(path);
    return mistakes;
  }
  LabConfig config_;
};

TEST_F(LabConfigTest, GoodFile) {
  EXPECT_EQ(Read("listen: tcp://127.0.0.1:0\n"
                 "state_dir: /tmp/x\n"
                 "racks:\n"
                 "  - {rack: r01, controller: \"tcp://127.0.0.1:7700\", events: \"tcp://127.0.0.1:7701\"}\n"),
            "");
  ASSERT_EQ(config_.racks.size(), 1u);
  EXPECT_EQ(config_.racks[0].controller, "tcp://127.0.0.1:7700");
  EXPECT_EQ(config_.listen, "tcp://127.0.0.1:0");
  EXPECT_EQ(config_.state_dir, "/tmp/x");
}

TEST_F(LabConfigTest, EveryMistakeAtOnceWithItsLine) {
  const std::string mistakes = Read(
      "lisen: tcp://127.0.0.1:0\n"
      "events: 7711\n"
      "racks:\n"
      "  - {rack: r01}\n");
  EXPECT_THAT(mistakes, HasSubstr(":1: "));
  EXPECT_THAT(mistakes, HasSubstr("listen"));
  EXPECT_THAT(mistakes, HasSubstr(":2: "));
  EXPECT_THAT(mistakes, HasSubstr("controller"));
}

TEST_F(LabConfigTest, PlainIsForLoopbackOnly) {
  const std::string far = "events: tcp://*:7711\nracks:\n  - {rack: r01, controller: \"tcp://rack1.example:7700\"}\n";
  EXPECT_EQ(Read(far), "");
  EXPECT_EQ(config_.security, rackconfig::Security::kCurve);
  const std::string mistakes = Read("security: plain\n" + far);
  EXPECT_THAT(mistakes, HasSubstr(":2: events: \"tcp://*:7711\" is not a loopback address"));
  EXPECT_THAT(mistakes, HasSubstr(":4: rack r01: controller: \"tcp://rack1.example:7700\" is not a loopback address"));
}

TEST_F(LabConfigTest, RackNamesAreCheckedAndSingle) {
  EXPECT_THAT(Read("racks:\n  - {rack: r01, controller: \"tcp://127.0.0.1:1\"}\n"
                   "  - {rack: r01, controller: \"tcp://127.0.0.1:2\"}\n"),
              HasSubstr(":3: rack: 'r01' is listed twice, first in line 2"));
  EXPECT_THAT(Read("racks:\n  - {rack: Rack One, controller: \"tcp://127.0.0.1:1\"}\n"), HasSubstr("is no rack name"));
  EXPECT_THAT(Read("racks: []\n"), HasSubstr("racks: is empty"));
}

}  // namespace
}  // namespace faraday::lab
