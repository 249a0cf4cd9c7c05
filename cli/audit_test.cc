// `faraday audit` against a lab and a controller whose logs are real and whose disks are in memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "access/audit_search.h"
#include "access/fake_audit_files.h"
#include "cli/program_fixture.h"

namespace faraday::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

UtcTime At(int64_t ms) { return {Milliseconds(1'790'000'000'000 + ms)}; }

// A server with an audit log and nothing else.
class Audited {
 public:
  explicit Audited(const std::string& name)
      : log_(std::move(*access::AuditLog::Open({.folder = "", .server = name}, files_, At(0)))) {}
  void Did(
      const std::string& user, const std::string& call, const std::string& on, const std::string& trace, int64_t ms) {
    v1::AuditRecord record;
    record.set_kind(v1::AuditRecord::KIND_ASKED);
    record.set_user(user);
    record.set_role("user");
    record.set_call(call);
    record.set_on(on);
    record.set_trace_id(trace);
    log_.Append(record, At(ms));
  }
  void Anchor(const std::string& rack, const access::AuditPlace& head) {
    v1::AuditRecord record;
    record.set_kind(v1::AuditRecord::KIND_NOTE);
    record.set_call("anchor");
    record.set_on(rack);
    record.set_what(std::to_string(head.number));
    record.set_result(head.hash);
    log_.Append(record, At(500));
  }
  const access::AuditPlace& head() const { return log_.head(); }
  // Serves what was recorded so far. The log must not change while the server runs.
  rpc::HandlerTable Table() {
    rpc::HandlerTable table;
    table[v1::Request::kReadAudit] = [this](const rpc::CallPtr& call) {
      v1::ReadAuditCall asked = call->request().read_audit();
      asked.set_limit(std::min(asked.limit(), 3U));  // so that there are pages
      v1::Reply reply;
      *reply.mutable_read_audit() = *SearchAudit(log_.Look(), {asked, ""});
      call->Answer(reply);
    };
    table[v1::Request::kVerifyAudit] = [this](const rpc::CallPtr& call) {
      v1::Reply reply;
      *reply.mutable_verify_audit() = *VerifyAudit(log_.Look(), BootTime::max());
      call->Answer(reply);
    };
    return table;
  }

 private:
  access::FakeAuditFiles files_;
  access::AuditLog log_;
};

class AuditTest : public ProgramTest {
 protected:
  AuditTest() {
    lab_.Did("ana", "submit_job", "job-1", "aaaa", 10);
    rack_.Did("lab", "acquire", "r01/07", "aaaa", 20);
    rack_.Did("bob", "power", "r01/01", "bbbb", 30);
    rack_.Did("\x1b[2J", "power", "r01/01", "cccc", 31);
    lab_.Did("ana", "cancel_job", "job-1", "aaaa", 40);
  }
  void Serve(Audited& rack) {
    controller_ = std::make_unique<FakeServer>(rack.Table());
    rpc::HandlerTable table = lab_.Table();
    v1::Reply racks;
    auto* one = racks.mutable_list_racks()->add_racks();
    one->set_rack("r01");
    one->set_controller(controller_->endpoint());
    one->set_reachable(true);
    table[v1::Request::kListRacks] = Answers(racks);
    v1::Reply located;
    located.mutable_locate()->set_rack("r01");
    located.mutable_locate()->set_controller(controller_->endpoint());
    table[v1::Request::kLocate] = Answers(located);
    lab_server_ = std::make_unique<FakeServer>(std::move(table));
    environment_["FARADAY_LAB"] = lab_server_->endpoint();
  }
  Audited lab_{"lab"};
  Audited rack_{"r01"};
  std::unique_ptr<FakeServer> controller_;
  std::unique_ptr<FakeServer> lab_server_;
};

