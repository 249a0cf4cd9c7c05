// One slot's phone as adb shows it: keeps the slot's server up, connects, asks for facts, tells every reading.
//
// A reading is told each second until the phone has booted and every 5 s after that, at once when adb's state changes.
// A phone that answers nothing is "absent" after 10 s of trying; one that adb lists but that no longer answers is
// "offline". Loop's thread; nothing here waits.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/adb/phone_text.h"
#include "agent/adb/query.h"
#include "agent/adb/server.h"
#include "agent/core/wishes.h"
#include "evloop/loop.h"

namespace faraday::agent {

class PhoneSession {
 public:
  using OnFacts = std::function<void(const Facts&)>;
  PhoneSession(evloop::Loop& loop,
               std::string slot,
               PhoneAddress address,
               AdbServer::Place place,
               OnFacts on_facts,
               std::function<void()> ended);
  ~PhoneSession();

  const PhoneAddress& address() const { return address_; }
  // Ends the server; `ended` follows when it is gone. No facts are told from here on.
  void End();
  bool ending() const { return ending_; }
  // SIGKILL to the server, for the agent's own end.
  void Kill() { server_.Kill(); }
  // One question to the phone, past what is known. kUnavailable with adb's word when it does not answer.
  void Probe(std::function<void(Status)> done);

 private:
  void Look();
  void Ask(AdbQuery::Question question, void (PhoneSession::*then)(Result<AdbQuery::Answer>));
  AdbQuery::Question Shell(const std::string& command) const;
  void OnDevices(Result<AdbQuery::Answer> answer);
  void OnConnected(Result<AdbQuery::Answer> answer);
  void OnDisconnected(Result<AdbQuery::Answer> answer);
  void OnProperties(Result<AdbQuery::Answer> answer);
  void OnBattery(Result<AdbQuery::Answer> answer);
  const AdbDevice* FindOurs(const std::vector<AdbDevice>& devices) const;
  void SetState(const std::string& state);
  void Tell();
  void OnServerEnded();

  evloop::Loop& loop_;
  std::string slot_;
  PhoneAddress address_;
  OnFacts on_facts_;
  std::function<void()> ended_;
  AdbServer server_;
  evloop::Handle ticker_ = 0;
  std::unique_ptr<AdbQuery> query_;  // one at a time
  std::unique_ptr<AdbQuery> probe_;
  Facts facts_;
  BootTime trying_since_;
  BootTime offline_since_{};
  BootTime read_at_{};  // next reading of properties
  bool ending_ = false;
  std::string server_problem_;
};

}  // namespace faraday::agent
