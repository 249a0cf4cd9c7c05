#include "access/audit_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sodium.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "access/audit_search.h"
#include "access/fake_audit_files.h"

namespace faraday::access {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kDay = 86'400'000;
constexpr char kFirst[] = "00000000000000000001.jsonl";
UtcTime At(int64_t ms) { return {Milliseconds(1'790'000'000'000 + ms)}; }

v1::AuditRecord Asked(const std::string& user, const std::string& call = "power", const std::string& on = "r01/07") {
  v1::AuditRecord record;
  record.set_kind(v1::AuditRecord::KIND_ASKED);
  record.set_user(user);
  record.set_call(call);
  record.set_on(on);
  return record;
}

v1::AuditRecord Done(uint64_t asked) {
  v1::AuditRecord record = Asked("ana");
  record.set_kind(v1::AuditRecord::KIND_DONE);
  record.set_asked(asked);
  record.set_code("OK");
  return record;
}

void Sync(AuditLog& log, UtcTime now = At(0)) {
  while (const auto job = log.BeginSync()) log.EndSync(*job, job->Run(), now);
}

class AuditLogTest : public ::testing::Test {
 protected:
  AuditLog OpenLog(AuditOptions options = {.folder = "", .server = "r01"}, UtcTime now = At(0)) {
    auto log = AuditLog::Open(std::move(options), files_, now);
    EXPECT_TRUE(log.ok()) << log.status().message();
    return std::move(*log);
  }
  v1::VerifyAuditResult Verify(const AuditLog& log) {
    auto result = VerifyAudit(log.Look(), BootTime::max());
    EXPECT_TRUE(result.ok()) << result.status().message();
    return *result;
  }
  std::vector<v1::AuditRecord> Read(const AuditLog& log, v1::ReadAuditCall call = {}) {
    if (call.limit() == 0) call.set_limit(1000);
    auto result = SearchAudit(log.Look(), {call, ""});
    EXPECT_TRUE(result.ok()) << result.status().message();
    return {result->records().begin(), result->records().end()};
  }
  // The file's lines without line ends.
  std::vector<std::string> Lines(const std::string& name = kFirst) {
    std::vector<std::string> lines;
    std::istringstream in(files_.Get(name));
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }
  void SetLines(const std::vector<std::string>& lines, const std::string& name = kFirst) {
    std::string bytes;
    for (const std::string& line : lines) bytes += line + "\n";
    files_.Set(name, bytes);
  }
  // A log of a start note and five records, on disk.
  AuditLog Five() {
    AuditLog log = OpenLog();
    for (int i = 0; i < 5; ++i) log.Append(Done(1), At(i));
    Sync(log);
    return log;
  }
  FakeAuditFiles files_;
};

// ---- the text -----------------------------------------------------------------------------------------------------

TEST(AuditRecord, OneLineOfJsonWhoseHashIsMadeOverItsBytes) {
  AuditPlace place;
  v1::AuditRecord record = Asked("ana");
  record.set_utc_ms(5);
  record.set_break_glass(true);
  record.add_mcu_commands("board 0 session 71af command 1042");
  const std::string line = SealAudit(&record, &place);
  const std::string zeros(64, '0');
  const std::string body = R"({"number":1,"utc_ms":5,"kind":"KIND_ASKED","user":"ana","call":"power","on":"r01/07",)"
                           R"("mcu_commands":["board 0 session 71af command 1042"],"break_glass":true,"prev":")" +
                           zeros + "\"}";
  std::array<uint8_t, crypto_hash_sha256_BYTES> digest{};
  crypto_hash_sha256(digest.data(), reinterpret_cast<const uint8_t*>(body.data()), body.size());
  std::string hex;
  for (const uint8_t byte : digest) hex += "0123456789abcdef"[byte >> 4], hex += "0123456789abcdef"[byte & 15];
  EXPECT_EQ(line, body.substr(0, body.size() - 1) + ",\"hash\":\"" + hex + "\"}");
  EXPECT_EQ(place, (AuditPlace{1, hex}));
  const auto parsed = ParseAuditLine(line);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(AuditLineOf(*parsed), line) << "what a client gets is the exact line again";
}

