#include "sim/qemu/qemu_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <set>
#include <utility>

#include "firmware/boards/ast1030/wiring.h"
#include "firmware/core/log_flash.h"
#include "sim/board/machine.h"
#include "sim/qemu/trace_feed.h"

namespace faraday::sim::qemu {
namespace {

using firmware::ast1030::kWiring;

// What a command prints; empty when it cannot run.
std::string OutputOf(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string output;
  if (pipe == nullptr) return output;
  std::array<char, 4096> buffer{};
  for (size_t count = fread(buffer.data(), 1, buffer.size(), pipe.get()); count > 0;
       count = fread(buffer.data(), 1, buffer.size(), pipe.get())) {
    output.append(buffer.data(), count);
  }
  return output;
}

Status RequireAll(const std::string& list, const std::vector<std::string>& needed, std::string_view what) {
  for (const std::string& name : needed) {
    if (list.find(name) == std::string::npos) {
      return {Code::kUnimplemented,
              fmt::format("{} has no {} \"{}\"; install Debian 12's qemu-system-arm (7.2)", kQemuProgram, what, name)};
    }
  }
  return OkStatus();
}

// One device of the machine: model, id, place, and what else its model takes.
struct Chip {
  std::string model;
  std::string id;
  uint8_t bus;
  uint8_t address;
  std::string properties = {};
};

std::vector<Chip> SlotChips() {
  std::vector<Chip> chips;
  size_t slot = 1;
  for (const auto& wiring : kWiring) {
    chips.push_back({"adm1272", fmt::format("mon{}", slot), wiring.monitor.bus, wiring.monitor.address});
    chips.push_back({"tmp105", fmt::format("tray{}", slot), wiring.temperature.bus, wiring.temperature.address});
    ++slot;
  }
  return chips;
}

// One expander serves two slots; numbered in the order of the table.
std::vector<Chip> Expanders() {
  std::set<std::pair<uint8_t, uint8_t>> seen;
  std::vector<Chip> chips;
  for (const auto& wiring : kWiring) {
    if (!seen.emplace(wiring.outputs.bus, wiring.outputs.address).second) continue;
    const std::string id = fmt::format("exp{}", seen.size() - 1);
    chips.push_back({"pca9552", id, wiring.outputs.bus, wiring.outputs.address, ",description=" + id});
  }
  return chips;
}

std::vector<Chip> AllChips() {
  std::vector<Chip> chips = SlotChips();
  for (Chip& expander : Expanders()) chips.push_back(std::move(expander));
  chips.push_back({"at24c-eeprom",
                   "nvm",
                   firmware::ast1030::kEepromBus,
                   firmware::ast1030::kEepromAddress,
                   ",drive=nvmfile,rom-size=8192"});
  return chips;
}

// QEMU's option lists end at a comma unless it is doubled.
std::string Escaped(const std::string& path) {
  std::string text;
  for (const char c : path) text.append(c == ',' ? 2 : 1, c);
  return text;
}

// In the child, between fork and exec: only calls that are safe there.
[[noreturn]] void BecomeQemu(char* const* argv, int log_fd, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  dup2(log_fd, STDOUT_FILENO);
  dup2(log_fd, STDERR_FILENO);
  execvp(argv[0], argv);
  _exit(127);
}

}  // namespace

Status CheckQemu() {
  const std::string program = kQemuProgram;
  const std::string version = OutputOf(program + " --version 2>/dev/null");
  if (version.empty()) {
    return {Code::kUnimplemented, fmt::format("{} is not installed; install Debian's qemu-system-arm", program)};
  }
  if (version.find("version 7.2") == std::string::npos) {
    return {Code::kUnimplemented,
            fmt::format("this bench needs QEMU 7.2 (later ones model the pca9552's inputs otherwise), found: {}",
                        version.substr(0, version.find('\n')))};
  }
  FARADAY_TRY(RequireAll(OutputOf(program + " -M help 2>/dev/null"), {"ast1030-evb"}, "machine"));
  FARADAY_TRY(RequireAll(OutputOf(program + " -M none -device help 2>/dev/null"),
                         {"\"adm1272\"", "\"tmp105\"", "\"pca9552\"", "\"at24c-eeprom\""},
                         "device"));
  return RequireAll(OutputOf(program + " -trace help 2>/dev/null"),
                    {std::begin(kTraceEvents), std::end(kTraceEvents)},
                    "trace event");
}

MachineFiles::MachineFiles(const std::string& run_dir)
    : uart(run_dir + "/uart"),
      plant_qmp(run_dir + "/qmp-plant"),
      control_qmp(run_dir + "/qmp-control"),
      gdb(run_dir + "/gdb"),
      trace(run_dir + "/trace"),
      eeprom(run_dir + "/eeprom.img"),
      flash(run_dir + "/flash.img"),
      log(run_dir + "/qemu.log") {}

Status MachineFiles::Check() const {
  const size_t longest = std::max({uart.size(), plant_qmp.size(), control_qmp.size(), gdb.size()});
  constexpr size_t kMost = sizeof(sockaddr_un::sun_path) - 1;
  if (longest <= kMost) return OkStatus();
  return {Code::kInvalidArgument,
          fmt::format("{} is too long a path for the emulator's sockets by {} characters: use a shorter run folder",
                      control_qmp,
                      longest - kMost)};
}

void MachineFiles::RemoveStale() const {
  for (const std::string* path : {&uart, &plant_qmp, &control_qmp, &gdb, &trace}) unlink(path->c_str());
}

// A W25Q64; what is not the log is a hole in the file.
static Status MakeFlash(const std::string& path) {
  if (access(path.c_str(), F_OK) == 0) return OkStatus();
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.seekp(firmware::ast1030::kLogAt);
  file << std::string(firmware::LogFlash::kSize, '\xFF');
  file.close();
  if (file) return OkStatus();
  return {Code::kFailedPrecondition,
          fmt::format("cannot write the flash image {}: check the folder's rights and free space", path)};
}

std::vector<std::string> MachineArguments(const MachineFiles& files,
                                          const std::string& elf,
                                          const MachineFaults& faults) {
  const auto listener = [](const std::string& path) {
    return fmt::format("unix:{},server=on,wait=off", Escaped(path));
  };
  std::vector<std::string> arguments = {"-M",          "ast1030-evb,fmc-model=w25q64",
                                        "-display",    "none",
                                        "-nodefaults", "-S",
                                        "-kernel",     elf,
                                        "-serial",     listener(files.uart),
                                        "-qmp",        listener(files.plant_qmp),
                                        "-qmp",        listener(files.control_qmp),
                                        "-gdb",        listener(files.gdb),
                                        "-msg",        "timestamp=on",
                                        "-D",          files.trace,
                                        "-drive",      "if=none,id=nvmfile,format=raw,file=" + Escaped(files.eeprom),
                                        "-drive",      "if=mtd,format=raw,file=" + Escaped(files.flash)};
  for (const char* event : kTraceEvents) arguments.insert(arguments.end(), {"-trace", event});
  for (const Chip& chip : AllChips()) {
    if (faults.missing.contains(chip.id)) continue;
    const bool read_only = faults.eeprom_read_only && chip.id == "nvm";
    arguments.insert(arguments.end(),
                     {"-device",
                      fmt::format("{},id={},bus=aspeed.i2c.bus.{},address={}{}{}",
                                  chip.model,
                                  chip.id,
                                  chip.bus,
                                  chip.address,
                                  chip.properties,
                                  read_only ? ",writable=off" : "")});
  }
  return arguments;
}

Result<QemuProcess> QemuProcess::Start(const MachineFiles& files, const std::string& elf, const MachineFaults& faults) {
  if (access(elf.c_str(), R_OK) != 0) return Status(Code::kNotFound, fmt::format("no firmware image at {}", elf));
  FARADAY_TRY(MakeBlankEeprom(files.eeprom));
  FARADAY_TRY(MakeFlash(files.flash));
  std::vector<std::string> words = MachineArguments(files, elf, faults);
  words.insert(words.begin(), kQemuProgram);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const int log_fd = open(files.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log_fd < 0) return Status(Code::kUnavailable, fmt::format("cannot write {}", files.log));
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) BecomeQemu(argv.data(), log_fd, parent);
  close(log_fd);
  if (pid < 0) return Status(Code::kUnavailable, fmt::format("fork: {}", std::strerror(errno)));
  return QemuProcess(pid);
}

QemuProcess::QemuProcess(QemuProcess&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}

QemuProcess::~QemuProcess() {
  if (!running()) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

bool QemuProcess::running() {
  if (pid_ != 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = 0;
  return pid_ != 0;
}

bool QemuProcess::WaitForExit(Milliseconds timeout) {
  const BootTime deadline = BootClock::now() + timeout;
  while (running() && BootClock::now() < deadline) poll(nullptr, 0, 10);
  return !running();
}

}  // namespace faraday::sim::qemu
