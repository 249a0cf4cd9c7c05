#include "agent/adb/phone_session.h"

#include <fmt/format.h>

#include "base/log.h"

namespace faraday::agent {
namespace {

// All chosen; 10 s to "absent" is the agreed figure.
constexpr Milliseconds kLookEvery{250};
constexpr Milliseconds kReadUntilBooted{1'000};
constexpr Milliseconds kReadBooted{5'000};
constexpr Milliseconds kAbsentAfter{10'000};
constexpr Milliseconds kReconnectAfter{2'000};  // offline that long: disconnect and connect anew
constexpr Milliseconds kListTimeout{3'000};
constexpr Milliseconds kShellTimeout{4'000};
constexpr Milliseconds kConnectTimeout{12'000};  // adb itself gives up after 10 s

}  // namespace

PhoneSession::PhoneSession(evloop::Loop& loop,
                           std::string slot,
                           PhoneAddress address,
                           AdbServer::Place place,
                           OnFacts on_facts,
                           std::function<void()> ended)
    : loop_(loop),
      slot_(std::move(slot)),
      address_(std::move(address)),
      on_facts_(std::move(on_facts)),
      ended_(std::move(ended)),
      server_(loop, std::move(place), [this] { OnServerEnded(); }),
      trying_since_(BootClock::now()) {
  ticker_ = loop_.AddPeriodic("phone " + slot_, kLookEvery, [this] { Look(); });
  Look();
}

PhoneSession::~PhoneSession() { loop_.Remove(ticker_); }

void PhoneSession::End() {
  if (ending_) return;
  ending_ = true;
  query_.reset();
  probe_.reset();
  loop_.Remove(ticker_);
  ticker_ = 0;
  if (!server_.running()) server_.Adopt();
  if (server_.running()) return server_.End();
  // Later, not from within: the owner destroys this object in `ended`.
  ticker_ = loop_.AddTimer("no server", BootClock::now(), [this] { OnServerEnded(); });
}

void PhoneSession::OnServerEnded() {
  if (!ending_) {
    log::Warn("slot {}: its adb server ended; it is started again", slot_);
    query_.reset();
    return;
  }
  const auto ended = ended_;
  ended();
}

void PhoneSession::Look() {
  if (query_ != nullptr) return;
  const Status status = server_.Ensure();
  if (!status.ok()) {
    if (server_problem_ != status.message()) log::Error("slot {}: {}", slot_, status.message());
    server_problem_ = status.message();
    return;
  }
  facts_.server_port = server_.port();
  Ask({server_.port(), {"host:devices-l"}, AdbQuery::Form::kText, kListTimeout}, &PhoneSession::OnDevices);
}

void PhoneSession::Ask(AdbQuery::Question question, void (PhoneSession::*then)(Result<AdbQuery::Answer>)) {
  query_ = std::make_unique<AdbQuery>(loop_, std::move(question), [this, then](Result<AdbQuery::Answer> answer) {
    query_.reset();
    (this->*then)(std::move(answer));
  });
}

AdbQuery::Question PhoneSession::Shell(const std::string& command) const {
  return {server_.port(),
          {"host:transport:" + facts_.adb_serial, "shell,v2,raw:" + command},
          AdbQuery::Form::kShell,
          kShellTimeout};
}

const AdbDevice* PhoneSession::FindOurs(const std::vector<AdbDevice>& devices) const {
  for (const AdbDevice& device : devices) {
    if (address_.tcp.empty() ? device.usb == address_.usb : device.serial == address_.tcp) return &device;
  }
  return nullptr;
}

void PhoneSession::OnDevices(Result<AdbQuery::Answer> answer) {
  const BootTime now = BootClock::now();
  if (!answer.ok()) return SetState("unknown");
  const auto devices = ParseDevices(answer->text);
  const AdbDevice* ours = FindOurs(devices);
  if (ours == nullptr) {
    SetState(now - trying_since_ >= kAbsentAfter ? "absent" : "unknown");
    if (address_.tcp.empty()) return;
    return Ask({server_.port(), {"host:connect:" + address_.tcp}, AdbQuery::Form::kText, kConnectTimeout},
               &PhoneSession::OnConnected);
  }
  facts_.adb_serial = ours->serial;
  if (ours->state != "device") {
    const bool was_offline = facts_.adb_state == "offline";
    const bool absent = ours->state == "offline" && now - trying_since_ >= kAbsentAfter && facts_.serial.empty();
    SetState(absent ? "absent" : ours->state);
    if (!was_offline && !absent) offline_since_ = now;
    // adb never reports a TCP phone that died and came back; a new connection does.
    if (ours->state != "offline" || address_.tcp.empty() || now - offline_since_ < kReconnectAfter) return;
    offline_since_ = now;
    return Ask({server_.port(), {"host:disconnect:" + address_.tcp}, AdbQuery::Form::kText, kListTimeout},
               &PhoneSession::OnDisconnected);
  }
  if (now >= read_at_) Ask(Shell("getprop"), &PhoneSession::OnProperties);
}

void PhoneSession::OnConnected(Result<AdbQuery::Answer>) {
  // Whatever it says ("connected to", "failed to connect to", ...): the next list tells.
}
void PhoneSession::OnDisconnected(Result<AdbQuery::Answer>) {}

void PhoneSession::OnProperties(Result<AdbQuery::Answer> answer) {
  const BootTime now = BootClock::now();
  if (!answer.ok()) {
    // Listed, but it answers nothing: a hung phone still shows as "device".
    facts_.booted = Facts::Booted::kUnknown;
    read_at_ = now + kReadUntilBooted;
    return SetState("offline");
  }
  auto properties = ParseProperties(answer->text);
  facts_.serial = properties["ro.serialno"];
  facts_.model = SelectorSpelling(properties["ro.product.model"]);
  facts_.os_version = properties["ro.build.version.release"];
  facts_.booted = properties["sys.boot_completed"] == "1" ? Facts::Booted::kYes : Facts::Booted::kNo;
  facts_.adb_state = "device";
  trying_since_ = now;
  read_at_ = now + (facts_.booted == Facts::Booted::kYes ? kReadBooted : kReadUntilBooted);
  if (facts_.booted == Facts::Booted::kYes) return Ask(Shell("dumpsys battery"), &PhoneSession::OnBattery);
  Tell();
}

void PhoneSession::OnBattery(Result<AdbQuery::Answer> answer) {
  facts_.battery_percent = answer.ok() ? ParseBatteryLevel(answer->text) : -1;
  Tell();
}

void PhoneSession::SetState(const std::string& state) {
  const bool news = facts_.adb_state != state;
  facts_.adb_state = state;
  if (state != "device") facts_.booted = Facts::Booted::kUnknown;
  // A state that lasts is a reading, too; "unknown" is none.
  if (news || (state != "unknown" && BootClock::now() - facts_.measured >= kReadUntilBooted)) Tell();
}

void PhoneSession::Tell() {
  facts_.measured = BootClock::now();
  on_facts_(facts_);
}

void PhoneSession::Probe(std::function<void(Status)> done) {
  if (ending_ || facts_.adb_serial.empty()) {
    probe_.reset();
    loop_.AddTimer("no probe", BootClock::now(), [done] { done(Status(Code::kUnavailable, "adb does not see it")); });
    return;
  }
  probe_ = std::make_unique<AdbQuery>(loop_, Shell("getprop ro.serialno"), [done](Result<AdbQuery::Answer> answer) {
    done(answer.ok() ? OkStatus() : Status(Code::kUnavailable, answer.status().message()));
  });
}

}  // namespace faraday::agent