TEST(AuditRecord, HostileTextStaysOneHarmlessLine) {
  const std::string raw("a\n\"}\x1b[2J\0\x7f\xc2\x9b\xe2\x80\xae\xff\xf0\x9f\x92\xa9", 20);
  const std::string hostile = CleanText(raw, 100);
  AuditPlace place;
  v1::AuditRecord record = Asked(hostile);
  record.set_on("\",\"user\":\"root\",\"x\":\"");
  const std::string line = SealAudit(&record, &place);
  for (const char c : line) EXPECT_TRUE(c >= 0x20 && c < 0x7f) << line;
  EXPECT_EQ(line.find(",\"user\":\"root\""), std::string::npos) << "no field can be forged: " << line;
  const auto parsed = ParseAuditLine(line);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->user(), hostile);
  EXPECT_EQ(parsed->on(), record.on());
  EXPECT_EQ(AuditLineOf(*parsed), line);
}

TEST(AuditRecord, LongTextIsCutAtACharacter) {
  EXPECT_EQ(CleanText("abcdef", 6), "abcdef");
  EXPECT_EQ(CleanText("abcdefg", 6), "abc...");
  EXPECT_EQ(CleanText("ab\xc3\xa4\xc3\xa4\xc3\xa4", 6), "ab...");
}

// ---- the chain ----------------------------------------------------------------------------------------------------

TEST_F(AuditLogTest, ChainsRecordsAndGoesOnAfterARestart) {
  {
    AuditLog log = OpenLog();
    EXPECT_EQ(log.Append(Asked("ana"), At(1)), 2U) << "1 is the start's note";
    EXPECT_EQ(log.Append(Done(2), At(2)), 3U);
    Sync(log);
  }
  AuditLog log = OpenLog();
  EXPECT_EQ(log.Append(Asked("bob"), At(3)), 5U);
  const auto result = Verify(log);
  EXPECT_TRUE(result.good()) << result.text();
  EXPECT_EQ(result.first(), 1U);
  EXPECT_EQ(result.last(), 5U);
  EXPECT_EQ(result.head(), log.head().hash);
  EXPECT_EQ(log.findings().size(), 0U);
}

TEST_F(AuditLogTest, EveryChangedFieldIsNoticed) {
  const AuditLog log = Five();
  const auto good = Lines();
  ASSERT_EQ(good.size(), 6U);
  const std::string& line = good[3];
  for (size_t i = 0; i < line.size(); ++i) {
    auto lines = good;
    lines[3][i] = line[i] == '1' ? '2' : '1';
    SetLines(lines);
    const auto result = Verify(log);
    EXPECT_FALSE(result.good()) << "byte " << i << ": " << lines[3];
    EXPECT_THAT(result.text(), testing::AnyOf(HasSubstr("record 4"), HasSubstr("after record 3"))) << result.text();
  }
  SetLines(good);
  EXPECT_TRUE(Verify(log).good());
}

// Whoever changes a record and makes its hash anew breaks the next one's link.
TEST_F(AuditLogTest, AResealedRecordBreaksTheNextLink) {
  const AuditLog log = Five();
  auto lines = Lines();
  auto record = ParseAuditLine(lines[3]);
  record->set_user("eve");
  AuditPlace place{3, record->prev()};
  lines[3] = SealAudit(&*record, &place);
  SetLines(lines);
  EXPECT_THAT(Verify(log).text(), HasSubstr("record 5 does not follow record 4"));
}

