// ADM1272, ADM1275, ADM1276, ADM1278: hot-swap controllers with a monitor, here for VBUS voltage (at VOUT) and current.
// PMBus direct format, in whole numbers:
//   X = (Y * 10^-R - b) / m      Y: 12 bits; X in volt, or in ampere with m multiplied by the shunt in milliohm
// Coefficients, PMON_CONFIG, PMON_CONTROL, ALERT1_CONFIG: data sheets ADM1272 (table "coefficients"), ADM1275 rev. D,
// ADM1276 rev. C, ADM1278, section "PMBus command reference"; Linux drivers/hwmon/pmbus/adm1275.c has the same numbers.
//
// The switch itself is the part's ENABLE (UV) pin, driven by the slot's expander. The OPERATION command stays disabled
// as after reset (DEVICE_CONFIG), so nobody on the bus can turn a slot on.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "firmware/core/limits.h"
#include "firmware/drivers/board.h"

namespace faraday::firmware {

struct Adm127xRow {
  std::string_view model;     // how MFR_MODEL begins
  uint16_t pmon_config;       // continuous, VOUT measured, averages of 8: settled in 2 ms
  bool wide_registers;        // PMON_CONFIG and ALERT1_CONFIG have two bytes
  uint32_t voltage_m;         // b 0
  uint32_t voltage_exponent;  // -R
  uint32_t current_m;         // for 1 milliohm, R -1
  uint32_t current_b;
};

// In the order of MonitorRange.
inline constexpr std::array<Adm127xRow, 8> kAdm127xRows = {{
    // 0x1800 power and 0x0300 voltage and current averages of 8, 0x20 100 V range, 0x10 continuous, 0x04 VIN, 0x02
    // VOUT, 0x01 30 mV range
    {"ADM1272", 0x1B37, true, 4062, 2, 663, 20480},
    {"ADM1272", 0x1B17, true, 6770, 2, 663, 20480},
    {"ADM1272", 0x1B16, true, 6770, 2, 1326, 20480},
    // 0x80 continuous, 0x40 VOUT, 0x20 20 V range, 0x08 must be set, 0x03 averages of 8
    {"ADM1275", 0xCB, false, 6720, 1, 807, 20475},
    {"ADM1275", 0xEB, false, 19199, 2, 807, 20475},
    {"ADM1276", 0xCB, false, 6720, 1, 807, 20475},
    {"ADM1276", 0xEB, false, 19199, 2, 807, 20475},
    {"ADM1278", 0x1B16, true, 19599, 2, 800, 20475},
}};

class Adm127xScale {
 public:
  constexpr explicit Adm127xScale(MonitorScale scale)
      : row_(kAdm127xRows[static_cast<size_t>(scale.range)]),
        voltage_factor_(row_.voltage_exponent == 2 ? 100'000 : 10'000),
        current_m_((row_.current_m * scale.shunt_microohm + 500) / 1000) {}

  // Rounded to the nearest; raw is 12 bits.
  constexpr uint32_t Millivolts(uint32_t raw) const {
    return (raw * voltage_factor_ + row_.voltage_m / 2) / row_.voltage_m;
  }
  // Below zero (offset error, reverse current) reads 0.
  constexpr uint32_t Milliamps(uint32_t raw) const {
    const uint32_t tenfold = raw * 10;
    return tenfold <= row_.current_b ? 0 : ((tenfold - row_.current_b) * 1000 + current_m_ / 2) / current_m_;
  }
  // The code of a current, for limits; the highest code beyond the range.
  constexpr uint32_t CurrentCode(uint32_t milliamps) const {
    return std::min<uint32_t>((current_m_ * milliamps / 1000 + row_.current_b) / 10, kMostCode);
  }
  constexpr const Adm127xRow& row() const { return row_; }

 private:
  static constexpr uint32_t kMostCode = 0xFFF;
  const Adm127xRow& row_;
  uint32_t voltage_factor_;
  uint32_t current_m_;
};

// Reads of the scan.
struct Adm127xReads {
  static RegisterRead Voltage(const ChipAddress& chip) { return Word(chip, 0x8B); }  // READ_VOUT
  static RegisterRead Current(const ChipAddress& chip) { return Word(chip, 0x8C); }  // READ_IOUT
  static RegisterRead Rail(const ChipAddress& chip) { return Word(chip, 0x88); }     // READ_VIN
  static RegisterRead Status(const ChipAddress& chip) { return Word(chip, 0x79); }   // STATUS_WORD
  // VOUT, IOUT/POUT, INPUT, MFR and CML of a STATUS_WORD. An off part says OFF and no POWER_GOOD: that is no trouble.
  static bool InTrouble(const RegisterRead& read) { return (Bits(read) & 0xF002U) != 0; }
  // IOUT_OC_FAULT: the part's own current limit held for its fault timer, and it latched off (data sheets,
  // "STATUS_BYTE", bit 4).
  static bool CutOff(const RegisterRead& read) { return (Bits(read) & 0x0010U) != 0; }
  static uint32_t Code(const RegisterRead& read) { return Bits(read) & 0xFFFU; }

