// faraday-firmware-cost: what the MCU link costs, measured anew by one command. Lines of `name value unit`.
//
// Bytes are counted here; instructions by the measuring image on the emulated processor, which counts them; flash, RAM
// and stack are those that the product image's build wrote down. --check fails when a figure is above its ceiling.
#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "firmware/bench/bytes.h"
#include "firmware/bench/sample.h"

namespace faraday::firmware::bench {
namespace {

constexpr double kLineBytes = 46'080;  // 460,800 baud, 8N1: ten bits a byte
constexpr double kTelemetryHz = 10;    // firmware/core

using Figures = std::map<std::string, double>;

struct Ceiling {
  const char* name;
  double value;
};
// The ratio is the aim that was set; the others are about one and a half times what was measured when they were chosen:
// a step up is to be noticed, not every byte.
constexpr Ceiling kCeilings[] = {{"telemetry_ratio", 0.6},
                                 {"telemetry_line_share", 12},
                                 {"telemetry_worst_line_share", 20},
                                 {"telemetry_encode", 18'000},
                                 {"telemetry_frame_encode", 25'000},
                                 {"set_vbus_decode", 2'200},
                                 {"set_vbus_frame_decode", 3'000},
                                 {"configure_decode", 24'000},
                                 {"configure_frame_decode", 16'000}};

void Show(Figures& figures, const std::string& name, double value, const std::string& unit) {
  figures[name] = value;
  const bool whole = value == static_cast<double>(static_cast<long>(value));
  if (whole)
    fmt::print("{} {} {}\n", name, static_cast<long>(value), unit);
  else
    fmt::print("{} {:.3g} {}\n", name, value, unit);
}

void ShowBytes(Figures& figures, const std::string& name, void (*fill)(link::Telemetry&)) {
  link::Telemetry telemetry;
  fill(telemetry);
  const TelemetryBytes bytes = BytesOf(telemetry);
  Show(figures, name, static_cast<double>(bytes.payload), "B");
  Show(figures, name + "_plain_form", static_cast<double>(bytes.plain), "B");
  Show(figures, name + "_one_message_per_slot", static_cast<double>(bytes.nested), "B");
  Show(figures, name + "_ratio", static_cast<double>(bytes.payload) / static_cast<double>(bytes.nested), "x");
  Show(figures, name + "_wire", static_cast<double>(bytes.wire), "B");
  Show(figures, name + "_line_share", static_cast<double>(bytes.wire) * kTelemetryHz / kLineBytes * 100, "%");
}

// Takes over lines of `name value unit`. False when there is none.
bool ShowLines(Figures& figures, std::istream& lines, const std::string& prefix) {
  bool any = false;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name, unit;
    double value = 0;
    if (!(words >> name >> value >> unit)) continue;
    Show(figures, prefix + name, value, unit);
    any = true;
  }
  return any;
}

// The image ends by itself; `timeout` is for one that does not.
bool ShowInstructions(Figures& figures) {
  const std::string command = fmt::format(
      "timeout 120 qemu-system-arm -M ast1030-evb -display none -nodefaults -icount shift=0"
      " -semihosting-config enable=on,target=native -kernel '{}' 2>&1",
      FARADAY_BENCH_ELF);
  std::string output;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return false;
  char buffer[512];
  for (size_t got = 0; (got = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) output.append(buffer, got);
  const bool ended_well = pclose(pipe) == 0;
  std::istringstream lines(output);
  if (ended_well && ShowLines(figures, lines, "")) return true;
  fmt::print(stderr, "the measuring image failed; QEMU 7.2 and arm-none-eabi-g++ are needed\n{}\n{}", command, output);
  return false;
}

int Check(const Figures& figures) {
  int above = 0;
  for (const Ceiling& ceiling : kCeilings) {
    const auto figure = figures.find(ceiling.name);
    if (figure != figures.end() && figure->second <= ceiling.value) continue;
    fmt::print("check: {} is {}, its ceiling is {}\n",
               ceiling.name,
               figure == figures.end() ? "missing" : fmt::format("{:.4g}", figure->second),
               ceiling.value);
    ++above;
  }
  // The same message on both machines, or the instructions are those of another one.
  if (figures.at("telemetry_on_target") != figures.at("telemetry")) {
    fmt::print("check: the target's telemetry has another length than the host's\n");
    ++above;
  }
  return above == 0 ? 0 : 1;
}

int Run(bool check) {
  Figures figures;
  ShowBytes(figures, "telemetry", FillCharging);
  ShowBytes(figures, "telemetry_worst", FillWorst);
  if (!ShowInstructions(figures)) return 1;
  std::ifstream image(FARADAY_IMAGE_BUDGET);
  ShowLines(figures, image, "image_");
  return check ? Check(figures) : 0;
}

}  // namespace
}  // namespace faraday::firmware::bench

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty()) return faraday::firmware::bench::Run(false);
  if (words == std::vector<std::string>{"--check"}) return faraday::firmware::bench::Run(true);
  fmt::print(stderr, "faraday-firmware-cost [--check]\n");
  return 2;
}
