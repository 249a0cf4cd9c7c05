// All ports of the agent's core in one fake: writes down what is asked, answers when and how the test says, fails on
// order. No I/O, no clock.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/core/ports.h"

namespace faraday::agent {

class FakePorts : public RackCalls, public Phones, public Runners, public Spool, public LabCalls, public Journal {
 public:
  Ports ports() { return {*this, *this, *this, *this, *this, *this}; }

  // "power on r01/01 5", "release r01-01-5", ... in order; renewals, samples and reports are counted apart.
  std::vector<std::string> done;
  std::vector<AttemptRecord> lab_reports;
  std::map<std::string, std::string> traces;  // by slot
  std::vector<RackReport> rack_reports;
  std::map<int, RackReport> newest_report;  // by controller
  int epoch_writes = 0;
  int renewals = 0;
  std::vector<BootTime> runner_ends;  // lease ends told to the runner
  bool cancelled = false;
  std::map<std::string, AttemptRecord> journal;
  std::map<std::string, uint32_t> epochs;
  std::set<std::string> sessions;

  // How the world answers; a non-OK status stays until it is changed.
  Status rack_status = OkStatus();  // of all the controller's calls
  Status power_status = OkStatus();
  Status renew_status = OkStatus();
  Status lab_status = OkStatus();
  Status probe_status = OkStatus();
  bool end_it = false;
  BootTime renewed_end{};
  Result<BootTime> kept_lease_end = Status(Code::kNotFound, "no deadline kept");
  Collected collected;
  Uploaded uploaded;
  bool sessions_linger = false;  // End does not take effect at once

  // Runs the answers that are due; new questions of theirs wait for the next call.
  void Answer() {
    for (auto& answer : std::exchange(answers_, {})) answer();
  }
  bool unanswered() const { return !answers_.empty(); }

  void Sample(const std::string& slot, std::function<void(Result<PowerSample>)> then) override {
    done.push_back("sample " + slot);
    Later([this, then] { rack_status.ok() ? then(PowerSample{"", 5000, 400, 1}) : then(rack_status); });
  }
  void PowerOn(const std::string& slot, uint32_t epoch, std::function<void(Status)> then) override {
    done.push_back("power on " + slot + " " + std::to_string(epoch));
    Later([this, then] { then(rack_status.ok() ? power_status : rack_status); });
  }
  void SetData(const std::string& slot, uint32_t epoch, bool connect, std::function<void(Status)> then) override {
    done.push_back((connect ? "connect " : "open ") + slot + " " + std::to_string(epoch));
    Later([this, then] { then(rack_status); });
  }
  void Renew(const std::string&, const std::string&, std::function<void(Result<BootTime>)> then) override {
    ++renewals;
    Later([this, then] {
      const Status status = rack_status.ok() ? renew_status : rack_status;
      status.ok() ? then(renewed_end) : then(status);
    });
  }
  void Release(const std::string&, const std::string& lease, std::function<void(Status)> then) override {
    done.push_back("release " + lease);
    Later([this, then] { then(rack_status); });
  }
  void SetTrace(const std::string& slot, const std::string& trace) override { traces[slot] = trace; }
  void Report(int controller, const RackReport& report, std::function<void(Status)> then) override {
    rack_reports.push_back(report);
    newest_report[controller] = report;
    Later([this, then] { then(rack_status); });
  }

  void Start(const std::string& slot, const PhoneAddress&) override {
    if (sessions.insert(slot).second) done.push_back("session " + slot);
  }
  void End(const std::string& slot) override {
    if (!sessions_linger && sessions.erase(slot) > 0) done.push_back("session end " + slot);
  }
  bool Active(const std::string& slot) const override { return sessions.contains(slot); }
  void Probe(const std::string&, std::function<void(Status)> then) override {
    Later([this, then] { then(probe_status); });
  }

  Status Start(const AttemptRecord& record, const std::map<std::string, std::string>& extra, BootTime end) override {
    done.push_back("run " + record.wish.attempt);
    environment = extra;
    runner_ends.push_back(end);
    return OkStatus();
  }
  void SetLeaseEnd(const std::string&, BootTime end) override { runner_ends.push_back(end); }
  Result<BootTime> LeaseEnd(const std::string&) override { return kept_lease_end; }
  void Cancel(const std::string&) override { cancelled = true; }
  void Adopt(const std::string& attempt) override { done.push_back("adopt " + attempt); }

  void FollowLog(const std::string&) override {}
  void Collect(const AttemptRecord&, std::function<void(Collected)> then) override {
    Later([this, then] { then(collected); });
  }
  void Upload(const AttemptRecord&, std::function<void(Uploaded)> then) override {
    done.push_back("upload");
    Later([this, then] { then(uploaded); });
  }

  void Report(const AttemptRecord& record, std::function<void(Result<bool>)> then) override {
    if (lab_status.ok()) lab_reports.push_back(record);
    Later([this, then] { lab_status.ok() ? then(end_it) : then(lab_status); });
  }

  void Keep(const AttemptRecord& record) override { journal[record.wish.attempt] = record; }
  void Forget(const std::string& attempt) override { journal.erase(attempt); }
  void KeepEpochs(const std::map<std::string, uint32_t>& all) override {
    epochs = all;
    ++epoch_writes;
  }

  std::map<std::string, std::string> environment;  // of the newest run

 private:
  void Later(std::function<void()> answer) { answers_.push_back(std::move(answer)); }
  std::deque<std::function<void()>> answers_;
};

}  // namespace faraday::agent
