#include "access/membership.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace faraday::access {
namespace {

const Entry* LabIn(const Roster& roster) {
  const auto is_lab = [](const Entry& entry) {
    return !entry.disabled && std::find(entry.roles.begin(), entry.roles.end(), Role::kLab) != entry.roles.end();
  };
  const auto found = std::find_if(roster.entries.begin(), roster.entries.end(), is_lab);
  return found == roster.entries.end() ? nullptr : &*found;
}

std::string ControllersIn(const Roster& roster) {
  std::string names;
  for (const Entry& entry : roster.entries) {
    const bool is_controller =
        std::find(entry.roles.begin(), entry.roles.end(), Role::kController) != entry.roles.end();
    if (!is_controller || entry.endpoint.empty()) continue;
    names += (names.empty() ? "" : ", ") + entry.user + " at " + entry.endpoint;
  }
  return names.empty() ? "none" : names;
}

}  // namespace

Result<std::unique_ptr<Membership>> Membership::Open(const std::string& state_dir, RosterDirectory& directory) {
  FARADAY_TRY_ASSIGN(RosterFile roster, RosterFile::Load(state_dir + "/roster"));
  std::unique_ptr<Membership> membership(new Membership(state_dir, std::move(roster), directory));
  FARADAY_TRY(membership->ReadServers());
  directory.SetRoster(membership->roster_.roster());
  return membership;
}

Status Membership::ReadServers() {
  FARADAY_TRY_ASSIGN(servers_, file_.List());
  return OkStatus();
}

Status Membership::Join(const KnownServer& server, std::string_view signed_roster) {
  if (!signed_roster.empty()) {
    FARADAY_TRY(roster_.Adopt(signed_roster));
    for (const KnownServer& other : servers_) {
      if (other.endpoint != server.endpoint) FARADAY_TRY(file_.Remove(other.endpoint));
    }
    directory_.SetRoster(roster_.roster());
  }
  FARADAY_TRY(file_.Add(server));
  if (!signed_roster.empty()) FARADAY_TRY(MoveOwnUsersAside());
  return ReadServers();
}

Status Membership::MoveOwnUsersAside() const {
  for (const char* name : {"/users", "/keys/signer.key", "/keys/signer.next.key"}) {
    const std::string path = state_dir_ + name;
    const std::string aside = path + ".before-enrolment";
    if (std::rename(path.c_str(), aside.c_str()) == 0 || errno == ENOENT) continue;
    return {Code::kUnavailable,
            fmt::format(
                "cannot move {} to {}: {}; it is enrolled, move the file by hand", path, aside, std::strerror(errno))};
  }
  return OkStatus();
}

Status Membership::Check() const {
  if (!servers_.empty()) return OkStatus();
  for (const char* name : {"/roster", "/roster.signers"}) {
    const std::string path = state_dir_ + name;
    if (::access(path.c_str(), F_OK) != 0) continue;
    return {Code::kDataLoss,
            fmt::format("{} is there, so this machine was enrolled, but {} is missing or names no server: restore it "
                        "from a copy, or enrol anew (--enrol). Only to make it keep users of its own again, remove "
                        "{}/roster and {}/roster.signers",
                        path,
                        file_.path(),
                        state_dir_,
                        state_dir_)};
  }
  return OkStatus();
}

Status Membership::Accept(std::string_view signed_roster) {
  FARADAY_TRY(roster_.Accept(signed_roster));
  directory_.SetRoster(roster_.roster());
  return OkStatus();
}

const KnownServer* Membership::LineOf(const std::string& endpoint) const {
  const auto found = std::find_if(
      servers_.begin(), servers_.end(), [&](const KnownServer& server) { return server.endpoint == endpoint; });
  return found == servers_.end() ? nullptr : &*found;
}

Result<PublicKey> Membership::KeeperKey(const std::string& endpoint) const {
  if (const Entry* lab = LabIn(roster_.roster())) return lab->key;
  if (const KnownServer* line = LineOf(endpoint)) return line->key;
  if (servers_.size() == 1) return servers_.front().key;
  return Status(Code::kUnauthenticated,
                fmt::format("this machine is not enrolled at {}: get a code there (user add NAME --role ...), then run "
                            "this program with --enrol",
                            endpoint));
}

Result<PublicKey> Membership::ControllerKey(const std::string& endpoint) const {
  if (const Entry* controller = directory_.FindEndpoint(endpoint)) return controller->key;
  if (const KnownServer* line = LineOf(endpoint)) return line->key;
  if (roster_.number() == 0) {
    return Status(Code::kUnauthenticated,
                  fmt::format("the key of {} is not known: this machine is not enrolled; get a code (user add NAME "
                              "--role agent), then run this program with --enrol",
                              endpoint));
  }
  return Status(
      Code::kUnauthenticated,
      fmt::format("the key of {} is not known: the lab's roster {} has controllers {}; write the same endpoint "
                  "into the lab's list of racks and here, and enrol that controller at the lab",
                  endpoint,
                  roster_.number(),
                  ControllersIn(roster_.roster())));
}

}  // namespace faraday::access
