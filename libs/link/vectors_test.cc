// Every vector, through decoder and encoder.
#include "link/vectors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "link/human.h"

namespace faraday::link {
namespace {

namespace fs = std::filesystem;

std::vector<Vector> AllVectors() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(FARADAY_SOURCE_DIR "/libs/link/vectors"))
    files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<Vector> all;
  for (const auto& file : files) {
    const auto vectors = ReadVectors(file.string());
    EXPECT_TRUE(vectors.ok()) << ToString(vectors.status());
    if (vectors.ok()) all.insert(all.end(), vectors->begin(), vectors->end());
  }
  return all;
}

Direction DirectionOf(const Vector& vector) {
  return vector.human.starts_with("->") ? Direction::kToMcu : Direction::kToHost;
}

TEST(Vectors, DecoderReadsThem) {
  const auto vectors = AllVectors();
  EXPECT_GE(vectors.size(), 40U);
  for (const Vector& vector : vectors) {
    FrameDecoder decoder;
    auto outcome = FrameDecoder::Outcome::kNeedMore;
    for (uint8_t byte : vector.wire) outcome = decoder.Feed(byte);
    EXPECT_EQ(OutcomeName(outcome), vector.outcome.empty() ? "frame" : vector.outcome) << vector.where;
    if (outcome == FrameDecoder::Outcome::kFrame) {
      EXPECT_EQ(Describe(DirectionOf(vector), decoder.frame()), vector.human) << vector.where;
    }
  }
}

TEST(Vectors, EncoderWritesThem) {
  for (const Vector& vector : AllVectors()) {
    if (vector.human.empty()) continue;
    const auto frame = ParseHuman(vector.human);
    ASSERT_TRUE(frame.ok()) << vector.where << " " << ToString(frame.status());
    std::vector<uint8_t> wire(kMaxWire);
    const auto length = EncodeFrame(frame->header, frame->payload, wire);
    ASSERT_TRUE(length.ok());
    wire.resize(*length);
    EXPECT_EQ(ToHex(wire), ToHex(vector.wire)) << vector.where << " " << vector.sentence;
  }
}

TEST(Vectors, MistakesNameFileAndLine) {
  EXPECT_EQ(ReadVectors("/nonexistent/none.txt").status().code(), Code::kNotFound);
  const fs::path path = fs::path(testing::TempDir()) / "bad-vectors.txt";
  for (const auto& [text, message] :
       {std::pair{"wire: 00\n", "bad-vectors.txt:1: the first line of a vector"},
        {"# ok\nvector: a\nwire: 0g\n", "bad-vectors.txt:3: \"0g\": not a hexadecimal byte"},
        {"vector: a\nwires: 00\n", "bad-vectors.txt:2: \"wires\" is none of"}}) {
    std::FILE* file = std::fopen(path.c_str(), "w");
    ASSERT_NE(file, nullptr);
    std::fputs(text, file);
    std::fclose(file);
    const auto vectors = ReadVectors(path.string());
    EXPECT_TRUE(vectors.status().message().starts_with(message)) << ToString(vectors.status());
  }
  fs::remove(path);
}

}  // namespace
}  // namespace faraday::link
