#include "sim/qemu/qemu_process.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace faraday::sim::qemu {
namespace {

size_t Count(const std::vector<std::string>& arguments, std::string_view begin, std::string_view end = "") {
  return static_cast<size_t>(
      std::ranges::count_if(arguments, [&](const std::string& a) { return a.starts_with(begin) && a.ends_with(end); }));
}

TEST(MachineArguments, EveryChipOfTheFullRackIsThere) {
  const auto arguments = MachineArguments(MachineFiles("/tmp/x"), "/tmp/x.elf");
  EXPECT_EQ(Count(arguments, "adm1272,"), 32U);
  EXPECT_EQ(Count(arguments, "tmp105,"), 32U);
  EXPECT_EQ(Count(arguments, "pca9552,"), 16U);
  EXPECT_EQ(Count(arguments, "at24c-eeprom,"), 1U);
  EXPECT_EQ(Count(arguments, "at24c-eeprom,", "writable=off"), 0U);
  EXPECT_EQ(Count(arguments, "pca9552,id=exp3,bus=aspeed.i2c.bus.4,address=99,description=exp3"),
            1U);  // 0x63: slots 7, 8
}

TEST(MachineArguments, TheFlashIsTheBoardsOwn) {
  const auto arguments = MachineArguments(MachineFiles("/tmp/x"), "/tmp/x.elf");
  EXPECT_EQ(Count(arguments, "ast1030-evb,fmc-model=w25q64"), 1U);
  EXPECT_EQ(Count(arguments, "if=mtd,format=raw,file=/tmp/x/flash.img"), 1U);
}

TEST(MachineArguments, FaultsTakePartsAway) {
  const auto arguments =
      MachineArguments(MachineFiles("/tmp/x"), "/tmp/x.elf", {.missing = {"exp3", "mon1"}, .eeprom_read_only = true});
  EXPECT_EQ(Count(arguments, "pca9552,"), 15U);
  EXPECT_EQ(Count(arguments, "adm1272,"), 31U);
  EXPECT_EQ(Count(arguments, "at24c-eeprom,", "writable=off"), 1U);
}

TEST(MachineArguments, CommasInPathsAreDoubled) {
  const auto arguments = MachineArguments(MachineFiles("/tmp/a,b"), "/tmp/x.elf");
  EXPECT_EQ(Count(arguments, "unix:/tmp/a,,b/uart,"), 1U);
}

TEST(MachineFiles, TooLongAPathIsSaidBeforeTheStart) {
  EXPECT_TRUE(MachineFiles("/tmp/x").Check().ok());
  const Status status = MachineFiles("/tmp/" + std::string(110, 'x')).Check();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_NE(status.message().find("shorter run folder"), std::string::npos);
}

TEST(QemuProcess, NoImageIsSaid) {
  EXPECT_EQ(QemuProcess::Start(MachineFiles("/tmp/x"), "/nonexistent.elf").status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace faraday::sim::qemu
