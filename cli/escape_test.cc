// What phones, jobs, other people and hostile servers write cannot steer the reader's terminal, in any place where it
// is shown; a pipe or file gets a job's bytes as they are.
#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "base/crc32.h"
#include "base/plain_text.h"
#include "cli/access_text.h"
#include "cli/job_files.h"
#include "cli/program_fixture.h"
#include "cli/text.h"

namespace faraday::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Clears the screen, sets the title, asks the terminal to answer, a C1 CSI, turns the direction, hides text, a bell.
const std::string kHostile =
    "A\x1b[2J\x1b]0;owned\x07"
    "B\x1b[6n\xC2\x9B"
    "31mC\xE2\x80\xAE"
    "gpj.\xE2\x81\xA6"
    "D\xE2\x80\x8B\xF3\xA0\x81\x81"
    "E\rF\x08\x7f";

// The first character that steers, as text for the failure; empty when all is harmless. Newlines are layout.
std::string FirstSteering(std::string_view text) {
  while (!text.empty()) {
    const Utf8Character character = FrontCharacter(text);
    if (character.length == 0) return "a byte that is no UTF-8";
    if (character.point != '\n' && SteersTerminals(character.point)) return "U+" + std::to_string(character.point);
    text.remove_prefix(character.length);
  }
  return "";
}

void FillHostile(v1::Condition* condition) {
  condition->set_name("name" + kHostile);
  condition->set_place("place" + kHostile);
  condition->set_text("text" + kHostile);
  condition->set_next("next" + kHostile);
  condition->set_since_utc_ms(1);
}

v1::SlotState HostileSlot() {
  v1::SlotState slot = SlotOf("r01/07", "ana");
  slot.mutable_lease()->set_holder("ana" + kHostile);
  slot.mutable_lease()->set_note("note" + kHostile);
  slot.mutable_lease()->set_reservation("res" + kHostile);
  slot.mutable_lease()->set_agent("h01" + kHostile);
  slot.set_reason("reason" + kHostile);
  slot.set_health_reason("health" + kHostile);
  slot.set_trip("trip" + kHostile);
  slot.add_conditions("condition" + kHostile);
  FillHostile(slot.add_condition_list());
  slot.mutable_condition_list(0)->set_name("trip");
  FillHostile(slot.add_condition_list());
  slot.add_hosts("h01" + kHostile);
  (*slot.mutable_labels())["label" + kHostile] = "value" + kHostile;
  v1::Device& device = *slot.mutable_device();
  device.set_serial("SIM07" + kHostile);
  device.set_model("pixel" + kHostile);
  device.set_platform("android" + kHostile);
  device.set_os_version("14" + kHostile);
  device.set_adb_state("device" + kHostile);
  device.set_expected("pixel-8" + kHostile);
  device.set_agent("h01" + kHostile);
  return slot;
}

class EscapeTest : public ProgramTest {
 protected:
  Outcome Harmless(const std::vector<std::string>& args) {
    Outcome outcome = Faraday(args);
    EXPECT_EQ(FirstSteering(outcome.out), "") << args[0] << " on stdout: " << outcome.out;
    EXPECT_EQ(FirstSteering(outcome.err), "") << args[0] << " on stderr: " << outcome.err;
    EXPECT_THAT(outcome.out + outcome.err, HasSubstr("A")) << "the text itself is shown";
    return outcome;
  }
};

TEST_F(EscapeTest, SlotsWithTheirSerialsNotesAndReasons) {
  v1::Reply rack = RackReply(HostileSlot());
  rack.mutable_get_rack()->mutable_rack()->set_security("plain" + kHostile);
  auto& board = *rack.mutable_get_rack()->mutable_rack()->add_boards();
  board.set_reason("cable" + kHostile);
  FillHostile(board.add_condition_list());
  board.add_faults("fault" + kHostile);
  FakeServer controller({{v1::Request::kGetRack, Answers(rack)}});
  environment_["FARADAY_CONTROLLER"] = controller.endpoint();
  Harmless({"status"});
  Harmless({"status", "r01/07"});
  environment_["COLUMNS"] = "80";
  Harmless({"status", "--controller", controller.endpoint()});
  const Outcome json = Harmless({"status", "--json"});
  v1::RackState read;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(json.out, &read).ok()) << "still JSON";
  EXPECT_EQ(read.slots(0).lease().note(), "note" + kHostile) << "with the same meaning";
}

