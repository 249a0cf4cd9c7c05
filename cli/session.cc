#include "cli/session.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>
#include <pwd.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "access/rights.h"
#include "cli/probe.h"
#include "cli/text.h"
#include "rackconfig/yaml_reader.h"

namespace faraday::cli {
namespace {

constexpr char kDefaultLab[] = "tcp://127.0.0.1:7710";

std::string LoginName() {
  passwd entry{};
  passwd* found = nullptr;
  char buffer[4096];
  if (getpwuid_r(geteuid(), &entry, buffer, sizeof(buffer), &found) != 0 || found == nullptr) return "";
  return entry.pw_name;
}

// Waits a little between two tries; a signal ends the wait.
void Pause(Milliseconds time) {
  timespec left{.tv_sec = time.count() / 1000, .tv_nsec = (time.count() % 1000) * 1'000'000};
  nanosleep(&left, nullptr);
}

using Environment = std::function<std::optional<std::string>(const std::string& name)>;

std::string ConfigFolder(const Environment& environment) {
  std::string folder = environment("XDG_CONFIG_HOME").value_or("");
  if (folder.empty()) folder = environment("HOME").value_or("") + "/.config";
  return folder + "/faraday";
}

Keyring::Options KeyringOptions(const GlobalOptions& options, const Environment& environment) {
  return {.folder = ConfigFolder(environment),
          .key_file = options.key,
          .server_key = options.server_key,
          .token = environment("FARADAY_TOKEN").value_or(""),
          .token_file = environment("FARADAY_TOKEN_FILE").value_or("")};
}

bool SaysYes(const std::optional<std::string>& value) {
  return value && !value->empty() && *value != "0" && *value != "false" && *value != "no";
}

bool Changes(const v1::Request& request) {
  const access::Call call = access::CallOfNumber(static_cast<int>(request.call_case()));
  if (call == access::Call::kNone) return false;
  const access::Kind kind = access::RowOf(call).kind;
  return kind == access::Kind::kOnce || kind == access::Kind::kLevel || kind == access::Kind::kSafe;
}

bool MayRetry(const Status& status) {
  return status.code() == Code::kUnavailable || status.code() == Code::kDeadlineExceeded;
}

}  // namespace

int ExitOf(const Status& status) {
  switch (status.code()) {
    case Code::kOk:
      return kExitOk;
    case Code::kInvalidArgument:
      return kExitUsage;
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
      return kExitUnavailable;
    case Code::kCancelled:
      return kExitCancelled;
    default:
      return kExitRefused;
  }
}

Session::Session(GlobalOptions options, Surroundings surroundings)
    : surroundings_(std::move(surroundings)),
      json_(options.json),
      plain_(options.plain || SaysYes(surroundings_.environment("FARADAY_PLAIN"))),
      keyring_(KeyringOptions(options, surroundings_.environment)),
      trace_(NewKey().substr(0, 16)) {
  caller_.set_user(options.user.empty() ? FromEnvironment("FARADAY_USER") : options.user);
  caller_.set_role(options.role.empty() ? FromEnvironment("FARADAY_ROLE") : options.role);
  caller_.set_team(FromEnvironment("FARADAY_TEAM"));
  if (!plain_) return;
  if (caller_.user().empty()) caller_.set_user(LoginName());
  if (caller_.role().empty()) caller_.set_role("user");
}

Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::Create(const GlobalOptions& options, Surroundings surroundings) {
  std::unique_ptr<Session> session(new Session(options, std::move(surroundings)));
  if (session->plain_ && session->caller_.user().empty()) {
    return Status(Code::kInvalidArgument,
                  "nobody asks: this account has no login name; give --user NAME or set FARADAY_USER");
  }
  FARADAY_TRY(session->FindServers(options));
  return session;
}

std::string Session::FromEnvironment(const std::string& name) const {
  return surroundings_.environment(name).value_or("");
}

Status Session::FindServers(const GlobalOptions& options) {
  lab_ = options.lab.empty() ? FromEnvironment("FARADAY_LAB") : options.lab;
  // An explicit --lab asks the lab, whatever controller the surroundings name.
  controller_ =
      options.controller.empty() && options.lab.empty() ? FromEnvironment("FARADAY_CONTROLLER") : options.controller;
  const bool named = !lab_.empty() || !controller_.empty();
  if (lab_.empty()) lab_ = kDefaultLab;
  const std::string path = ConfigPath();
  guessed_ = !named;
  if (named || ::access(path.c_str(), F_OK) != 0) return OkStatus();
  const std::string guess = std::exchange(lab_, "");
  const auto mistakes = rackconfig::ReadYamlFile(
      path,
      {{"lab", rackconfig::Need::kOptional, rackconfig::Endpoint(&lab_), "the lab's endpoint"},
       {"controller", rackconfig::Need::kOptional, rackconfig::Endpoint(&controller_), "a controller's endpoint"}},
      surroundings_.environment);
  guessed_ = lab_.empty() && controller_.empty();
  if (lab_.empty()) lab_ = guess;
  if (rackconfig::Usable(mistakes)) return OkStatus();
  return {Code::kInvalidArgument, "the config file has mistakes\n" + rackconfig::Describe(mistakes)};
}

zmq::context_t& Session::context() {
  if (!context_) context_ = std::make_unique<zmq::context_t>(1);
  return *context_;
}

// ---- words ----

void Session::Out(const std::string& text) { OutBytes(text.data(), text.size()); }

void Session::OutBytes(const char* data, size_t size) {
  std::fwrite(data, 1, size, surroundings_.out);
  std::fflush(surroundings_.out);
}

void Session::Err(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), surroundings_.err);
  std::fflush(surroundings_.err);
}