TEST_F(AuditLogTest, DeletionReorderingRepetitionAndCutsAreNoticed) {
  const AuditLog log = Five();
  const auto good = Lines();
  auto lines = good;
  lines.erase(lines.begin() + 2);
  SetLines(lines);
  EXPECT_THAT(Verify(log).text(), HasSubstr("record 4 stands where 3 belongs"));
  lines = good;
  std::swap(lines[2], lines[3]);
  SetLines(lines);
  EXPECT_THAT(Verify(log).text(), HasSubstr("record 4 stands where 3 belongs"));
  lines = good;
  lines.insert(lines.begin() + 2, lines[1]);
  SetLines(lines);
  EXPECT_THAT(Verify(log).text(), HasSubstr("record 2 stands where 3 belongs"));
  lines = good;
  lines.pop_back();
  SetLines(lines);
  EXPECT_FALSE(Verify(log).good()) << "the running server knows its head";
  lines = {good.begin() + 2, good.end()};
  lines.push_back("");
  SetLines(lines);
  EXPECT_THAT(Verify(log).text(), testing::AnyOf(HasSubstr("no record says"), HasSubstr("no audit record")));
}

TEST_F(AuditLogTest, ARewrittenTailIsAChainButNotTheKnownHead) {
  const AuditLog log = Five();
  auto lines = Lines();
  AuditPlace place{3, ParseAuditLine(lines[2])->hash()};
  for (size_t i = 3; i < lines.size(); ++i) {
    auto record = ParseAuditLine(lines[i]);
    record->set_user("eve");
    lines[i] = SealAudit(&*record, &place);
  }
  SetLines(lines);
  const auto result = Verify(log);
  EXPECT_FALSE(result.good());
  EXPECT_THAT(result.text(), HasSubstr("this server wrote 6"));
  EXPECT_EQ(result.head(), place.hash) << "what an anchor elsewhere is compared with";
}

// ---- crashes ------------------------------------------------------------------------------------------------------

TEST_F(AuditLogTest, ATornLastLineIsSetAsideAndTold) {
  { const AuditLog log = Five(); }
  const std::string bytes = files_.Get(kFirst);
  for (const size_t cut : {size_t{1}, size_t{40}, Lines().back().size()}) {
    files_.Set(kFirst, bytes.substr(0, bytes.size() - cut));
    AuditLog log = OpenLog();
    ASSERT_EQ(log.findings().size(), 1U);
    EXPECT_THAT(log.findings()[0], HasSubstr("torn by a crash"));
    const size_t last = bytes.rfind("{\"number\":6,");
    EXPECT_EQ(files_.Get("torn-6"), bytes.substr(last, bytes.size() - cut - last));
    EXPECT_TRUE(Verify(log).good()) << Verify(log).text();
    EXPECT_THAT(Read(log)[5].what(), HasSubstr("torn by a crash")) << "in the place of the torn record";
    (void)files_.Remove("torn-6");
  }
}

TEST_F(AuditLogTest, ATailOfZerosIsTornToo) {
  { const AuditLog log = Five(); }
  files_.Set(kFirst, files_.Get(kFirst) + std::string(700, '\0'));
  AuditLog log = OpenLog();
  EXPECT_THAT(log.findings(), ElementsAre(HasSubstr("700 bytes after record 6")));
  EXPECT_TRUE(Verify(log).good());
}

TEST_F(AuditLogTest, OtherDamageIsToldAndTheLogGoesOnInANewFile) {
  { const AuditLog log = Five(); }
  auto lines = Lines();
  lines[3][30] ^= 1;
  SetLines(lines);
  AuditLog log = OpenLog();
  EXPECT_THAT(log.findings(), ElementsAre(HasSubstr("DAMAGED: record 4 was changed")));
  log.Append(Asked("ana"), At(9));
  EXPECT_EQ(Lines(), lines) << "nobody mends history";
  EXPECT_EQ(Lines("00000000000000000007.jsonl").size(), 3U) << "damage, start, ana's";
  const auto result = Verify(log);
  EXPECT_FALSE(result.good());
  EXPECT_THAT(result.text(), HasSubstr("after record 3: record 4 was changed"));
  EXPECT_EQ(Read(log).back().user(), "ana") << "and it can still be read";
}

