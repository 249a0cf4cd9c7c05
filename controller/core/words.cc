#include "controller/core/words.h"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "controller/core/condition_table.h"
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

enum class TripForm : uint8_t { kName, kAmps, kDegrees, kRise, kStatus };
struct TripRow {
  std::string_view name;
  TripForm form;
  std::string_view next;
};
// By link::TripReason.
constexpr std::array<TripRow, 8> kTrips = {{
    {"none", TripForm::kName, "inspect the slot"},
    {"over-current", TripForm::kAmps, "inspect the cable"},
    {"over-temperature", TripForm::kDegrees, "take the phone out and let the shelf cool by 5 K"},
    {"switch-shorted", TripForm::kAmps, "replace the slot's switch"},
    {"stale-sensor", TripForm::kName, "check the slot's monitor and its plug"},
    {"stopped", TripForm::kName, "mend what it was stopped for"},
    {"hot-swap-cut-off", TripForm::kStatus, "inspect the cable and the phone"},
    {"fast-rise", TripForm::kRise, "take the phone out of the rack at once"},
}};

const TripRow& RowOf(TripReason reason) {
  const auto index = static_cast<size_t>(reason);
  return kTrips[index < kTrips.size() ? index : 0];
}

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
constexpr std::array<VerdictWords, 16> kVerdicts = {{
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
    {Code::kFailedPrecondition, "a limit would get looser for a slot that is on; switch it off first"},
}};

// By link::BlockCause.
constexpr std::array<std::string_view, 7> kBlocks = {{
    "turn-ons are blocked; see faraday status {rack}",
    "turn-ons are blocked: the board has not heard the controller for too long; the controller ends that within "
    "seconds, try again",
    "turn-ons are blocked by {which}: it is active; close the door or mend the cause, they go on once it is inactive",
    "{which} is down or sags: check its supply; it can be used again 1 s after it is good",
    "{which} is hot: a slot on it has a thermal trip; make it safe, then clear that slot (faraday status {rack})",
    "{which} is lost, nobody would see the current: check the shelf's cable; it ends once the bus answers",
    "the stop button is pressed: pull it out, then: faraday rack resume {rack}",
}};

// By link::CancelCause.
constexpr std::array<std::string_view, 11> kCancels = {{
    "cancelled before it acted",
    "cancelled: a newer command for the slot took its place",
    "cancelled: the slot or the rack was stopped",
    "cancelled: the lease ended before its turn came",
    "cancelled: the slot has another holder now",
    "cancelled: the board had not heard the controller for too long; try again",
    "cancelled: the rail's supply is not good or sags; try again when it is good",
    "cancelled: a rack input blocks turn-ons; close the door or mend the cause, then try again",
    "cancelled: its shelf went hot; make it safe and clear the tripped slot first",
    "cancelled: the bus of its monitor is lost; try again once it answers",
    "cancelled: no budget came free in the promised time; switch another slot off, or try again",
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

std::string MomentText(UtcTime at, UtcTime now) {
  const std::tm then = LocalTime(at);
  const std::tm today = LocalTime(now);
  const bool same_day = then.tm_yday == today.tm_yday && then.tm_year == today.tm_year;
  return same_day ? fmt::format("{:%H:%M:%S}", then) : fmt::format("{:%Y-%m-%d %H:%M:%S}", then);
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

std::string_view TripName(TripReason reason) { return RowOf(reason).name; }

std::string TripText(TripReason reason, uint32_t value, uint32_t limit) {
  const TripRow& row = RowOf(reason);
  if (value == 0 && limit == 0) return std::string(row.name);
  switch (row.form) {
    case TripForm::kName:
      break;
    case TripForm::kAmps:
      return fmt::format("{} {:.2f} A > {:.2f} A", row.name, value / 1000.0, limit / 1000.0);
    case TripForm::kDegrees:
      return fmt::format("{} {:.1f} degC > {:.1f} degC", row.name, value / 10.0, limit / 10.0);
    case TripForm::kRise:
      return fmt::format("{} {:.1f} K > {:.1f} K in a minute", row.name, value / 10.0, limit / 10.0);
    case TripForm::kStatus:
      return fmt::format("{} (status 0x{:04x})", row.name, value);
  }
  return std::string(row.name);
}

std::string TripNext(TripReason reason, const std::string& slot) {
  return fmt::format("{}, then: faraday slot clear {}", RowOf(reason).next, slot);
}

std::string MeasuredText(uint32_t vbus_mv, uint32_t vbus_ma, const SlotBits& bits) {
  if (!bits.monitor_fresh) return fmt::format("VBUS not measured, {}, {}", DataText(bits), RelayText(bits.relay_sense));
  const std::string_view vbus = bits.vbus_measured_on ? "on" : bits.vbus_measured_off ? "off" : "neither on nor off";
  return fmt::format(
      "VBUS {} mV {} mA ({}), {}, {}", vbus_mv, vbus_ma, vbus, DataText(bits), RelayText(bits.relay_sense));
}

std::string BlockedText(link::BlockCause cause, const std::string& which, const std::string& rack) {
  const auto index = static_cast<size_t>(cause);
  return fmt::format(
      fmt::runtime(kBlocks[index < kBlocks.size() ? index : 0]), fmt::arg("which", which), fmt::arg("rack", rack));
}

Status VerdictStatus(const std::string& what, const link::Reply& reply, const std::string& blocked) {
  const auto index = static_cast<size_t>(reply.verdict);
  if (index >= kVerdicts.size())
    return {Code::kInternal, what + ": the board answered a verdict this side cannot read"};
  const VerdictWords& words = kVerdicts[index];
  if (words.code == Code::kOk) return OkStatus();
  if (reply.verdict == link::Verdict::kBlocked && !blocked.empty()) {
    // The controller ends its own silence within seconds.
    const bool soon = static_cast<link::BlockCause>(reply.value) == link::BlockCause::kHostSilent;
    return {soon ? Code::kUnavailable : words.code, fmt::format("{}: {}", what, blocked)};
  }
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
  for (const link::Condition which : ConditionsIn(bits)) names += fmt::format(" {};", ConditionName(which));
  if (bits.tripped) names += fmt::format(" {};", TripText(static_cast<TripReason>(bits.trip_reason), 0, 0));
  std::string_view said = words.words;
  const auto cause = static_cast<size_t>(done.cause);
  if (done.code == link::DoneCode::kCancelled && cause < kCancels.size()) said = kCancels[cause];
  return {words.code,
          fmt::format("{}: {};{} measured: {}", what, said, names, MeasuredText(done.vbus_mv, done.vbus_ma, bits))};
}

std::string_view BootReasonText(link::BootReason reason) {
  constexpr std::array<std::string_view, 6> kNames = {
      "unknown", "power-on", "watchdog", "software", "fault", "brown-out"};
  const auto index = static_cast<size_t>(reason);
  return index < kNames.size() ? kNames[index] : kNames[0];
}

}  // namespace faraday::controller
