#include "sim/plant/nor_flash.h"

#include <gtest/gtest.h>

#include <array>

namespace faraday::sim {
namespace {

using Bytes = std::array<uint8_t, 2>;

TEST(NorFlash, ProgramsClearBitsAndAnEraseSetsThem) {
  NorFlash flash;
  size_t changed = 0;
  flash.OnChange([&](size_t, size_t size) { changed += size; });
  ASSERT_TRUE(flash.Program(4096, Bytes{0x0F, 0xF0}, 0).ok());
  ASSERT_TRUE(flash.Program(4096, Bytes{0xF3, 0xF3}, 0).ok());
  Bytes read{};
  ASSERT_TRUE(flash.Read(4096, read, 0).ok());
  EXPECT_EQ(read, (Bytes{0x03, 0xF0}));
  ASSERT_TRUE(flash.Erase(4100, 10).ok());
  EXPECT_EQ(flash.Read(4096, read, 10 + NorFlash::kEraseMs - 1).code(), Code::kUnavailable) << "busy";
  ASSERT_TRUE(flash.Read(4096, read, 10 + NorFlash::kEraseMs).ok());
  EXPECT_EQ(read, (Bytes{0xFF, 0xFF}));
  EXPECT_EQ(changed, 4U + NorFlash::kSector);
}

TEST(NorFlash, FaultsAndTheEnd) {
  NorFlash flash;
  Bytes read{};
  EXPECT_EQ(flash.Read(NorFlash::kSize - 1, read, 0).code(), Code::kOutOfRange);
  flash.SetReadOnly(true);
  EXPECT_TRUE(flash.Program(0, Bytes{0, 0}, 0).ok());
  ASSERT_TRUE(flash.Read(0, read, 0).ok());
  EXPECT_EQ(read, (Bytes{0xFF, 0xFF}));
  flash.SetMissing(true);
  EXPECT_EQ(flash.Read(0, read, 0).code(), Code::kUnavailable);
}

}  // namespace
}  // namespace faraday::sim