TEST_F(AuditLogTest, WhatWasSyncedOutlivesAPowerLoss) {
  {
    AuditLog log = OpenLog();
    log.Append(Done(1), At(1));
    Sync(log);
    EXPECT_EQ(log.durable(), 2U);
    log.Append(Done(1), At(2));
    EXPECT_EQ(log.durable(), 2U);
  }
  files_.LosePower();
  AuditLog log = OpenLog();
  EXPECT_EQ(log.head().number, 3U) << "two of before, the new start's note";
  EXPECT_TRUE(Verify(log).good());
}

TEST_F(AuditLogTest, OpenCallsAreClosedAtTheNextStart) {
  {
    AuditLog log = OpenLog();
    log.Append(Asked("ana", "acquire", "r01/01"), At(1));
    const uint64_t bobs = log.Append(Asked("bob", "power", "r01/02"), At(2));
    log.Append(Done(bobs), At(3));
    Sync(log);
  }
  for (int start = 0; start < 2; ++start) {
    AuditLog log = OpenLog();
    v1::ReadAuditCall call;
    call.set_on("r01/01");
    const auto records = Read(log, call);
    ASSERT_EQ(records.size(), 2U) << "closed once, not at every start";
    EXPECT_EQ(records[1].kind(), v1::AuditRecord::KIND_DONE);
    EXPECT_EQ(records[1].asked(), records[0].number());
    EXPECT_EQ(records[1].user(), "ana");
    EXPECT_EQ(records[1].code(), "UNKNOWN");
    EXPECT_THAT(records[1].result(), HasSubstr("outcome unknown: the server ended"));
    Sync(log);
  }
}

// ---- a disk that does not take it ---------------------------------------------------------------------------------

TEST_F(AuditLogTest, AFullDiskKeepsRecordsInMemoryAndTheChainGoesOnWithoutAGap) {
  AuditLog log = OpenLog();
  Sync(log);
  files_.SetRoom(150);  // a part of the next line
  EXPECT_EQ(log.Append(Asked("ana"), At(1)), 2U);
  EXPECT_EQ(log.status().code(), Code::kUnavailable);
  EXPECT_THAT(log.status().message(), HasSubstr("No space left"));
  EXPECT_EQ(log.Append(Done(2), At(2)), 3U);
  EXPECT_FALSE(log.Retry(At(3)).ok());
  EXPECT_EQ(Read(log).size(), 1U) << "half a line is not shown";
  files_.SetRoom(UINT64_MAX);
  EXPECT_TRUE(log.Retry(At(4)).ok());
  Sync(log);
  EXPECT_EQ(log.durable(), 3U);
  EXPECT_TRUE(Verify(log).good()) << Verify(log).text();
  EXPECT_EQ(Verify(log).last(), 3U);
}

TEST_F(AuditLogTest, MemoryIsBoundedAndLossIsTold) {
  AuditLog log = OpenLog();
  Sync(log);
  files_.SetRoom(0);
  v1::AuditRecord big = Asked("ana");
  big.set_what(std::string(1000, 'x'));
  int kept = 0;
  for (int i = 0; i < 3000; ++i) kept += log.Append(big, At(i)) != 0 ? 1 : 0;
  EXPECT_LT(kept, 1100);
  EXPECT_GT(kept, 700);
  files_.SetRoom(UINT64_MAX);
  EXPECT_TRUE(log.Retry(At(9)).ok());
  v1::ReadAuditCall call;
  call.set_call("lost");
  const auto lost = Read(log, call);
  ASSERT_EQ(lost.size(), 1U);
  EXPECT_THAT(lost[0].what(), HasSubstr(std::to_string(3000 - kept) + " records"));
  Sync(log);
  EXPECT_TRUE(Verify(log).good()) << Verify(log).text();
}

