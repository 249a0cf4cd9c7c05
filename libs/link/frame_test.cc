#include "link/frame.h"

#include <gtest/gtest.h>

#include <random>
#include <string_view>
#include <vector>

namespace faraday::link {
namespace {

std::vector<uint8_t> Encode(const FrameHeader& header, const std::vector<uint8_t>& payload) {
  std::vector<uint8_t> wire(kMaxWire);
  const auto length = EncodeFrame(header, payload, wire);
  EXPECT_TRUE(length.ok()) << ToString(length.status());
  wire.resize(*length);
  return wire;
}

// The outcome of the last byte.
FrameDecoder::Outcome FeedAll(FrameDecoder& decoder, const std::vector<uint8_t>& wire) {
  auto outcome = FrameDecoder::Outcome::kNeedMore;
  for (uint8_t byte : wire) outcome = decoder.Feed(byte);
  return outcome;
}

const FrameHeader kHeader{.channel = Channel::kCommand, .session = 0x01020304, .term = 7, .seq = 0x0100, .ack = 0xFF00};

TEST(Crc32, MatchesThePublishedCheckValue) {
  const std::string_view check = "123456789";  // the customary check input of CRC catalogues
  const std::vector<uint8_t> bytes(check.begin(), check.end());
  EXPECT_EQ(Crc32(bytes), 0xCBF43926U);
}

TEST(Frame, EveryPayloadLengthComesBack) {
  std::mt19937 random(1);
  for (size_t length = 0; length <= kMaxPayload; ++length) {
    std::vector<uint8_t> payload(length);
    const bool dense = length % 3 == 0;  // runs without a zero reach COBS's longest group
    for (auto& byte : payload) byte = static_cast<uint8_t>(dense ? 1 + random() % 255 : random() % 3);
    const auto wire = Encode(kHeader, payload);
    EXPECT_LE(wire.size(), kMaxWire);
    for (size_t i = 1; i + 1 < wire.size(); ++i) ASSERT_NE(wire[i], 0) << "zero inside the frame";
    FrameDecoder decoder;
    ASSERT_EQ(FeedAll(decoder, wire), FrameDecoder::Outcome::kFrame) << length;
    EXPECT_EQ(decoder.frame().header, kHeader);
    EXPECT_TRUE(
        std::equal(payload.begin(), payload.end(), decoder.frame().payload.begin(), decoder.frame().payload.end()));
  }
}

TEST(Frame, PayloadTooLong_IsRefused) {
  std::vector<uint8_t> wire(2 * kMaxWire);
  EXPECT_EQ(EncodeFrame(kHeader, std::vector<uint8_t>(kMaxPayload + 1), wire).status().code(), Code::kInvalidArgument);
}

TEST(Frame, BufferTooSmall_IsRefusedAtEveryLength) {
  const auto whole = Encode(kHeader, std::vector<uint8_t>(300, 9));
  for (size_t size = 0; size < whole.size(); ++size) {
    std::vector<uint8_t> out(size);
    EXPECT_EQ(EncodeFrame(kHeader, std::vector<uint8_t>(300, 9), out).status().code(), Code::kResourceExhausted);
  }
}

TEST(FrameDecoder, AnyFlippedBitIsSeen) {
  const auto wire = Encode(kHeader, {1, 2, 0, 3, 0, 0, 4});
  for (size_t bit = 8; bit + 8 < wire.size() * 8; ++bit) {
    auto damaged = wire;
    damaged[bit / 8] = static_cast<uint8_t>(damaged[bit / 8] ^ 1U << bit % 8);
    FrameDecoder decoder;
    for (uint8_t byte : damaged) EXPECT_NE(decoder.Feed(byte), FrameDecoder::Outcome::kFrame) << bit;
  }
}

TEST(FrameDecoder, FindsTheNextFrameAfterGarbage) {
  FrameDecoder decoder;
  FeedAll(decoder, {0x55, 0xAA, 0x00, 0x03, 0x11});
  EXPECT_EQ(FeedAll(decoder, Encode(kHeader, {5})), FrameDecoder::Outcome::kFrame);
  EXPECT_EQ(decoder.dropped(), 2U);
}

TEST(FrameDecoder, NamesWhyItDropped) {
  FrameDecoder decoder;
  EXPECT_EQ(FeedAll(decoder, {0x05, 0x01, 0x00}), FrameDecoder::Outcome::kBadCobs);
  EXPECT_EQ(FeedAll(decoder, {0x03, 0x01, 0x02, 0x00}), FrameDecoder::Outcome::kTooShort);
  std::vector<uint8_t> endless(3000, 0x01);
  endless.push_back(0);
  EXPECT_EQ(FeedAll(decoder, endless), FrameDecoder::Outcome::kTooLong);
  auto damaged = Encode(kHeader, {1, 2, 3});
  damaged[damaged.size() - 2] ^= 0x40;
  const auto outcome = FeedAll(decoder, damaged);
  EXPECT_TRUE(outcome == FrameDecoder::Outcome::kBadCrc || outcome == FrameDecoder::Outcome::kBadCobs);
  EXPECT_EQ(FeedAll(decoder, Encode(kHeader, {})), FrameDecoder::Outcome::kFrame);
  EXPECT_EQ(decoder.dropped(), 4U);
}

TEST(FrameDecoder, RandomBytesNeverCrashAndNeverPass) {
  std::mt19937 random(2);
  FrameDecoder decoder;
  for (int i = 0; i < 300'000; ++i) {
    const auto byte = static_cast<uint8_t>(random() % (i % 2 == 0 ? 256 : 4));
    ASSERT_NE(decoder.Feed(byte), FrameDecoder::Outcome::kFrame);
  }
}

}  // namespace
}  // namespace faraday::link
