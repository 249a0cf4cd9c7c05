// The lab's calls: one row each in a table, mapped to the core and the spool. Who may is decided by the door and by the
// core (access/rights.table). In the loop's thread.
#pragma once

#include <memory>
#include <string>
#include <zmq.hpp>

#include "base/result.h"
#include "evloop/loop.h"
#include "lab/core/lab.h"
#include "lab/sqlite/spool.h"
#include "lab/zmq/long_polls.h"
#include "lab/zmq/racks.h"
#include "rpc/guard.h"
#include "rpc/publisher.h"
#include "rpc/server.h"

namespace faraday::lab {

class Service {
 public:
  // All outlive the service.
  Service(evloop::Loop& loop, Lab& lab, Racks& racks, Spool& spool, rpc::Publisher& publisher, const rpc::Guard& guard);
  ~Service();

  rpc::HandlerTable Table();

  // The core's notices.
  void OnChanged(const Reservation& reservation);
  void OnChanged(const Job& job);
  // The roster has changed: the agents' polls are answered with it.
  void OnRoster();

 private:
  using Method = void (Service::*)(const rpc::CallPtr&);
  struct Row;
  static const std::vector<Row>& Rows();

  void Reserve(const rpc::CallPtr& call);
  void GetReservation(const rpc::CallPtr& call);
  void CancelReservation(const rpc::CallPtr& call);
  void SubmitJob(const rpc::CallPtr& call);
  void GetJob(const rpc::CallPtr& call);
  void ListJobs(const rpc::CallPtr& call);
  void CancelJob(const rpc::CallPtr& call);
  void ReadChunk(const rpc::CallPtr& call);
  void Locate(const rpc::CallPtr& call);
  void ListRacks(const rpc::CallPtr& call);
  void ReportAttempt(const rpc::CallPtr& call);
  void PutChunk(const rpc::CallPtr& call);
  void Sync(const rpc::CallPtr& call);
  void Snapshot(const rpc::CallPtr& call);
  void Ping(const rpc::CallPtr& call);

  void Answer(const rpc::CallPtr& call, const Result<ReservationView>& view);
  void Answer(const rpc::CallPtr& call, const Result<JobView>& view);
  v1::Reservation ToWire(const ReservationView& view) const;
  v1::SyncResult DesiredList(const std::string& agent) const;
  bool TryRead(const rpc::CallPtr& call, bool last);
  Result<bool> AttemptOver(const std::string& attempt);
  void Changed(
      const std::string& topic, v1::Event event, const char* noun, const char* state, const std::string& reason);

  evloop::Loop& loop_;
  Lab& lab_;
  Racks& racks_;
  Spool& spool_;
  rpc::Publisher& publisher_;
  const rpc::Guard& guard_;
  LongPolls polls_;
  evloop::Handle ticker_ = 0;
};

}  // namespace faraday::lab