TEST_F(AuditLogTest, AFailedSyncIsWrittenAgainNotBelieved) {
  AuditLog log = OpenLog();
  Sync(log);
  files_.FailSyncs(true);
  log.Append(Asked("ana"), At(1));
  auto job = log.BeginSync();
  ASSERT_TRUE(job);
  log.EndSync(*job, job->Run(), At(1));
  EXPECT_EQ(log.durable(), 1U);
  EXPECT_FALSE(log.status().ok());
  files_.FailSyncs(false);
  (void)log.Retry(At(2));
  EXPECT_FALSE(log.status().ok()) << "not before a sync ends well";
  Sync(log, At(2));
  EXPECT_TRUE(log.status().ok());
  EXPECT_EQ(log.durable(), 2U);
  files_.LosePower();
  EXPECT_EQ(Lines().size(), 2U);
  EXPECT_TRUE(Verify(log).good());
}

TEST_F(AuditLogTest, OneSyncCoversAllThatIsWritten) {
  AuditLog log = OpenLog();
  for (int i = 0; i < 500; ++i) log.Append(Done(1), At(i));
  const int before = files_.syncs();
  Sync(log);
  EXPECT_EQ(files_.syncs(), before + 1);
  EXPECT_EQ(log.durable(), 501U);
}

// ---- segments and retention ---------------------------------------------------------------------------------------

TEST_F(AuditLogTest, SegmentsAreBoundedAndChainedOver) {
  AuditLog log = OpenLog({.folder = "", .server = "r01", .segment_bytes = 2000});
  for (int i = 0; i < 100; ++i) {
    log.Append(Done(1), At(i));
    if (i % 3 == 0) Sync(log);
  }
  Sync(log);
  const auto view = log.Look();
  EXPECT_GT(view.segments.size(), 10U);
  for (const auto& segment : view.segments) EXPECT_LT(segment.bytes, 4000U);
  EXPECT_EQ(Verify(log).last(), 101U);
  EXPECT_TRUE(Verify(log).good()) << Verify(log).text();
  AuditLog again = OpenLog({.folder = "", .server = "r01", .segment_bytes = 2000});
  EXPECT_TRUE(Verify(again).good()) << Verify(again).text();
  v1::ReadAuditCall call;
  call.set_newest(true);
  call.set_limit(40);
  const auto newest = Read(again, call);
  ASSERT_EQ(newest.size(), 40U) << "over several segments";
  EXPECT_EQ(newest.back().number(), 102U);
  EXPECT_EQ(newest.front().number(), 63U);
}

TEST_F(AuditLogTest, RetentionRemovesWholeOldestSegmentsAndSaysSo) {
  const AuditOptions options{.folder = "", .server = "r01", .keep_days = 100, .segment_bytes = 2000};
  AuditLog log = OpenLog(options);
  for (int day = 0; day < 200; ++day) {
    log.Append(Done(1), At(day * kDay));
    Sync(log, At(day * kDay));
  }
  const auto result = Verify(log);
  EXPECT_TRUE(result.good()) << result.text();
  EXPECT_GT(result.first(), 60U);
  EXPECT_LT(result.first(), 110U);
  v1::ReadAuditCall call;
  call.set_call("retention");
  ASSERT_FALSE(Read(log, call).empty());
  EXPECT_THAT(Read(log, call).back().what(), HasSubstr("older than 100 days"));
  // Removing a segment without the note, as a person would:
  const auto view = log.Look();
  (void)files_.Remove(view.segments.front().name);
  AuditLog again = OpenLog(options, At(200 * kDay));
  EXPECT_THAT(Verify(again).text(), HasSubstr("no record says that the ones before were removed"));
}

TEST_F(AuditLogTest, RetentionBoundsTheTotalSize) {
  AuditLog log = OpenLog({.folder = "", .server = "r01", .max_mb = 1});
  v1::AuditRecord big = Asked("ana");
  big.set_what(std::string(1000, 'x'));
  for (int i = 0; i < 3000; ++i) {
    log.Append(big, At(i));
    if (i % 50 == 0) Sync(log, At(i));
  }
  Sync(log, At(3000));
  uint64_t total = 0;
  for (const auto& segment : log.Look().segments) total += segment.bytes;
  EXPECT_LT(total, (1U << 20U) * 5 / 4);
  EXPECT_GT(total, (1U << 20U) / 2);
  EXPECT_TRUE(Verify(log).good()) << Verify(log).text();
}

