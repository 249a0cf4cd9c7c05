// What the phone's adb daemon offers: a table from service name to service. Anything else is refused, as adbd refuses
// what it does not know; `adb install`, forward and logcat are therefore honest errors.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "evloop/loop.h"
#include "sim/phone/command_box.h"
#include "sim/phone/phone_files.h"
#include "sim/phone/service.h"
#include "sim/phone/shell_service.h"

namespace faraday::sim {

class PhoneServices : public ServiceOpener {
 public:
  // `reboot` is called from inside a stream: it must not end the link before the next turn of the loop.
  PhoneServices(evloop::Loop& loop, const PhoneFiles& files, CommandBox& box, std::function<void()> reboot)
      : loop_(loop), files_(files), box_(box), leftovers_(loop), reboot_(std::move(reboot)) {}

  std::unique_ptr<Service> Open(std::string_view name, Stream& stream) override;
  // Ends what still runs after its stream was closed.
  void EndLeftovers() { leftovers_.EndAll(); }

 private:
  std::unique_ptr<Service> OpenSync(std::string_view name, Stream& stream);
  std::unique_ptr<Service> OpenShell(std::string_view name, Stream& stream);
  std::unique_ptr<Service> OpenReboot(std::string_view name, Stream& stream);

  evloop::Loop& loop_;
  const PhoneFiles& files_;
  CommandBox& box_;
  Leftovers leftovers_;
  std::function<void()> reboot_;
};

}  // namespace faraday::sim