void Session::Say(const std::string& text) { Err("faraday: " + PrintableLines(text) + "\n"); }

void Session::Progress(const std::string& text) {
  if (ErrIsTerminal()) return Say(Printable(text));
  Say(FormatSecond(UtcNow().since_epoch.count()) + " " + Printable(text));
}

bool Session::OutIsTerminal() const {
  const int fd = fileno(surroundings_.out);
  return fd >= 0 && isatty(fd) == 1;
}

bool Session::ErrIsTerminal() const {
  const int fd = fileno(surroundings_.err);
  return fd >= 0 && isatty(fd) == 1;
}

size_t Session::Width() const {
  winsize size{};
  const int fd = fileno(surroundings_.out);
  if (fd >= 0 && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const unsigned long columns = std::strtoul(FromEnvironment("COLUMNS").c_str(), nullptr, 10);
  return columns >= 40 && columns <= 1000 ? columns : 120;
}

void Session::Json(const google::protobuf::Message& message, bool one_line) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  options.add_whitespace = !one_line;
  std::string text;
  if (!google::protobuf::util::MessageToJsonString(message, &text, options).ok())
    return Say("the answer is no valid text");
  if (one_line) text += "\n";
  Out(PrintableJson(text));
}

int Session::Fail(const Status& status) {
  // Servers' words may quote foreign text; lines stay lines.
  std::string text = status.message();
  while (!text.empty() && text.back() == '\n') text.pop_back();
  Say(text.empty() ? std::string(CodeName(status.code())) : text);
  return ExitOf(status);
}

// ---- calls ----

// Whose key, from the server that was named; read once.
Result<Standing> Session::Home() {
  if (!home_) {
    FARADAY_TRY_ASSIGN(Standing home,
                       keyring_.At(target(), direct() ? Keyring::Server::kController : Keyring::Server::kLab));
    home_ = std::move(home);
  }
  return *home_;
}

// Of a server that was not named on the command line: the lab says where it is and what its key is.
Result<access::PublicKey> Session::ServerKey(const Standing& home, const std::string& endpoint) const {
  const auto located = located_keys_.find(endpoint);
  if (located != located_keys_.end()) return located->second;
  if (const auto key = keyring_.InRoster(home.keeper, endpoint)) return *key;
  return Status(Code::kUnauthenticated,
                fmt::format("no key is known for {0}: has it enrolled? An admin: faraday user add RACK --role "
                            "controller, then there: faraday-controller --enrol. Or: faraday login {0}",
                            endpoint));
}

Result<rpc::Credentials> Session::CredentialsOf(const std::string& endpoint) {
  rpc::Credentials who(caller_);
  if (plain_) {
    FARADAY_TRY(CheckPlain(endpoint));
    return who;
  }
  Standing standing;
  if (endpoint == target()) {
    FARADAY_TRY_ASSIGN(standing, Home());
  } else {
    FARADAY_TRY_ASSIGN(const auto own, keyring_.LoginAt(endpoint));
    if (own && located_keys_.count(endpoint) == 0) {
      standing = *own;
    } else {
      FARADAY_TRY_ASSIGN(standing, Home());
      FARADAY_TRY_ASSIGN(standing.server, ServerKey(standing, endpoint));
    }
  }
  who.keys = standing.keys;
  who.server_key = [key = standing.server](const std::string&) { return key; };
  return who;
}

// A refused key, with what the person's own copy of the roster knows about it.
Status Session::Explain(const std::string& endpoint, const Status& status) {
  if (status.code() != Code::kUnauthenticated || plain_ || !home_) return status;
  const auto roster = keyring_.RosterOf(home_->keeper);
  if (!roster.ok()) return status;
  for (const access::Entry& entry : roster->entries) {
    if (entry.key != home_->keys->public_key) continue;
    const int64_t expires = entry.expires.since_epoch.count();
    const int64_t now = UtcNow().since_epoch.count();
    if (expires == 0 || expires > now) continue;
    return {
        status.code(),
        fmt::format("{} refuses your key {}: it is {}'s and expired {} (this machine's clock says {}); ask an admin "
                    "for a new one: faraday user rotate {}",
                    endpoint,
                    access::Fingerprint(entry.key),
                    entry.user,
                    FormatClock(expires, now),
                    FormatClock(now, now),
                    entry.user)};
  }
  return status;
}