TEST_F(AuditLogTest, ASyncFromBeforeTheNoteRemovesNothing) {
  AuditLog log = OpenLog({.folder = "", .server = "r01", .keep_days = 1, .segment_bytes = 300});
  log.Append(Done(1), At(1));
  Sync(log);
  log.Append(Done(1), At(2));
  const auto job = log.BeginSync();
  ASSERT_TRUE(job);
  log.Keep(At(5 * kDay));  // notes the first segment's removal
  log.EndSync(*job, job->Run(), At(5 * kDay));
  EXPECT_NE(files_.Get(kFirst), "");
  Sync(log, At(5 * kDay));
  EXPECT_EQ(files_.Get(kFirst), "");
}

TEST_F(AuditLogTest, NothingIsRemovedBeforeItsNoteIsOnDisk) {
  const AuditOptions options{.folder = "", .server = "r01", .keep_days = 1, .segment_bytes = 300};
  AuditLog log = OpenLog(options);
  Sync(log);
  log.Append(Done(1), At(1));
  Sync(log);
  log.Append(Done(1), At(5 * kDay));
  log.Keep(At(5 * kDay));
  EXPECT_NE(files_.Get(kFirst), "");
  files_.FailSyncs(true);
  if (const auto job = log.BeginSync()) log.EndSync(*job, job->Run(), At(5 * kDay));
  EXPECT_NE(files_.Get(kFirst), "") << "the note is not on disk";
  files_.FailSyncs(false);
  (void)log.Retry(At(5 * kDay));
  Sync(log, At(5 * kDay));
  EXPECT_EQ(files_.Get(kFirst), "");
  EXPECT_TRUE(Verify(log).good()) << Verify(log).text();
}

// ---- searching ----------------------------------------------------------------------------------------------------

TEST_F(AuditLogTest, SearchesByEveryField) {
  AuditLog log = OpenLog();
  v1::AuditRecord record = Asked("ana", "power", "r01/07");
  record.set_trace_id("t1");
  log.Append(record, At(10));
  record = Asked("lab", "acquire", "r01/08");
  record.set_on_behalf_of("ana");
  log.Append(record, At(20));
  log.Append(Asked("bob", "power", "r01/070"), At(30));
  const auto count = [&](const std::function<void(v1::ReadAuditCall&)>& set) {
    v1::ReadAuditCall call;
    set(call);
    return Read(log, call).size();
  };
  EXPECT_EQ(count([](auto& c) { c.set_user("ana"); }), 2U) << "on her behalf too";
  EXPECT_EQ(count([](auto& c) { c.set_user("an"); }), 0U);
  EXPECT_EQ(count([](auto& c) { c.set_on("r01/07"); }), 1U);
  EXPECT_EQ(count([](auto& c) { c.set_on("r01/"); }), 3U);
  EXPECT_EQ(count([](auto& c) { c.set_on("r0"); }), 0U);
  EXPECT_EQ(count([](auto& c) { c.set_call("power"); }), 2U);
  EXPECT_EQ(count([](auto& c) { c.set_trace_id("t1"); }), 1U);
  EXPECT_EQ(count([](auto& c) { c.set_since_utc_ms(At(20).since_epoch.count()); }), 2U);
  EXPECT_EQ(count([](auto& c) { c.set_until_utc_ms(At(20).since_epoch.count()); }), 3U);
  EXPECT_EQ(count([](auto& c) { c.set_after(3); }), 1U);
  v1::ReadAuditCall own;
  own.set_limit(10);
  EXPECT_EQ(SearchAudit(log.Look(), {own, "bob"})->records_size(), 1);
}

