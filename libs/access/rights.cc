#include "access/rights.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace faraday::access {
namespace {

constexpr uint8_t Bit(Ownership ownership) { return static_cast<uint8_t>(1U << static_cast<unsigned>(ownership)); }

const Cell& CellOf(const CallRow& row, Role role) { return row.cells[static_cast<size_t>(role)]; }

std::string Names(const CallRow& row, bool (*wanted)(const Cell&)) {
  std::string names;
  for (size_t i = 1; i < kRoleNames.size(); ++i) {
    if (!wanted(row.cells[i])) continue;
    if (!names.empty()) names += ", ";
    names += kRoleNames[i];
  }
  return names;
}

void Append(std::string* list, const std::string& words) {
  if (words.empty()) return;
  if (!list->empty()) *list += "; ";
  *list += words;
}

// "the holder (role user, ci); the lease's agent; role tech, admin with a reason"
std::string WhoMay(const CallRow& row) {
  std::string list;
  const std::string any = Names(row, [](const Cell& cell) { return (cell.ownerships & Bit(Ownership::kOther)) != 0; });
  if (!any.empty()) Append(&list, "role " + any);
  const std::string holders = Names(row, [](const Cell& cell) {
    return (cell.ownerships & (Bit(Ownership::kHolder) | Bit(Ownership::kOther))) == Bit(Ownership::kHolder);
  });
  if (!holders.empty()) Append(&list, "the holder (role " + holders + ")");
  const bool agents = std::any_of(row.cells.begin(), row.cells.end(), [](const Cell& cell) {
    return (cell.ownerships & (Bit(Ownership::kAgent) | Bit(Ownership::kOther))) == Bit(Ownership::kAgent);
  });
  if (agents) Append(&list, "the agent named in it");
  const std::string crew = Names(row, [](const Cell& cell) { return cell.with_reason; });
  if (!crew.empty()) Append(&list, "role " + crew + " with a reason");
  return list.empty() ? "nobody" : list;
}

std::string Who(const Caller& caller) {
  return fmt::format("{} (role {})",
                     caller.user.empty() ? "an unnamed caller" : caller.user,
                     caller.role == Role::kNone ? "none" : RoleName(caller.role));
}

}  // namespace

const CallRow& RowOf(Call call) { return kCallRows[static_cast<size_t>(call)]; }

Call CallOfNumber(int field_number) {
  for (size_t i = 1; i < kCallRows.size(); ++i) {
    if (kCallRows[i].number == field_number) return static_cast<Call>(i);
  }
  return Call::kNone;
}

Right RightOf(Call call, Role role, Ownership ownership) {
  const Cell& cell = CellOf(RowOf(call), role);
  if ((cell.ownerships & Bit(ownership)) != 0) return Right::kAllowed;
  return cell.with_reason ? Right::kWithReason : Right::kDenied;
}

bool MayEver(Call call, Role role) {
  const Cell& cell = CellOf(RowOf(call), role);
  return cell.ownerships != 0 || cell.with_reason;
}

Status CheckRight(
    Call call, const Caller& caller, Ownership ownership, const std::string& reason, const std::string& about) {
  const CallRow& row = RowOf(call);
  const std::string prefix = about.empty() ? "" : about + ": ";
  switch (RightOf(call, caller.role, ownership)) {
    case Right::kAllowed:
      return OkStatus();
    case Right::kDenied:
      return {Code::kPermissionDenied,
              fmt::format("{}{} may not {}; {} may", prefix, Who(caller), row.words, WhoMay(row))};
    case Right::kWithReason:
      break;
  }
  if (!reason.empty()) return OkStatus();
  return {Code::kInvalidArgument,
          fmt::format("{}{} by role {} needs a reason (it is audited)", prefix, row.words, RoleName(caller.role))};
}

}  // namespace faraday::access
