// One simulated phone: power, boot, battery, USB presence, and an adb daemon that Debian's adb talks to over TCP, one
// listening address per host that its cable can reach. Its shell runs real commands in a private folder.
//
// It is not the slot: what reaches the connector comes from the plant by Update(), what it draws goes back by draw().
// Everything runs in the thread of the Loop; nothing blocks. The process ignores SIGPIPE once a Phone exists.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "evloop/loop.h"
#include "sim/phone/models.h"
#include "sim/phone/slot_side.h"

namespace faraday::sim {

class CommandBox;
class PhoneFiles;
class PhoneServices;
class TcpDoor;

struct PhoneIdentity {
  std::string serial;   // ro.serialno; also names nothing on disk: the caller chooses the folder
  std::string android;  // "14"; empty: as the model was shipped
};

enum class PhonePower { kOff, kBooting, kBooted };
enum class PhoneFault {
  kOk,
  kOffline,  // adb's links end; new ones are accepted and never answered, which adb shows as offline
  kHung,     // links stay, bytes are accepted, nothing is answered any more
  kAbsent,   // as if unplugged: no data path and no VBUS reach it (that it draws nothing is the plant's to say)
};

// "ok", "offline", "hung" (or "hang"), "absent"; kInvalidArgument naming the choices for anything else.
Result<PhoneFault> ParsePhoneFault(std::string_view text);
std::string_view PhoneFaultName(PhoneFault fault);
std::string_view PhonePowerName(PhonePower power);

struct PhoneOptions {
  PhoneModel model;
  PhoneIdentity identity;
  // "127.0.0.1:5601" by host index; empty: no cable to that host. Port 0: a free one, kept from then on.
  std::vector<std::string> listen;
  std::filesystem::path folder;  // private to this phone; made when absent, kept when the phone ends
  PhonePower start = PhonePower::kBooted;
  // Whom commands run as when the process is root (the phone's folders are given to it). 65534: nobody on Debian.
  unsigned command_uid = 65534;
  unsigned command_gid = 65534;
};

class Phone {
 public:
  // Makes the folder and the phone, plugged in nowhere: nothing listens before the first Update().
  // Returns: kInvalidArgument for a bad address or serial, kFailedPrecondition when the folder cannot be made.
  static Result<std::unique_ptr<Phone>> Create(evloop::Loop& loop, PhoneOptions options);
  // Ends its links, its commands and its listener.
  ~Phone();
  Phone(const Phone&) = delete;
  Phone& operator=(const Phone&) = delete;

  // What the connector feels now. A lost data path or VBUS cuts adb's links before this returns.
  void Update(const SlotSide& slot);
  PhoneDraw draw() const;

  void SetFault(PhoneFault fault);
  PhoneFault fault() const { return fault_; }
  PhonePower power() const { return power_; }
  // As by the power key: starts a boot when off and the battery is not empty.
  void PowerOn();
  // As by the power key: off at once.
  void PowerOff();
  // Off and a new boot, as `adb reboot` asks. REQUIRES nothing: an off phone stays off.
  void Reboot();

  // The address that listens now, "127.0.0.1:40123"; empty: none (no data path, off, absent, or it cannot be bound).
  std::string listening() const;
  // How its commands are kept apart from the host: "namespaces", "user namespace" or "bare" (see command_box.h).
  std::string_view walls() const;
  // One line for people: "pixel-8 X1 booted battery=93% fault=ok listening=127.0.0.1:5601 links=1".
  std::string Describe() const;
  const PhoneOptions& options() const { return options_; }

 private:
  Phone(evloop::Loop& loop, PhoneOptions options);
  void StartBoot();
  void SwitchOff();
  void AdbdUp();
  void BootCompleted();
  void RebootSoon();
  int WantedHost() const;
  void Reconnect();
  void OpenDoor(int host);
  void ShowFault();
  void WriteState();
  SlotSide Felt() const;
  std::string Properties() const;
  std::string Battery() const;
  std::string Banner() const;

  evloop::Loop& loop_;
  PhoneOptions options_;
  SlotSide slot_;
  PhonePower power_ = PhonePower::kOff;
  PhoneFault fault_ = PhoneFault::kOk;
  bool adbd_up_ = false;
  evloop::Handle adbd_timer_ = 0;
  evloop::Handle boot_timer_ = 0;
  evloop::Handle retry_timer_ = 0;
  evloop::Handle reboot_timer_ = 0;
  bool bind_failed_ = false;
  std::unique_ptr<PhoneFiles> files_;
  std::unique_ptr<CommandBox> box_;
  std::unique_ptr<PhoneServices> services_;
  std::unique_ptr<TcpDoor> door_;  // the listener and its links; null while nothing listens
  int door_host_ = -1;
  std::string written_props_;
  std::string written_battery_;
};

}  // namespace faraday::sim