TEST_F(AuditLogTest, PagesByNumber) {
  AuditLog log = OpenLog();
  for (int i = 0; i < 25; ++i) log.Append(Done(1), At(i));
  v1::ReadAuditCall call;
  call.set_limit(10);
  std::vector<int> pages;
  uint64_t last = 0;
  bool more = true;
  while (more) {
    const auto page = SearchAudit(log.Look(), {call, ""});
    pages.push_back(page->records_size());
    for (const auto& record : page->records()) EXPECT_EQ(record.number(), ++last);
    call.set_after(page->next());
    more = page->more();
  }
  EXPECT_THAT(pages, ElementsAre(10, 10, 6));
}

// ---- real files ---------------------------------------------------------------------------------------------------

class AuditFolder : public ::testing::Test {
 protected:
  AuditFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "audit-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~AuditFolder() override { std::filesystem::remove_all(folder_); }
  AuditOptions Options() const { return {.folder = folder_ + "/state/audit", .server = "r01"}; }
  std::string folder_;
};

TEST_F(AuditFolder, FilesAreTheOwnersAlone) {
  auto files = PosixAuditFiles::Open(Options().folder);
  ASSERT_TRUE(files.ok());
  auto log = AuditLog::Open(Options(), *files, At(0));
  ASSERT_TRUE(log.ok());
  struct stat about {};
  ASSERT_EQ(stat(Options().folder.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0700U);
  ASSERT_EQ(stat((Options().folder + "/" + kFirst).c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600U);
  std::filesystem::permissions(Options().folder, std::filesystem::perms(0755));
  const auto open = PosixAuditFiles::Open(Options().folder);
  EXPECT_EQ(open.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(open.status().message(), HasSubstr("chmod 0700"));
}

// The kernel's own "no more room": a file size limit, in a child.
TEST_F(AuditFolder, AFileThatMayNotGrowIsAFullDisk) {
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    auto files = PosixAuditFiles::Open(Options().folder);
    auto log = AuditLog::Open(Options(), *files, At(0));
    const rlimit limit{600, RLIM_INFINITY};
    setrlimit(RLIMIT_FSIZE, &limit);
    for (int i = 0; i < 5; ++i) log->Append(Done(1), At(i));
    if (log->status().code() != Code::kUnavailable) _exit(1);
    const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_FSIZE, &none);
    if (!log->Retry(At(9)).ok()) _exit(2);
    log->SyncAll();
    const auto result = VerifyAudit(log->Look(), BootTime::max());
    _exit(result->good() && result->last() == 6 && log->durable() == 6 ? 0 : 3);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// Killed at any moment: what is there fits, and open calls are closed.
TEST_F(AuditFolder, AKilledServersLogFitsAtTheNextStart) {
  for (int round = 0; round < 5; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      auto files = PosixAuditFiles::Open(Options().folder);
      auto log = AuditLog::Open(Options(), *files, At(0));
      for (int i = 0;; ++i) {
        log->Append(Asked("ana"), At(i));
        if (i == 20 + 30 * round) (void)!write(pipe_ends[1], "x", 1);
      }
    }
    char byte = 0;
    ASSERT_EQ(read(pipe_ends[0], &byte, 1), 1);
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    auto files = PosixAuditFiles::Open(Options().folder);
    auto log = AuditLog::Open(Options(), *files, At(1));
    ASSERT_TRUE(log.ok());
    log->SyncAll();
    const auto result = VerifyAudit(log->Look(), BootTime::max());
    EXPECT_TRUE(result->good()) << result->text();
    v1::ReadAuditCall call;
    call.set_user("ana");
    call.set_newest(true);
    call.set_limit(1);
    const auto last = SearchAudit(log->Look(), {call, ""});
    ASSERT_EQ(last->records_size(), 1);
    EXPECT_EQ(last->records(0).kind(), v1::AuditRecord::KIND_DONE);
    std::filesystem::remove_all(Options().folder);
  }
}

}  // namespace
}  // namespace faraday::access
