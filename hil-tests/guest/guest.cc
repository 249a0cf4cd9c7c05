#include "hil-tests/guest/guest.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <sstream>
#include <string_view>
#include <utility>

#include "hil-tests/guest/deadlines.h"
#include "sim/qemu/unix_socket.h"

namespace faraday::hil {
namespace {

using sim::qemu::QmpClient;

constexpr const char* kKernel = FARADAY_GUEST_KERNEL;
constexpr const char* kScripts = FARADAY_SOURCE_DIR "/hil-tests/guest";
constexpr const char* kController = FARADAY_BIN_DIR "/faraday-controller";
constexpr std::array<int, 2> kPorts = {7700, 7702};  // rack.yaml's, and the second controller's

// argv of what is found by PATH.
std::vector<std::string> Found(std::vector<std::string> words) {
  words.insert(words.begin(), "/usr/bin/env");
  return words;
}

bool Installed(const std::string& program) {
  return std::system(("command -v " + program + " >/dev/null 2>&1").c_str()) == 0;
}

Status Pack(const std::string& dir) {
  Program packing(
      {std::string(kScripts) + "/initramfs.sh", kKernel, kController, dir + "/initramfs"}, {}, dir + "/initramfs-log");
  const Output done = packing.Finish(kBoot);
  if (done.exit_code == 0) return OkStatus();
  return {Code::kUnavailable, "initramfs.sh failed: " + done.err};
}

}  // namespace

Status Guest::CheckPrerequisites() {
  struct Need {
    const char* program;
    const char* package;
  };
  for (const Need need :
       {Need{"qemu-system-x86_64", "qemu-system-x86"}, Need{"busybox", "busybox-static"}, Need{"cpio", "cpio"}}) {
    if (!Installed(need.program)) {
      return {Code::kUnimplemented, fmt::format("{} is missing: apt install {}", need.program, need.package)};
    }
  }
  if (access((std::string(kKernel) + "/package").c_str(), R_OK) != 0) {
    return {Code::kUnimplemented, fmt::format("no guest kernel in {}: run ./dev setup", kKernel)};
  }
  return OkStatus();
}

Result<std::unique_ptr<Guest>> Guest::Boot(const std::string& dir, const std::string& board_uart) {
  FARADAY_TRY(Pack(dir));
  std::unique_ptr<Guest> guest(new Guest(dir));
  if (const Status started = guest->Start(board_uart); !started.ok()) {
    return Status(started.code(), fmt::format("{}\nqemu: {}", started.message(), guest->qemu_->err()));
  }
  return guest;
}

Guest::~Guest() {
  if (shell_ >= 0) close(shell_);
}

// Stopped until both sockets have their listener: nothing that the guest says is lost.
Status Guest::Start(const std::string& board_uart) {
  qemu_.emplace(Arguments(board_uart), Environment{}, dir_ + "/guest-qemu");
  FARADAY_TRY_ASSIGN(QmpClient monitor, QmpClient::Connect(dir_ + "/guest-qmp", kGenerous));
  monitor_.emplace(std::move(monitor));
  FARADAY_TRY_ASSIGN(shell_, sim::qemu::ConnectUnix(dir_ + "/shell", BootClock::now() + kGenerous));
  FARADAY_TRY(FindEndpoints());
  FARADAY_TRY(monitor_->Execute("cont", "", kGenerous).status());
  return ReadUntil("=== ready\n", BootClock::now() + kBoot).status();
}

std::vector<std::string> Guest::Arguments(const std::string& board_uart) const {
  std::string network = "user,id=net,restrict=on";
  for (const int port : kPorts) network += fmt::format(",hostfwd=tcp:127.0.0.1:0-127.0.0.1:{}", port);
  // 1 GiB: the address sanitizer's shadow and the unpacked initramfs; half would do.
  return Found({"qemu-system-x86_64",
                "-M",
                "pc",
                "-accel",
                "tcg",
                "-m",
                "1024",
                "-nodefaults",
                "-display",
                "none",
                "-no-reboot",
                "-S",
                "-kernel",
                std::string(kKernel) + "/vmlinuz",
                "-initrd",
                dir_ + "/initramfs",
                "-append",
                "console=ttyS0 panic=-1",
                "-serial",
                "file:" + dir_ + "/console.log",
                "-serial",
                fmt::format("unix:{}/shell,server=on,wait=off", dir_),
                "-qmp",
                fmt::format("unix:{}/guest-qmp,server=on,wait=off", dir_),
                "-netdev",
                network,
                "-device",
                "e1000,netdev=net",
                "-device",
                "qemu-xhci,id=xhci",
                "-chardev",
                "null,id=nothing",
                "-chardev",
                "null,id=spare",
                "-device",
                "usb-serial,id=other,bus=xhci.0,serial=FT4RACK02,chardev=nothing,always-plugged=on",
                "-chardev",
                "socket,id=board,path=" + board_uart,
                "-device",
                "usb-serial,id=ours,bus=xhci.0,serial=FT4RACK01,chardev=board"});
}

// QEMU chose free ports of this machine.
Status Guest::FindEndpoints() {
  FARADAY_TRY_ASSIGN(const std::string table,
                     monitor_->Execute("human-monitor-command", R"("command-line": "info usernet")", kGenerous));
  const std::string_view mark = "HOST_FORWARD]";
  for (size_t at = table.find(mark); at != std::string::npos; at = table.find(mark, at + 1)) {
    // file descriptor, this machine's address and port, the guest's address and port
    std::istringstream row(table.substr(at + mark.size()));
    std::string word;
    int ours = 0;
    int theirs = 0;
    if (row >> word >> word >> ours >> word >> theirs) endpoints_[theirs] = fmt::format("tcp://127.0.0.1:{}", ours);
  }
  if (endpoints_.size() == kPorts.size()) return OkStatus();
  return {Code::kUnavailable, "QEMU forwards no ports: " + table};
}

Result<Guest::Answer> Guest::Shell(const std::string& line, Milliseconds timeout) {
  const BootTime deadline = BootClock::now() + timeout;
  FARADAY_TRY(sim::qemu::SendAll(shell_, line + "\n"));
  Answer answer;
  FARADAY_TRY_ASSIGN(answer.text, ReadUntil("=== status ", deadline));
  FARADAY_TRY_ASSIGN(const std::string status, ReadUntil("\n", deadline));
  answer.status = std::atoi(status.c_str());
  return answer;
}

// What comes before `mark`; both are taken.
Result<std::string> Guest::ReadUntil(const std::string& mark, BootTime deadline) {
  for (size_t at = received_.find(mark); at != std::string::npos || BootClock::now() < deadline;
       at = received_.find(mark)) {
    if (at != std::string::npos) {
      std::string text = received_.substr(0, at);
      received_.erase(0, at + mark.size());
      return text;
    }
    pollfd ready{shell_, POLLIN, 0};
    if (poll(&ready, 1, 100) <= 0) continue;
    std::array<char, 4096> bytes{};
    const ssize_t count = recv(shell_, bytes.data(), bytes.size(), 0);
    if (count <= 0) return Status(Code::kUnavailable, "the guest has ended");
    received_.append(bytes.data(), static_cast<size_t>(count));
  }
  return Status(Code::kDeadlineExceeded, "the guest's shell does not answer; it said: " + received_);
}

Status Guest::Plug(const std::string& id, const std::string& usb_serial, const std::string& wire) {
  return monitor_
      ->Execute("device_add",
                fmt::format(R"("driver": "usb-serial", "bus": "xhci.0", "id": "{}", "serial": "{}", "chardev": "{}", )"
                            R"("always-plugged": true)",
                            id,
                            usb_serial,
                            wire),
                kGenerous)
      .status();
}

Status Guest::Pull(const std::string& id) {
  return monitor_->Execute("device_del", fmt::format(R"("id": "{}")", id), kGenerous).status();
}

std::string Guest::console() const { return ReadFile(dir_ + "/console.log"); }

}  // namespace faraday::hil
