// A rack's controller and a lab as the agent sees them, in the test's own process: real RPC servers whose state the
// test sets. They keep what they are told. One slot, r01/01 unless said. For tests only; loop's thread.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "evloop/loop.h"
#include "rpc/server.h"

namespace faraday::agent {

// Sync calls that wait for news.
class SyncDesk {
 public:
  SyncDesk(evloop::Loop& loop, std::function<v1::SyncResult()> build) : loop_(loop), build_(std::move(build)) {
    ticker_ = loop_.AddPeriodic("sync desk", Milliseconds(100), [this] { AnswerOverdue(); });
  }
  ~SyncDesk() { loop_.Remove(ticker_); }
  void OnSync(const rpc::CallPtr& call) {
    if (call->request().sync().have() != Version()) return Answer(call);
    waiting_.push_back(call);
  }
  // Waiting calls get no answer any more.
  void Forget() { forgotten_.insert(forgotten_.end(), waiting_.begin(), waiting_.end()), waiting_.clear(); }
  void Changed() {
    ++version_;
    for (const auto& call : std::exchange(waiting_, {})) Answer(call);
  }

 private:
  std::string Version() const { return std::to_string(version_); }
  void AnswerOverdue() {
    const BootTime soon = BootClock::now() + Milliseconds(500);
    for (const auto& call : std::exchange(waiting_, {}))
      call->deadline() < soon ? Answer(call) : waiting_.push_back(call);
  }
  void Answer(const rpc::CallPtr& call) {
    v1::Reply reply;
    *reply.mutable_sync() = build_();
    reply.mutable_sync()->set_version(Version());
    call->Answer(std::move(reply));
  }
  evloop::Loop& loop_;
  evloop::Handle ticker_ = 0;
  std::function<v1::SyncResult()> build_;
  std::vector<rpc::CallPtr> waiting_;
  std::vector<rpc::CallPtr> forgotten_;
  int version_ = 1;
};

class FakeRack {
 public:
  FakeRack(evloop::Loop& loop, zmq::context_t& context, std::string adb_address)
      : adb_address_(std::move(adb_address)), desk_(loop, [this] { return Build(); }) {
    auto server = rpc::Server::Bind(loop, context, "tcp://127.0.0.1:0", Table(), rpc::Plain());
    FARADAY_CHECK(server.ok());
    server_ = std::move(*server);
  }
  const std::string& endpoint() const { return server_->endpoint(); }

  void Grant(uint32_t new_epoch, uint32_t ttl_ms) {
    epoch = new_epoch;
    ttl = ttl_ms;
    leased = true;
    end = BootClock::now() + Milliseconds(ttl);
    desk_.Changed();
  }
  void Discover() {
    data_host = "h01";
    discover = true;
    desk_.Changed();
  }
  // As after a release: care holds, the slot is to be cleared.
  void EndLease() {
    clearing = epoch++;
    leased = false;
    desk_.Changed();
  }

  // Forgets the polls that wait, as a killed and restarted controller does.
  void Restart() {
    desk_.Forget();
    publisher_run += "+";
  }

  // Names that slot too, with that epoch.
  void Name(const std::string& other, uint32_t other_epoch) {
    also[other] = other_epoch;
    desk_.Changed();
  }

  std::string name = "r01/01";
  std::map<std::string, uint32_t> also;
  std::string publisher_run = "run";
  bool leased = false;
  bool discover = false;
  bool vbus = false;
  bool renews = true;
  std::string data_host;
  uint32_t epoch = 1;
  uint32_t clearing = 0;  // to be cleared; 0: nothing
  uint32_t ttl = 60'000;
  BootTime end{};
  std::vector<std::string> calls;  // hardware and lease calls, in order
  std::map<std::string, v1::Device> devices;
  std::map<std::string, uint32_t> epochs_seen;
  int renewals = 0;

 private:
  rpc::HandlerTable Table() {
    using Case = v1::Request::CallCase;
    return {{Case::kSync, [this](const rpc::CallPtr& call) { desk_.OnSync(call); }},
            {Case::kSnapshot,
             [this](const rpc::CallPtr& call) {
               v1::Reply reply;
               reply.mutable_snapshot()->set_publisher_run(publisher_run);
               call->Answer(std::move(reply));
             }},
            {Case::kGetRack, [this](const rpc::CallPtr& call) { OnGetRack(call); }},
            {Case::kPower,
             [this](const rpc::CallPtr& call) {
               calls.push_back("power on " + std::to_string(call->request().power().epoch()));
               vbus = true;
               call->Answer({});
             }},
            {Case::kUsb, [this](const rpc::CallPtr& call) { OnUsb(call); }},
            {Case::kRenew, [this](const rpc::CallPtr& call) { OnRenew(call); }},
            {Case::kRelease,
             [this](const rpc::CallPtr& call) {
               calls.push_back("release " + call->request().release().lease());
               call->Answer({});
               EndLease();
             }},
            {Case::kReport, [this](const rpc::CallPtr& call) { OnReport(call); }}};
  }
  std::string Lease() const { return "r01-01-" + std::to_string(epoch); }

