#include "agent/adb/adb_phones.h"

#include <algorithm>
#include <filesystem>

#include "base/log.h"

namespace faraday::agent {
namespace {

// "r01/07" <-> "r01-07"; a rack's name may hold '-', so the last one counts.
std::string FolderName(std::string slot) {
  std::replace(slot.begin(), slot.end(), '/', '-');
  return slot;
}
std::string SlotOf(std::string name) {
  if (const size_t dash = name.rfind('-'); dash != std::string::npos) name[dash] = '/';
  return name;
}

}  // namespace

AdbPhones::AdbPhones(evloop::Loop& loop, std::string adb, std::string folder, OnFacts on_facts)
    : loop_(loop), adb_(std::move(adb)), folder_(std::move(folder)), on_facts_(std::move(on_facts)) {
  FindLeftovers();
}

AdbServer::Place AdbPhones::PlaceOf(const std::string& slot, bool usb) const {
  return {adb_, folder_ + "/" + FolderName(slot), usb};
}

void AdbPhones::FindLeftovers() {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    const std::string slot = SlotOf(entry.path().filename().string());
    auto server = std::make_unique<AdbServer>(loop_, PlaceOf(slot, false), [this, slot] { leftovers_.erase(slot); });
    if (server->Adopt()) leftovers_[slot] = std::move(server);
  }
}

void AdbPhones::Start(const std::string& slot, const PhoneAddress& address) {
  if (address == PhoneAddress{}) return;
  if (const auto found = sessions_.find(slot); found != sessions_.end()) {
    // One for another address ends first; the next call starts the new one.
    if (found->second->address() != address) found->second->End();
    return;
  }
  leftovers_.erase(slot);  // the session's own server takes the process over
  sessions_[slot] = std::make_unique<PhoneSession>(
      loop_,
      slot,
      address,
      PlaceOf(slot, !address.usb.empty()),
      [this, slot](const Facts& facts) { on_facts_(slot, facts); },
      [this, slot] { sessions_.erase(slot); });
}

void AdbPhones::End(const std::string& slot) {
  if (const auto found = sessions_.find(slot); found != sessions_.end()) return found->second->End();
  EndLeftover(slot);
}

void AdbPhones::EndLeftover(const std::string& slot) {
  if (const auto found = leftovers_.find(slot); found != leftovers_.end()) found->second->End();
}

bool AdbPhones::Active(const std::string& slot) const { return sessions_.contains(slot) || leftovers_.contains(slot); }

void AdbPhones::Probe(const std::string& slot, std::function<void(Status)> done) {
  if (const auto found = sessions_.find(slot); found != sessions_.end()) return found->second->Probe(std::move(done));
  loop_.AddTimer("no session", BootClock::now(), [done] { done(Status(Code::kUnavailable, "no adb session")); });
}

void AdbPhones::KillExcept(const std::set<std::string>& keep) {
  for (auto& [slot, session] : sessions_) {
    if (!keep.contains(slot)) session->Kill();
  }
  for (auto& [slot, server] : leftovers_) {
    if (!keep.contains(slot)) server->Kill();
  }
}

}  // namespace faraday::agent