TEST_F(EscapeTest, LeasesAsRenewedAndReleased) {
  v1::Reply rack = RackReply(HostileSlot());
  rack.mutable_get_rack()->mutable_rack()->mutable_slots(0)->mutable_lease()->set_id("lease" + kHostile);
  v1::Reply renewed;
  *renewed.mutable_renew()->mutable_lease() = rack.get_rack().rack().slots(0).lease();
  FakeServer controller({{v1::Request::kGetRack, Answers(rack)},
                         {v1::Request::kRenew, Answers(renewed)},
                         {v1::Request::kRelease, Answers(v1::Reply())}});
  environment_["FARADAY_CONTROLLER"] = controller.endpoint();
  Harmless({"renew", "r01/07"});
  Harmless({"release", "r01/07"});
}

TEST_F(EscapeTest, RefusalsAndWaits) {
  v1::Reply waiting;
  auto& reservation = *waiting.mutable_reservation()->mutable_reservation();
  reservation.set_id("res" + kHostile);
  reservation.set_state(v1::RESERVATION_STATE_WAITING);
  reservation.set_reason("busy" + kHostile);
  v1::Reply failed = waiting;
  failed.mutable_reservation()->mutable_reservation()->set_state(v1::RESERVATION_STATE_FAILED);
  FakeServer lab({{v1::Request::kReserve, Answers(waiting)},
                  {v1::Request::kGetReservation, Answers(failed)},
                  {v1::Request::kListJobs, Refuses(Code::kPermissionDenied, "no" + kHostile)}});
  environment_["FARADAY_LAB"] = lab.endpoint();
  EXPECT_EQ(Harmless({"reserve", "-l", "a"}).exit, 1);
  EXPECT_EQ(Harmless({"job", "list"}).exit, 1);
}

TEST_F(EscapeTest, EventTexts) {
  FakeServer* address = nullptr;
  FakeServer server({{v1::Request::kSnapshot,
                      [&](const rpc::CallPtr& call) {
                        v1::Reply reply;
                        *reply.mutable_snapshot() = address->publisher()->Snapshot();
                        call->Answer(reply);
                        address->loop().AddTimer("publish", BootClock::now() + Milliseconds(100), [&] {
                          v1::Event event;
                          event.set_kind("lease.granted" + kHostile);
                          event.set_text("text" + kHostile);
                          address->publisher()->Publish("slot/r01" + kHostile + "/", event);
                        });
                      }},
                     {v1::Request::kGetRack, Answers(RackReply(HostileSlot()))}},
                    true);
  address = &server;
  environment_["FARADAY_CONTROLLER"] = server.endpoint();
  EXPECT_THAT(Harmless({"events", "--for", "3s"}).out, HasSubstr("textA?[2J"));
  EXPECT_THAT(Harmless({"events", "--for", "3s", "--json"}).out, HasSubstr("\\u202e"));
}

v1::Job HostileJob() {
  v1::Job job;
  job.set_id("job-12");
  job.set_user("ana" + kHostile);
  job.set_state(v1::JOB_STATE_FINISHED);
  job.set_outcome(v1::OUTCOME_PASSED);
  job.set_reason("reason" + kHostile);
  job.mutable_spec()->add_command("run" + kHostile);
  job.mutable_spec()->set_selector("model" + kHostile);
  job.mutable_spec()->set_note("note" + kHostile);
  auto& attempt = *job.add_attempts();
  attempt.set_id("job-12.1");
  attempt.set_slot("r01/07" + kHostile);
  attempt.set_serial("SIM07" + kHostile);
  attempt.set_model("pixel" + kHostile);
  attempt.set_lease("lease" + kHostile);
  attempt.set_state(v1::ATTEMPT_STATE_ENDED);
  auto& artifact = *attempt.add_artifacts();
  artifact.set_name("artifacts/shot" + kHostile + ".png");
  return job;
}