  static uint32_t Bits(const RegisterRead& read) { return uint32_t{read.in[0]} | uint32_t{read.in[1]} << 8; }

 private:
  static RegisterRead Word(const ChipAddress& chip, uint8_t command) {
    return {.bus = chip.bus, .address = chip.address, .reg = command, .in = {}, .status = {}};
  }
};

template <typename Bus>
class Adm127x {
 public:
  Adm127x(Bus& bus, uint8_t address, const Adm127xScale& scale) : bus_(bus), address_(address), scale_(scale) {}

  // kFailedPrecondition: another part answers. Nothing is written to it then.
  Status CheckIdentity() {
    std::array<uint8_t, 4> maker{};
    FARADAY_TRY(ReadBlock(0x99, maker));  // MFR_ID
    std::array<uint8_t, 11> model{};      // "ADM1272-A1" is the longest; a shorter one is followed by 0xFF
    FARADAY_TRY(ReadBlock(0x9A, model));  // MFR_MODEL
    const std::string_view expected = scale_.row().model;
    const bool right = Text(maker).starts_with("ADI") && Text(model).starts_with(expected);
    return right ? OkStatus() : Status(Code::kFailedPrecondition, "the monitor is not the part of the board table");
  }

  // The row's ranges, and ALERT# when the current passes the board's ceiling or the part cut itself off. The power
  // monitor is stopped meanwhile, as the data sheets ask. The part's own current limit and its latch-off are set by
  // resistors, a capacitor and a strap (ISET, TIMER, RETRY), which no register moves.
  Status Configure() {
    FARADAY_TRY(WriteByte(kPmonControl, 0));
    FARADAY_TRY(WriteRow(kPmonConfig, scale_.row().pmon_config));
    FARADAY_TRY(WriteByte(kPmonControl, 1));
    FARADAY_TRY(WriteWord(kIoutWarnLimit, static_cast<uint16_t>(scale_.CurrentCode(kCeilings.slot_ma))));
    FARADAY_TRY(WriteRow(kAlert1Config, scale_.row().wide_registers ? kFaultsOnAlert << 8 : kFaultsOnAlert));
    return ClearFaults();
  }

  // Lets go of ALERT#; what still holds shows again.
  Status ClearFaults() { return bus_.Write(address_, std::array<uint8_t, 1>{0x03}); }

 private:
  static constexpr uint8_t kIoutWarnLimit = 0x4A, kPmonControl = 0xD3, kPmonConfig = 0xD4, kAlert1Config = 0xD5;
  // IOUT_OC_FAULT_EN1 and IOUT_OC_WARN_EN1, bits 14 and 10 of the wide register.
  static constexpr uint16_t kFaultsOnAlert = 0x44;

  // Block read: the length comes first.
  Status ReadBlock(uint8_t command, std::span<uint8_t> in) {
    return bus_.WriteRead(address_, std::array<uint8_t, 1>{command}, in);
  }
  static std::string_view Text(std::span<const uint8_t> block) {
    const size_t length = std::min<size_t>(block[0], block.size() - 1);
    return {reinterpret_cast<const char*>(block.data()) + 1, length};
  }
  Status WriteByte(uint8_t command, uint8_t value) {
    return bus_.Write(address_, std::array<uint8_t, 2>{command, value});
  }
  Status WriteWord(uint8_t command, uint16_t value) {
    return bus_.Write(address_,
                      std::array<uint8_t, 3>{command, static_cast<uint8_t>(value), static_cast<uint8_t>(value >> 8)});
  }
  Status WriteRow(uint8_t command, uint16_t value) {
    return scale_.row().wide_registers ? WriteWord(command, value) : WriteByte(command, static_cast<uint8_t>(value));
  }

  Bus& bus_;
  const uint8_t address_;
  const Adm127xScale& scale_;
};

}  // namespace faraday::firmware
