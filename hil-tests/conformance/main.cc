// faraday-conformance: plays conformance scripts against a board and compares what boards did. A parts list: read the
// scripts, stand up the bench (or open the line), play, record.
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "hil-tests/conformance/player.h"
#include "hil-tests/conformance/rig.h"
#include "hil-tests/conformance/script.h"

namespace {

using namespace faraday;       // NOLINT: a program's own file
using namespace faraday::hil;  // NOLINT
namespace fs = std::filesystem;

constexpr int kFailed = 1;
constexpr int kBadUse = 2;
constexpr int kNothingToRunOn = 77;  // ctest: skipped

struct Options {
  std::string board = "native";
  std::vector<std::string> scripts;
  std::string bin_dir;
  std::string rack = FARADAY_CONFORMANCE_DIR "/rack.yaml";
  std::string firmware;
  std::string line;
  int baud = 460'800;
  std::string log_dir;
  std::vector<std::string> compare;
  bool list = false;
};

constexpr const char* kFooter =
    "Without SCRIPT all scripts of the source tree that apply to the board are played.\n"
    "It starts faraday-sim itself; scripts that need no special start share one. With --line it speaks to the board\n"
    "at PATH instead, a real one too: steps that need the bench are then skipped and said so. Outputs of slots 1 to "
    "32\n"
    "MOVE: a load or an old phone belongs in slots 7 and 9, nothing in the others. Afterwards every slot is off.\n\n"
    "Examples:\n"
    "  faraday-conformance --board native hil-tests/conformance/scripts/vbus.yaml\n"
    "  faraday-conformance --board ast1030 --log-dir /tmp/ast1030\n"
    "  faraday-conformance --line /dev/ttyUSB0 hil-tests/conformance/scripts/vbus.yaml\n"
    "  faraday-conformance --compare /tmp/native /tmp/ast1030\n\n"
    "Exit codes: 0 all passed, 1 a script failed or the boards differ, 2 wrong scripts or flags, 77 this machine\n"
    "cannot run that board (the reason is printed).\n";

std::string OwnFolder() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  return error ? "." : self.parent_path().string();
}

// Why this machine cannot run the board; empty: it can.
std::string Obstacle(const Options& options) {
  if (!options.line.empty()) return {};
  if (!fs::exists(options.bin_dir + "/faraday-sim")) return "no faraday-sim in " + options.bin_dir;
  if (options.board != "ast1030") return {};
  const std::string elf =
      options.firmware.empty() ? options.bin_dir + "/faraday-firmware-ast1030.elf" : options.firmware;
  if (!fs::exists(elf)) return fmt::format("no firmware image {}: arm-none-eabi-g++ was missing at the build", elf);
  std::istringstream path(std::getenv("PATH") != nullptr ? std::getenv("PATH") : "");
  for (std::string folder; std::getline(path, folder, ':');) {
    if (::access((folder + "/qemu-system-arm").c_str(), X_OK) == 0) return {};
  }
  return "no qemu-system-arm: apt install qemu-system-arm";
}

// ---- scripts ----