// A lab with one finished job whose log and artefact are `bytes`.
rpc::HandlerTable JobLab(const v1::Job& job, const std::string& bytes) {
  v1::Reply reply;
  *reply.mutable_job()->mutable_job() = job;
  v1::Reply list;
  *list.mutable_list_jobs()->add_jobs() = job;
  return {{v1::Request::kSubmitJob, Answers(reply)},
          {v1::Request::kGetJob, Answers(reply)},
          {v1::Request::kListJobs, Answers(list)},
          {v1::Request::kReadChunk, [bytes](const rpc::CallPtr& call) {
             const auto& ask = call->request().read_chunk();
             v1::Reply chunk;
             auto& result = *chunk.mutable_read_chunk();
             result.set_offset(ask.offset());
             result.set_data(bytes.substr(std::min<size_t>(ask.offset(), bytes.size())));
             result.set_crc32(Crc32(result.data()));
             result.set_size(bytes.size());
             result.set_complete(true);
             call->Answer(chunk);
           }}};
}

TEST_F(EscapeTest, JobsWithTheirArtefactNames) {
  FakeServer lab(JobLab(HostileJob(), "log"));
  environment_["FARADAY_LAB"] = lab.endpoint();
  Harmless({"job", "list"});
  Harmless({"job", "show", "12"});
  Harmless({"job", "show", "12", "--json"});
  const Outcome run = Faraday({"run", "-l", "a", "--out", folder_ + "/out", "--", "true"});
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(FirstSteering(run.err), "") << run.err;
  int files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder_ + "/out/artifacts")) {
    ++files;
    EXPECT_EQ(FirstSteering(entry.path().filename().string()), "") << "a name that a terminal can list";
    EXPECT_THAT(entry.path().filename().string(), HasSubstr("shotA%1B[2J"));
  }
  EXPECT_EQ(files, 1);
}

TEST_F(EscapeTest, ALogOnATerminalIsFilteredAndInAPipeItIsNot) {
  const std::string log = kHostile + "\x1b[1;31mred\xff\x1b[8mhidden\n";
  FakeServer lab(JobLab(HostileJob(), log));
  environment_["FARADAY_LAB"] = lab.endpoint();
  EXPECT_EQ(Faraday({"job", "logs", "12"}).out, log) << "a pipe gets the bytes";
  Terminal terminal;
  terminal_ = terminal.slave();
  ASSERT_EQ(Faraday({"job", "logs", "12"}).exit, 0);
  const std::string shown = terminal.Read();
  EXPECT_THAT(shown,
              AllOf(HasSubstr("A?[2J?]0;owned?B?[6n?31mC?gpj.?D??E\rF??"),
                    HasSubstr("\x1b[1;31mred?"),
                    HasSubstr("?[8mhidden"),
                    Not(HasSubstr("\x1b[8m"))));
  EXPECT_TRUE(shown.ends_with("\x1b[0m")) << "the colour does not outlive the log";
}

TEST_F(EscapeTest, WithJsonTheLogOnStderrIsAsItIsInAPipe) {
  FakeServer lab(JobLab(HostileJob(), kHostile));
  environment_["FARADAY_LAB"] = lab.endpoint();
  EXPECT_EQ(Faraday({"job", "logs", "12", "--json"}).err, kHostile);
}