const std::string& Session::user() {
  if (!caller_.user().empty()) return caller_.user();
  if (!user_.empty()) return user_;
  if (const auto home = Home(); home.ok()) user_ = home->user;
  if (!user_.empty()) return user_;
  v1::Request request;
  request.mutable_who_am_i();
  if (const auto reply = CallTarget(std::move(request)); reply.ok()) user_ = reply->who_am_i().user();
  return user_;
}

// Where no server was named and nothing listens, a key is not what is missing.
Status Session::ProbeGuess(const std::string& endpoint) const {
  if (!guessed_ || endpoint != lab_ || ProbeEndpoint(endpoint).ok()) return OkStatus();
  return {
      Code::kUnavailable,
      fmt::format("nothing answers at {}, where a lab is looked for when none is named. Your lab is elsewhere: faraday "
                  "login ENDPOINT, or --lab or FARADAY_LAB. Without one: ./dev demo tries it all on this computer, "
                  "docs/operate/first-ten-minutes.md sets one up",
                  endpoint)};
}

Result<v1::Reply> Session::Call(const std::string& endpoint, v1::Request request, Milliseconds timeout) {
  auto& client = clients_[endpoint];
  if (!client) {
    FARADAY_TRY(ProbeGuess(endpoint));
    FARADAY_TRY_ASSIGN(rpc::Credentials who, CredentialsOf(endpoint));
    FARADAY_TRY(ProbeEndpoint(endpoint));
    client = std::make_unique<rpc::BlockingClient>(context(), endpoint, std::move(who));
  }
  if (request.trace_id().empty()) request.set_trace_id(trace_);
  const bool changes = Changes(request);
  auto reply = client->Call(std::move(request), timeout);
  if (reply.ok()) return reply;
  const Status status = reply.status();
  // A fresh connection next time, so that a server that went away is noticed at once.
  if (MayRetry(status)) client.reset();
  if (status.code() == Code::kUnauthenticated) return Explain(endpoint, status);
  if (changes) return Status(status.code(), fmt::format("{} (trace {})", status.message(), trace_));
  return reply;
}

Result<v1::Reply> Session::CallLab(v1::Request request, Milliseconds timeout) {
  return Call(lab_, std::move(request), timeout);
}

Result<v1::Reply> Session::CallTarget(v1::Request request, Milliseconds timeout) {
  return Call(target(), std::move(request), timeout);
}

Result<v1::Reply> Session::CallUntil(const std::string& endpoint,
                                     const v1::Request& request,
                                     Milliseconds timeout,
                                     BootTime give_up) {
  bool said = false;
  while (true) {
    auto reply = Call(endpoint, request, timeout);
    if (interrupted()) return Status(Code::kCancelled, "interrupted");
    if (reply.ok() || !MayRetry(reply.status())) {
      if (said && reply.ok()) Progress(fmt::format("{} answers again", endpoint));
      return reply;
    }
    const auto left = give_up - BootClock::now();
    if (left.count() <= 0) return reply;
    if (!said)
      Progress(fmt::format("{} does not answer; asking again for up to {}", endpoint, FormatAge(left.count())));
    said = true;
    Pause(Milliseconds(250));
  }
}

Result<v1::LocateResult> Session::Locate(const std::string& rack) {
  const auto known = located_.find(rack);
  if (known != located_.end()) return known->second;
  v1::LocateResult result;
  if (direct()) {
    result.set_controller(controller_);
  } else {
    v1::Request request;
    request.mutable_locate()->set_rack(rack);
    FARADAY_TRY_ASSIGN(v1::Reply reply, CallLab(std::move(request)));
    result = reply.locate();
    if (const auto key = access::PublicKeyOfBytes(result.public_key()); key.ok()) {
      located_keys_[result.controller()] = *key;
    }
  }
  located_[rack] = result;
  return result;
}

void Session::LearnKey(const std::string& rack) {
  if (plain_ || direct()) return;
  [[maybe_unused]] const auto located = Locate(rack);
}

Result<std::string> Session::ControllerOf(const std::string& rack) {
  FARADAY_TRY_ASSIGN(v1::LocateResult located, Locate(rack));
  return located.controller();
}

std::string Session::NewKey() {
  unsigned char bytes[16];
  size_t have = 0;
  while (have < sizeof(bytes)) {
    const ssize_t got = getrandom(bytes + have, sizeof(bytes) - have, 0);
    if (got > 0) have += static_cast<size_t>(got);
  }
  std::string key;
  for (unsigned char byte : bytes) key += fmt::format("{:02x}", byte);
  return key;
}

}  // namespace faraday::cli