TEST_F(AuditTest, ATraceIsFollowedOverAllServersInTheOrderOfTime) {
  Serve(rack_);
  const Outcome outcome = Faraday({"audit", "--trace", "aaaa"});
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  const size_t submit = outcome.out.find("submit_job job-1");
  const size_t acquire = outcome.out.find("r01 #2 asked lab (user) acquire r01/07");
  const size_t cancel = outcome.out.find("cancel_job");
  ASSERT_NE(cancel, std::string::npos) << outcome.out;
  EXPECT_LT(submit, acquire);
  EXPECT_LT(acquire, cancel);
  EXPECT_THAT(outcome.out, Not(HasSubstr("bob")));
}

TEST_F(AuditTest, OneServerAndHarmlessText) {
  Serve(rack_);
  const Outcome rack = Faraday({"audit", "--rack", "r01", "--call", "power"});
  EXPECT_THAT(rack.out, AllOf(HasSubstr("bob"), Not(HasSubstr("\x1b")), Not(HasSubstr("lab"))));
  const Outcome lab = Faraday({"audit", "--server", "--user", "ana", "--json"});
  EXPECT_THAT(lab.out, AllOf(HasSubstr("{\"number\":2,"), HasSubstr("\"hash\":\"")));
  EXPECT_EQ(Faraday({"audit", "--since", "soon"}).exit, 2);
  EXPECT_EQ(Faraday({"audit", "--limit", "0"}).exit, 2);
  EXPECT_EQ(Faraday({"audit", "nonsense"}).exit, 2);
}

TEST_F(AuditTest, AnExportIsVerifiedElsewhereAndATamperedOneIsNot) {
  Serve(rack_);
  EXPECT_EQ(Faraday({"audit", "export"}).exit, 2) << "of which server?";
  const Outcome exported = Faraday({"audit", "export", "--rack", "r01"});
  EXPECT_EQ(exported.exit, 0) << exported.err;
  EXPECT_EQ(std::count(exported.out.begin(), exported.out.end(), '\n'), 4) << "over two pages";
  const std::string path = folder_ + "/r01.jsonl";
  std::ofstream(path) << exported.out;
  const Outcome good = Faraday({"audit", "verify", "--file", path});
  EXPECT_EQ(good.exit, 0) << good.out;
  EXPECT_THAT(good.out, HasSubstr("records 1 to 4 fit"));
  std::string forged = exported.out;
  forged.replace(forged.find("bob"), 3, "eve");
  std::ofstream(path) << forged;
  const Outcome bad = Faraday({"audit", "verify", "--file", path});
  EXPECT_EQ(bad.exit, 1);
  EXPECT_THAT(bad.out, HasSubstr("BROKEN: after record 2: record 3 was changed"));
}

TEST_F(AuditTest, VerifyComparesTheRacksWithWhatTheLabSaw) {
  lab_.Anchor("r01", rack_.head());
  Serve(rack_);
  const Outcome good = Faraday({"audit", "verify"});
  EXPECT_EQ(good.exit, 0) << good.out << good.err;
  EXPECT_THAT(good.out, AllOf(HasSubstr("lab: good"), HasSubstr("r01: good: records 1 to 4 fit")));
  // A chain that is sound in itself, but not the one that was.
  Audited rewritten("r01");
  rewritten.Did("lab", "acquire", "r01/07", "aaaa", 20);
  rewritten.Did("eve", "power", "r01/01", "bbbb", 30);
  rewritten.Did("eve", "power", "r01/01", "cccc", 31);
  rewritten.Did("eve", "power", "r01/01", "dddd", 32);
  Serve(rewritten);
  const Outcome bad = Faraday({"audit", "verify"});
  EXPECT_EQ(bad.exit, 1);
  EXPECT_THAT(bad.out, HasSubstr("r01: BROKEN: its record 4"));
  EXPECT_THAT(bad.out, HasSubstr("history was rewritten"));
  Audited cut("r01");
  Serve(cut);
  EXPECT_THAT(Faraday({"audit", "verify"}).out, HasSubstr("is missing, but the lab saw"));
}

}  // namespace
}  // namespace faraday::cli
