#include "cli/session.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>
#include <pwd.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

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
    : surroundings_(std::move(surroundings)), json_(options.json) {
  caller_.set_user(options.user.empty() ? FromEnvironment("FARADAY_USER") : options.user);
  if (caller_.user().empty()) caller_.set_user(LoginName());
  caller_.set_role(options.role.empty() ? FromEnvironment("FARADAY_ROLE") : options.role);
  if (caller_.role().empty()) caller_.set_role("user");
  caller_.set_team(FromEnvironment("FARADAY_TEAM"));
}

Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::Create(const GlobalOptions& options, Surroundings surroundings) {
  std::unique_ptr<Session> session(new Session(options, std::move(surroundings)));
  if (session->user().empty()) {
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
  if (!lab_.empty() || !controller_.empty()) return OkStatus();
  std::string folder = FromEnvironment("XDG_CONFIG_HOME");
  if (folder.empty()) folder = FromEnvironment("HOME") + "/.config";
  const std::string path = folder + "/faraday/config.yaml";
  lab_ = kDefaultLab;
  if (access(path.c_str(), F_OK) != 0) return OkStatus();
  const auto mistakes = rackconfig::ReadYamlFile(
      path,
      {{"lab", rackconfig::Need::kOptional, rackconfig::Endpoint(&lab_), "the lab's endpoint"},
       {"controller", rackconfig::Need::kOptional, rackconfig::Endpoint(&controller_), "a controller's endpoint"}},
      surroundings_.environment);
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

void Session::Say(const std::string& text) { Err("faraday: " + text + "\n"); }

void Session::Progress(const std::string& text) {
  if (isatty(fileno(surroundings_.err)) == 1) return Say(Printable(text));
  Say(FormatSecond(UtcNow().since_epoch.count()) + " " + Printable(text));
}

bool Session::OutIsTerminal() const {
  const int fd = fileno(surroundings_.out);
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
  Out(text);
}

int Session::Fail(const Status& status) {
  // Servers' words may quote foreign text; lines stay lines.
  const std::string& text = status.message();
  std::string safe;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    if (at != 0) safe += '\n';
    safe += Printable(std::string_view(text).substr(at, end - at));
    at = end + 1;
  }
  while (!safe.empty() && safe.back() == '\n') safe.pop_back();
  Say(safe.empty() ? std::string(CodeName(status.code())) : safe);
  return ExitOf(status);
}

// ---- calls ----

Result<v1::Reply> Session::Call(const std::string& endpoint, v1::Request request, Milliseconds timeout) {
  auto& client = clients_[endpoint];
  if (!client) {
    FARADAY_TRY(ProbeEndpoint(endpoint));
    client = std::make_unique<rpc::BlockingClient>(context(), endpoint, caller_);
  }
  auto reply = client->Call(std::move(request), timeout);
  // A fresh connection next time, so that a server that went away is noticed at once.
  if (!reply.ok() && MayRetry(reply.status())) client.reset();
  return reply;
}

Result<v1::Reply> Session::CallLab(v1::Request request, Milliseconds timeout) {
  return Call(lab_.empty() ? kDefaultLab : lab_, std::move(request), timeout);
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
  }
  located_[rack] = result;
  return result;
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