TEST_F(EscapeTest, UsersAndOneself) {
  v1::Reply users;
  auto& user = *users.mutable_list_users()->add_users();
  user.set_name("ana" + kHostile);
  user.add_roles("user" + kHostile);
  user.add_teams("apps" + kHostile);
  user.set_disabled(true);
  user.set_reason("left" + kHostile);
  user.add_keys()->set_fingerprint("9f3a" + kHostile);
  v1::Reply who;
  who.mutable_who_am_i()->set_user("ana" + kHostile);
  who.mutable_who_am_i()->set_server("lab" + kHostile);
  who.mutable_who_am_i()->add_roles("user" + kHostile);
  who.mutable_who_am_i()->set_fingerprint("9f3a" + kHostile);
  who.mutable_who_am_i()->set_security("plain" + kHostile);
  v1::Reply changed;
  *changed.mutable_user()->mutable_user() = user;
  FakeServer lab({{v1::Request::kListUsers, Answers(users)},
                  {v1::Request::kWhoAmI, Answers(who)},
                  {v1::Request::kSetUser, Answers(changed)}});
  environment_["FARADAY_LAB"] = lab.endpoint();
  Harmless({"user", "list"});
  Harmless({"user", "list", "--json"});
  Harmless({"user", "role", "ana", "tech"});
  Harmless({"whoami"});
}

TEST_F(EscapeTest, AuditRecords) {
  v1::Reply page;
  auto& record = *page.mutable_read_audit()->add_records();
  record.set_number(1);
  record.set_kind(v1::AuditRecord::KIND_ASKED);
  record.set_server("r01" + kHostile);
  record.set_user("ana" + kHostile);
  record.set_call("power" + kHostile);
  record.set_on("r01/07" + kHostile);
  record.set_what("what" + kHostile);
  record.set_reason("reason" + kHostile);
  record.set_trace_id("trace" + kHostile);
  v1::Reply verified;
  verified.mutable_verify_audit()->set_text("text" + kHostile);
  FakeServer controller({{v1::Request::kReadAudit, Answers(page)}, {v1::Request::kVerifyAudit, Answers(verified)}});
  environment_["FARADAY_CONTROLLER"] = controller.endpoint();
  Harmless({"audit"});
  Harmless({"audit", "--json"});
  Harmless({"audit", "export"});
  Harmless({"audit", "verify"});
}

TEST_F(EscapeTest, BoardLogs) {
  v1::Reply log;
  auto& record = *log.mutable_read_board_log()->add_records();
  record.set_kind("kind" + kHostile);
  record.set_slot("r01/07" + kHostile);
  record.set_text("text" + kHostile);
  FakeServer controller({{v1::Request::kReadBoardLog, Answers(log)},
                         {v1::Request::kStopRack, Refuses(Code::kUnavailable, "line" + kHostile)},
                         {v1::Request::kBlink, Refuses(Code::kNotFound, "slot" + kHostile)}});
  environment_["FARADAY_CONTROLLER"] = controller.endpoint();
  Harmless({"rack", "log", "r01"});
  Harmless({"rack", "log", "r01", "--json"});
  Harmless({"rack", "stop", "r01", "--reason", "x"});
  Harmless({"locate", "r01"});
}

TEST_F(EscapeTest, ACommandLineAndAConfigFileThatWerePastedTogether) {
  EXPECT_EQ(FirstSteering(Faraday({"stat" + kHostile}).err), "");
  EXPECT_EQ(FirstSteering(Faraday({"status", "--x" + kHostile}).err), "");
  EXPECT_EQ(FirstSteering(Faraday({"power", "on", "r01" + kHostile}).err), "");
  EXPECT_EQ(FirstSteering(Faraday({"link", "decode", folder_ + "/no" + kHostile}).err), "");
  fs::create_directories(folder_ + "/.config/faraday");
  std::ofstream(folder_ + "/.config/faraday/config.yaml") << "\"lab\\e[2J\": x\n";
  const Outcome outcome = Faraday({"status"});
  EXPECT_EQ(outcome.exit, 2);
  EXPECT_EQ(FirstSteering(outcome.err), "") << outcome.err;
}

// ---- names of artefacts as paths ----

