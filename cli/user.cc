// `faraday user add|list|role|disable|enable|rotate`: for admins, at whoever keeps the users.
#include <fmt/format.h>

#include <algorithm>

#include "access/role.h"
#include "cli/access_text.h"
#include "cli/session.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "rackconfig/yaml_reader.h"

namespace faraday::cli {
namespace {

constexpr int64_t kMinute = 60'000;
constexpr int64_t kDay = 86'400'000;

int64_t NowMs() { return UtcNow().since_epoch.count(); }

// "a,b" and "-x a -x b" alike.
std::vector<std::string> Words(const std::vector<std::string>& texts) {
  std::vector<std::string> words;
  for (const std::string& text : texts) {
    for (size_t at = 0; at <= text.size();) {
      const size_t end = std::min(text.find(',', at), text.size());
      if (end > at) words.push_back(text.substr(at, end - at));
      at = end + 1;
    }
  }
  return words;
}

Result<std::vector<std::string>> Roles(const std::vector<std::string>& texts) {
  std::vector<std::string> roles = Words(texts);
  for (const std::string& role : roles) {
    const access::Role known = access::ParseRole(role);
    if (known != access::Role::kNone && known != access::Role::kCode && known != access::Role::kLab) continue;
    return Status(
        Code::kInvalidArgument,
        fmt::format("'{}' is no role to give{}; one of: viewer, user, ci, tech, admin, agent, controller",
                    role,
                    rackconfig::DidYouMean(role, {"viewer", "user", "tech", "admin", "agent", "controller"})));
  }
  return roles;
}

Result<uint32_t> Seconds(const Invocation& invocation, const std::string& name, int64_t most_ms) {
  FARADAY_TRY_ASSIGN(const int64_t ms, invocation.DurationMs(name, 0, kMinute, most_ms));
  return static_cast<uint32_t>(ms / 1000);
}

template <typename Call>
Status TakeLives(const Invocation& invocation, Call* call) {
  FARADAY_TRY_ASSIGN(const uint32_t code, Seconds(invocation, "code-for", 7 * kDay));
  FARADAY_TRY_ASSIGN(const uint32_t token, Seconds(invocation, "token", 366 * kDay));
  if (code != 0 && token != 0) {
    return {Code::kInvalidArgument, "--code-for makes a code, --token a token: give one of them"};
  }
  call->set_code_s(code);
  call->set_token_s(token);
  return OkStatus();
}

bool OnThisMachine(const std::string& endpoint) {
  return endpoint.rfind("tcp://127.", 0) == 0 || endpoint.rfind("tcp://localhost", 0) == 0;
}

bool Has(const v1::User& user, const char* role) {
  return std::find(user.roles().begin(), user.roles().end(), role) != user.roles().end();
}

// The very next command, for whoever gets the secret. The secret itself is not in it.
std::string NextWords(const v1::User& user, const std::string& server, bool token) {
  const std::string name = Printable(user.name());
  std::string words;
  if (token) {
    words = fmt::format(
        "this token is {0}'s, shown this once. Next, in the CI's secret store or a file that only the job reads:\n"
        "  FARADAY_TOKEN_FILE=/path/to/token faraday --lab {1} whoami\n",
        name,
        server);
  } else if (Has(user, "controller")) {
    words = fmt::format(
        "this code is {0}'s, for one use. Next, on the rack's machine, with the code on stdin:\n"
        "  faraday-controller --config rack.yaml --enrol {1}\n",
        name,
        server);
  } else if (Has(user, "agent")) {
    words = fmt::format(
        "this code is {0}'s, for one use. Next, on the host, with the code on stdin:\n"
        "  faraday-agent --config agent.yaml --enrol\n",
        name);
  } else {
    words = fmt::format(
        "this code is {0}'s, for one use. Next, {0} runs this, and gives the code when asked:\n"
        "  faraday login {1}\n",
        name,
        server);
  }
  if (OnThisMachine(server) && !(Has(user, "agent") && !token)) {
    const std::string host = server.substr(6, server.rfind(':') - 6);
    words += fmt::format("  (from another machine: this machine's name instead of {})\n", host);
  }
  return words;
}

std::string UserLine(const v1::User& user, uint64_t roster) {
  std::string roles;
  for (const std::string& role : user.roles()) roles += (roles.empty() ? "" : ",") + Printable(role);
  std::string teams;
  for (const std::string& team : user.teams()) teams += (teams.empty() ? "" : ",") + Printable(team);
  return fmt::format("{}: roles {}, teams {}, {} (roster {})\n",
                     Printable(user.name()),
                     roles,
                     teams.empty() ? "-" : teams,
                     StateWords(user),
                     roster);
}

// The secret alone to stdout, so that it can be piped; words to stderr.
int ShowResult(Session& session, const v1::UserResult& result, bool token) {
  if (session.json()) {
    session.Json(result);
    return kExitOk;
  }
  if (!result.note().empty()) session.Err("note: " + Printable(result.note()) + "\n");
  if (result.secret().empty()) {
    session.Out(UserLine(result.user(), result.roster()));
    return kExitOk;
  }
  session.Out(Printable(result.secret()) + "\n");
  session.Err(NextWords(result.user(), session.target(), token));
  return kExitOk;
}

int Send(Session& session, v1::Request request, bool token = false) {
  const auto reply = session.CallTarget(std::move(request));
  return reply.ok() ? ShowResult(session, reply->user(), token) : session.Fail(reply.status());
}

int Add(Session& session, const Invocation& invocation) {
  v1::Request request;
  v1::AddUserCall& call = *request.mutable_add_user();
  call.set_name(invocation.Get("name"));
  const auto roles = Roles(invocation.All("role"));
  if (!roles.ok()) return session.Fail(Status(roles.status().code(), "--role: " + roles.status().message()));
  for (const std::string& role : *roles) call.add_roles(role);
  for (const std::string& team : Words(invocation.All("team"))) call.add_teams(team);
  if (const Status lives = TakeLives(invocation, &call); !lives.ok()) return session.Fail(lives);
  call.set_endpoint(invocation.Get("endpoint"));
  return Send(session, std::move(request), call.token_s() != 0);
}

int List(Session& session, const Invocation&) {
  v1::Request request;
  request.mutable_list_users();
  const auto reply = session.CallTarget(std::move(request));
  if (!reply.ok()) return session.Fail(reply.status());
  if (session.json()) {
    session.Json(reply->list_users());
  } else {
    session.Out(RenderUsers(reply->list_users(), NowMs()));
  }
  return kExitOk;
}

int SetRoles(Session& session, const Invocation& invocation) {
  v1::Request request;
  v1::SetUserCall& call = *request.mutable_set_user();
  call.set_name(invocation.Get("name"));
  const auto roles = Roles({invocation.Get("roles")});
  if (!roles.ok()) return session.Fail(roles.status());
  for (const std::string& role : *roles) call.add_roles(role);
  for (const std::string& team : Words(invocation.All("team"))) call.add_teams(team);
  const bool no_team = invocation.Has("no-team");
  call.set_clear_teams(no_team);
  if (no_team && call.teams_size() > 0) {
    return session.Fail({Code::kInvalidArgument, "--team and --no-team exclude each other"});
  }
  return Send(session, std::move(request));
}

std::function<int(Session&, const Invocation&)> Disable(bool enable) {
  return [enable](Session& session, const Invocation& invocation) {
    v1::Request request;
    request.mutable_disable_user()->set_name(invocation.Get("name"));
    request.mutable_disable_user()->set_reason(invocation.Get("reason"));
    request.mutable_disable_user()->set_enable(enable);
    return Send(session, std::move(request));
  };
}

int Rotate(Session& session, const Invocation& invocation) {
  v1::Request request;
  v1::RotateUserCall& call = *request.mutable_rotate_user();
  call.set_name(invocation.Get("name"));
  call.set_now(invocation.Has("now"));
  call.set_keep(invocation.Has("keep"));
  if (call.now() && call.keep()) {
    return session.Fail({Code::kInvalidArgument, "--now and --keep exclude each other"});
  }
  if (const Status lives = TakeLives(invocation, &call); !lives.ok()) return session.Fail(lives);
  return Send(session, std::move(request), call.token_s() != 0);
}

}  // namespace

std::vector<Verb> UserVerbs() {
  using Kind = Argument::Kind;
  const Argument name{Kind::kPositional, "name", "NAME", "1 to 64 of a-z 0-9 . _ -, beginning with a letter", true};
  const Argument code_for{Kind::kOption, "--code-for", "TIME", "how long the code may be used, 1m to 7d, default 24h"};
  const Argument token{
      Kind::kOption, "--token", "TIME", "a token for CI that expires after it, 1m to 366d, instead of a code"};
  const Argument team{Kind::kRepeated, "--team", "TEAM[,TEAM]", "may be given again"};
  return {
      {.path = {"user", "add"},
       .summary = "Let a person or machine in: prints a one-time code, or a token",
       .arguments =
           {name,
            {Kind::kRepeated, "--role", "ROLE[,ROLE]", "viewer, user, ci, tech, admin; agent; controller", true},
            team,
            code_for,
            token,
            {Kind::kOption, "--endpoint", "ENDPOINT", "role controller: where agents find it"}},
       .examples = "  faraday user add ana --role user --team apps\n"
                   "  faraday user add tom --role user,tech --code-for 1h\n"
                   "  faraday user add ci-apps --role ci --team apps --token 90d >token\n"
                   "  faraday user add r01 --role controller      the rack's name\n"
                   "  faraday user add h01 --role agent           the agent's name\n"
                   "\n"
                   "Only the code or token goes to stdout; what to do with it goes to stderr. It is shown once and "
                   "stored nowhere.\n"
                   "The first admin: faraday-lab --config lab.yaml user add NAME --role admin, on the lab's machine.",
       .run = Add},
      {.path = {"user", "list"},
       .summary = "Everybody who may come in: roles, teams, keys with fingerprint and age, state",
       .arguments = {},
       .examples = "  faraday user list\n"
                   "  faraday user list --json | jq -r '.users[] | select(.disabled) | .name'",
       .run = List},
      {.path = {"user", "role"},
       .summary = "Give a user other roles or teams; in force everywhere within 5 s",
       .arguments = {name,
                     {Kind::kPositional, "roles", "ROLE[,ROLE]", "all of them from now on", true},
                     team,
                     {Kind::kFlag, "--no-team", "", "in no team any more; default: teams stay"}},
       .examples = "  faraday user role ana user,tech\n  faraday user role ana user --team apps,modem",
       .run = SetRoles},
      {.path = {"user", "disable"},
       .summary = "Refuse a user everywhere within 5 s; its leases, jobs and tunnels end",
       .arguments = {name, {Kind::kOption, "--reason", "TEXT", "why; it is recorded", true}},
       .examples = "  faraday user disable ana --reason 'laptop stolen'",
       .run = Disable(false)},
      {.path = {"user", "enable"},
       .summary = "Let a disabled user in again, with the keys it had",
       .arguments = {name},
       .examples = "  faraday user enable ana",
       .run = Disable(true)},
      {.path = {"user", "rotate"},
       .summary = "A new code or token for a user; the old keys go when the new one is there",
       .arguments = {name,
                     {Kind::kFlag, "--now", "", "the old keys go at once"},
                     {Kind::kFlag, "--keep", "", "the old keys stay: for a second machine"},
                     code_for,
                     token},
       .examples = "  faraday user rotate ana                        a fresh key, without a gap\n"
                   "  faraday user rotate ana --now                  the key may be stolen\n"
                   "  faraday user rotate ana --keep                 ana has a second computer\n"
                   "  faraday user rotate ci-apps --token 90d >token",
       .run = Rotate},
  };
}

}  // namespace faraday::cli
