// faraday-line-proxy: a bad cable between a controller and a board. A parts list: read the flags, make the pump, turn
// it until a signal ends it.
#include <fmt/core.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <array>
#include <cstdio>
#include <string>

#include "base/log.h"
#include "sim/line_proxy/line_proxy.h"

#ifndef FARADAY_VERSION
#define FARADAY_VERSION "0.1.0"
#endif

namespace {

using namespace faraday;  // NOLINT: a program's own file

constexpr int kBadFlags = 2;
constexpr char kFooter[] =
    "Makes HOST appear, where the controller's config looks for its board, and opens BOARD, where the board is. "
    "Frames\n"
    "pass through, some of them damaged; the same seed and traffic give the same damage. While the board's port is "
    "gone\n"
    "the controller's is unplugged. SIGUSR1 prints what was damaged so far, the end prints it too.\n\n"
    "Example: 5 % of the frames of a simulated board, all kinds of damage, both ways\n"
    "  faraday-line-proxy --host pty:/tmp/rack/bad0 --board pty:/tmp/rack/sim/board0 --damage 5% --seed 42\n"
    "Only losses and bit errors, at a real adapter:\n"
    "  faraday-line-proxy --host pty:/tmp/bad0 --board tty:/dev/ttyUSB0 --baud 460800 --drop 1% --corrupt 2%";

struct Flags {
  std::string host;
  std::string board;
  int baud = 460800;
  uint64_t seed = 1;
  std::string damage;
  std::array<std::string, sim::kDamages> kinds;
};

Result<sim::DamageRates> RatesOf(const Flags& flags) {
  sim::DamageRates rates;
  if (!flags.damage.empty()) {
    FARADAY_TRY_ASSIGN(const uint32_t all, sim::ParsePercent(flags.damage));
    rates = sim::DamageRates::Mixed(all);
  }
  for (size_t i = 0; i < sim::kDamages; ++i) {
    if (flags.kinds[i].empty()) continue;
    FARADAY_TRY_ASSIGN(rates.per_million[i], sim::ParsePercent(flags.kinds[i]));
  }
  if (rates.sum() <= sim::DamageRates::kAll) return rates;
  return Status{Code::kInvalidArgument, "the kinds of damage together are more than 100 %"};
}

Result<std::unique_ptr<sim::LinePort>> HostPort(const std::string& text) {
  FARADAY_TRY_ASSIGN(const sim::PortName name, sim::ParsePortName(text));
  return name.socket ? sim::MakeSocketLine(name.path) : sim::MakePtyLine(name.path);
}

int SignalFd() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) sigaddset(&set, signal);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

int Refuse(const Status& status) {
  fmt::print(stderr, "faraday-line-proxy: {}\n", status.message());
  return kBadFlags;
}

int Run(const Flags& flags) {
  const auto rates = RatesOf(flags);
  if (!rates.ok()) return Refuse(rates.status());
  auto host = HostPort(flags.host);
  if (!host.ok()) return Refuse(host.status());
  const auto board = sim::ParsePortName(flags.board);
  if (!board.ok()) return Refuse(board.status());
  const int signals = SignalFd();
  sim::LineProxy proxy(
      std::move(*host), *board, flags.baud, *rates, flags.seed, [](const std::string& text) { log::Info("{}", text); });
  for (bool more = true; more;) {
    if (const Status turned = proxy.Turn(signals); !turned.ok()) {
      log::Error("{}", turned.message());
      return 1;
    }
    signalfd_siginfo info{};
    while (::read(signals, &info, sizeof info) == ssize_t{sizeof info}) {
      fmt::print("{}\n", proxy.Counts());
      std::fflush(stdout);
      more = more && info.ssi_signo == SIGUSR1;
    }
  }
  ::close(signals);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  log::Program() = "line-proxy";
  CLI::App app{"faraday-line-proxy: a bad cable between a controller and a board"};
  app.footer(kFooter);
  app.set_version_flag("--version", FARADAY_VERSION);
  Flags flags;
  app.add_option("--host", flags.host, "the port to make: pty:PATH (a symlink) or socket:PATH")->required();
  app.add_option("--board", flags.board, "the board's port: pty:PATH, tty:PATH or socket:PATH")->required();
  app.add_option("--baud", flags.baud, "of a real tty")->capture_default_str();
  app.add_option("--seed", flags.seed, "of the damage")->capture_default_str();
  app.add_option("--damage", flags.damage, "share of frames, all kinds mixed: 5%");
  for (size_t i = 0; i < sim::kDamages; ++i) {
    const std::string kind(sim::ToString(static_cast<sim::Damage>(i)));
    app.add_option("--" + kind, flags.kinds[i], "share of frames of this kind, in place of --damage's");
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kBadFlags;
  }
  return Run(flags);
}
