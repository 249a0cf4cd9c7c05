#include "sim/phone/phone_services.h"

#include <string>
#include <utility>

#include "sim/phone/shell_service.h"
#include "sim/phone/sync_service.h"

namespace faraday::sim {
namespace {

// Says one text and ends.
class TextService : public Service {
 public:
  TextService(Stream& stream, std::string text) : stream_(stream), text_(std::move(text)) {}
  void Deliver(std::string_view) override { stream_.Consumed(); }
  std::string Pull(size_t max) override {
    std::string out = text_.substr(0, max);
    text_.erase(0, max);
    return out;
  }
  bool Ended() const override { return text_.empty(); }

 private:
  Stream& stream_;
  std::string text_;
};

}  // namespace

std::unique_ptr<Service> PhoneServices::Open(std::string_view name, Stream& stream) {
  static constexpr struct {
    std::string_view prefix;
    std::unique_ptr<Service> (PhoneServices::*open)(std::string_view, Stream&);
  } kServices[] = {
      {"shell", &PhoneServices::OpenShell},
      {"exec:", &PhoneServices::OpenShell},
      {"sync:", &PhoneServices::OpenSync},
      {"reboot:", &PhoneServices::OpenReboot},
  };
  for (const auto& service : kServices) {
    if (name.starts_with(service.prefix)) return (this->*service.open)(name, stream);
  }
  return nullptr;
}

std::unique_ptr<Service> PhoneServices::OpenSync(std::string_view, Stream& stream) {
  return std::make_unique<SyncService>(files_, stream);
}

std::unique_ptr<Service> PhoneServices::OpenShell(std::string_view name, Stream& stream) {
  const auto request = ParseShellService(name);
  return request ? ShellService::Open(loop_, box_, leftovers_, stream, *request) : nullptr;
}

std::unique_ptr<Service> PhoneServices::OpenReboot(std::string_view name, Stream& stream) {
  const std::string_view target = name.substr(std::string_view("reboot:").size());
  if (!target.empty()) {
    return std::make_unique<TextService>(
        stream, "reboot " + std::string(target) + ": this phone has no such mode, only a plain reboot\n");
  }
  reboot_();
  return std::make_unique<TextService>(stream, "");
}

}  // namespace faraday::sim