  v1::SyncResult Build() const {
    v1::SyncResult result;
    auto* slot = result.add_slots();
    slot->set_slot(name);
    slot->set_epoch(epoch);
    slot->set_purpose(leased ? v1::PURPOSE_JOB : v1::PURPOSE_CARE);
    if (leased) {
      slot->set_lease(Lease());
      slot->set_left_ms(static_cast<uint32_t>(std::max<int64_t>(0, (end - BootClock::now()).count())));
      slot->set_agent("h01");
    }
    slot->set_data(data_host.empty() ? v1::DATA_PATH_OPEN : v1::DATA_PATH_HOST);
    slot->set_data_host(data_host);
    slot->set_adb_address(adb_address_);
    slot->set_needs_clearing(clearing != 0);
    slot->set_clearing_epoch(clearing);
    slot->set_discover(discover);
    for (const auto& [other, other_epoch] : also) {
      auto* more = result.add_slots();
      more->set_slot(other);
      more->set_epoch(other_epoch);
      more->set_needs_clearing(true);
      more->set_clearing_epoch(other_epoch - 1);
    }
    return result;
  }
  void OnGetRack(const rpc::CallPtr& call) {
    v1::Reply reply;
    auto* slot = reply.mutable_get_rack()->mutable_rack()->add_slots();
    slot->set_slot("r01/01");
    slot->mutable_vbus()->set_measured_mv(vbus ? 5050 : 10);
    slot->mutable_vbus()->set_measured_ma(vbus ? 480 : 0);
    calls.push_back("sample");
    call->Answer(std::move(reply));
  }
  void OnUsb(const rpc::CallPtr& call) {
    const auto& usb = call->request().usb();
    data_host = usb.path() == v1::DATA_PATH_HOST ? usb.host() : "";
    calls.push_back(data_host.empty() ? "usb open" : "usb " + data_host);
    call->Answer({});
    desk_.Changed();
  }
  void OnRenew(const rpc::CallPtr& call) {
    if (!leased || call->request().renew().lease() != Lease()) {
      return call->Fail({Code::kNotFound, "no lease " + call->request().renew().lease()});
    }
    if (!renews) return call->Fail({Code::kUnavailable, "the board's line is down"});
    ++renewals;
    end = BootClock::now() + Milliseconds(ttl);
    v1::Reply reply;
    reply.mutable_renew()->mutable_lease()->set_left_ms(ttl);
    call->Answer(std::move(reply));
  }
  void OnReport(const rpc::CallPtr& call) {
    const auto& report = call->request().report();
    for (const auto& facts : report.facts()) devices[facts.slot()] = facts.device();
    for (const auto& [slot, seen] : report.epochs_seen()) epochs_seen[slot] = seen;
    v1::Reply reply;
    reply.mutable_report();
    call->Answer(std::move(reply));
    for (const auto& cleared : report.cleared()) {
      if (cleared.epoch() != clearing || clearing == 0) continue;
      calls.push_back("cleared " + std::to_string(clearing));
      clearing = 0;
      desk_.Changed();
    }
  }

  std::string adb_address_;
  SyncDesk desk_;
  std::unique_ptr<rpc::Server> server_;
};

class FakeLab {
 public:
  FakeLab(evloop::Loop& loop, zmq::context_t& context)
      : loop_(loop), context_(context), desk_(loop, [this] { return Build(); }) {
    Open("tcp://127.0.0.1:0");
  }
  const std::string& endpoint() const { return endpoint_; }
  // Away: the port is closed. Back: the same port.
  void Close() { server_.reset(); }
  void Reopen() { Open(endpoint_); }

  void Assign(const v1::SyncResult::Attempt& attempt) {
    assigned[attempt.attempt()] = attempt;
    desk_.Changed();
  }
  void TakeBack(const std::string& attempt) {
    assigned.erase(attempt);
    desk_.Changed();
  }

  std::map<std::string, v1::SyncResult::Attempt> assigned;
  std::vector<v1::Attempt> reports;
  std::vector<v1::Attempt> ended;             // reports of the final state, one an acknowledgement
  std::map<std::string, std::string> files;   // "attempt/name"
  std::map<std::string, std::string> sha256;  // of those that are complete

 private:
  void Open(const std::string& endpoint) {
    using Case = v1::Request::CallCase;
    auto server = rpc::Server::Bind(loop_,
                                    context_,
                                    endpoint,
                                    {{Case::kSync, [this](const rpc::CallPtr& call) { desk_.OnSync(call); }},
                                     {Case::kReportAttempt, [this](const rpc::CallPtr& call) { OnReport(call); }},
                                     {Case::kPutChunk, [this](const rpc::CallPtr& call) { OnPut(call); }}},
                                    rpc::Plain());
    FARADAY_CHECK(server.ok());
    server_ = std::move(*server);
    endpoint_ = server_->endpoint();
  }
  v1::SyncResult Build() const {
    v1::SyncResult result;
    for (const auto& [id, attempt] : assigned) *result.add_attempts() = attempt;
    return result;
  }
  void OnReport(const rpc::CallPtr& call) {
    const v1::Attempt& attempt = call->request().report_attempt().attempt();
    reports.push_back(attempt);
    v1::Reply reply;
    reply.mutable_report_attempt();
    if (attempt.state() == v1::ATTEMPT_STATE_ENDED) ended.push_back(attempt);
    call->Answer(std::move(reply));
    if (attempt.state() == v1::ATTEMPT_STATE_ENDED) TakeBack(attempt.id());
  }
  void OnPut(const rpc::CallPtr& call) {
    const auto& put = call->request().put_chunk();
    const std::string name = put.attempt() + "/" + put.name();
    std::string& file = files[name];
    if (put.offset() == file.size()) file += put.data();
    if (put.complete() && put.offset() + put.data().size() == file.size()) sha256[name] = put.sha256();
    v1::Reply reply;
    reply.mutable_put_chunk()->set_next_offset(file.size());
    call->Answer(std::move(reply));
  }

  evloop::Loop& loop_;
  zmq::context_t& context_;
  SyncDesk desk_;
  std::string endpoint_;
  std::unique_ptr<rpc::Server> server_;
};

}  // namespace faraday::agent
