// What RackApp needs of a board, as concepts, and the wiring table that says where each slot's parts are.
// Freestanding. A board is any type with these members; boards/<name>/board.h implements one.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/status.h"
#include "link/messages.h"

namespace faraday::firmware {

// One I2C bus, master only, 7-bit addresses. Every call is bounded in time (a few ms at worst).
// Errors: kUnavailable the address does not acknowledge, kAborted the bus was stuck and is free again,
// kDeadlineExceeded the bus is stuck.
template <typename T>
concept I2cBus = requires(T bus, uint8_t address, std::span<const uint8_t> out, std::span<uint8_t> in) {
  { bus.Write(address, out) } -> std::same_as<Status>;          // START address+W out STOP
  { bus.WriteRead(address, out, in) } -> std::same_as<Status>;  // START address+W out RESTART address+R in STOP
};

// One register of a chip, two bytes: what every sensor, monitor and expander read of the scan is.
struct RegisterRead {
  uint8_t bus = 0;
  uint8_t address = 0;
  uint8_t reg = 0;
  std::array<uint8_t, 2> in{};
  Status status;
};
inline constexpr size_t kMostReads = 10;  // at a time

// The eight outputs of a slot, in the order of the wiring (bit n of an output byte). All active-high here; the
// wiring says what the pin does. Reset state: all zero.
enum class Output : uint8_t {
  kVbus = 0,        // VBUS switch on
  kDataEnable = 1,  // data lines connected (off: open)
  kDataSelect = 2,  // 0: host 0, 1: host 1
  kChargeMode = 3,  // data lines to the charge-port controller
  kRfRelay = 4,     // coupled (off: isolated)
  kPowerKey = 5,
  kVolumeKey = 6,
  kLed = 7,
};
inline constexpr size_t kOutputsPerSlot = 8;

struct ExpanderPin {
  uint8_t bus;
  uint8_t address;
  uint8_t first_pin;
};  // PCA9552: 8 pins from first_pin (0 or 8)
struct ChipAddress {
  uint8_t bus;
  uint8_t address;
};

struct SlotWiring {
  ExpanderPin outputs;
  ChipAddress monitor;        // ADM127x: VBUS voltage and current
  ChipAddress temperature;    // TMP105: tray air
  uint8_t relay_sense_input;  // index into Board::ReadInputs(): 1 = the relay rests isolated
  uint32_t capabilities;      // link::capability bits
  uint8_t shelf = 0;          // 0 to 7: slots that share their air and their tray sensors' bus
};

// Which monitor the board has and how it is set up (drivers/adm127x.h has the rows and the data sheets' formula).
enum class MonitorRange : uint8_t {
  kAdm1272_100V_30mV,  // the reset state's ranges, and all that QEMU models
  kAdm1272_60V_30mV,
  kAdm1272_60V_15mV,
  kAdm1275_6V,
  kAdm1275_20V,
  kAdm1276_6V,
  kAdm1276_20V,
  kAdm1278_20V,
};
struct MonitorScale {
  uint32_t shunt_microohm;
  MonitorRange range = MonitorRange::kAdm1272_100V_30mV;
};

// What a board's own lines say, as far as they are there.
struct Signals {
  bool stop_button = false;  // pressed, or moved since the last look
  uint8_t psu_ok = 0xFF;     // bit n: the supply of rail n says power good, and said so ever since the last look
  bool stop_frame = false;   // the receive path saw a stop frame that UartRead has not given yet, or has lost
  uint16_t alert_buses = 0;  // bit n: ALERT# of the monitors on bus n is low, or was since the last look
};

template <typename T>
concept Board =
    requires(T board, std::span<uint8_t> in, std::span<const uint8_t> out, size_t bus, bool level, uint32_t at) {
  { board.Name() } -> std::convertible_to<const char*>;
  { board.Slots() } -> std::convertible_to<std::span<const SlotWiring>>;
  { board.Scale() } -> std::convertible_to<MonitorScale>;
  // Free-running hardware time, wraps after 49 days.
  { board.NowMs() } -> std::same_as<uint32_t>;
  // Bytes of the line; neither blocks, both return how many were moved.
  { board.UartRead(in) } -> std::same_as<size_t>;
  { board.UartWrite(out) } -> std::same_as<size_t>;
  // Digital inputs: bits 0 to 31 relay senses (index as in the wiring), 32 to 63 rack inputs. A pulse shorter than
  // the time between two calls shows in one of them.
  { board.ReadInputs() } -> std::same_as<uint64_t>;
  // The board's own lines; forgets what happened before.
  { board.TakeSignals() } -> std::same_as<Signals>;
  // The one pin that resets every expander and cuts the relay coils. true: everything in the reset state.
  {board.SetStopPin(level)};
  // The alarm output. true: alarm.
  {board.SetAlarmPin(level)};
  {board.FeedWatchdog()};
  { board.BootCause() } -> std::same_as<link::BootReason>;
  // Random, not 0, different at each boot.
  { board.NewSession() } -> std::same_as<uint32_t>;
  // Non-volatile bytes (EEPROM, 8 KiB). kUnavailable: part missing or read-only.
  { board.NvmRead(at, in) } -> std::same_as<Status>;
  { board.NvmWrite(at, out) } -> std::same_as<Status>;
  // An I2C bus by number.
  { board.Bus(bus).Write(uint8_t{}, out) } -> std::same_as<Status>;
};

// A board that can have transfers of several buses under way at once.
template <typename T>
concept ReadsTogether = requires(T board, std::span<RegisterRead> reads) {
  board.ReadTogether(reads);
};
// A board whose non-volatile memory takes milliseconds to write: it calls `idle` meanwhile.
template <typename T>
concept IdlesInNvmWrite = requires(T board, uint32_t at, std::span<const uint8_t> out, void (&idle)()) {
  { board.NvmWrite(at, out, idle) } -> std::same_as<Status>;
};
// A board that knows the JEDEC id of its firmware's flash; 0: the part is silent.
template <typename T>
concept HasFlash = requires(T board) {
  { board.FlashId() } -> std::same_as<uint32_t>;
};
// A board with a flash for the log (core/log_flash.h has the meaning of each).
template <typename T>
concept HasLogFlash = requires(T board, uint32_t at, std::span<uint8_t> in, std::span<const uint8_t> out) {
  { board.LogRead(at, in) } -> std::same_as<Status>;
  { board.LogProgram(at, out) } -> std::same_as<Status>;
  { board.LogBeginErase(at) } -> std::same_as<Status>;
  { board.LogBusy() } -> std::same_as<bool>;
};
// A board whose receive path (an interrupt handler) looks for stop frames and asserts the stop pin by itself. The pin
// is not released while it saw one of which the main loop has not said that it took it.
template <typename T>
concept SeesStopFrames = requires(T board) {
  board.StopFrameTaken();
};
// A board that counts the bytes its UART lost or found damaged.
template <typename T>
concept CountsLineErrors = requires(T board) {
  { board.LineErrors() } -> std::same_as<uint32_t>;
};

}  // namespace faraday::firmware
