#include "cli/slot_text.h"

#include <fmt/format.h>

#include <map>

#include "cli/condition_text.h"
#include "cli/text.h"

namespace faraday::cli {
namespace {

// A measurement older than this is not "now" any more: telemetry comes 10 times a second (chosen).
constexpr uint32_t kStaleMs = 2000;
// Below this width reasons go under their rows.
constexpr size_t kNarrow = 110;

std::string TriWord(v1::TriState state) {
  switch (state) {
    case v1::TRI_STATE_YES:
      return "on";
    case v1::TRI_STATE_NO:
      return "off";
    default:
      return "?";
  }
}

std::string ShieldWord(v1::ShieldState state) {
  switch (state) {
    case v1::SHIELD_STATE_ISOLATED:
      return "isolated";
    case v1::SHIELD_STATE_COUPLED:
      return "coupled";
    case v1::SHIELD_STATE_MOVING:
      return "moving";
    default:
      return "?";
  }
}

std::string PathWord(v1::DataPath path, const std::string& host) {
  switch (path) {
    case v1::DATA_PATH_OPEN:
      return "open";
    case v1::DATA_PATH_CHARGE:
      return "charge";
    case v1::DATA_PATH_HOST:
      return "host:" + (host.empty() ? std::string("?") : Printable(host));
    default:
      return "?";
  }
}

std::string AskedAndMeasured(const std::string& asked, const std::string& measured) {
  return asked == measured || asked == "?" ? measured : asked + ">" + measured;
}

// Adds a part unless it is told already; where it tells more, it takes the place of what it tells again.
void AddPart(const std::string& part, std::vector<std::string>* parts) {
  if (part.empty()) return;
  for (std::string& told : *parts) {
    if (told.find(part) != std::string::npos) return;
    if (part.find(told) == std::string::npos) continue;
    told = part;
    return;
  }
  parts->push_back(part);
}

// Why the slot is not simply ready, the most telling first.
std::string Reason(const v1::SlotState& slot) {
  std::vector<std::string> parts;
  if (!slot.trip().empty()) parts.push_back("tripped: " + Printable(slot.trip()));
  // Who leases it stands in its own column.
  const bool said = slot.allocation() == v1::ALLOCATION_LEASED && slot.reason().rfind("leased by ", 0) == 0;
  if (!said) AddPart(Printable(slot.reason()), &parts);
  AddPart(Printable(slot.health_reason()), &parts);
  for (const std::string& condition : slot.conditions()) AddPart(Printable(condition), &parts);
  if (slot.measured_age_ms() > kStaleMs) parts.push_back("measured " + FormatAge(slot.measured_age_ms()) + " ago");
  return fmt::format("{}", fmt::join(parts, "; "));
}

std::string SeenWord(const v1::Device& device) {
  return device.never_seen() || device.agent().empty() ? "-" : FormatAge(device.age_ms());
}

std::string SlotCounts(const v1::RackState& rack) {
  std::map<v1::Allocation, int> counts;
  int not_good = 0;
  for (const v1::SlotState& slot : rack.slots()) {
    ++counts[slot.allocation()];
    not_good += slot.health() == v1::HEALTH_GOOD ? 0 : 1;
  }
  std::string line = fmt::format("{}: {} free, {} leased",
                                 Counted(static_cast<uint64_t>(rack.slots_size()), "slot"),
                                 counts[v1::ALLOCATION_FREE],
                                 counts[v1::ALLOCATION_LEASED]);
  if (counts[v1::ALLOCATION_CLEANING] > 0) line += fmt::format(", {} cleaning", counts[v1::ALLOCATION_CLEANING]);
  if (not_good > 0) line += fmt::format(", {} not in good health", not_good);
  return line;
}

std::string Header(const v1::RackState& rack, int64_t age_ms) {
  std::string out = "rack " + Printable(rack.rack());
  for (const v1::BoardState& board : rack.boards()) out += "; " + BoardWords(board);
  out += "; " + SlotCounts(rack);
  if (age_ms > 0) out += "; as of " + FormatAge(age_ms) + " ago";
  return out + "\n";
}

std::string Fact(std::string_view name, const std::string& value) { return fmt::format("  {:<10}{}\n", name, value); }

// Each condition with what to do about it.
std::string ConditionCard(const v1::SlotState& slot, int64_t now_utc_ms) {
  std::string out;
  for (const v1::Condition& condition : slot.condition_list()) {
    const bool trip = IsTrip(slot, condition);
    out += Fact(trip ? "tripped" : "condition", ConditionWords(condition, trip, now_utc_ms));
    if (!condition.next().empty()) out += Fact("", Printable(condition.next()));
    if (condition.quarantines()) out += Fact("", "gets no new lease until it is cleared");
  }
  return out;
}

std::string LeaseCard(const v1::SlotState& slot, int64_t now_utc_ms) {
  const v1::Lease& lease = slot.lease();
  std::string out = Fact("lease", LeaseWords(slot, now_utc_ms));
  const bool held = lease.purpose() == v1::PURPOSE_PERSON || lease.purpose() == v1::PURPOSE_JOB;
  out += Fact("",
              fmt::format("{} epoch {}{}",
                          held ? "lease " + Printable(lease.id()) + "," : "care's,",
                          lease.epoch(),
                          held ? ", " + FormatAge(lease.left_ms()) + " left" : ""));
  if (!lease.reservation().empty()) out += Fact("", "for " + Printable(lease.reservation()));
  if (!lease.agent().empty()) out += Fact("", "acted for by agent " + Printable(lease.agent()));
  if (!lease.note().empty()) out += Fact("", "note: " + Printable(lease.note()));
  return out;
}

std::string PhoneCard(const v1::Device& device) {
  if (device.never_seen()) {
    return Fact("phone",
                device.expected().empty() ? "never seen, none expected"
                                          : "never seen, expected " + Printable(device.expected()));
  }
  std::string out = Fact("phone",
                         fmt::format("{} serial {}, {} {}",
                                     Printable(device.model()),
                                     Printable(device.serial()),
                                     Printable(device.platform()),
                                     Printable(device.os_version())));
  const std::string battery = device.battery_percent() < 0 ? "unknown" : fmt::format("{}%", device.battery_percent());
  const char* boot = device.boot_completed() == v1::TRI_STATE_YES  ? "booted"
                     : device.boot_completed() == v1::TRI_STATE_NO ? "booting"
                                                                   : "boot state unknown";
  out += Fact("",
              fmt::format("battery {}, adb {}, {}; read {} ago by agent {}",
                          battery,
                          Printable(device.adb_state()),
                          boot,
                          FormatAge(device.age_ms()),
                          Printable(device.agent())));
  if (!device.expected().empty() && device.expected() != device.model())
    out += Fact("", "expected " + Printable(device.expected()));
  return out;
}

std::string Labels(const v1::SlotState& slot) {
  const std::map<std::string, std::string> sorted(slot.labels().begin(), slot.labels().end());
  std::vector<std::string> labels;
  for (const auto& [name, value] : sorted) labels.push_back(Printable(name) + "=" + Printable(value));
  return fmt::format("{}", fmt::join(labels, ", "));
}

}  // namespace

std::string HealthWord(v1::Health health) {
  switch (health) {
    case v1::HEALTH_GOOD:
      return "good";
    case v1::HEALTH_SUSPECT:
      return "suspect";
    case v1::HEALTH_REPAIRING:
      return "repairing";
    case v1::HEALTH_QUARANTINED:
      return "quarantined";
    case v1::HEALTH_MAINTENANCE:
      return "maintenance";
    default:
      return "?";
  }
}

std::string LeaseWords(const v1::SlotState& slot, int64_t now_utc_ms) {
  const v1::Lease& lease = slot.lease();
  const std::string holder = Printable(lease.holder()) + " until " + FormatClock(lease.end_utc_ms(), now_utc_ms);
  switch (slot.allocation()) {
    case v1::ALLOCATION_FREE:
      return "free";
    case v1::ALLOCATION_CLEANING:
      return "cleaning";
    case v1::ALLOCATION_LEASED:
      return lease.purpose() == v1::PURPOSE_JOB ? "job of " + holder : holder;
    default:
      return "?";
  }
}

std::string BoardWords(const v1::BoardState& board) {
  if (!board.online()) return fmt::format("board {} is OFFLINE: {}", board.index(), Printable(board.reason()));
  std::string line = fmt::format(
      "board {} online ({} {})", board.index(), Printable(board.board()), Printable(board.firmware_version()));
  if (board.stopped()) line += ", STOPPED";
  if (board.alarm()) line += ", ALARM";
  for (const std::string& fault : board.faults()) line += ", " + Printable(fault);
  return line;
}

std::string VbusWords(const v1::Vbus& vbus) {
  return AskedAndMeasured(TriWord(vbus.commanded_on()), TriWord(vbus.measured_on()));
}

std::string ShieldWords(const v1::Shield& shield) {
  return AskedAndMeasured(ShieldWord(shield.commanded()), ShieldWord(shield.measured()));
}

std::string DataWords(const v1::Data& data) {
  return AskedAndMeasured(PathWord(data.commanded(), data.commanded_host()),
                          PathWord(data.measured(), data.measured_host()));
}

std::string PhoneWords(const v1::Device& device) {
  if (device.never_seen() || device.model().empty())
    return device.expected().empty() ? "-" : "(" + Printable(device.expected()) + "?)";
  std::string words = Printable(device.model());
  if (!device.os_version().empty()) words += " " + Printable(device.os_version());
  if (device.battery_percent() >= 0) words += fmt::format(" {}%", device.battery_percent());
  if (device.adb_state() != "device" && !device.adb_state().empty()) words += " " + Printable(device.adb_state());
  return words;
}

std::string RenderRack(const v1::RackState& rack, int64_t now_utc_ms, size_t width, int64_t age_ms) {
  const bool narrow = width < kNarrow;
  std::vector<Column> columns = {{"SLOT"},
                                 {"PHONE"},
                                 {"SEEN", true},
                                 {"HEALTH"},
                                 {"LEASE"},
                                 {"VBUS"},
                                 {"mV", true},
                                 {"mA", true},
                                 {"SHIELD"},
                                 {"DATA"}};
  if (!narrow) columns.push_back({"REASON"});
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> notes;
  for (const v1::SlotState& slot : rack.slots()) {
    rows.push_back({Printable(slot.slot()),
                    PhoneWords(slot.device()),
                    SeenWord(slot.device()),
                    HealthWord(slot.health()),
                    LeaseWords(slot, now_utc_ms),
                    VbusWords(slot.vbus()),
                    fmt::format("{}", slot.vbus().measured_mv()),
                    fmt::format("{}", slot.vbus().measured_ma()),
                    ShieldWords(slot.shield()),
                    DataWords(slot.data())});
    if (narrow) {
      notes.push_back(Cut(Reason(slot), width > 9 ? width - 9 : width));
    } else {
      rows.back().push_back(Reason(slot));
    }
  }
  return Header(rack, age_ms) + RenderTable(columns, rows, notes);
}

std::string RenderCard(const v1::SlotState& slot, int64_t now_utc_ms) {
  const std::string reason = Reason(slot);
  std::string out = fmt::format("slot {}\n", Printable(slot.slot()));
  out += Fact("health", HealthWord(slot.health()) + (reason.empty() ? "" : ": " + reason));
  out += ConditionCard(slot, now_utc_ms);
  out += LeaseCard(slot, now_utc_ms);
  out += PhoneCard(slot.device());
  const v1::Vbus& vbus = slot.vbus();
  out += Fact("VBUS",
              fmt::format("commanded {}, measured {}: {} mV, {} mA",
                          TriWord(vbus.commanded_on()),
                          TriWord(vbus.measured_on()),
                          vbus.measured_mv(),
                          vbus.measured_ma()));
  const v1::Data& data = slot.data();
  out += Fact("data",
              fmt::format("commanded {}, measured {}",
                          PathWord(data.commanded(), data.commanded_host()),
                          PathWord(data.measured(), data.measured_host())));
  out += Fact(
      "shield",
      fmt::format(
          "commanded {}, measured {}", ShieldWord(slot.shield().commanded()), ShieldWord(slot.shield().measured())));
  // The wire leaves an unread temperature at 0; a tray at exactly 0.0 degC in a running rack is not believed either.
  out += Fact("tray",
              slot.tray_deci_celsius() == 0 ? std::string("unknown")
                                            : fmt::format("{:.1f} degC", slot.tray_deci_celsius() / 10.0));
  if (slot.relay_moves() > 0) {
    const std::string worn =
        slot.relay_warn_count() > 0 ? fmt::format(", worn from {}", slot.relay_warn_count()) : std::string();
    out += Fact("relay", fmt::format("{} moves since it was fitted{}", slot.relay_moves(), worn));
  }
  out += Fact("measured", FormatAge(slot.measured_age_ms()) + " ago");
  if (slot.hosts_size() > 0) {
    out += Fact("hosts", Printable(fmt::format("{}", fmt::join(slot.hosts(), ", "))));
  }
  if (slot.labels_size() > 0) out += Fact("labels", Labels(slot));
  return out;
}

std::string SecurityWords(const std::string& server, const std::string& security) {
  if (security.empty()) return "";
  if (security.rfind("plain", 0) != 0) return fmt::format("{}: {}\n", Printable(server), Printable(security));
  return fmt::format("WARNING: {} speaks {}: every program on its machine may act as anybody (security: plain)\n",
                     Printable(server),
                     Printable(security));
}

std::string RenderMeasured(const v1::SlotState& slot) {
  return fmt::format("{}: VBUS {}, {} mV, {} mA; data {}; RF {}\n",
                     Printable(slot.slot()),
                     VbusWords(slot.vbus()),
                     slot.vbus().measured_mv(),
                     slot.vbus().measured_ma(),
                     DataWords(slot.data()),
                     ShieldWords(slot.shield()));
}

}  // namespace faraday::cli
