// One simulated board as its thread runs it (board_thread.h): a firmware, the chips around it, the plant behind them
// and the line in front. Two implementations: the native firmware in this process (native_machine.h) and the real image
// in QEMU (sim/qemu/qemu_machine.h). Whoever holds one cannot tell which it is, apart from what one of them cannot do:
// that is kUnimplemented.
//
// Threads: one at a time; the thread of the board once it runs.
#pragma once

#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "link/messages.h"
#include "sim/board/line_port.h"
#include "sim/plant/plant.h"

namespace faraday::sim {

// What is wrong with a board before its MCU's first instruction.
struct StartFault {
  enum class Kind { kExpanderMissing, kMonitorMissing, kSensorMissing, kEepromMissing, kEepromReadOnly };
  Kind kind = Kind::kEepromMissing;
  size_t slot_index = 0;  // on the board, from 0; of the first three. An expander serves two slots
};

// What a machine is made from.
struct MachineOrder {
  std::string name;             // for messages: "board 0"
  std::vector<int> slot_rails;  // the rail of each of the board's slots, 1 to 32 of them
  std::unique_ptr<LinePort> line;
  std::filesystem::path eeprom;  // file of 8192 bytes that outlives the machine; made blank (0xFF) when missing
  std::filesystem::path folder;  // for files of its own, below the run folder; may not exist yet
  std::vector<StartFault> faults;
};

// `state BOARD` in figures.
struct BoardFacts {
  int boots = 0;              // MCU starts since the machine was made
  bool stopped = false;       // the stop pin is asserted
  uint64_t slipped_ms = 0;    // time during which the host gave the machine's thread no processor
  std::string mcu = "alive";  // "alive", "hung" (its watchdog will bite), "dead: REASON"
  int watchdog_bites = 0;
};

class Machine {
 public:
  virtual ~Machine() = default;

  // Powers the board: parts at rest, then the MCU's first instruction. Once, before any Pass().
  // Before it, plant() may be given its starting state.
  virtual Status Start() = 0;
  // One turn: the plant catches up with the clock, bytes and pins move.
  virtual void Pass() = 0;
  // Adds what a thread should poll(2) for between two passes. Returns the longest wait in ms.
  virtual int Watch(std::vector<pollfd>& watch) = 0;

  virtual Plant& plant() = 0;
  // Its far end is the host; the machine passes the bytes.
  virtual LinePort& line() = 0;
  virtual BoardFacts facts() = 0;
  // The truth of one slot: "outputs=vbus,led vbus_mv=5023 ... faults=none". Fields are documented in sim/README.md.
  virtual std::string Describe(size_t slot_index) const = 0;

  // Errors of all that follow: kUnimplemented this machine cannot, with the reason; kInvalidArgument with the choices.

  // The firmware starts anew with `cause`; every output drops; only the EEPROM is kept.
  virtual Status McuReset(link::BootReason cause) = 0;
  // The firmware stops passing; its watchdog must bite.
  virtual Status McuHang() = 0;
  // The slot's expander loses its registers behind the firmware's back.
  virtual Status ResetExpander(size_t slot_index) = 0;
  // A fault of the slot by name, one of FaultNames().
  virtual Status SetFault(size_t slot_index, std::string_view name, bool on) = 0;
  // The board's own stop button, which acts without the rack's config.
  virtual Status PressStopButton(bool pressed) = 0;
  // A line of the bus is held low, or not.
  virtual Status SetBusStuck(int bus, bool stuck) = 0;
  // Each transfer on the bus takes `ms` longer; 0 is none.
  virtual Status SetBusStretch(int bus, int ms) = 0;
  // A fault of the board by name, one of BoardFaultNames().
  virtual Status SetBoardFault(std::string_view name, bool on) = 0;
  // The EEPROM's page (32 bytes, from 0) keeps its bytes from now on.
  virtual Status WearEepromPage(int page) = 0;
};

// Makes a board of the kind that main.cc chose. Errors: kUnimplemented something must be installed first.
using MachineFactory = std::function<Result<std::unique_ptr<Machine>>(MachineOrder order)>;

// The names that SetFault() knows: those of SlotFault, and those of parts: "expander-missing", "monitor-missing",
// "sensor-missing", "monitor-wrong", "vbus-pin-stuck-on", "vbus-pin-stuck-off".
std::vector<std::string> FaultNames();
// The names that SetBoardFault() knows: "reset-line-broken", "eeprom-missing", "eeprom-read-only",
// "log-missing", "log-read-only" (the log's flash).
std::vector<std::string> BoardFaultNames();

// Power good of the supplies, bit n is rail n (0 to 7): at least kPsuOkMv and not said to be lost; a rail without slots
// is good.
inline constexpr int kPsuOkMv = 4750;  // chosen: 5 % below 5 V
uint8_t PsuOk(const Plant& plant, const std::vector<int>& slot_rails);

// The words of Describe(); `parts_missing` are names of the last three.
std::string DescribeSlot(const Plant& plant, size_t slot_index, const std::vector<std::string_view>& parts_missing);

// Errors: kFailedPrecondition the file cannot be made. Leaves an existing one as it is.
Status MakeBlankEeprom(const std::filesystem::path& path);

// CLOCK_BOOTTIME in ms, wrapping.
uint32_t FreeRunningMs();

}  // namespace faraday::sim
