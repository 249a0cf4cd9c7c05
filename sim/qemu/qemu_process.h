// qemu-system-arm as a child process: the machine ast1030-evb with the rack's chips on its buses, as the firmware's
// wiring table names them. Started with its processor stopped; `cont` over QMP begins.
//
// Chips get these QOM paths: /machine/peripheral/monN (adm1272), trayN (tmp105) with N the slot, expK (pca9552, also
// its label in the trace), nvm (at24c).
#pragma once

#include <sys/types.h>

#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace faraday::sim::qemu {

inline constexpr const char* kQemuProgram = "qemu-system-arm";

// Whether the installed QEMU is the one this bench was written against: version 7.2, every device and trace event.
// Errors: kUnimplemented with what is missing and the Debian package that has it.
Status CheckQemu();

// The files of one run, all in `run_dir` (short: unix socket paths hold 107 bytes).
struct MachineFiles {
  explicit MachineFiles(const std::string& run_dir);
  // Errors: kInvalidArgument the folder's path is too long for unix sockets, with the lengths.
  Status Check() const;
  // Removes the sockets and the FIFO that an earlier run left.
  void RemoveStale() const;
  std::string uart;         // unix socket: the MCU link
  std::string plant_qmp;    // unix socket: the plant's monitor
  std::string control_qmp;  // unix socket: the test's monitor
  std::string gdb;          // unix socket: the debugger's
  std::string trace;        // FIFO, made by TraceFeed::Create before the start
  std::string eeprom;       // 8 KiB, made (blank) when missing, kept between runs
  std::string flash;        // 8 MiB, sparse, made (its log blank) when missing, kept between runs
  std::string log;          // QEMU's own words
};

// What is wrong with the machine from its start.
struct MachineFaults {
  std::set<std::string> missing;  // ids of chips that are not plugged in: "exp3", "mon7", "tray7", "nvm"
  // The EEPROM acknowledges writes and keeps its bytes, as the part does with its write-protect pin high.
  bool eeprom_read_only = false;
};

// The arguments after the program's name.
std::vector<std::string> MachineArguments(const MachineFiles& files,
                                          const std::string& elf,
                                          const MachineFaults& faults = {});

class QemuProcess {
 public:
  // REQUIRES: CheckQemu() is OK and the trace FIFO is open. It lives as long as the thread that starts it, at most.
  // Errors: kUnavailable cannot start, kNotFound no such ELF.
  static Result<QemuProcess> Start(const MachineFiles& files, const std::string& elf, const MachineFaults& faults = {});
  QemuProcess(QemuProcess&& other) noexcept;
  QemuProcess& operator=(QemuProcess&&) = delete;
  // Kills the process when it still runs. It dies with this one too.
  ~QemuProcess();

  // Waits for the process to end by itself (after QMP quit). False: it still runs.
  bool WaitForExit(Milliseconds timeout);
  bool running();
  pid_t pid() const { return pid_; }

 private:
  explicit QemuProcess(pid_t pid) : pid_(pid) {}

  pid_t pid_;  // 0: none or reaped
};

}  // namespace faraday::sim::qemu