TEST(ArtifactPath, StaysInItsFolder) {
  for (const char* name :
       {"", "/etc/passwd", "..", "../x", "a/../../x", "artifacts/../x", "artifacts//etc/x/..", "a/"}) {
    EXPECT_FALSE(ArtifactPath("out", name).ok()) << name;
  }
  EXPECT_EQ(*ArtifactPath("out", "artifacts/a/b.txt"), "out/artifacts/a/b.txt");
  EXPECT_EQ(*ArtifactPath("out", "log.txt"), "out/artifacts/log.txt") << "never over the log";
  EXPECT_EQ(*ArtifactPath("out", "artifacts/..a"), "out/artifacts/..a");
  EXPECT_EQ(*ArtifactPath("out", "artifacts/a\nb"), "out/artifacts/a%0Ab");
  EXPECT_EQ(*ArtifactPath("out", std::string("a\0b", 3)), "out/artifacts/a%00b");
  EXPECT_EQ(*ArtifactPath("out", "\xff"), "out/artifacts/%FF");
}

TEST_F(EscapeTest, AJobIdThatIsAPathMakesNoPath) {
  v1::Job job = HostileJob();
  job.set_id("../../job");
  FakeServer lab(JobLab(job, "log"));
  environment_["FARADAY_LAB"] = lab.endpoint();
  const fs::path before = fs::current_path();
  fs::create_directories(folder_ + "/a/b");
  fs::current_path(folder_ + "/a/b");
  const Outcome outcome = Faraday({"run", "-l", "a", "--", "true"});
  fs::current_path(before);
  EXPECT_EQ(outcome.exit, 0) << outcome.err;
  EXPECT_TRUE(fs::exists(folder_ + "/a/b/faraday-out/job/log.txt"));
  EXPECT_FALSE(fs::exists(folder_ + "/a/job"));
}

// ---- the filters themselves ----

TEST(LogFilter, LetsNoEscapeThroughThatIsNoColourHoweverItIsCut) {
  const std::string pieces =
      kHostile + "\x1b[1;31mred\x1b[m \x1b[38;5;200mx\x1b[48;2;1;2;3my \x1b[8m\x1b[38;5m\x1b[38:5:1m\x1b[999m\xC3\xA9";
  LogFilter whole;
  std::string expected = whole.Feed(pieces);
  expected += whole.End();
  EXPECT_THAT(expected,
              AllOf(HasSubstr("\x1b[1;31mred\x1b[m \x1b[38;5;200mx\x1b[48;2;1;2;3my "),
                    HasSubstr("?[8m?[38;5m?[38:5:1m?[999m\xC3\xA9")));
  for (size_t step = 1; step < 6; ++step) {
    LogFilter filter;
    std::string out;
    for (size_t at = 0; at < pieces.size(); at += step) out += filter.Feed(pieces.substr(at, step));
    out += filter.End();
    EXPECT_EQ(out, expected) << "in pieces of " << step;
  }
}

TEST(LogFilter, ColoursEndWithTheLog) {
  const auto whole = [](const std::string& log) {
    LogFilter filter;
    const std::string shown = filter.Feed(log);
    return shown + filter.End();
  };
  EXPECT_EQ(whole("\x1b[31mred"), "\x1b[31mred\x1b[0m");
  EXPECT_EQ(whole("\x1b[31mred\x1b[0m"), "\x1b[31mred\x1b[0m");
  EXPECT_EQ(whole("cut\x1b[3"), "cut?");
}

TEST(PrintableJson, KeepsTheMeaning) {
  EXPECT_EQ(PrintableJson("{\"a\": \"\xC2\x9B\xE2\x80\xAE\xF3\xA0\x81\x81\xC3\xA9\"}\n"),
            "{\"a\": \"\\u009b\\u202e\\udb40\\udc41\xC3\xA9\"}\n");
}

TEST(PrintableLines, LinesStayLines) { EXPECT_EQ(PrintableLines("a\n\x1b[2Jb\n"), "a\n?[2Jb\n"); }

}  // namespace
}  // namespace faraday::cli
