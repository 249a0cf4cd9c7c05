#include "sim/qemu/qemu_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <set>
#include <utility>

#include "firmware/boards/ast1030/wiring.h"
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

std::string Bus(uint8_t number) { return fmt::format("aspeed.i2c.bus.{}", number); }

void AddSlotChips(std::vector<std::string>& arguments) {
  size_t slot = 1;
  for (const auto& wiring : kWiring) {
    arguments.insert(
        arguments.end(),
        {"-device",
         fmt::format("adm1272,id=mon{},bus={},address={}", slot, Bus(wiring.monitor.bus), wiring.monitor.address)});
    arguments.insert(
        arguments.end(),
        {"-device",
         fmt::format(
             "tmp105,id=tray{},bus={},address={}", slot, Bus(wiring.temperature.bus), wiring.temperature.address)});
    ++slot;
  }
}

// One expander serves two slots; numbered in the order of the table.
void AddExpanders(std::vector<std::string>& arguments) {
  std::set<std::pair<uint8_t, uint8_t>> seen;
  for (const auto& wiring : kWiring) {
    if (!seen.emplace(wiring.outputs.bus, wiring.outputs.address).second) continue;
    const std::string id = fmt::format("exp{}", seen.size() - 1);
    arguments.insert(arguments.end(),
                     {"-device",
                      fmt::format("pca9552,id={},description={},bus={},address={}",
                                  id,
                                  id,
                                  Bus(wiring.outputs.bus),
                                  wiring.outputs.address)});
  }
}

Status MakeBlankEeprom(const std::string& path) {
  if (access(path.c_str(), F_OK) == 0) return OkStatus();
  const std::unique_ptr<FILE, int (*)(FILE*)> file(fopen(path.c_str(), "w"), fclose);
  const std::string blank(8192, '\xFF');  // an AT24C64 as delivered
  if (file == nullptr || fwrite(blank.data(), 1, blank.size(), file.get()) != blank.size()) {
    return {Code::kUnavailable, fmt::format("cannot write the EEPROM image {}", path)};
  }
  return OkStatus();
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
      log(run_dir + "/qemu.log") {}

std::vector<std::string> MachineArguments(const MachineFiles& files, const std::string& elf) {
  const auto listener = [](const std::string& path) { return fmt::format("unix:{},server=on,wait=off", path); };
  std::vector<std::string> arguments = {"-M",          "ast1030-evb",
                                        "-display",    "none",
                                        "-nodefaults", "-S",
                                        "-kernel",     elf,
                                        "-serial",     listener(files.uart),
                                        "-qmp",        listener(files.plant_qmp),
                                        "-qmp",        listener(files.control_qmp),
                                        "-gdb",        listener(files.gdb),
                                        "-msg",        "timestamp=on",
                                        "-D",          files.trace};
  for (const char* event : kTraceEvents) arguments.insert(arguments.end(), {"-trace", event});
  AddSlotChips(arguments);
  AddExpanders(arguments);
  arguments.insert(arguments.end(),
                   {"-drive",
                    fmt::format("if=none,id=nvmfile,format=raw,file={}", files.eeprom),
                    "-device",
                    fmt::format("at24c-eeprom,id=nvm,drive=nvmfile,rom-size=8192,bus={},address={}",
                                Bus(firmware::ast1030::kEepromBus),
                                firmware::ast1030::kEepromAddress)});
  return arguments;
}

Result<QemuProcess> QemuProcess::Start(const MachineFiles& files, const std::string& elf) {
  if (access(elf.c_str(), R_OK) != 0) return Status(Code::kNotFound, fmt::format("no firmware image at {}", elf));
  FARADAY_TRY(MakeBlankEeprom(files.eeprom));
  std::vector<std::string> words = MachineArguments(files, elf);
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
