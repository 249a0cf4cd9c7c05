#include "cli/condition_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/text.h"

namespace faraday::cli {
namespace {

std::string WithNext(std::string line, const v1::Condition& condition) {
  return condition.next().empty() ? line : line + "; " + Printable(condition.next());
}

std::string AlertLine(const v1::Condition& condition, bool trip, int64_t now_utc_ms) {
  return WithNext(fmt::format("{} {}{}",
                              Printable(condition.place()),
                              trip ? "tripped: " : "",
                              ConditionWords(condition, trip, now_utc_ms)),
                  condition);
}

void AddBoard(const std::string& rack, const v1::BoardState& board, int64_t now, std::vector<std::string>* alerts) {
  if (!board.online()) {
    alerts->push_back(fmt::format("{} board {} is OFFLINE: {}", rack, board.index(), Printable(board.reason())));
  }
  for (const v1::Condition& condition : board.condition_list()) alerts->push_back(AlertLine(condition, false, now));
}

// Quarantined or in maintenance, and no condition tells why.
bool IsHeldBack(const v1::SlotState& slot) {
  if (slot.health() != v1::HEALTH_QUARANTINED && slot.health() != v1::HEALTH_MAINTENANCE) return false;
  return std::ranges::none_of(slot.condition_list(), [](const v1::Condition& one) { return one.quarantines(); });
}

}  // namespace

bool IsTrip(const v1::SlotState& slot, const v1::Condition& condition) {
  return !condition.name().empty() && slot.trip().starts_with(condition.name());
}

std::string ConditionWords(const v1::Condition& condition, bool trip, int64_t now_utc_ms) {
  const std::string text = Printable(condition.text().empty() ? condition.name() : condition.text());
  if (condition.since_utc_ms() == 0) return text;
  return fmt::format("{} {} {}", text, trip ? "at" : "since", FormatMoment(condition.since_utc_ms(), now_utc_ms));
}

std::vector<std::string> AlertsOf(const v1::RackState& rack, int64_t now_utc_ms) {
  std::vector<std::string> alerts;
  const std::string name = Printable(rack.rack());
  for (const v1::BoardState& board : rack.boards()) AddBoard(name, board, now_utc_ms, &alerts);
  const bool all_stopped = std::ranges::any_of(rack.boards(), [](const v1::BoardState& one) { return one.stopped(); });
  std::vector<std::string> minor;
  for (const v1::SlotState& slot : rack.slots()) {
    if (IsHeldBack(slot)) {
      const char* word = slot.health() == v1::HEALTH_QUARANTINED ? "quarantined" : "in maintenance";
      alerts.push_back(fmt::format("{} {}: {}", Printable(slot.slot()), word, Printable(slot.health_reason())));
    }
    for (const v1::Condition& condition : slot.condition_list()) {
      if (all_stopped && condition.name() == "stopped") continue;
      const bool trip = IsTrip(slot, condition);
      auto& into = trip || condition.latched() || condition.quarantines() ? alerts : minor;
      into.push_back(AlertLine(condition, trip, now_utc_ms));
    }
  }
  alerts.insert(alerts.end(), minor.begin(), minor.end());
  return alerts;
}

std::string RenderAlerts(const std::vector<std::string>& alerts, const std::string& more, size_t most) {
  if (alerts.empty()) return "";
  std::string out = Counted(alerts.size(), "alert") + ":\n";
  for (size_t i = 0; i < std::min(most, alerts.size()); ++i) out += "  " + alerts[i] + "\n";
  if (alerts.size() > most) out += fmt::format("  and {} more: {}\n", alerts.size() - most, more);
  return out;
}

}  // namespace faraday::cli
