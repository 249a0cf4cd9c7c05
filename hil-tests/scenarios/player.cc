#include "hil-tests/scenarios/player.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>

#include <algorithm>
#include <array>

#include "base/result.h"
#include "hil-tests/conformance/words.h"
#include "hil-tests/scenarios/facts.h"

namespace faraday::hil {
namespace {

using Milliseconds = std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr int64_t kWithinMs = 20'000;  // generous: two busy cores, QEMU

Status Wrong(std::string text) { return {Code::kFailedPrecondition, std::move(text)}; }

std::string Joined(const Output& output) {
  return fmt::format("exit {}: {}{}", output.exit_code, output.out, output.err);
}

struct MendRow {
  std::string_view verb;
  std::vector<std::string> (*mend)(std::vector<std::string> words);
};
using Argv = std::vector<std::string>;
const std::array<MendRow, 8> kMends = {{
    {"fault",
     [](Argv words) {
       return Argv{"fault", words[1], words[2], "off"};
     }},
    {"board",
     [](Argv words) {
       return Argv{"board", words[1], words[2], "off"};
     }},
    {"rail",
     [](Argv words) {
       return Argv{"rail", words[1], words[2], "ok"};
     }},
    {"load",
     [](Argv words) {
       return Argv{"load", words[1], "0"};
     }},
    {"ambient",
     [](Argv words) {
       return Argv{"ambient", words[1], "24"};
     }},
    {"input",
     [](Argv words) {
       return Argv{"input", words[1], "inactive"};
     }},
    {"bus",
     [](Argv words) {
       return Argv{"bus", words[1], words[2], "ok"};
     }},
    {"line",
     [](Argv words) {
       return words[2] == "damage" ? Argv{"line", words[1], "damage", "0"} : Argv{"line", words[1], "restore"};
     }},
}};

}  // namespace

std::string MendOf(const std::string& command) {
  const Argv words = SplitCommand(command);
  for (const MendRow& row : kMends) {
    if (words.size() < 3 || words[0] != row.verb) continue;
    const std::string mend = fmt::format("{}", fmt::join(row.mend(words), " "));
    return mend == command ? std::string() : mend;
  }
  return {};
}

template <typename Look>
Status ScenarioPlayer::Await(const ScenarioStep& step, Look look) {
  const int64_t within = step.within_ms.value_or(kWithinMs);
  std::string wrong;
  if (!WaitFor([&] { return (wrong = look(step)).empty(); }, Milliseconds(within))) {
    return Wrong(fmt::format("after {} s still: {}", static_cast<double>(within) / 1000, wrong));
  }
  const auto end = Clock::now() + Milliseconds(step.hold_ms);
  while (Clock::now() < end) {
    if (wrong = look(step); !wrong.empty()) return Wrong("did not stay so: " + wrong);
    ::poll(nullptr, 0, 50);
  }
  return OkStatus();
}

Status ScenarioPlayer::Play() {
  Status status = Prepare();
  if (!status.ok())
    status = {status.code(), fmt::format("{}: before the first step: {}", scenario_.file, status.message())};
  for (size_t i = 0; i < scenario_.steps.size() && status.ok(); ++i) {
    const ScenarioStep& step = scenario_.steps[i];
    if (const Status played = PlayStep(step); !played.ok()) {
      status = {played.code(), fmt::format("{}:{}: {}", scenario_.file, step.line, played.message())};
    }
  }
  if (!rig_.own()) Mend();
  return status;
}

Status ScenarioPlayer::Prepare() {
  for (const std::string& slot : scenario_.on) {
    const Output reserved = rig_.Cli({"reserve", "-l", "slot=" + slot, "--for", "30m", "--wait", "30s"}, "user");
    if (reserved.exit_code != 0) return Wrong("reserve: " + Joined(reserved));
    Output on;
    if (!WaitFor(
            [&] {
              return (on = rig_.Cli({"power", "on", slot}, "user")).exit_code == 0;
            },
            Milliseconds(kWithinMs))) {
      return Wrong("power on: " + Joined(on));
    }
  }
  return OkStatus();
}

Status ScenarioPlayer::PlayStep(const ScenarioStep& step) {
  switch (step.action) {
    case Do::kBench:
      return Bench(step);
    case Do::kCli:
      return Cli(step);
    case Do::kTruth:
      return Await(step, [this](const ScenarioStep& s) { return LookAtTruth(s); });
    case Do::kStatus:
      return Await(step, [this](const ScenarioStep& s) { return LookAtStatus(s); });
    case Do::kEvent:
      return Await(step, [this](const ScenarioStep& s) { return LookAtEvents(s); });
    case Do::kLog:
      return Await(step, [this](const ScenarioStep& s) { return LookAtLog(s); });
    case Do::kController:
      return Controller(step);
    case Do::kWait:
      ::poll(nullptr, 0, static_cast<int>(step.wait_ms));
      return OkStatus();
  }
  return OkStatus();
}

Status ScenarioPlayer::Bench(const ScenarioStep& step) {
  if (const std::string mend = MendOf(step.text); !mend.empty()) mends_.push_back(mend);
  const auto answer = rig_.Bench(step.text);
  if (!step.refused)
    return answer.ok() ? OkStatus() : Wrong(fmt::format("bench {}: {}", step.text, answer.status().message()));
  if (answer.ok()) return Wrong(fmt::format("bench {}: was not refused", step.text));
  if (Says(answer.status().message(), *step.refused)) return OkStatus();
  return Wrong(
      fmt::format("bench {}: \"{}\" does not say \"{}\"", step.text, answer.status().message(), *step.refused));
}

std::string ScenarioPlayer::LookAtCli(const ScenarioStep& step) {
  const Output output = rig_.Cli(SplitCommand(step.text), step.as);
  if (output.exit_code != step.exit_code) {
    return fmt::format("faraday {}: {} (expected exit {})", step.text, Joined(output), step.exit_code);
  }
  for (const std::string& words : step.says) {
    if (Says(output.out + output.err, words)) continue;
    return fmt::format("faraday {}: does not say \"{}\": {}", step.text, words, output.out + output.err);
  }
  return {};
}

Status ScenarioPlayer::Cli(const ScenarioStep& step) {
  if (step.within_ms) {
    return Await(step, [this](const ScenarioStep& s) { return LookAtCli(s); });
  }
  const std::string wrong = LookAtCli(step);
  return wrong.empty() ? OkStatus() : Wrong(wrong);
}

// "r01/07 outputs=none vbus_mv=0..800", "0 stopped=yes".
std::string ScenarioPlayer::LookAtTruth(const ScenarioStep& step) {
  const size_t space = std::min(step.text.find(' '), step.text.size());
  const auto state = rig_.Bench("state " + step.text.substr(0, space));
  if (!state.ok()) return state.status().message();
  Words seen = SplitWords(*state);
  std::string outputs = ValueOf(seen, "outputs").value_or("");  // "vbus,led" is also the words vbus and led
  std::ranges::replace(outputs, ',', ' ');
  for (std::string& output : SplitWords(outputs)) seen.push_back(std::move(output));
  const Words unmet = Unmet(SplitWords(step.text.substr(space)), seen);
  if (unmet.empty()) return {};
  return fmt::format("truth: {} not met by: {}", fmt::join(unmet, " "), *state);
}

std::string ScenarioPlayer::LookAtStatus(const ScenarioStep& step) {
  const Output output = rig_.Cli({"status", step.text, "--json"}, "viewer");
  if (output.exit_code != 0) return Joined(output);
  const Facts facts = FactsOf(output.out);
  std::vector<std::string> wrong = Unmet(step.has, facts);
  for (std::string& met : Met(step.has_not, facts)) wrong.push_back(std::move(met));
  if (wrong.empty()) return {};
  return fmt::format("status {}: {}", step.text, fmt::join(wrong, "; "));
}

std::string ScenarioPlayer::LookAtEvents(const ScenarioStep& step) {
  std::map<std::string, std::string> wanted = step.has;
  wanted["kind"] = step.text;
  std::string seen;
  for (const std::string& line : rig_.Events()) {
    const Facts facts = FactsOf(line);
    if (Unmet(wanted, facts).empty()) return {};
    for (const char* field : {"kind", "text"}) {
      const auto fact = facts.find(field);
      if (fact != facts.end()) seen += fact->second + (*field == 'k' ? " " : "; ");
    }
  }
  return fmt::format("no event {} {}; there were: {}", step.text, fmt::join(step.has, " "), seen);
}

std::string ScenarioPlayer::LookAtLog(const ScenarioStep& step) {
  const Output output = rig_.Cli({"rack", "log", "r01", "--limit", "200"}, "tech");
  if (output.exit_code != 0) return "rack log: " + Joined(output);
  if (Says(output.out, step.text)) return {};
  return fmt::format("the firmware's log does not say \"{}\":\n{}", step.text, output.out);
}

Status ScenarioPlayer::Controller(const ScenarioStep& step) {
  if (!rig_.own()) return Wrong("this step needs a controller of the scenario's own");
  if (step.text == "kill") return rig_.KillController();
  return step.text == "stop" ? rig_.StopController() : rig_.StartController();
}

void ScenarioPlayer::Mend() {
  for (auto mend = mends_.rbegin(); mend != mends_.rend(); ++mend) static_cast<void>(rig_.Bench(*mend));
}

}  // namespace faraday::hil
