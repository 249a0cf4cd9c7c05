// The four parts of a slot board at register level, as their data sheets describe them and as far as the drivers use
// them: PCA9552 (outputs), ADM1272 (voltage, current), TMP105 (tray air), AT24C64 (memory that survives).
// Quantities come and go through callbacks, so that the chips know no plant.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "sim/plant/i2c.h"

namespace faraday::sim {

// NXP PCA9552: 16 open-drain outputs. A pin is "on" when its LS field is 00 (pulled low); the blink rates (10, 11) do
// not switch anything here and count as off. After reset every pin floats: off.
class Pca9552 : public I2cChip {
 public:
  // `on_change(pins)` gets all 16 pins (bit n is pin n, 1 is on), at each change.
  explicit Pca9552(std::function<void(uint16_t)> on_change);

  void OnWrite(std::span<const uint8_t> bytes) override;
  void OnRead(std::span<uint8_t> bytes) override;
  void Reset() override;

  uint16_t pins() const { return pins_; }
  // Fault: pins that are pulled low ("on") or float for good, whatever the registers say; the INPUT registers say so.
  void SetStuck(uint16_t on, uint16_t off);
  // The RESET pin: while held the part keeps its reset state, whatever is written. Reads say so, as they do in QEMU; the
  // real part may not answer at all then, which the firmware takes as well.
  void HoldReset(bool held);

 private:
  void Store(uint8_t reg, uint8_t value);
  uint8_t Load(uint8_t reg) const;
  void Publish();
  void Advance();

  std::array<uint8_t, 10> registers_{};
  uint8_t pointer_ = 0;
  bool auto_increment_ = false;
  bool held_ = false;
  uint16_t stuck_on_ = 0;
  uint16_t stuck_off_ = 0;
  uint16_t pins_ = 0;
  std::function<void(uint16_t)> on_change_;
};

struct MonitorReading {
  int vin_mv = 0;   // before the switch: the rail
  int vout_mv = 0;  // after it: the slot's VBUS
  int iout_ma = 0;
  bool cut_off = false;  // the part has opened its switch by itself
};

// Analog Devices ADM1272: hot-swap monitor, PMBus words in "direct" format, Y = (m X + b) 10^R (data sheet, table
// "coefficients"; shunt in milliohm scales the current's m).
class Adm1272 : public I2cChip {
 public:
  // `read` is asked at each conversion, i.e. when a register is read.
  Adm1272(uint32_t shunt_microohm, std::function<MonitorReading()> read);

  void OnWrite(std::span<const uint8_t> bytes) override;
  void OnRead(std::span<uint8_t> bytes) override;
  void Reset() override;
  // Fault: another part of the family sits here.
  void SetModel(std::string_view model) { model_ = model; }

 private:
  uint16_t Word(uint8_t command) const;
  uint16_t VoltageCode(int millivolts) const;
  uint16_t CurrentCode(int milliamps) const;

  uint32_t shunt_microohm_;
  std::function<MonitorReading()> read_;
  uint8_t command_ = 0;
  uint8_t operation_ = 0;
  std::string_view model_ = "ADM1272-A1";
  uint16_t pmon_config_ = 0;
};

// TI TMP105: temperature in steps of 0.5 to 0.0625 K, as its configuration says.
class Tmp105 : public I2cChip {
 public:
  explicit Tmp105(std::function<int()> read_deci_c);

  void OnWrite(std::span<const uint8_t> bytes) override;
  void OnRead(std::span<uint8_t> bytes) override;
  void Reset() override;

 private:
  uint16_t Temperature() const;

  std::function<int()> read_deci_c_;
  uint8_t pointer_ = 0;
  uint8_t config_ = 0;
  std::array<uint16_t, 2> limits_{};
};

// Microchip AT24C64: 8 KiB, two address bytes, writes wrap within a page of 32 bytes. The write cycle takes no time
// here.
class At24 : public I2cChip {
 public:
  static constexpr size_t kSize = 8192;
  static constexpr size_t kPage = 32;
  At24();

  void OnWrite(std::span<const uint8_t> bytes) override;
  void OnRead(std::span<uint8_t> bytes) override;
  // Only the address pointer; the memory stays.
  void Reset() override;

  // The memory itself, for the file that keeps it between runs. REQUIRES of Load: kSize bytes.
  const std::vector<uint8_t>& contents() const { return memory_; }
  void LoadContents(std::span<const uint8_t> bytes);
  // Fault: a page (of kPage bytes, from 0) that keeps its bytes from now on, as after its last write cycle; it
  // acknowledges all the same. REQUIRES: page < kSize / kPage.
  void Wear(size_t page);
  // The write-protect pin: writes are acknowledged and change nothing (data sheet, "write protect").
  void SetReadOnly(bool read_only) { read_only_ = read_only; }
  // Called after each write that changed something, with the page's offset.
  void OnChange(std::function<void(size_t page_at)> callback) { on_change_ = std::move(callback); }

 private:
  bool Keeps(size_t page_at) const { return read_only_ || worn_[page_at / kPage]; }

  std::vector<uint8_t> memory_;
  std::array<bool, kSize / kPage> worn_{};
  bool read_only_ = false;
  size_t pointer_ = 0;
  std::function<void(size_t)> on_change_;
};

}  // namespace faraday::sim
