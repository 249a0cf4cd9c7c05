#include "sim/plant/chips.h"

#include <algorithm>
#include <string_view>

#include "base/check.h"

namespace faraday::sim {

// ---- PCA9552 ------------------------------------------------------------------------------------------------------

namespace {
constexpr uint8_t kLs0 = 6;  // LS0 to LS3 at 6 to 9, two bits a pin
constexpr uint8_t kPcaRegisters = 10;
constexpr uint8_t kAutoIncrement = 0x10;  // control byte, bit 4
constexpr std::array<uint8_t, kPcaRegisters> kPcaDefaults = {0, 0, 0xFF, 0x80, 0xFF, 0x80, 0x55, 0x55, 0x55, 0x55};
}  // namespace

Pca9552::Pca9552(std::function<void(uint16_t)> on_change)
    : registers_(kPcaDefaults), on_change_(std::move(on_change)) {}

void Pca9552::Reset() {
  registers_ = kPcaDefaults;
  pointer_ = 0;
  auto_increment_ = false;
  Publish();
}

void Pca9552::SetStuck(uint16_t on, uint16_t off) {
  stuck_on_ = on;
  stuck_off_ = off;
  Publish();
}

void Pca9552::HoldReset(bool held) {
  held_ = held;
  if (held) Reset();
}

void Pca9552::Publish() {
  unsigned pins = 0;
  for (unsigned pin = 0; pin < 16; ++pin) {
    const unsigned field = (registers_[kLs0 + pin / 4] >> (2 * (pin % 4))) & 3U;
    pins |= field == 0 ? 1U << pin : 0U;
  }
  pins = (pins | stuck_on_) & ~unsigned{stuck_off_};
  if (pins == pins_) return;
  pins_ = static_cast<uint16_t>(pins);
  on_change_(pins_);
}

void Pca9552::Advance() {
  if (auto_increment_) pointer_ = static_cast<uint8_t>((pointer_ + 1) % kPcaRegisters);
}

void Pca9552::Store(uint8_t reg, uint8_t value) {
  if (reg >= 2 && reg < kPcaRegisters) registers_[reg] = value;  // INPUT0 and INPUT1 are read-only
}

uint8_t Pca9552::Load(uint8_t reg) const {
  // A pin that is on is pulled low and reads 0; a floating one is pulled up by its load.
  if (reg == 0) return static_cast<uint8_t>(~pins_ & 0xFF);
  if (reg == 1) return static_cast<uint8_t>(~(pins_ >> 8) & 0xFF);
  return reg < kPcaRegisters ? registers_[reg] : uint8_t{0};
}

void Pca9552::OnWrite(std::span<const uint8_t> bytes) {
  if (bytes.empty()) return;
  pointer_ = bytes[0] & 0x0F;
  auto_increment_ = (bytes[0] & kAutoIncrement) != 0;
  if (held_) return;
  for (uint8_t value : bytes.subspan(1)) {
    Store(pointer_, value);
    Advance();
  }
  Publish();
}

void Pca9552::OnRead(std::span<uint8_t> bytes) {
  for (uint8_t& value : bytes) {
    value = Load(pointer_);
    Advance();
  }
}

// ---- ADM1272 ------------------------------------------------------------------------------------------------------

namespace {
constexpr uint8_t kOperation = 0x01, kReadVin = 0x88, kReadVout = 0x8B, kReadIout = 0x8C, kPmbusRevision = 0x98,
                  kMfrId = 0x99, kMfrModel = 0x9A, kPmonConfig = 0xD4;
constexpr uint8_t kStatusWord = 0x79;
constexpr uint16_t kCutOffStatus = 0x4850;  // IOUT/POUT, not POWER_GOOD, OFF, IOUT_OC_FAULT
constexpr uint16_t kPmonDefault = 0x3F35;
constexpr uint16_t kVrange100V = 1U << 5;
constexpr uint16_t kVoutEnable = 1U << 1;  // cleared at reset: VOUT is not converted
constexpr uint16_t kIrange30mV = 1U << 0;
constexpr int kFullScale = 4095;

uint16_t Clamp12(int64_t code) { return static_cast<uint16_t>(std::clamp<int64_t>(code, 0, kFullScale)); }
}  // namespace

Adm1272::Adm1272(uint32_t shunt_microohm, std::function<MonitorReading()> read)
    : shunt_microohm_(shunt_microohm), read_(std::move(read)) {
  Reset();
}

void Adm1272::Reset() {
  command_ = 0;
  operation_ = 0x80;
  pmon_config_ = kPmonDefault;
}

uint16_t Adm1272::VoltageCode(int millivolts) const {
  // m = 6770 (60 V) or 4062 (100 V), b = 0, R = -2, X in volt.
  const int64_t m = (pmon_config_ & kVrange100V) != 0 ? 4062 : 6770;
  return Clamp12((m * millivolts + 50'000) / 100'000);
}

uint16_t Adm1272::CurrentCode(int milliamps) const {
  // m = 1326 (15 mV) or 663 (30 mV) times the shunt in milliohm, b = 20480, R = -1, X in ampere.
  const int64_t m = (pmon_config_ & kIrange30mV) != 0 ? 663 : 1326;
  const int64_t scaled = m * shunt_microohm_ * milliamps / 1'000'000;
  return Clamp12((scaled + 20'480 + 5) / 10);
}

uint16_t Adm1272::Word(uint8_t command) const {
  if (command == kPmonConfig) return pmon_config_;
  const MonitorReading now = read_();
  switch (command) {
    case kReadVin:
      return VoltageCode(now.vin_mv);
    case kReadVout:
      return (pmon_config_ & kVoutEnable) != 0 ? VoltageCode(now.vout_mv) : uint16_t{0};
    case kReadIout:
      return CurrentCode(now.iout_ma);
    case kStatusWord:
      return now.cut_off ? kCutOffStatus : uint16_t{0};
    default:
      return 0;
  }
}

void Adm1272::OnWrite(std::span<const uint8_t> bytes) {
  if (bytes.empty()) return;
  command_ = bytes[0];
  if (command_ == kOperation && bytes.size() >= 2) operation_ = bytes[1];
  if (command_ == kPmonConfig && bytes.size() >= 3) pmon_config_ = static_cast<uint16_t>(bytes[1] | (bytes[2] << 8));
}

void Adm1272::OnRead(std::span<uint8_t> bytes) {
  const auto block = [bytes](std::string_view text) {
    for (size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = static_cast<uint8_t>(i == 0             ? text.size()
                                      : i <= text.size() ? static_cast<size_t>(text[i - 1])
                                                         : 0xFF);
    }
  };
  if (command_ == kMfrId) return block("ADI");
  if (command_ == kMfrModel) return block(model_);
  const uint16_t word = command_ == kOperation       ? operation_
                        : command_ == kPmbusRevision ? uint16_t{0x22}
                                                     : Word(command_);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = i < 2 ? static_cast<uint8_t>(word >> (8 * i)) : uint8_t{0xFF};
}

// ---- TMP105 -------------------------------------------------------------------------------------------------------

namespace {
constexpr std::array<uint16_t, 2> kTmpLimits = {0x4B00, 0x5000};  // 75 and 80 degC
}  // namespace

Tmp105::Tmp105(std::function<int()> read_deci_c) : read_deci_c_(std::move(read_deci_c)) { Reset(); }

void Tmp105::Reset() {
  pointer_ = 0;
  config_ = 0;
  limits_ = kTmpLimits;
}

// Twelve bits, left in the word, 1/16 K each; bits 5 and 6 of the configuration say how many of the last three count.
uint16_t Tmp105::Temperature() const {
  const int sixteenths = read_deci_c_() * 16 / 10;
  const unsigned dropped = 3U - ((config_ >> 5) & 3U);
  const unsigned mask = 0xFFFU & ~((1U << dropped) - 1U);
  return static_cast<uint16_t>((static_cast<unsigned>(sixteenths) & mask) << 4);
}

void Tmp105::OnWrite(std::span<const uint8_t> bytes) {
  if (bytes.empty()) return;
  pointer_ = bytes[0] & 3;
  if (pointer_ == 1 && bytes.size() >= 2) config_ = bytes[1];
  if (pointer_ >= 2 && bytes.size() >= 3) limits_[pointer_ - 2U] = static_cast<uint16_t>((bytes[1] << 8) | bytes[2]);
}

void Tmp105::OnRead(std::span<uint8_t> bytes) {
  const uint16_t word = pointer_ == 0   ? Temperature()
                        : pointer_ == 1 ? static_cast<uint16_t>((config_ << 8) | config_)
                                        : limits_[pointer_ - 2U];
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i % 2 == 0 ? word >> 8 : word & 0xFF);
}

// ---- AT24C64 ------------------------------------------------------------------------------------------------------

At24::At24() : memory_(kSize, 0xFF) {}

void At24::Reset() { pointer_ = 0; }

void At24::LoadContents(std::span<const uint8_t> bytes) {
  FARADAY_CHECK(bytes.size() == kSize);
  memory_.assign(bytes.begin(), bytes.end());
}

void At24::Wear(size_t page) {
  FARADAY_CHECK(page < worn_.size());
  worn_[page] = true;
}

void At24::OnWrite(std::span<const uint8_t> bytes) {
  if (bytes.size() < 2) return;
  pointer_ = static_cast<size_t>((bytes[0] << 8) | bytes[1]) % kSize;
  const size_t page = pointer_ / kPage * kPage;
  bool changed = false;
  for (uint8_t value : bytes.subspan(2)) {
    if (!Keeps(page)) {
      changed = changed || memory_[pointer_] != value;
      memory_[pointer_] = value;
    }
    pointer_ = page + (pointer_ + 1) % kPage;
  }
  if (changed && on_change_) on_change_(page);
}

void At24::OnRead(std::span<uint8_t> bytes) {
  for (uint8_t& value : bytes) {
    value = memory_[pointer_];
    pointer_ = (pointer_ + 1) % kSize;
  }
}

}  // namespace faraday::sim
