// The audit of the running daemons: one trace from the CLI to the board, a kill -9 in mid command, a changed history.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <vector>

#include "hil-tests/process/people.h"
#include "hil-tests/process/rack_under_test.h"

namespace faraday::hil {
namespace {

using Part = RackUnderTest::Part;
using std::chrono::seconds;

constexpr char kSlot[] = "r01/13";  // no phone: nothing else wants it

class AuditTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const Part part : {Part::kLab, Part::kSim, Part::kController}) {
      const Status started = rack_.Start(part);
      ASSERT_TRUE(started.ok()) << started.message();
    }
    ASSERT_TRUE(rack_.WaitForSlot(
        kSlot, [](const v1::SlotState& slot) { return slot.vbus().measured_on() == v1::TRI_STATE_NO; }));
  }
  void TearDown() override {
    if (HasFailure()) rack_.KeepFolder();
  }
  std::vector<v1::AuditRecord> Records(Part part, const v1::ReadAuditCall& query) {
    v1::Request request;
    *request.mutable_read_audit() = query;
    const auto reply = rack_.CallWith(part, rack_.people().Of("ada"), request);
    EXPECT_TRUE(reply.ok()) << reply.status().message();
    if (!reply.ok()) return {};
    return {reply->read_audit().records().begin(), reply->read_audit().records().end()};
  }
  std::vector<v1::AuditRecord> Of(Part part, const std::string& call, const std::string& trace = "") {
    v1::ReadAuditCall query;
    query.set_call(call);
    query.set_trace_id(trace);
    return Records(part, query);
  }
  v1::VerifyAuditResult Verify(Part part) {
    v1::Request request;
    request.mutable_verify_audit();
    const auto reply = rack_.CallWith(part, rack_.people().Of("ada"), request);
    EXPECT_TRUE(reply.ok()) << reply.status().message();
    return reply.ok() ? reply->verify_audit() : v1::VerifyAuditResult();
  }
  void Reserve() {
    const auto reserved = rack_.Cli({"reserve", "-l", std::string("slot=") + kSlot, "--for", "10m", "--wait", "1m"});
    ASSERT_EQ(reserved.exit_code, 0) << reserved.err;
  }

  RackUnderTest rack_;
};

TEST_F(AuditTest, OneTraceFromTheCliToTheBoardAndBack) {
  Reserve();
  const auto reserve = Of(Part::kLab, "reserve");
  ASSERT_EQ(reserve.size(), 2U) << "asked and done";
  EXPECT_EQ(reserve[0].user(), "ana");
  EXPECT_EQ(reserve[0].trace_id().size(), 16U);
  const auto acquire = Of(Part::kController, "acquire", reserve[0].trace_id());
  ASSERT_EQ(acquire.size(), 2U) << "the lab asked in the same trace";
  EXPECT_EQ(acquire[0].role(), "lab");
  EXPECT_EQ(acquire[0].on_behalf_of().substr(0, 3), "ana");
  EXPECT_EQ(acquire[1].code(), "OK");

  const auto on = rack_.Cli({"power", "on", kSlot});
  ASSERT_EQ(on.exit_code, 0) << on.err;
  const auto power = Of(Part::kController, "power");
  ASSERT_EQ(power.size(), 2U);
  EXPECT_EQ(power[1].asked(), power[0].number());
  EXPECT_EQ(power[0].on(), kSlot);
  EXPECT_NE(power[1].before().find("(off)"), std::string::npos) << power[1].before();
  EXPECT_NE(power[1].after().find("(on)"), std::string::npos) << power[1].after();
  ASSERT_EQ(power[1].mcu_commands_size(), 1) << power[1].DebugString();
  EXPECT_NE(power[1].mcu_commands(0).find("command"), std::string::npos);
  EXPECT_NE(power[0].trace_id(), reserve[0].trace_id()) << "another run of the CLI";
}

TEST_F(AuditTest, AKilledControllerLeavesNoCallOpen) {
  Reserve();
  ASSERT_EQ(rack_.Cli({"power", "on", kSlot}).exit_code, 0);
  Program cycle = rack_.StartCli({"power", "cycle", kSlot, "--off-for", "60s"});
  ASSERT_TRUE(rack_.WaitForSlot(
      kSlot, [](const v1::SlotState& slot) { return slot.vbus().measured_on() == v1::TRI_STATE_NO; }));
  rack_.Kill9(Part::kController);
  const Status again = rack_.Start(Part::kController);
  ASSERT_TRUE(again.ok()) << again.message();
  std::vector<v1::AuditRecord> power;
  ASSERT_TRUE(WaitFor([&] { return (power = Of(Part::kController, "power")).size() >= 4; }, seconds(20)));
  EXPECT_EQ(power[2].kind(), v1::AuditRecord::KIND_ASKED);
  EXPECT_EQ(power[3].asked(), power[2].number()) << power[3].DebugString();
  EXPECT_EQ(power[3].code(), "UNKNOWN") << "nobody can tell what came of it";
  EXPECT_TRUE(Verify(Part::kController).good()) << Verify(Part::kController).text();
}

TEST_F(AuditTest, ARefusalNamesWhoTheKeyIsNotWhoItClaimsToBe) {
  v1::Request request;
  request.mutable_add_user()->set_name("mallory");
  request.mutable_caller()->set_user("ada");
  const auto refused = rack_.CallWith(Part::kLab, rack_.people().Of("ana"), request, "admin");
  EXPECT_EQ(refused.status().code(), Code::kPermissionDenied);
  const auto records = Of(Part::kLab, "add_user");
  ASSERT_FALSE(records.empty());
  const v1::AuditRecord& last = records.back();
  EXPECT_EQ(last.user(), "ana");
  EXPECT_EQ(last.role(), "") << "the role was claimed, too";
  EXPECT_NE(last.what().find("claims to be"), std::string::npos) << last.what();
}

TEST_F(AuditTest, AChangedRecordIsFoundAndNamed) {
  Reserve();
  ASSERT_EQ(rack_.Cli({"power", "on", kSlot}).exit_code, 0);
  const uint64_t changed = Of(Part::kController, "power").at(0).number();
  ASSERT_TRUE(Verify(Part::kController).good());
  ASSERT_EQ(rack_.Stop(Part::kController), 0);
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(rack_.folder() + "/controller/audit")) {
    std::string text = ReadFile(entry.path());
    const size_t line = text.find(fmt::format("{{\"number\":{},", changed));
    if (line == std::string::npos) continue;
    const size_t user = text.find("\"ana\"", line);
    ASSERT_NE(user, std::string::npos) << text.substr(line, 300);
    WriteFile(entry.path(), text.replace(user, 5, "\"bob\""));
    ++files;
  }
  ASSERT_EQ(files, 1U);
  const Status again = rack_.Start(Part::kController);
  ASSERT_TRUE(again.ok()) << again.message();
  const v1::VerifyAuditResult found = Verify(Part::kController);
  EXPECT_FALSE(found.good());
  EXPECT_NE(found.text().find(std::to_string(changed)), std::string::npos) << found.text();
}

}  // namespace
}  // namespace faraday::hil
