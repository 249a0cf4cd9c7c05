#include "lab/zmq/service.h"

#include <fmt/core.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <sodium.h>

#include <array>
#include <string_view>

#include "access/rights.h"
#include "base/crc32.h"
#include "lab/protobuf/convert.h"
#include "model/slot_id.h"

namespace faraday::lab {
namespace {

constexpr Milliseconds kTick{200};
constexpr Milliseconds kSyncWait{10'000};
constexpr uint32_t kDefaultListed = 50;
constexpr uint32_t kMostListed = 500;
constexpr size_t kMaxNote = 2000;
constexpr size_t kPageBytes = 900'000;  // chosen: a frame holds 1 MiB
constexpr size_t kFieldBytes = 8;       // tag and length of a job in its list, at most

constexpr const char* kReservationWords[] = {"?", "waiting", "granted", "ended", "cancelled", "failed"};
constexpr const char* kJobWords[] = {"?", "queued", "running", "finished"};

// The same call gives the same text in every process and run.
std::string HashOf(const google::protobuf::Message& call) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream out(&stream);
    out.SetSerializationDeterministic(true);
    call.SerializeToCodedStream(&out);
  }
  std::array<unsigned char, crypto_hash_sha256_BYTES> digest{};
  crypto_hash_sha256(digest.data(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  std::string text = call.GetDescriptor()->name() + ":";
  for (const unsigned char byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

// Names one desired list; the attempts' ids are all that ever changes in it.
std::string VersionOf(const std::vector<const Job*>& jobs) {
  uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  for (const Job* job : jobs) {
    for (const char c : job->current()->lease + "," + job->current()->id + ";") {
      hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    }
  }
  return fmt::format("v{:016x}", hash);
}

// "r01", "r01/07" and "r01-07-42" lead to their rack.
std::string RackNameOf(const std::string& text) {
  if (const auto slot = model::ParseSlotId(text); slot.ok()) return slot->rack;
  if (const auto lease = model::ParseLeaseId(text); lease.ok()) return lease->slot.rack;
  return text;
}

// A job as lists show it. GetJob has the rest.
v1::Job ListedJob(const Job& job) {
  v1::Job row = ToProto(job, 0);
  row.mutable_spec()->clear_environment();
  for (v1::Attempt& attempt : *row.mutable_attempts()) attempt.clear_artifacts();
  return row;
}

std::string AgentTopic(const std::string& agent) { return "agent/" + agent; }
std::string FileTopic(const std::string& attempt) { return "files/" + attempt; }

}  // namespace

// ---- the table ------------------------------------------------------------------------------------------------------

struct Service::Row {
  v1::Request::CallCase call;
  Method method;
};

const std::vector<Service::Row>& Service::Rows() {
  static const std::vector<Row> rows = {
      {v1::Request::kReserve, &Service::Reserve},
      {v1::Request::kGetReservation, &Service::GetReservation},
      {v1::Request::kCancelReservation, &Service::CancelReservation},
      {v1::Request::kSubmitJob, &Service::SubmitJob},
      {v1::Request::kGetJob, &Service::GetJob},
      {v1::Request::kListJobs, &Service::ListJobs},
      {v1::Request::kCancelJob, &Service::CancelJob},
      {v1::Request::kReadChunk, &Service::ReadChunk},
      {v1::Request::kLocate, &Service::Locate},
      {v1::Request::kListRacks, &Service::ListRacks},
      {v1::Request::kReportAttempt, &Service::ReportAttempt},
      {v1::Request::kPutChunk, &Service::PutChunk},
      {v1::Request::kSync, &Service::Sync},
      {v1::Request::kSnapshot, &Service::Snapshot},
      {v1::Request::kPing, &Service::Ping},
  };
  return rows;
}

rpc::HandlerTable Service::Table() {
  rpc::HandlerTable table;
  for (const Row& row : Rows()) {
    const access::CallRow& right = access::RowOf(access::CallOfNumber(static_cast<int>(row.call)));
    table[row.call] = [this, &row, &right](const rpc::CallPtr& call) {
      // Plain sockets believe a caller that names nobody; what changes something needs an owner.
      if (right.kind != access::Kind::kRead && call->caller().user().empty()) {
        return call->Fail({Code::kInvalidArgument, fmt::format("{} needs caller.user: who asks?", right.name)});
      }
      (this->*row.method)(call);
    };
  }
  return table;
}

Service::Service(
    evloop::Loop& loop, Lab& lab, Racks& racks, Spool& spool, rpc::Publisher& publisher, const rpc::Guard& guard)
    : loop_(loop), lab_(lab), racks_(racks), spool_(spool), publisher_(publisher), guard_(guard), polls_(loop) {
  ticker_ = loop_.AddPeriodic("lab tick", kTick, [this] { lab_.Tick(ReadClocks()); });
}

Service::~Service() { loop_.Remove(ticker_); }

// ---- notices --------------------------------------------------------------------------------------------------------

void Service::Changed(
    const std::string& topic, v1::Event event, const char* noun, const char* state, const std::string& reason) {
  event.set_kind(fmt::format("{}.{}", noun, state));
  event.set_text(fmt::format("{} {}{}{}", topic, state, reason.empty() ? "" : ": ", reason));
  publisher_.Publish(fmt::format("{}/{}/", noun, topic), std::move(event));
  polls_.Wake(topic);
}

void Service::OnChanged(const Reservation& reservation) {
  v1::Event event;
  *event.mutable_reservation() = ToWire({reservation, 0});
  event.set_command_id(reservation.trace);
  Changed(ReservationName(reservation.number),
          std::move(event),
          "reservation",
          kReservationWords[static_cast<int>(reservation.state)],
          reservation.reason);
}

void Service::OnChanged(const Job& job) {
  v1::Event event;
  *event.mutable_job() = ToProto(job, 0);
  event.set_command_id(job.trace);
  // Every viewer may read events, and environments carry secrets.
  event.mutable_job()->mutable_spec()->clear_environment();
  Changed(JobName(job.number), std::move(event), "job", kJobWords[static_cast<int>(job.state)], job.reason);
  if (const Attempt* attempt = job.current()) {
    polls_.Wake(AgentTopic(attempt->agent));
    polls_.Wake(FileTopic(attempt->id));
    if (attempt->state == AttemptState::kEnded) spool_.Forget(attempt->id);
  }
}

// ---- reservations ---------------------------------------------------------------------------------------------------

v1::Reservation Service::ToWire(const ReservationView& view) const {
  const auto& lease = view.reservation.lease;
  const RackLink* link = lease ? racks_.Find(RackNameOf(lease->slot)) : nullptr;
  return ToProto(view.reservation, view.position, link == nullptr ? "" : link->address().controller, ReadClocks());
}

void Service::Answer(const rpc::CallPtr& call, const Result<ReservationView>& view) {
  if (!view.ok()) return call->Fail(view.status());
  v1::Reply reply;
  *reply.mutable_reservation()->mutable_reservation() = ToWire(*view);
  call->Answer(std::move(reply));
}

void Service::Reserve(const rpc::CallPtr& call) {
  const v1::ReserveCall& wish = call->request().reserve();
  lab::Reservation reservation;
  reservation.person = FromProto(call->caller());
  reservation.selector = wish.selector();
  reservation.duration_s = wish.duration_s();
  reservation.wait_s = wish.wait_s();
  reservation.note = CutText(wish.note(), kMaxNote);
  reservation.trace = call->request().trace_id();
  Answer(call, lab_.Reserve(std::move(reservation), {call->request().idempotency_key(), HashOf(wish)}, ReadClocks()));
}

void Service::GetReservation(const rpc::CallPtr& call) {
  const v1::GetReservationCall& ask = call->request().get_reservation();
  polls_.Serve(ask.id(), call, Milliseconds(ask.wait_ms()), [this, call](bool last) {
    const v1::GetReservationCall& question = call->request().get_reservation();
    const auto view = lab_.GetReservation(question.id(), ReadClocks());
    const int state = view.ok() ? static_cast<int>(view->reservation.state) : 0;
    if (view.ok() && !last && state == question.while_state()) return false;
    Answer(call, view);
    return true;
  });
}

void Service::CancelReservation(const rpc::CallPtr& call) {
  const Person by = FromProto(call->caller());
  Answer(call, lab_.CancelReservation(call->request().cancel_reservation().id(), by, ReadClocks()));
}

// ---- jobs -----------------------------------------------------------------------------------------------------------

void Service::Answer(const rpc::CallPtr& call, const Result<JobView>& view) {
  if (!view.ok()) return call->Fail(view.status());
  v1::Reply reply;
  *reply.mutable_job()->mutable_job() = ToProto(view->job, view->position);
  if (!SeesEnvironment(FromProto(call->caller()), view->job)) {
    reply.mutable_job()->mutable_job()->mutable_spec()->clear_environment();
  }
  reply.mutable_job()->set_change(view->job.change);
  call->Answer(std::move(reply));
}

void Service::SubmitJob(const rpc::CallPtr& call) {
  const v1::SubmitJobCall& submit = call->request().submit_job();
  Answer(call,
         lab_.SubmitJob(FromProto(call->caller()),
                        FromProto(submit.spec()),
                        {call->request().idempotency_key(), HashOf(submit)},
                        ReadClocks(),
                        call->request().trace_id()));
}

void Service::GetJob(const rpc::CallPtr& call) {
  const v1::GetJobCall& ask = call->request().get_job();
  polls_.Serve(ask.id(), call, Milliseconds(ask.wait_ms()), [this, call](bool last) {
    const v1::GetJobCall& question = call->request().get_job();
    const auto view = lab_.GetJob(question.id(), ReadClocks());
    if (view.ok() && !last && view->job.change == question.have_change()) return false;
    Answer(call, view);
    return true;
  });
}

void Service::ListJobs(const rpc::CallPtr& call) {
  const v1::ListJobsCall& ask = call->request().list_jobs();
  const uint32_t limit = ask.limit() == 0 ? kDefaultListed : std::min(ask.limit(), kMostListed);
  const auto jobs = lab_.ListJobs(limit, ask.before(), ask.user());
  if (!jobs.ok()) return call->Fail(jobs.status());
  v1::Reply reply;
  auto* list = reply.mutable_list_jobs();
  size_t bytes = 0;
  for (const Job& job : *jobs) {
    v1::Job row = ListedJob(job);
    bytes += row.ByteSizeLong() + kFieldBytes;
    if (bytes > kPageBytes && list->jobs_size() > 0) break;  // the older ones are left for the next page
    *list->add_jobs() = std::move(row);
  }
  call->Answer(std::move(reply));
}

void Service::CancelJob(const rpc::CallPtr& call) {
  const v1::CancelJobCall& cancel = call->request().cancel_job();
  Answer(call,
         lab_.CancelJob(cancel.id(), FromProto(call->caller()), CutText(cancel.reason(), kMaxNote), ReadClocks()));
}

// ---- files ----------------------------------------------------------------------------------------------------------

void Service::ReadChunk(const rpc::CallPtr& call) {
  const v1::ReadChunkCall& ask = call->request().read_chunk();
  polls_.Serve(FileTopic(ask.attempt()), call, Milliseconds(ask.wait_ms()), [this, call](bool last) {
    return TryRead(call, last);
  });
}

// Whether nothing more will come for the attempt. kNotFound for an attempt the lab has never had.
Result<bool> Service::AttemptOver(const std::string& attempt) {
  const auto number = JobOfAttemptName(attempt);
  if (!number)
    return Status(Code::kInvalidArgument, fmt::format("'{}' is no attempt id; they look like job-12.1", attempt));
  FARADAY_TRY_ASSIGN(const JobView view, lab_.GetJob(JobName(*number), ReadClocks()));
  return view.job.state == JobState::kFinished;
}

bool Service::TryRead(const rpc::CallPtr& call, bool last) {
  const v1::ReadChunkCall& ask = call->request().read_chunk();
  const auto over = AttemptOver(ask.attempt());
  if (!over.ok()) return call->Fail(over.status()), true;
  auto piece = spool_.Read(ask.attempt(), ask.name(), ask.offset(), ask.max_bytes());
  const bool not_begun = piece.status().code() == Code::kNotFound;
  if (not_begun && !*over && !last) return false;
  if (!piece.ok() && !(not_begun && (!*over || ask.name() == "log"))) return call->Fail(piece.status()), true;
  const Piece& read = piece.ok() ? *piece : Piece{};
  const bool complete = read.complete || *over;
  if (read.data.empty() && !complete && !last) return false;
  v1::Reply reply;
  auto* result = reply.mutable_read_chunk();
  result->set_data(read.data);
  result->set_offset(ask.offset());
  result->set_size(read.size);
  result->set_complete(complete);
  result->set_sha256(read.sha256);
  result->set_crc32(Crc32(read.data));
  call->Answer(std::move(reply));
  return true;
}

void Service::PutChunk(const rpc::CallPtr& call) {
  const v1::PutChunkCall& put = call->request().put_chunk();
  if (const Status known = lab_.OnUpload(call->caller().user(), put.attempt(), ReadClocks()); !known.ok()) {
    return call->Fail(known);
  }
  const auto next =
      spool_.Put({put.attempt(), put.name(), put.offset(), put.data(), put.crc32(), put.complete(), put.sha256()});
  if (!next.ok()) return call->Fail(next.status());
  v1::Reply reply;
  reply.mutable_put_chunk()->set_next_offset(*next);
  call->Answer(std::move(reply));
  polls_.Wake(FileTopic(put.attempt()));
}

// ---- racks ----------------------------------------------------------------------------------------------------------

void Service::Locate(const rpc::CallPtr& call) {
  const std::string& asked = call->request().locate().rack();
  const RackLink* link = racks_.Find(RackNameOf(asked));
  if (link == nullptr) {
    std::string known;
    for (const auto& [name, rack] : racks_.all()) known += (known.empty() ? "" : ", ") + name;
    return call->Fail({Code::kNotFound, fmt::format("no rack '{}' in this lab; it has: {}", RackNameOf(asked), known)});
  }
  v1::Reply reply;
  reply.mutable_locate()->set_rack(link->address().rack);
  reply.mutable_locate()->set_controller(link->address().controller);
  reply.mutable_locate()->set_events(link->address().events);
  if (const access::PublicKey* key = guard_.ControllerKey(link->address().rack)) {
    reply.mutable_locate()->set_public_key(std::string(key->bytes.begin(), key->bytes.end()));
  }
  call->Answer(std::move(reply));
}

void Service::ListRacks(const rpc::CallPtr& call) {
  v1::Reply reply;
  for (const auto& [name, link] : racks_.all()) {
    auto* rack = reply.mutable_list_racks()->add_racks();
    rack->set_rack(name);
    rack->set_controller(link->address().controller);
    rack->set_events(link->address().events);
    rack->set_reachable(link->reachable());
    rack->set_reason(link->reason());
    *rack->mutable_state() = link->state();
    const bool seen = link->seen() != BootTime{};
    rack->set_age_ms(seen ? static_cast<uint32_t>((BootClock::now() - link->seen()).count()) : 0);
  }
  call->Answer(std::move(reply));
}

void Service::Snapshot(const rpc::CallPtr& call) {
  v1::Reply reply;
  *reply.mutable_snapshot() = publisher_.Snapshot();
  call->Answer(std::move(reply));
}

void Service::Ping(const rpc::CallPtr& call) {
  v1::Reply reply;
  reply.mutable_ping();
  call->Answer(std::move(reply));
}

// ---- agents ---------------------------------------------------------------------------------------------------------

v1::SyncResult Service::DesiredList(const std::string& agent) const {
  const std::vector<const Job*> jobs = lab_.JobsOf(agent);
  v1::SyncResult result;
  result.set_version(VersionOf(jobs));
  for (const Job* job : jobs) {
    const Attempt& attempt = *job->current();
    auto* wanted = result.add_attempts();
    wanted->set_attempt(attempt.id);
    wanted->set_job(JobName(job->number));
    wanted->set_slot(attempt.slot);
    wanted->set_lease(attempt.lease);
    wanted->set_epoch(attempt.epoch);
    *wanted->mutable_spec() = ToProto(job->spec);
    wanted->set_rack(RackNameOf(attempt.slot));
    wanted->set_user(job->person.user);
    wanted->set_trace_id(job->trace);
  }
  return result;
}

void Service::Sync(const rpc::CallPtr& call) {
  const std::string agent = call->caller().user();
  const bool at_once = call->request().sync().have().empty();
  polls_.Serve(AgentTopic(agent), call, at_once ? Milliseconds(0) : kSyncWait, [this, call, agent](bool last) {
    v1::Reply reply;
    const v1::SyncCall& asked = call->request().sync();
    const std::string& roster = guard_.RosterAfter(asked.roster());
    if (!roster.empty()) {
      // Alone: both together may not fit into a frame. The next question brings the list.
      reply.mutable_sync()->set_version(asked.have());
      reply.mutable_sync()->mutable_roster()->ParseFromString(roster);
      call->Answer(std::move(reply));
      return true;
    }
    *reply.mutable_sync() = DesiredList(agent);
    if (!last && reply.sync().version() == asked.have()) return false;
    call->Answer(std::move(reply));
    return true;
  });
}

void Service::OnRoster() { polls_.WakeAll(AgentTopic("")); }

void Service::ReportAttempt(const rpc::CallPtr& call) {
  const auto& report = call->request().report_attempt();
  const auto end_it = lab_.ReportAttempt(call->caller().user(), FromProto(report.attempt()), ReadClocks());
  if (!end_it.ok()) return call->Fail(end_it.status());
  v1::Reply reply;
  reply.mutable_report_attempt()->set_end_it(*end_it);
  call->Answer(std::move(reply));
}

}  // namespace faraday::lab
