#include "sim/phone/phone.h"

#include <fmt/core.h>
#include <signal.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "sim/phone/command_box.h"
#include "sim/phone/phone_files.h"
#include "sim/phone/phone_services.h"
#include "sim/phone/tcp_door.h"

namespace faraday::sim {
namespace {

constexpr Milliseconds kBindRetry{500};    // chosen: a port that an earlier run still holds is free soon
constexpr Milliseconds kRebootAfter{100};  // chosen: adb's client sees its stream end before the link does

constexpr struct {
  std::string_view name;
  PhoneFault fault;
} kFaults[] = {{"ok", PhoneFault::kOk},
               {"offline", PhoneFault::kOffline},
               {"hung", PhoneFault::kHung},
               {"hang", PhoneFault::kHung},
               {"absent", PhoneFault::kAbsent}};

// What the phone's daemon can do; without cmd, abb and apex adb falls back to plain shell commands.
constexpr char kFeatures[] = "shell_v2,stat_v2,ls_v2,fixed_push_mkdir";

// A write to a command that has closed its input must be an error of that write, not the end of the bench.
void IgnoreBrokenPipes() {
  struct sigaction now {};
  ::sigaction(SIGPIPE, nullptr, &now);
  if (now.sa_handler != SIG_DFL) return;
  now.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &now, nullptr);
}

// Serials go into properties and adb's banner, where these would end a field.
Status CheckSerial(const std::string& serial) {
  const bool good = !serial.empty() && serial.size() <= 64 && std::all_of(serial.begin(), serial.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
           c == '.';
  });
  if (good) return OkStatus();
  return {Code::kInvalidArgument, "phone serial '" + serial + "' must be 1 to 64 letters, digits, '-', '_' or '.'"};
}

}  // namespace

Result<PhoneFault> ParsePhoneFault(std::string_view text) {
  for (const auto& row : kFaults) {
    if (row.name == text) return row.fault;
  }
  return Status{Code::kInvalidArgument,
                "phone fault '" + std::string(text) + "' is not one of ok, offline, hung, absent"};
}

std::string_view PhoneFaultName(PhoneFault fault) {
  for (const auto& row : kFaults) {
    if (row.fault == fault) return row.name;
  }
  return "?";
}

std::string_view PhonePowerName(PhonePower power) {
  constexpr std::string_view kNames[] = {"off", "booting", "booted"};
  return kNames[static_cast<size_t>(power)];
}

Result<std::unique_ptr<Phone>> Phone::Create(evloop::Loop& loop, PhoneOptions options) {
  FARADAY_TRY(CheckSerial(options.identity.serial));
  for (const std::string& address : options.listen) {
    if (!address.empty()) FARADAY_TRY(TcpDoor::CheckAddress(address));
  }
  if (options.identity.android.empty()) options.identity.android = options.model.android;
  std::unique_ptr<Phone> phone(new Phone(loop, std::move(options)));
  const PhoneOptions& kept = phone->options_;
  FARADAY_TRY_ASSIGN(phone->files_, PhoneFiles::Create(kept.folder, kept.command_uid, kept.command_gid));
  phone->box_ = std::make_unique<CommandBox>(loop, *phone->files_);
  phone->services_ =
      std::make_unique<PhoneServices>(loop, *phone->files_, *phone->box_, [raw = phone.get()] { raw->RebootSoon(); });
  if (kept.start == PhonePower::kBooting) phone->StartBoot();
  phone->WriteState();
  return phone;
}

Phone::Phone(evloop::Loop& loop, PhoneOptions options) : loop_(loop), options_(std::move(options)) {
  IgnoreBrokenPipes();
  slot_.present = false;
  if (options_.start != PhonePower::kBooted) return;
  power_ = PhonePower::kBooted;
  adbd_up_ = true;
}

Phone::~Phone() {
  door_.reset();
  for (evloop::Handle timer : {adbd_timer_, boot_timer_, retry_timer_, reboot_timer_}) loop_.Remove(timer);
}

void Phone::Update(const SlotSide& slot) {
  const bool had_vbus = Felt().vbus;
  slot_ = slot;
  if (slot_.battery_percent <= 0 && power_ != PhonePower::kOff) SwitchOff();
  const bool vbus_came = !had_vbus && Felt().vbus;
  if (vbus_came && options_.model.boots_on_vbus) PowerOn();
  Reconnect();
  WriteState();
}

// The slot as the phone feels it: an unplugged one feels nothing.
SlotSide Phone::Felt() const {
  if (slot_.present && fault_ != PhoneFault::kAbsent) return slot_;
  return {
      .present = false, .vbus = false, .data_host = -1, .charge_port = false, .battery_percent = slot_.battery_percent};
}

PhoneDraw Phone::draw() const {
  if (power_ == PhonePower::kOff) return {};
  if (power_ == PhonePower::kBooting) return {.running = true, .system_ma = options_.model.boot_ma};
  const bool busy = door_ && door_->stream_count() > 0;
  return {.running = true, .system_ma = busy ? options_.model.active_ma : options_.model.idle_ma};
}

void Phone::SetFault(PhoneFault fault) {
  if (fault == fault_) return;
  fault_ = fault;
  Reconnect();
  ShowFault();
  WriteState();
}

// A hung phone keeps its links; every other change ends them, as bytes were lost meanwhile.
void Phone::ShowFault() {
  if (!door_) return;
  if (fault_ != PhoneFault::kHung) door_->CutLinks();
  door_->SetMute(fault_ == PhoneFault::kHung || fault_ == PhoneFault::kOffline);
}

