// The Phones port by adb: one PhoneSession a slot. Loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "agent/adb/phone_session.h"
#include "agent/core/ports.h"
#include "evloop/loop.h"

namespace faraday::agent {

class AdbPhones : public Phones {
 public:
  using OnFacts = std::function<void(const std::string& slot, const Facts& facts)>;
  // `folder` holds one folder a slot ("r01-07"); `adb` is the program. Servers of an earlier agent found there count as
  // active until they are started again or ended.
  AdbPhones(evloop::Loop& loop, std::string adb, std::string folder, OnFacts on_facts);

  void Start(const std::string& slot, const PhoneAddress& address) override;
  void End(const std::string& slot) override;
  bool Active(const std::string& slot) const override;
  void Probe(const std::string& slot, std::function<void(Status)> done) override;

  // For the agent's own end: kills the servers of all slots but `keep`.
  void KillExcept(const std::set<std::string>& keep);

 private:
  AdbServer::Place PlaceOf(const std::string& slot, bool usb) const;
  void FindLeftovers();
  void EndLeftover(const std::string& slot);

  evloop::Loop& loop_;
  std::string adb_;
  std::string folder_;
  OnFacts on_facts_;
  std::map<std::string, std::unique_ptr<PhoneSession>> sessions_;
  std::map<std::string, std::unique_ptr<AdbServer>> leftovers_;  // slot -> an earlier agent's server
};

}  // namespace faraday::agent
