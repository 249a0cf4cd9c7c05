// `faraday login`, `whoami`, `logout`: one's own key at a lab, or at a controller without one.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "access/credential.h"
#include "access/durable_file.h"
#include "cli/access_text.h"
#include "cli/probe.h"
#include "cli/secret_input.h"
#include "cli/session.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "rackconfig/yaml_reader.h"

namespace faraday::cli {
namespace {

constexpr Milliseconds kAnswerLimit{10'000};

int64_t NowMs() { return UtcNow().since_epoch.count(); }

Result<v1::Reply> CallAs(Session& session,
                         const std::string& endpoint,
                         const access::KeyPair& keys,
                         const access::PublicKey& server,
                         v1::Request request) {
  rpc::Credentials who;
  who.keys = std::make_shared<access::KeyPair>(keys);
  who.server_key = [server](const std::string&) { return server; };
  request.set_trace_id(session.trace());
  return rpc::CallOnce(session.context(), endpoint, std::move(request), kAnswerLimit, std::move(who));
}

Result<v1::WhoAmIResult> AskWhoAmI(Session& session,
                                   const std::string& endpoint,
                                   const access::KeyPair& keys,
                                   const access::PublicKey& server) {
  v1::Request request;
  request.mutable_who_am_i();
  FARADAY_TRY_ASSIGN(v1::Reply reply, CallAs(session, endpoint, keys, server, std::move(request)));
  return std::move(*reply.mutable_who_am_i());
}

// The roster makes the answer long and says nothing to people.
void ShowWhoAmI(Session& session, v1::WhoAmIResult who, const std::string& endpoint, const std::string& server_key) {
  who.clear_signed_roster();
  if (session.json()) return session.Json(who);
  session.Out(RenderWhoAmI(who, endpoint, server_key, NowMs()));
}

// ---- login ----

Result<access::Credential> TakeCode(Session& session, const Invocation& invocation, const std::string& endpoint) {
  std::string text = invocation.Get("code");
  if (text.empty()) {
    const auto interrupted = [&] { return session.interrupted(); };
    FARADAY_TRY_ASSIGN(
        text, ReadSecretLine(session.in(), session.err(), fmt::format("code for {}: ", endpoint), interrupted));
  }
  const auto parsed = access::ParseCredential(text);
  explicit_bzero(text.data(), text.size());
  FARADAY_TRY_ASSIGN(const access::Credential credential, parsed);
  if (credential.kind == access::Credential::Kind::kCode) return credential;
  return Status(Code::kInvalidArgument,
                "this is a token, not a code: it needs no login; keep it in a file that only you can read and set "
                "FARADAY_TOKEN_FILE to its path");
}

// What a login leaves: whose key it is, and where it stands.
struct Enrolled {
  v1::WhoAmIResult who;
  std::string key_file;
};

// The key file is named by its code, and made before the lab hears of it: a login that broke off goes on with the same
// key when the same command is run again.
Result<Enrolled> Enrol(Session& session, const std::string& endpoint, const access::Credential& code) {
  const std::string path = fmt::format("{}/keys/{}.key", session.keyring().folder(), Fingerprint(code.keys.public_key));
  FARADAY_TRY_ASSIGN(const access::SecretKey secret, access::ReadOrMakeSecret(path, "faraday login " + endpoint));
  const access::KeyPair own = access::KeyPairOf(secret);
  v1::Request request;
  request.mutable_enrol()->set_key(own.public_key.bytes.data(), own.public_key.bytes.size());
  const auto reply = CallAs(session, endpoint, code.keys, code.server_key, std::move(request));
  const Code outcome = reply.status().code();
  if (!reply.ok() && outcome != Code::kUnauthenticated && outcome != Code::kDeadlineExceeded) {
    if (outcome != Code::kUnavailable) std::filesystem::remove(path);
    return Status(outcome, fmt::format("{} (trace {})", reply.status().message(), session.trace()));
  }
  // Also after a refusal or silence: an earlier run, or this one, may have enrolled the key.
  auto who = AskWhoAmI(session, endpoint, own, code.server_key);
  if (who.ok()) return Enrolled{std::move(*who), path};
  if (outcome == Code::kUnauthenticated && who.status().code() == Code::kUnauthenticated) {
    std::filesystem::remove(path);
    return Status(outcome, "the code was not accepted: " + reply.status().message());
  }
  return Status(who.status().code(),
                fmt::format("{}. Whether the code was taken is not known: run the same command again, it goes on from "
                            "here",
                            who.status().message()));
}

// A key that no line names any more.
void RemoveKey(const access::KnownServers& known, const std::string& key_file) {
  const auto servers = known.List();
  if (!servers.ok() || key_file.empty()) return;
  for (const access::KnownServer& server : *servers) {
    if (server.key_file == key_file) return;
  }
  std::error_code ignored;
  std::filesystem::remove(key_file, ignored);
}

Status Remember(Session& session,
                const std::string& endpoint,
                const access::PublicKey& server_key,
                const Enrolled& enrolled) {
  const access::KnownServers& known = session.keyring().known();
  FARADAY_TRY_ASSIGN(const auto before, known.Find(endpoint));
  FARADAY_TRY(known.Add({endpoint, server_key, enrolled.key_file, enrolled.who.user()}));
  if (before && before->key_file != enrolled.key_file) RemoveKey(known, before->key_file);
  return session.keyring().KeepRoster(server_key, enrolled.who.signed_roster().SerializeAsString());
}

// Names the server in config.yaml when nothing is named there, so that the next command finds it. Says what it did.
std::string NameInConfig(Session& session, const std::string& endpoint, bool is_lab) {
  const std::string path = session.ConfigPath();
  std::string lab;
  std::string controller;
  std::string text;
  if (::access(path.c_str(), F_OK) == 0) {
    const auto mistakes = rackconfig::ReadYamlFile(
        path,
        {{"lab", rackconfig::Need::kOptional, rackconfig::Endpoint(&lab), "the lab's endpoint"},
         {"controller", rackconfig::Need::kOptional, rackconfig::Endpoint(&controller), "a controller's endpoint"}},
        session.environment());
    const auto have = access::ReadPrivateFile(path, 64 << 10);
    if (!rackconfig::Usable(mistakes) || !lab.empty() || !controller.empty()) return "";
    if (!have.ok()) return "";  // a file that others may read is the person's own affair
    text = *have;
    if (!text.empty() && text.back() != '\n') text += '\n';
  }
  const std::string line = fmt::format("{}: {}\n", is_lab ? "lab" : "controller", endpoint);
  if (!access::ReplaceFile(path, text + line).ok()) return "";
  return fmt::format("{} now says {}", path, line.substr(0, line.size() - 1));
}

// Whether the server is a lab; a controller without one keeps its users itself.
bool IsLab(const Session& session, const access::PublicKey& server_key) {
  const auto roster = session.keyring().RosterOf(server_key);
  if (!roster.ok()) return true;
  for (const access::Entry& entry : roster->entries) {
    const bool controller =
        std::find(entry.roles.begin(), entry.roles.end(), access::Role::kController) != entry.roles.end();
    if (entry.key == server_key && controller) return false;
  }
  return true;
}

// A code of somebody else, of the rack's agent for example, would take one's own key away: nothing is done then.
Status CheckOwn(Session& session, const std::string& endpoint, const access::Credential& code) {
  FARADAY_TRY_ASSIGN(const auto known, session.keyring().known().Find(endpoint));
  if (!known || known->user.empty()) return OkStatus();
  const auto who = AskWhoAmI(session, endpoint, code.keys, code.server_key);
  if (!who.ok() || who->user() == known->user) return OkStatus();  // a used code is told by Enrol
  return {Code::kFailedPrecondition,
          fmt::format("this code is {}'s, and you are {} at {}: nothing was done. A machine's code goes to its daemon "
                      "(faraday-agent or faraday-controller, --enrol); to become {} yourself: faraday logout {}, then "
                      "log in again",
                      who->user(),
                      known->user,
                      endpoint,
                      who->user(),
                      endpoint)};
}

int Login(Session& session, const Invocation& invocation) {
  const std::string endpoint = invocation.Get("server");
  if (session.plain()) {
    return session.Fail({Code::kInvalidArgument, "login makes a key, and --plain (FARADAY_PLAIN) uses none"});
  }
  const auto code = TakeCode(session, invocation, endpoint);
  if (!code.ok()) return session.Fail(code.status());
  if (const Status there = ProbeEndpoint(endpoint); !there.ok()) return session.Fail(there);
  if (const Status own = CheckOwn(session, endpoint, *code); !own.ok()) return session.Fail(own);
  const auto enrolled = Enrol(session, endpoint, *code);
  if (!enrolled.ok()) return session.Fail(enrolled.status());
  if (const Status kept = Remember(session, endpoint, code->server_key, *enrolled); !kept.ok()) {
    return session.Fail(kept);
  }
  ShowWhoAmI(session, enrolled->who, endpoint, Fingerprint(code->server_key));
  const std::string named = NameInConfig(session, endpoint, IsLab(session, code->server_key));
  if (!named.empty()) session.Say(named);
  if (invocation.Has("code")) {
    session.Say(
        "a --code can be seen by this machine's other users while the command runs; codes are single use, so this "
        "one is worthless now");
  }
  if (!session.json()) session.Err("next: faraday status\n");
  return kExitOk;
}

// ---- whoami, logout ----

int WhoAmI(Session& session, const Invocation&) {
  v1::Request request;
  request.mutable_who_am_i();
  const auto reply = session.CallTarget(std::move(request));
  if (!reply.ok()) return session.Fail(reply.status());
  const v1::WhoAmIResult& who = reply->who_am_i();
  std::string server_key;
  if (!session.plain()) {
    const auto home = session.Home();
    if (!home.ok()) return session.Fail(home.status());
    server_key = Fingerprint(home->server);
    if (home->server == home->keeper) {
      const Status kept = session.keyring().KeepRoster(home->keeper, who.signed_roster().SerializeAsString());
      if (!kept.ok()) session.Say("the roster is not kept: " + kept.message());
    }
  }
  ShowWhoAmI(session, who, session.target(), server_key);
  return kExitOk;
}

int Logout(Session& session, const Invocation& invocation) {
  const std::string endpoint = invocation.Get("server");
  const access::KnownServers& known = session.keyring().known();
  const auto server = known.Find(endpoint);
  if (!server.ok()) return session.Fail(server.status());
  if (!*server) {
    std::string others;
    if (const auto all = known.List(); all.ok()) {
      for (const access::KnownServer& one : *all) others += (others.empty() ? "; you are at " : ", ") + one.endpoint;
    }
    return session.Fail({Code::kNotFound, fmt::format("you are not logged in at {}{}", endpoint, others)});
  }
  if (const Status removed = known.Remove(endpoint); !removed.ok()) return session.Fail(removed);
  RemoveKey(known, (*server)->key_file);
  session.Say(
      fmt::format("your key for {0} is removed from this machine. The lab still knows it: when somebody may have "
                  "copied it, ask an admin: faraday user rotate {1} --now",
                  endpoint,
                  (*server)->user.empty() ? "NAME" : (*server)->user));
  return kExitOk;
}

}  // namespace

std::vector<Verb> LoginVerbs() {
  using Kind = Argument::Kind;
  return {
      {.path = {"login"},
       .summary = "Make your key, and have a lab know it by the one-time code that an admin gave you",
       .arguments = {{Kind::kPositional, "server", "ENDPOINT", "of the lab, or of a controller without one", true},
                     {Kind::kOption, "--code", "CODE", "default: asked for without echo, or the first line of stdin"}},
       .examples = "  faraday login tcp://lab:7710                     asks for the code\n"
                   "  faraday login tcp://lab:7710 --code fcode-...    codes are single use\n"
                   "  faraday login tcp://lab:7710 <code.txt\n"
                   "\n"
                   "The key stays on this machine (~/.config/faraday/keys); the code does not travel either. The code "
                   "also names the\n"
                   "server's key, so another machine in its place is noticed. A second login replaces your key.\n"
                   "CI needs no login: FARADAY_TOKEN_FILE=/path/to/token (faraday user add ci --role ci --token 90d).",
       .run = Login},
      {.path = {"whoami"},
       .summary = "Who you are to the server: user, roles, teams, key, until when; and how its sockets are protected",
       .arguments = {},
       .examples = "  faraday whoami\n"
                   "  faraday whoami --controller tcp://r01:7700\n"
                   "  faraday whoami --json | jq -r '.roles[]'",
       .run = WhoAmI},
      {.path = {"logout"},
       .summary = "Remove your key for a server from this machine",
       .arguments = {{Kind::kPositional, "server", "ENDPOINT", "where you logged in", true}},
       .examples =
           "  faraday logout tcp://lab:7710\n"
           "\n"
           "The lab goes on knowing the key: after a theft an admin ends it with faraday user rotate NAME --now.",
       .run = Logout},
  };
}

}  // namespace faraday::cli
