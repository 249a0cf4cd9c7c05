#include "controller/core/rights.h"

#include <fmt/core.h>

#include <array>
#include <string_view>

namespace faraday::controller {
namespace {

constexpr uint16_t Bit(Role role) { return static_cast<uint16_t>(1U << static_cast<unsigned>(role)); }
constexpr uint16_t kPeople = Bit(Role::kUser) | Bit(Role::kCi) | Bit(Role::kTech) | Bit(Role::kAdmin);
constexpr uint16_t kHolders = kPeople | Bit(Role::kLab);
constexpr uint16_t kCrew = Bit(Role::kTech) | Bit(Role::kAdmin);
constexpr uint16_t kNobody = 0;

// Roles that may make the call, by what they are to the lease; `with_reason` without being anything to it.
struct Row {
  CallKind call;
  std::string_view name;
  uint16_t holder;
  uint16_t agent;
  uint16_t granter;
  uint16_t other;
  uint16_t with_reason;
};

constexpr std::array<Row, 8> kTable = {{
    // call                 name          holder    agent              granter         other              with reason
    {CallKind::kAcquire, "acquire", kHolders, kNobody, kHolders, kHolders, kNobody},
    {CallKind::kRenew, "renew", kHolders, Bit(Role::kAgent), kNobody, kNobody, kNobody},
    {CallKind::kRelease, "release", kHolders, Bit(Role::kAgent), Bit(Role::kLab), kNobody, kCrew},
    {CallKind::kSwitch, "switch", kHolders, Bit(Role::kAgent), kNobody, kNobody, kCrew},
    {CallKind::kStopSlot, "stop", kNobody, kNobody, kNobody, kNobody, kCrew},
    {CallKind::kClearSlot, "clear", kNobody, kNobody, kNobody, kNobody, kCrew},
    {CallKind::kReport, "report", kNobody, Bit(Role::kAgent), kNobody, Bit(Role::kAgent), kNobody},
    {CallKind::kSync, "sync", kNobody, Bit(Role::kAgent), kNobody, Bit(Role::kAgent), kNobody},
}};

const Row& RowOf(CallKind call) { return kTable[static_cast<size_t>(call)]; }

uint16_t RolesOf(const Row& row, Ownership ownership) {
  const std::array<uint16_t, 4> by_ownership = {row.holder, row.agent, row.granter, row.other};
  return by_ownership[static_cast<size_t>(ownership)];
}

std::string Names(uint16_t roles) {
  std::string names;
  for (size_t i = 1; i < kRoleNames.size(); ++i) {
    if ((roles & Bit(static_cast<Role>(i))) == 0) continue;
    if (!names.empty()) names += ", ";
    names += kRoleNames[i];
  }
  return names;
}

std::string Who(const Caller& caller) {
  const std::string_view role = caller.role == Role::kNone ? "none" : RoleName(caller.role);
  return fmt::format("{} (role {})", caller.user.empty() ? "an unnamed caller" : caller.user, role);
}

Status Denied(const Row& row, const Caller& caller, const std::string& about) {
  std::string who_may;
  if (row.holder != 0) who_may += "the holder";
  if (row.holder != 0 && row.agent != 0) who_may += ", the lease's agent";
  if (row.holder == 0 && row.agent != 0) who_may += "role agent";
  if (row.with_reason != 0)
    who_may += fmt::format("{}role {} with a reason", who_may.empty() ? "" : ", ", Names(row.with_reason));
  if (row.call == CallKind::kAcquire) who_may = "role " + Names(row.other);
  return {Code::kPermissionDenied,
          fmt::format("{}{}{} may not {}; {} may", about, about.empty() ? "" : ": ", Who(caller), row.name, who_may)};
}

}  // namespace

Ownership OwnershipOf(const Caller& caller, const Tenure& tenure) {
  if (!IsUsers(tenure)) return Ownership::kOther;
  if (caller.role == Role::kAgent) return caller.user == tenure.agent ? Ownership::kAgent : Ownership::kOther;
  if (!caller.user.empty() && caller.user == tenure.holder) return Ownership::kHolder;
  if (caller.role == Role::kLab && caller.user == tenure.granted_by) return Ownership::kGranter;
  return Ownership::kOther;
}

Right RightOf(CallKind call, Role role, Ownership ownership) {
  const Row& row = RowOf(call);
  if ((RolesOf(row, ownership) & Bit(role)) != 0) return Right::kAllowed;
  return (row.with_reason & Bit(role)) != 0 ? Right::kWithReason : Right::kDenied;
}

Status CheckRight(
    CallKind call, const Caller& caller, Ownership ownership, const std::string& reason, const std::string& about) {
  const Row& row = RowOf(call);
  switch (RightOf(call, caller.role, ownership)) {
    case Right::kAllowed:
      return OkStatus();
    case Right::kDenied:
      return Denied(row, caller, about);
    case Right::kWithReason:
      break;
  }
  if (!reason.empty()) return OkStatus();
  return {Code::kInvalidArgument,
          fmt::format("{}{}{} by role {} needs a reason (it is audited)",
                      about,
                      about.empty() ? "" : ": ",
                      row.name,
                      RoleName(caller.role))};
}

}  // namespace faraday::controller
