#include "sim/line_proxy/line_damager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "link/frame.h"

namespace faraday::sim {
namespace {

using testing::HasSubstr;
using Bytes = std::vector<uint8_t>;

// A frame whose payload begins with its number.
Bytes FrameOf(uint16_t number, size_t size = 20) {
  Bytes payload(size, 0x5A);
  Bytes wire(link::kMaxWire);
  const link::FrameHeader header{.channel = link::Channel::kCommand, .session = 7, .term = 1, .seq = number};
  wire.resize(*link::EncodeFrame(header, payload, wire));
  return wire;
}

std::vector<uint16_t> NumbersIn(const Bytes& bytes) {
  std::vector<uint16_t> numbers;
  link::FrameDecoder decoder;
  for (const uint8_t byte : bytes) {
    if (decoder.Feed(byte) == link::FrameDecoder::Outcome::kFrame) numbers.push_back(decoder.frame().header.seq);
  }
  return numbers;
}

DamageRates Only(Damage kind, uint32_t per_million = DamageRates::kAll) {
  DamageRates rates;
  rates[kind] = per_million;
  return rates;
}

// 100 frames a millisecond apart; what came out, with the last of it a second later.
Bytes Through(LineDamager& damager, Way way = Way::kToBoard, uint16_t frames = 100) {
  Bytes out;
  uint64_t now = 1000;
  for (uint16_t i = 1; i <= frames; ++i) {
    damager.Feed(way, FrameOf(i), ++now);
    damager.Take(way, now, out);
  }
  damager.Take(way, now + 1000, out);
  return out;
}

TEST(LineDamager, WithoutRates_PassesEveryByteAtOnce) {
  LineDamager damager({}, 1);
  const Bytes frame = FrameOf(1);
  Bytes out;
  damager.Feed(Way::kToHost, std::span(frame).first(5), 10);
  damager.Take(Way::kToHost, 10, out);
  EXPECT_TRUE(out.empty()) << "an unfinished frame waits";
  EXPECT_FALSE(damager.idle());
  damager.Feed(Way::kToHost, std::span(frame).subspan(5), 11);
  damager.Take(Way::kToHost, 11, out);
  EXPECT_EQ(out, frame);
  EXPECT_TRUE(damager.idle());
  EXPECT_EQ(damager.counts(Way::kToHost).frames, 1u);
  EXPECT_EQ(damager.counts(Way::kToBoard).frames, 0u);
}

TEST(LineDamager, SameSeed_SameDamage_OtherSeed_Other) {
  const DamageRates rates = DamageRates::Mixed(300'000);
  LineDamager first(rates, 7);
  LineDamager second(rates, 7);
  LineDamager third(rates, 8);
  const Bytes out = Through(first);
  EXPECT_EQ(out, Through(second));
  EXPECT_NE(out, Through(third));
}

TEST(LineDamager, Drop_LosesTheFrameWhole) {
  LineDamager damager(Only(Damage::kDrop), 1);
  EXPECT_TRUE(Through(damager).empty());
  EXPECT_EQ(damager.counts(Way::kToBoard).damaged(), 100u);
}

TEST(LineDamager, CorruptAndHalf_ReachNobodyAsWholeFrames) {
  for (const Damage kind : {Damage::kCorrupt, Damage::kHalf}) {
    LineDamager damager(Only(kind), 1);
    const Bytes out = Through(damager, Way::kToBoard, 1000);
    EXPECT_FALSE(out.empty());
    // A zero in place of a zero, an insertion in the border and the like change nothing.
    EXPECT_LT(NumbersIn(out).size(), 60u) << ToString(kind);
  }
}

TEST(LineDamager, Duplicate_BringsEachTwice) {
  LineDamager damager(Only(Damage::kDuplicate), 1);
  auto numbers = NumbersIn(Through(damager));
  EXPECT_EQ(numbers.size(), 200u);
  std::sort(numbers.begin(), numbers.end());
  for (size_t i = 0; i < numbers.size(); ++i) EXPECT_EQ(numbers[i], i / 2 + 1);
}

TEST(LineDamager, Reorder_LosesNothingAndMovesAtMostThreePlaces) {
  LineDamager damager(Only(Damage::kReorder, 200'000), 3);
  const auto numbers = NumbersIn(Through(damager));
  EXPECT_EQ(numbers.size(), 100u);
  EXPECT_FALSE(std::is_sorted(numbers.begin(), numbers.end()));
  for (size_t i = 0; i + 4 < numbers.size(); ++i) EXPECT_LE(std::abs(numbers[i] - static_cast<int>(i) - 1), 4) << i;
}

TEST(LineDamager, ReorderedFrameThatNoneFollows_ComesLate) {
  LineDamager damager(Only(Damage::kReorder), 1);
  damager.Feed(Way::kToBoard, FrameOf(1), 1000);
  Bytes out;
  damager.Take(Way::kToBoard, 1100, out);
  EXPECT_TRUE(out.empty());
  ASSERT_TRUE(damager.NextDue());
  damager.Take(Way::kToBoard, *damager.NextDue(), out);
  EXPECT_EQ(out, FrameOf(1));
}

TEST(LineDamager, Delay_KeepsOrderAndLosesNothing) {
  LineDamager damager(Only(Damage::kDelay, 100'000), 1);
  Bytes out;
  damager.Feed(Way::kToBoard, FrameOf(1), 1000);
  for (uint16_t i = 2; i <= 50; ++i) damager.Feed(Way::kToBoard, FrameOf(i), 1001);
  damager.Take(Way::kToBoard, 1002, out);
  EXPECT_LT(NumbersIn(out).size(), 50u);
  damager.Take(Way::kToBoard, 5000, out);
  const auto numbers = NumbersIn(out);
  EXPECT_EQ(numbers.size(), 50u);
  EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
}

TEST(LineDamager, Cut_StopsBothWaysForAWhile) {
  LineDamager damager(Only(Damage::kCut), 1);
  damager.Feed(Way::kToBoard, FrameOf(1), 1000);
  damager.Set({}, std::nullopt);
  damager.Feed(Way::kToHost, FrameOf(2), 1010);
  damager.Feed(Way::kToHost, FrameOf(3), 1300);
  Bytes out;
  damager.Take(Way::kToHost, 2000, out);
  EXPECT_THAT(NumbersIn(out), testing::ElementsAre(3));
  EXPECT_EQ(damager.counts(Way::kToHost).lost_in_cuts, 1u);
}

TEST(LineDamager, Mixed_DamagesTheShareItWasAskedFor) {
  const DamageRates rates = DamageRates::Mixed(50'000);
  EXPECT_EQ(rates.sum(), 50'000u);
  LineDamager damager(rates, 11);
  for (uint32_t i = 0; i < 100'000; ++i) damager.Feed(Way::kToHost, FrameOf(1, 1), i * 10);
  const DamageCounts& counts = damager.counts(Way::kToHost);
  EXPECT_NEAR(static_cast<double>(counts.damaged() - counts.lost_in_cuts), 5000, 400);
  for (size_t i = 0; i < kDamages; ++i) EXPECT_GT(counts.by_kind[i], 20u) << ToString(static_cast<Damage>(i));
  EXPECT_THAT(Describe(counts), HasSubstr("100000 frames"));
}

TEST(LineDamager, WhatNeverEnds_PassesAndDoesNotPileUp) {
  LineDamager damager(Only(Damage::kDrop), 1);
  Bytes out;
  damager.Feed(Way::kToBoard, Bytes(10'000, 0x55), 1);
  damager.Take(Way::kToBoard, 1, out);
  EXPECT_GT(out.size(), 8'000u);
}

TEST(LineDamager, Forget_LosesWhatIsUnderWay) {
  LineDamager damager(Only(Damage::kReorder), 1);
  damager.Feed(Way::kToBoard, FrameOf(1), 1);
  damager.Feed(Way::kToBoard, FrameOf(2, 5), 1);
  damager.Forget(Way::kToBoard);
  EXPECT_TRUE(damager.idle());
}

TEST(Percent, IsReadAndRefusedWithItsRange) {
  EXPECT_EQ(*ParsePercent("5%"), 50'000u);
  EXPECT_EQ(*ParsePercent("0.25"), 2'500u);
  EXPECT_EQ(*ParsePercent("100%"), 1'000'000u);
  for (const char* wrong : {"", "%", "101%", "-1", "five", "5%%", "nan"}) {
    EXPECT_THAT(ParsePercent(wrong).status().message(), HasSubstr("0% to 100%")) << wrong;
  }
}

}  // namespace
}  // namespace faraday::sim
