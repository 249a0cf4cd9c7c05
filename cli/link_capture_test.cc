#include "cli/link_capture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace faraday::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

std::vector<CapturedFrame> Read(const std::vector<std::string>& lines) {
  std::vector<CapturedFrame> frames;
  CaptureReader reader([&](const CapturedFrame& frame) { frames.push_back(frame); });
  for (const std::string& line : lines) reader.Line(line);
  return frames;
}

// "ping" of libs/link/vectors/commands.txt.
constexpr char kPing[] = "00 03 01 02 01 02 01 04 ed 5e 01 01 01 02 01 01 01 0b 08 65 12 02 08 07 18 18 ee db 00";
constexpr char kPingWords[] = "-> command #1 (session=0x5eed0001 term=1) id=101 ping nonce=7";

TEST(CaptureReader, ReadsTimedLinesAndBareHex) {
  const auto frames = Read({"# a capture", "", std::string("120 -> ") + kPing, kPing});
  ASSERT_THAT(frames, SizeIs(2));
  EXPECT_EQ(frames[0].at_ms, "120");
  EXPECT_EQ(frames[0].text, kPingWords);
  EXPECT_EQ(frames[1].at_ms, "");
  EXPECT_EQ(frames[1].text, kPingWords);
}

TEST(CaptureReader, AFrameMayGoOverSeveralLines) {
  const auto frames = Read({"1 -> 00 03 01 02 01 02 01 04 ed 5e 01 01 01 02 01",
                            "2 <- 00",
                            "3 -> 01 01 0b 08 65 12 02 08 07 18 18 ee db 00"});
  ASSERT_THAT(frames, SizeIs(1));
  EXPECT_EQ(frames[0].text, kPingWords);
}

TEST(CaptureReader, DamageIsNamedAndTheNextFrameIsRead) {
  std::string damaged = kPing;
  damaged.replace(damaged.find("08 65"), 5, "09 65");
  const auto frames = Read({"1 -> " + damaged, std::string("2 -> ") + kPing, "3 -> zz"});
  ASSERT_THAT(frames, SizeIs(3));
  EXPECT_FALSE(frames[0].good);
  EXPECT_THAT(frames[0].text, HasSubstr("bad_crc (line 1)"));
  EXPECT_TRUE(frames[1].good);
  EXPECT_THAT(frames[2].text, HasSubstr("line 3 is no capture"));
}

TEST(CaptureReader, DecodesEveryVectorFile) {
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(FARADAY_SOURCE_DIR "/libs/link/vectors")) {
    if (entry.path().filename() == "commands.txt" || entry.path().filename() == "events.txt") {
      ++files;
      size_t good = 0;
      CaptureReader reader([&](const CapturedFrame& frame) {
        EXPECT_TRUE(frame.good) << entry.path() << ": " << frame.text;
        ++good;
      });
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) reader.Line(line);
      EXPECT_GE(good, 5U) << entry.path();
    }
  }
  EXPECT_EQ(files, 2U);
}

}  // namespace
}  // namespace faraday::cli
