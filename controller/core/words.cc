#include "controller/core/words.h"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "model/slot_id.h"

namespace faraday::controller {
namespace {

using link::DataPath;
using link::RelaySense;
using link::SlotBits;
using link::TripReason;

std::tm LocalTime(UtcTime at) {
  const std::time_t seconds = at.since_epoch.count() / 1000;
  std::tm local{};
  localtime_r(&seconds, &local);
  return local;
}

constexpr std::array<Condition, 8> kConditions = {{
    {&SlotBits::relay_stuck, "relay-stuck", true, "the RF relay does not follow; replace it"},
    {&SlotBits::wrong_part,
     "wrong-part",
     true,
     "the monitor is another part than the board's table names; nothing is measured, fit the right one"},
    {&SlotBits::part_missing, "part-missing", true, "an expander or monitor does not answer; check the slot's board"},
    {&SlotBits::read_back_mismatch, "read-back-mismatch", true, "an output reads back otherwise than written"},
    {&SlotBits::switch_shorted, "switch-shorted", true, "current flows while VBUS is off; replace the switch"},
    {&SlotBits::nvm_lost, "epoch-lost", true, "the board's epoch table is in doubt"},
    {&SlotBits::back_feed,
     "back-feed",
     false,
     "voltage without current while VBUS is off; the phone or hub feeds back"},
    {&SlotBits::no_discharge, "no-discharge", false, "VBUS decays too slowly after off"},
}};

struct TripWords {
  std::string_view name;
  std::string_view unit;
};
constexpr std::array<TripWords, 6> kTrips = {{{"none", ""},
                                              {"over-current", " mA"},
                                              {"over-temperature", " x 0.1 degC"},
                                              {"switch-shorted", " mA"},
                                              {"stale sensor", " ms"},
                                              {"stopped", ""}}};

std::string DataText(const SlotBits& bits) {
  switch (bits.data_measured) {
    case DataPath::kOpen:
      return "data open";
    case DataPath::kCharge:
      return "data to the charge port";
    case DataPath::kHost:
      return fmt::format("data to host {}", bits.data_measured_host);
    case DataPath::kUnknown:
      break;
  }
  return "data unknown";
}

std::string_view RelayText(RelaySense sense) {
  constexpr std::array<std::string_view, 4> kNames = {"isolated", "coupled", "relay moving", "shield unknown"};
  return kNames[static_cast<size_t>(sense) & 3U];
}

struct VerdictWords {
  Code code;
  std::string_view words;
};
// By link::Verdict.
constexpr std::array<VerdictWords, 15> kVerdicts = {{
    {Code::kOk, "done"},
    {Code::kOk, "accepted"},
    {Code::kInvalidArgument, "the board refused a value out of its range"},
    {Code::kUnimplemented, "the board's firmware is older and lacks this command; update it"},
    {Code::kAborted, "the board holds another epoch; read the slot again"},
    {Code::kNotFound, "the board has no such slot"},
    {Code::kUnimplemented, "the slot lacks this part"},
    {Code::kUnavailable, "the board is not configured yet; try again"},
    {Code::kFailedPrecondition, "the slot is tripped"},
    {Code::kResourceExhausted, "the rail's or rack's budget is used up; switch another slot off or wait"},
    {Code::kFailedPrecondition, "VBUS is off, so no data path can be connected; switch power on first"},
    {Code::kInvalidArgument, "a value is looser than the board's compiled-in ceiling"},
    {Code::kUnavailable, "the slot has an unfinished command; try again"},
    {Code::kFailedPrecondition, "turn-ons are blocked by a rack input or by host silence; see the board's faults"},
    {Code::kUnavailable, "the board's epoch table is not seeded yet; try again"},
}};

struct DoneWords {
  Code code;
  std::string_view words;
};
// By link::DoneCode.
constexpr std::array<DoneWords, 5> kDones = {{
    {Code::kOk, "done"},
    {Code::kFailedPrecondition, "read-back-mismatch: the hardware does not follow"},
    {Code::kAborted, "cancelled by a trip, a stop, an off, the lease's end or host silence"},
    {Code::kFailedPrecondition, "tripped"},
    {Code::kFailedPrecondition, "part-missing: an expander or monitor does not answer"},
}};

}  // namespace

std::string ClockText(UtcTime at, UtcTime now) {
  const std::tm then = LocalTime(at);
  const std::tm today = LocalTime(now);
  const bool same_day = then.tm_yday == today.tm_yday && then.tm_year == today.tm_year;
  return same_day ? fmt::format("{:%H:%M}", then) : fmt::format("{:%Y-%m-%d %H:%M}", then);
}

std::string DurationText(Milliseconds duration) {
  const int64_t seconds = std::max<int64_t>(0, duration.count() / 1000);
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 7200) return fmt::format("{} min", seconds / 60);
  return fmt::format("{} h {} min", seconds / 3600, seconds % 3600 / 60);
}

