// faraday-sim-phone: one simulated phone on its own, connected and charging, until SIGTERM. For trying adb by hand and
// for tests of programs that talk to adb; a whole bench of phones is faraday-sim's.
#include <fmt/core.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "base/log.h"
#include "evloop/loop.h"
#include "sim/phone/phone.h"

namespace {

using faraday::sim::FindPhoneModel;
using faraday::sim::Phone;
using faraday::sim::PhoneOptions;

struct Flags {
  std::string listen = "127.0.0.1:0";
  std::string model = "pixel-8";
  std::string serial = "SIM00001";
  std::string android;
  std::string folder;
  std::string fault = "ok";
  int battery = 80;
  bool boot = false;
};

int Complain(const faraday::Status& status) {
  faraday::log::Error("{}", status.message());
  return 2;
}

int RunPhone(const Flags& flags) {
  faraday::evloop::Loop loop;
  const auto* model = FindPhoneModel(flags.model);
  if (model == nullptr) {
    return Complain({faraday::Code::kInvalidArgument,
                     "no phone model '" + flags.model + "'; there are " + faraday::sim::PhoneModelNames()});
  }
  const auto fault = faraday::sim::ParsePhoneFault(flags.fault);
  if (!fault.ok()) return Complain(fault.status());
  loop.OnSignals({SIGTERM, SIGINT}, [&loop](int) { loop.Stop(); });
  PhoneOptions options{
      .model = *model, .identity = {flags.serial, flags.android}, .listen = {flags.listen}, .folder = flags.folder};
  if (flags.boot) options.start = faraday::sim::PhonePower::kBooting;
  auto phone = Phone::Create(loop, std::move(options));
  if (!phone.ok()) return Complain(phone.status());
  (*phone)->SetFault(*fault);
  (*phone)->Update({.present = true, .vbus = true, .data_host = 0, .battery_percent = flags.battery});
  std::string said;
  // A booting phone listens later, and on another port after a reboot when port 0 was asked for.
  loop.AddPeriodic("say where", faraday::Milliseconds(20), [&] {
    const std::string now = (*phone)->listening();
    if (now == said) return;
    said = now;
    fmt::print("listening {}\n", now.empty() ? "-" : now);
    std::fflush(stdout);
  });
  return loop.Run();
}

}  // namespace

int main(int argc, char** argv) {
  faraday::log::Program() = "faraday-sim-phone";
  CLI::App app{
      "One simulated phone for adb.\n\nExample:\n"
      "  faraday-sim-phone --listen 127.0.0.1:5601 --model pixel-8 --serial X1 --dir /tmp/x1\n"
      "  adb connect 127.0.0.1:5601 && adb -s 127.0.0.1:5601 shell getprop ro.product.model\n\n"
      "Prints 'listening ADDRESS' whenever its address changes ('-': none)."};
  app.set_version_flag("--version", FARADAY_VERSION);
  Flags flags;
  app.add_option("--listen", flags.listen, "IPv4:PORT for adb; port 0 takes a free one")->capture_default_str();
  app.add_option("--model", flags.model, "One of " + faraday::sim::PhoneModelNames())->capture_default_str();
  app.add_option("--serial", flags.serial, "ro.serialno")->capture_default_str();
  app.add_option("--android", flags.android, "Android version (default: as the model was shipped)");
  app.add_option("--dir", flags.folder, "The phone's private folder; made when absent")->required();
  app.add_option("--fault", flags.fault, "ok, offline, hung or absent")->capture_default_str();
  app.add_option("--battery", flags.battery, "Charge in percent")->capture_default_str()->check(CLI::Range(0, 100));
  app.add_flag("--boot", flags.boot, "Start by booting instead of booted");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return RunPhone(flags);
}
