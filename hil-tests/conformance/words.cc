#include "hil-tests/conformance/words.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "link/slot_bits.h"

namespace faraday::hil {
namespace {

struct Flag {
  std::string_view name;
  bool link::SlotBits::*member;
};
constexpr std::array kFlags = {
    Flag{"vbus_commanded", &link::SlotBits::vbus_commanded},
    Flag{"vbus_measured_on", &link::SlotBits::vbus_measured_on},
    Flag{"vbus_measured_off", &link::SlotBits::vbus_measured_off},
    Flag{"couple_commanded", &link::SlotBits::couple_commanded},
    Flag{"tripped", &link::SlotBits::tripped},
    Flag{"pending", &link::SlotBits::pending},
    Flag{"leased", &link::SlotBits::leased},
    Flag{"monitor_fresh", &link::SlotBits::monitor_fresh},
    Flag{"temperature_fresh", &link::SlotBits::temperature_fresh},
    Flag{"read_back_mismatch", &link::SlotBits::read_back_mismatch},
    Flag{"part_missing", &link::SlotBits::part_missing},
    Flag{"relay_stuck", &link::SlotBits::relay_stuck},
    Flag{"back_feed", &link::SlotBits::back_feed},
    Flag{"switch_shorted", &link::SlotBits::switch_shorted},
    Flag{"no_discharge", &link::SlotBits::no_discharge},
    Flag{"nvm_lost", &link::SlotBits::nvm_lost},
};

struct Fault {
  std::string_view name;
  uint32_t bit;
};
constexpr std::array kFaults = {
    Fault{"host_silent", link::kFaultHostSilent},
    Fault{"not_configured", link::kFaultNotConfigured},
    Fault{"i2c_bus", link::kFaultI2cBus},
    Fault{"rail_sag", link::kFaultRailSag},
    Fault{"stopped", link::kFaultStopped},
    Fault{"nvm_lost", link::kFaultNvmLost},
    Fault{"nvm_read_only", link::kFaultNvmReadOnly},
};

constexpr std::array<std::string_view, 4> kPaths = {"open", "charge", "host", "unknown"};
constexpr std::array<std::string_view, 4> kSenses = {"isolated", "coupled", "moving", "unknown"};
constexpr std::array<std::string_view, 8> kTrips = {
    "none", "over_current", "over_temperature", "switch_shorted", "stale_sensor", "stop", "hot_swap", "fast_rise"};

// Times, random numbers, and what names the build or the board itself.
constexpr std::array<std::string_view, 21> kNotContent = {
    "uptime_ms",        "nonce",    "session",    "term",     "wait_ms",       "lease_left_ms",    "silent_ms",
    "number",           "build_id", "board",      "epochs",   "next_event_id", "next_command_seq", "queue_position",
    "firmware_version", "id",       "config_crc", "protocol", "capabilities",  "flash_id",         "boot_number"};

std::string PathName(link::DataPath path, uint8_t host) {
  const std::string name{kPaths[static_cast<size_t>(path)]};
  return path == link::DataPath::kHost ? fmt::format("{}{}", name, host) : name;
}

std::string_view KeyOf(std::string_view word) { return word.substr(0, std::min(word.find('='), word.size())); }

bool HoldsValue(std::string_view wanted, std::string_view seen) {
  const size_t dots = wanted.find("..");
  const auto value = NumberOf(seen);
  if (dots == wanted.npos) return wanted == seen || (value.has_value() && value == NumberOf(wanted));
  const auto low = NumberOf(wanted.substr(0, dots));
  const auto high = NumberOf(wanted.substr(dots + 2));
  return value && low && high && *value >= *low && *value <= *high;
}

bool Holds(const std::string& wanted, const Words& seen) {
  if (wanted.starts_with('!')) return std::find(seen.begin(), seen.end(), wanted.substr(1)) == seen.end();
  const size_t equals = wanted.find('=');
  if (equals == wanted.npos) return std::find(seen.begin(), seen.end(), wanted) != seen.end();
  // A field that is 0 or empty is left out of the human form.
  const auto value = ValueOf(seen, wanted.substr(0, equals));
  return HoldsValue(std::string_view(wanted).substr(equals + 1), value.value_or("0"));
}

std::string RelativeEpoch(std::string_view value, uint32_t base) {
  const auto number = NumberOf(value);
  if (!number || *number < base) return "epoch=old";
  return fmt::format("epoch=@{}", *number - base);
}

}  // namespace

Words SplitWords(std::string_view text) {
  Words words;
  std::string word;
  char closing = 0;
  for (const char c : text) {
    if (closing != 0) {
      if (c == closing) closing = 0;
    } else if (c == '"' || c == '[') {
      closing = c == '"' ? '"' : ']';
    } else if (c == ' ' || c == '\n') {
      if (!word.empty()) words.push_back(std::move(word));
      word.clear();
      continue;
    }
    word += c;
  }
  if (!word.empty()) words.push_back(word);
  return words;
}

std::string JoinWords(const Words& words) { return fmt::format("{}", fmt::join(words, " ")); }

std::optional<std::string> ValueOf(const Words& words, std::string_view key) {
  for (const std::string& word : words) {
    if (word.size() > key.size() && word[key.size()] == '=' && word.starts_with(key))
      return word.substr(key.size() + 1);
  }
  return std::nullopt;
}

std::optional<int64_t> NumberOf(std::string_view text) {
  const bool hex = text.starts_with("0x");
  if (hex) text.remove_prefix(2);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, hex ? 16 : 10);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Words Unmet(const Words& wanted, const Words& seen) {
  Words unmet;
  std::copy_if(wanted.begin(), wanted.end(), std::back_inserter(unmet), [&](const std::string& word) {
    return !Holds(word, seen);
  });
  return unmet;
}

std::string PutEpochs(std::string_view text, uint32_t base) {
  Words words = SplitWords(text);
  for (std::string& word : words) {
    const size_t at = word.find("=@");
    if (at == word.npos) continue;
    if (const auto number = NumberOf(std::string_view(word).substr(at + 2))) {
      word = fmt::format("{}={}", word.substr(0, at), base + static_cast<uint32_t>(*number));
    }
  }
  return JoinWords(words);
}

Words StateWords(uint32_t state) {
  const link::SlotBits bits = link::Unpack(state);
  Words words;
  for (const Flag& flag : kFlags) {
    if (bits.*flag.member) words.emplace_back(flag.name);
  }
  words.push_back("data_commanded=" + PathName(bits.data_commanded, bits.data_commanded_host));
  words.push_back("data_measured=" + PathName(bits.data_measured, bits.data_measured_host));
  words.push_back(fmt::format("relay_sense={}", kSenses[static_cast<size_t>(bits.relay_sense)]));
  if (bits.trip_reason < kTrips.size()) words.push_back(fmt::format("trip_reason={}", kTrips[bits.trip_reason]));
  return words;
}

Words BoardWords(const link::Telemetry& telemetry) {
  Words words;
  for (const Fault& fault : kFaults) {
    if ((telemetry.faults & fault.bit) != 0) words.emplace_back(fault.name);
  }
  words.push_back(fmt::format("inputs={:#x}", telemetry.inputs));
  words.push_back(fmt::format("frames_bad={}", telemetry.frames_bad));
  words.push_back(fmt::format("event_backlog={}", telemetry.event_backlog));
  return words;
}

Words Content(std::string_view described, uint32_t epoch_base) {
  Words content;
  for (const std::string& word : SplitWords(described)) {
    const std::string_view key = KeyOf(word);
    const bool pair = key.size() < word.size();
    if (pair && std::find(kNotContent.begin(), kNotContent.end(), key) != kNotContent.end()) continue;
    const std::string_view value = pair ? std::string_view(word).substr(key.size() + 1) : std::string_view();
    if (pair && key == "epoch") {
      content.push_back(RelativeEpoch(value, epoch_base));
    } else if (pair && key == "state") {
      const Words state = StateWords(static_cast<uint32_t>(NumberOf(value).value_or(0)));
      content.insert(content.end(), state.begin(), state.end());
    } else {
      content.push_back(word);
    }
  }
  return content;
}

}  // namespace faraday::hil