std::string HeldText(const std::string& slot, const Tenure& tenure, Milliseconds left, Now now) {
  switch (tenure.phase) {
    case Phase::kCare:
      return "free";
    case Phase::kCleaning:
      return fmt::format("cleaning after epoch {}: waiting until agent {} says that nothing of it is left",
                         tenure.clearing_epoch,
                         tenure.agent);
    case Phase::kGranting:
      return fmt::format("being granted to {}", tenure.holder);
    case Phase::kLeased:
      break;
  }
  const auto id = model::ParseSlotId(slot);
  const std::string lease = id.ok() ? model::ToString(model::LeaseId{*id, tenure.epoch}) : slot;
  return fmt::format(
      "leased by {} until {} (lease {})", tenure.holder, ClockText({now.utc.since_epoch + left}, now.utc), lease);
}

std::string HolderText(const Tenure& tenure, Milliseconds left, Now now) {
  switch (tenure.phase) {
    case Phase::kCare:
      return kCareHolder;
    case Phase::kCleaning:
      return fmt::format("{}, cleaning after epoch {}", kCareHolder, tenure.clearing_epoch);
    case Phase::kGranting:
      return fmt::format("being granted to {}, epoch {}", tenure.holder, tenure.epoch);
    case Phase::kLeased:
      break;
  }
  return fmt::format(
      "{} until {}, epoch {}", tenure.holder, ClockText({now.utc.since_epoch + left}, now.utc), tenure.epoch);
}

std::string TripText(TripReason reason, uint32_t value, uint32_t limit) {
  const auto index = static_cast<size_t>(reason);
  const TripWords words = index < kTrips.size() ? kTrips[index] : TripWords{"unknown reason", ""};
  if (value == 0 && limit == 0) return std::string(words.name);
  return fmt::format("{} {}{} > {}{}", words.name, value, words.unit, limit, words.unit);
}

std::string MeasuredText(uint32_t vbus_mv, uint32_t vbus_ma, const SlotBits& bits) {
  if (!bits.monitor_fresh) return fmt::format("VBUS not measured, {}, {}", DataText(bits), RelayText(bits.relay_sense));
  const std::string_view vbus = bits.vbus_measured_on ? "on" : bits.vbus_measured_off ? "off" : "neither on nor off";
  return fmt::format(
      "VBUS {} mV {} mA ({}), {}, {}", vbus_mv, vbus_ma, vbus, DataText(bits), RelayText(bits.relay_sense));
}

std::span<const Condition> Conditions() { return kConditions; }

Status VerdictStatus(const std::string& what, const link::Reply& reply) {
  const auto index = static_cast<size_t>(reply.verdict);
  if (index >= kVerdicts.size())
    return {Code::kInternal, what + ": the board answered a verdict this side cannot read"};
  const VerdictWords& words = kVerdicts[index];
  if (words.code == Code::kOk) return OkStatus();
  std::string text = fmt::format("{}: {}", what, words.words);
  if (reply.limit != 0) text += fmt::format(" (limit {})", reply.limit);
  return {words.code, std::move(text)};
}

Status DoneStatus(const std::string& what, const link::CommandDone& done) {
  const auto index = static_cast<size_t>(done.code);
  if (index >= kDones.size()) return {Code::kInternal, what + ": the board's answer cannot be read"};
  const DoneWords& words = kDones[index];
  if (words.code == Code::kOk) return OkStatus();
  const SlotBits bits = link::Unpack(done.state);
  std::string names;
  for (const Condition& condition : kConditions) {
    if (bits.*condition.bit) names += fmt::format(" {};", condition.name);
  }
  if (bits.tripped) names += fmt::format(" {};", TripText(static_cast<TripReason>(bits.trip_reason), 0, 0));
  return {
      words.code,
      fmt::format("{}: {};{} measured: {}", what, words.words, names, MeasuredText(done.vbus_mv, done.vbus_ma, bits))};
}

std::string_view BootReasonText(link::BootReason reason) {
  constexpr std::array<std::string_view, 6> kNames = {
      "unknown", "power-on", "watchdog", "software", "fault", "brown-out"};
  const auto index = static_cast<size_t>(reason);
  return index < kNames.size() ? kNames[index] : kNames[0];
}

}  // namespace faraday::controller