void Phone::PowerOn() {
  if (power_ == PhonePower::kOff && slot_.battery_percent > 0) StartBoot();
}

void Phone::PowerOff() { SwitchOff(); }

void Phone::Reboot() {
  if (power_ == PhonePower::kOff) return;
  SwitchOff();
  PowerOn();
}

void Phone::RebootSoon() {
  loop_.Remove(reboot_timer_);
  reboot_timer_ = loop_.AddTimer("phone reboot", BootClock::now() + kRebootAfter, [this] { Reboot(); });
}

void Phone::StartBoot() {
  power_ = PhonePower::kBooting;
  const BootTime now = BootClock::now();
  adbd_timer_ = loop_.AddTimer("phone adbd", now + options_.model.adbd_after, [this] { AdbdUp(); });
  boot_timer_ = loop_.AddTimer("phone boot", now + options_.model.boot_time, [this] { BootCompleted(); });
  WriteState();
}

void Phone::SwitchOff() {
  power_ = PhonePower::kOff;
  adbd_up_ = false;
  for (evloop::Handle* timer : {&adbd_timer_, &boot_timer_, &reboot_timer_}) loop_.Remove(std::exchange(*timer, 0));
  Reconnect();
  WriteState();
}

void Phone::AdbdUp() {
  adbd_up_ = true;
  Reconnect();
}

void Phone::BootCompleted() {
  power_ = PhonePower::kBooted;
  WriteState();
}

// The host whose adb can reach the phone now, -1 for none.
int Phone::WantedHost() const {
  const SlotSide felt = Felt();
  const auto host = static_cast<size_t>(felt.data_host);
  if (!adbd_up_ || !felt.vbus || felt.data_host < 0) return -1;
  return host < options_.listen.size() && !options_.listen[host].empty() ? felt.data_host : -1;
}

void Phone::Reconnect() {
  const int host = WantedHost();
  if (door_ && host == door_host_) return;
  door_.reset();
  services_->EndLeftovers();
  door_host_ = -1;
  loop_.Remove(std::exchange(retry_timer_, 0));
  if (host >= 0) OpenDoor(host);
}

void Phone::OpenDoor(int host) {
  auto door = TcpDoor::Open(loop_, options_.listen[static_cast<size_t>(host)], Banner(), *services_);
  if (door.ok()) {
    door_ = std::move(*door);
    door_host_ = host;
    // A port that was chosen for us stays the phone's across reboots and reconnections.
    options_.listen[static_cast<size_t>(host)] = door_->address();
    bind_failed_ = false;
    ShowFault();
    return;
  }
  if (!std::exchange(bind_failed_, true)) log::Error("{} ({})", door.status().message(), options_.identity.serial);
  retry_timer_ = loop_.AddTimer("phone listens again", BootClock::now() + kBindRetry, [this] { Reconnect(); });
}

std::string Phone::listening() const { return door_ ? door_->address() : std::string(); }

std::string_view Phone::walls() const { return WallsName(box_->walls()); }

std::string Phone::Describe() const {
  return fmt::format("{} {} {} battery={}% fault={} listening={} links={}",
                     options_.model.name,
                     options_.identity.serial,
                     PhonePowerName(power_),
                     slot_.battery_percent,
                     PhoneFaultName(fault_),
                     door_ ? door_->address() : "-",
                     door_ ? door_->link_count() : 0);
}

std::string Phone::Banner() const {
  const PhoneModel& model = options_.model;
  return fmt::format("device::ro.product.name={};ro.product.model={};ro.product.device={};features={}",
                     model.product,
                     model.marketing,
                     model.device,
                     kFeatures);
}

std::string Phone::Properties() const {
  const PhoneModel& model = options_.model;
  const PhoneIdentity& identity = options_.identity;
  std::string text;
  const auto add = [&text](std::string_view name, std::string_view value) {
    text += fmt::format("{}={}\n", name, value);
  };
  add("ro.boot.serialno", identity.serial);
  add("ro.build.version.release", identity.android);
  add("ro.build.version.sdk", SdkOf(identity.android));
  add("ro.product.brand", model.manufacturer);
  add("ro.product.device", model.device);
  add("ro.product.manufacturer", model.manufacturer);
  add("ro.product.model", model.marketing);
  add("ro.product.name", model.product);
  add("ro.serialno", identity.serial);
  if (power_ == PhonePower::kBooted) add("sys.boot_completed", "1");
  return text;
}

// As `dumpsys battery` prints it; only what is modelled. Status: 2 charging, 3 discharging, 5 full (BatteryManager).
std::string Phone::Battery() const {
  const SlotSide felt = Felt();
  const int status = !felt.vbus ? 3 : felt.battery_percent >= 100 ? 5 : 2;
  return fmt::format(
      "Current Battery Service state:\n  AC powered: {}\n  USB powered: {}\n  Wireless powered: false\n  status: {}\n"
      "  present: true\n  level: {}\n  scale: 100\n  technology: Li-ion\n",
      felt.vbus && felt.charge_port,
      felt.vbus && !felt.charge_port,
      status,
      felt.battery_percent);
}

void Phone::WriteState() {
  const auto write = [this](const char* name, std::string text, std::string* written) {
    if (text == *written) return;
    const Status status = files_->WriteState(name, text);
    if (!status.ok()) log::Error("{}", status.message());
    *written = std::move(text);
  };
  write("props", Properties(), &written_props_);
  write("battery", Battery(), &written_battery_);
}

}  // namespace faraday::sim