std::vector<std::string> DefaultScripts() {
  std::vector<std::string> paths;
  for (const auto& entry : fs::directory_iterator(FARADAY_CONFORMANCE_DIR "/scripts")) {
    if (entry.path().extension() == ".yaml") paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

// Prints the mistakes; nullopt when there are some.
std::optional<std::vector<Script>> LoadAll(const std::vector<std::string>& paths) {
  std::vector<Script> scripts;
  bool good = true;
  for (const std::string& path : paths) {
    auto loaded = LoadScript(path);
    if (!loaded.mistakes.empty()) fmt::print(stderr, "{}", rackconfig::Describe(loaded.mistakes));
    if (loaded.script)
      scripts.push_back(std::move(*loaded.script));
    else
      good = false;
  }
  if (!good) return std::nullopt;
  return scripts;
}

int List(const std::vector<Script>& scripts) {
  for (const Script& script : scripts) {
    fmt::print("{:<22} {}\n{:<22}   on {}\n", script.name, script.about, "", fmt::join(script.boards, ", "));
    for (const auto& [board, why] : script.missing) fmt::print("{:<22}   not on {}: {}\n", "", board, why);
  }
  return 0;
}

// ---- playing ----

// No slot has VBUS left from before.
bool Still(SimRig& rig) {
  for (size_t slot = 1; slot <= link::kMaxSlots; ++slot) {
    const auto state = rig.Ctl(fmt::format("state r01/{:02}", slot));
    if (!state.ok() || !Unmet({"vbus_mv=0..50"}, SplitWords(*state)).empty()) return false;
  }
  return true;
}

// Back to a fresh start that both boards know alike: no latch, a reset, and the rest of the memory as the last script
// left it.
Status Freshen(SimRig& rig, int baud) {
  BoardLine line(rig.line(), baud);
  FARADAY_TRY(line.Open());
  FARADAY_TRY(ClearLatches(line));
  const auto boots = [&rig]() -> std::optional<int64_t> {
    const auto state = rig.Ctl("state 0");
    return state.ok() ? NumberOf(ValueOf(SplitWords(*state), "boots").value_or("")) : std::nullopt;
  };
  const auto before = boots();
  const auto reset = rig.Ctl("mcu-reset 0");
  if (!reset.ok()) return reset.status();
  const bool again = WaitFor([&] { return boots() > before; }, std::chrono::milliseconds(kPatience));
  if (!again) return {Code::kDeadlineExceeded, "the MCU does not start again after mcu-reset"};
  const bool still = WaitFor([&rig] { return Still(rig); }, std::chrono::milliseconds(kPatience));
  return still ? OkStatus() : Status{Code::kDeadlineExceeded, "a slot's VBUS does not go away after mcu-reset"};
}

class Session {
 public:
  explicit Session(const Options& options) : options_(options) {}

  int Run(std::vector<Script>& scripts) {
    std::stable_partition(scripts.begin(), scripts.end(), [](const Script& script) { return !script.alone(); });
    for (const Script& script : scripts) {
      if (script.For(options_.board) || !options_.line.empty())
        RunOne(script);
      else
        Say(script, "not for this board", script.missing.at(options_.board));
    }
    fmt::print("{} passed, {} failed, {} skipped on {}; {} simulators started\n",
               passed_,
               failed_,
               skipped_,
               options_.line.empty() ? options_.board : options_.line,
               simulators_);
    return failed_ == 0 ? 0 : kFailed;
  }

 private:
  void Say(const Script& script, const std::string& what, const std::string& why) {
    fmt::print("{:<22} {}{}{}\n", script.name, what, why.empty() ? "" : ": ", why);
    std::fflush(stdout);
  }

  // The shared simulator, or one of the script's own.
  Status StandUp(const Script& script) {
    if (!options_.line.empty() || (rig_ && !script.alone())) return OkStatus();
    rig_.reset();
    FARADAY_TRY_ASSIGN(rig_,
                       SimRig::Start({.bin_dir = options_.bin_dir,
                                      .rack = options_.rack,
                                      .board = options_.board,
                                      .firmware = options_.firmware,
                                      .start_faults = script.start_faults}));
    ++simulators_;
    if (script.alone()) return OkStatus();
    BoardLine line(rig_->line(), options_.baud);
    FARADAY_TRY(line.Open());
    return SeedMemory(line);
  }

  Verdict PlayOne(const Script& script, Record& record) {
    const auto broken = [](const Status& status) { return Verdict{Verdict::Kind::kFailed, status.message()}; };
    if (!options_.line.empty() && (script.alone() || script.fresh))
      return {Verdict::Kind::kSkipped, "needs a bench: skipped"};
    if (const Status status = StandUp(script); !status.ok()) return broken(status);
    if (rig_ && !script.alone()) {
      if (const Status status = Freshen(*rig_, options_.baud); !status.ok()) return broken(status);
    }
    BoardLine line(rig_ ? rig_->line() : options_.line, options_.baud);
    if (const Status status = line.Open(); !status.ok()) return broken(status);
    if (!rig_) {
      if (const Status status = SeedMemory(line); !status.ok()) return broken(status);
    }
    Verdict verdict = Player(script, line, rig_.get(), record).Play();
    if (!rig_) LeaveOff(line, verdict);
    if (verdict.kind == Verdict::Kind::kFailed && rig_) verdict.message += "\n  faraday-sim said:\n" + rig_->Said();
    return verdict;
  }

  // A board of one's own does not stay as a script left it, a failed one above all.
  static void LeaveOff(BoardLine& line, Verdict& verdict) {
    const Status off = SeedMemory(line);
    if (off.ok()) return;
    verdict.message += fmt::format("{}slots may be ON: they cannot be turned off ({}); send the stop frame",
                                   verdict.message.empty() ? "" : "\n  ",
                                   off.message());
    verdict.kind = Verdict::Kind::kFailed;
  }

  void RunOne(const Script& script) {
    const auto start = std::chrono::steady_clock::now();
    Record record{.script = script.name, .board = options_.board, .tolerance = script.tolerance, .rows = {}};
    const Verdict verdict = PlayOne(script, record);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    constexpr const char* kNames[] = {"passed", "FAILED", "skipped"};
    Say(script, fmt::format("{} ({:.1f} s)", kNames[static_cast<size_t>(verdict.kind)], took.count()), verdict.message);
    ++(verdict.kind == Verdict::Kind::kPassed ? passed_ : verdict.kind == Verdict::Kind::kFailed ? failed_ : skipped_);
    if (!options_.log_dir.empty()) WriteFile(options_.log_dir + "/" + script.name + ".log", ToText(record));
    if (script.alone() || verdict.kind == Verdict::Kind::kFailed) rig_.reset();  // the next one starts clean
  }

  const Options& options_;
  std::unique_ptr<SimRig> rig_;
  int passed_ = 0;
  int failed_ = 0;
  int skipped_ = 0;
  int simulators_ = 0;
};

// ---- comparing ----

Result<Record> LoadRecord(const fs::path& path) {
  const auto record = ParseRecord(ReadFile(path.string()));
  if (record.ok()) return record;
  return Status{record.status().code(), fmt::format("{}: {}", path.string(), record.status().message())};
}

// Those scripts that apply to both boards.
int Compare(const std::vector<Script>& scripts, const std::vector<std::string>& folders) {
  for (const std::string& folder : folders) {
    if (fs::exists(folder) && !fs::is_empty(folder)) continue;
    fmt::print("SKIPPED: {} has no logs: that board was not run\n", folder);
    return kNothingToRunOn;
  }
  int compared = 0;
  int different = 0;
  for (const Script& script : scripts) {
    if (script.boards.size() < std::size(kBoards)) continue;
    ++compared;
    const auto left = LoadRecord(fs::path(folders[0]) / (script.name + ".log"));
    const auto right = LoadRecord(fs::path(folders[1]) / (script.name + ".log"));
    const std::string difference = !left.ok()    ? left.status().message() + "\n"
                                   : !right.ok() ? right.status().message() + "\n"
                                                 : Difference(*left, *right);
    if (difference.empty()) continue;
    ++different;
    fmt::print("{}\n", difference);
  }
  fmt::print("{} scripts compared, {} differ\n", compared, different);
  return different == 0 && compared > 0 ? 0 : kFailed;
}

// What an earlier run left must not be taken for this one's.
void ForgetLogs(const Options& options, const std::vector<Script>& scripts) {
  std::error_code ignored;
  if (options.log_dir.empty()) return;
  for (const Script& script : scripts) fs::remove(fs::path(options.log_dir) / (script.name + ".log"), ignored);
}

int Main(Options options) {
  if (options.bin_dir.empty()) options.bin_dir = OwnFolder();
  auto scripts = LoadAll(options.scripts.empty() ? DefaultScripts() : options.scripts);
  if (!scripts) return kBadUse;
  if (options.list) return List(*scripts);
  if (!options.compare.empty()) return Compare(*scripts, options.compare);
  if (const std::string obstacle = Obstacle(options); !obstacle.empty()) {
    ForgetLogs(options, *scripts);
    fmt::print("SKIPPED: {}\n", obstacle);
    return kNothingToRunOn;
  }
  std::error_code error;
  if (!options.log_dir.empty()) fs::create_directories(options.log_dir, error);
  if (error) {
    fmt::print(stderr, "faraday-conformance: cannot make {}: {}\n", options.log_dir, error.message());
    return kBadUse;
  }
  return Session(options).Run(*scripts);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"faraday-conformance: do all boards behave alike?"};
  app.footer(kFooter);
  Options options;
  app.add_option("SCRIPT", options.scripts, "script files")->check(CLI::ExistingFile);
  app.add_option("--board", options.board, "which board faraday-sim runs")->check(CLI::IsMember({"native", "ast1030"}));
  app.add_option("--line", options.line, "a board's line instead of faraday-sim: socket, pty or serial port");
  app.add_option("--baud", options.baud, "with --line on a serial port")->capture_default_str();
  app.add_option("--log-dir", options.log_dir, "write what the board did to DIR/SCRIPT.log");
  app.add_option("--compare", options.compare, "compare the logs of two folders")->expected(2);
  app.add_flag("--list", options.list, "list the scripts, their boards and why one is missing");
  app.add_option("--bin-dir", options.bin_dir, "where faraday-sim is; default: beside this program");
  app.add_option("--firmware", options.firmware, "with --board ast1030: the image");
  app.add_option("--rack", options.rack, "the rack's YAML for faraday-sim")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kBadUse;
  }
  return Main(std::move(options));
}
