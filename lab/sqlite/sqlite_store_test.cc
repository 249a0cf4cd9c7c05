#include "lab/sqlite/sqlite_store.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <optional>

#include "lab/sqlite/schema.h"

namespace faraday::lab {
namespace {

class SqliteStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "lab-store-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    Open();
  }
  void TearDown() override {
    store_.reset();
    database_.reset();
    std::filesystem::remove_all(folder_);
  }
  void Open() {
    store_.reset();
    database_.reset();
    auto opened = Database::Open(path(), LabMigrations());
    ASSERT_TRUE(opened.ok()) << ToString(opened.status());
    database_.emplace(std::move(opened).value());
    store_.emplace(*database_);
  }
  // What kill -9 leaves: the files as they are, copied before anything is closed.
  void OpenAsAfterACrash() {
    const std::string copy = folder_ + "/crashed";
    std::filesystem::create_directory(copy);
    for (const char* suffix : {"", "-wal"}) {
      if (std::filesystem::exists(path() + suffix))
        std::filesystem::copy_file(path() + suffix, copy + "/lab.sqlite" + suffix);
    }
    store_.reset();
    database_.reset();
    crashed_ = copy + "/lab.sqlite";
    Open();
  }
  std::string path() const { return crashed_.empty() ? folder_ + "/lab.sqlite" : crashed_; }

  std::string folder_;
  std::string crashed_;
  std::optional<Database> database_;
  std::optional<SqliteStore> store_;
};

Job FullJob(uint64_t number) {
  Job job;
  job.number = number;
  job.arrival = number + 10;
  job.person = {"ana", "user", "radio"};
  job.spec.command = {"sh", "-c", std::string("a\0b", 3)};
  job.spec.selector = "model=pixel-8";
  job.spec.artifact_globs = {"*.png"};
  job.spec.environment = {{"A", "1"}};
  job.state = JobState::kRunning;
  job.created = {Milliseconds(1234)};
  Attempt attempt;
  attempt.id = AttemptName(number, 1);
  attempt.slot = "r01/07";
  attempt.lease = "r01-07-42";
  attempt.epoch = 42;
  attempt.agent = "h01";
  attempt.state = AttemptState::kRunning;
  attempt.power = {{"before", 5012, 480, {Milliseconds(5)}}};
  attempt.junit = JunitSummary{3, 1, 0, 1};
  attempt.artifacts = {{"a/b.png", 12, "ab"}};
  job.attempts = {attempt};
  job.change = 7;
  return job;
}

TEST_F(SqliteStoreTest, EverythingCommitted_IsThereAfterACrash) {
  Reservation reservation;
  reservation.number = 3;
  reservation.arrival = 1;
  reservation.person = {"ana", "user", ""};
  reservation.state = ReservationState::kGranted;
  reservation.lease.emplace();
  reservation.lease->id = "r01-07-42";
  reservation.lease->slot = "r01/07";
  reservation.lease->epoch = 42;
  reservation.lease->end_utc = {Milliseconds(99'000)};
  ASSERT_TRUE(
      store_->Commit({{reservation}, {FullJob(5)}, Idempotency{"ana", "k", "h", "job-5", {}}, SlotUse{"r01/07", 9}})
          .ok());
  OpenAsAfterACrash();
  const auto loaded = store_->Load();
  ASSERT_TRUE(loaded.ok()) << ToString(loaded.status());
  ASSERT_EQ(loaded->reservations.size(), 1u);
  EXPECT_EQ(loaded->reservations[0].lease->id, "r01-07-42");
  EXPECT_EQ(loaded->reservations[0].lease->end_utc.since_epoch.count(), 99'000);
  ASSERT_EQ(loaded->jobs.size(), 1u);
  const Job& job = loaded->jobs[0];
  EXPECT_EQ(job.spec.command[2], std::string("a\0b", 3));
  EXPECT_EQ(job.spec.environment.at("A"), "1");
  EXPECT_EQ(job.change, 7u);
  ASSERT_EQ(job.attempts.size(), 1u);
  EXPECT_EQ(job.attempts[0].power[0].vbus_mv, 5012u);
  EXPECT_EQ(job.attempts[0].junit->failures, 1u);
  EXPECT_EQ(job.attempts[0].artifacts[0].name, "a/b.png");
  EXPECT_EQ(loaded->last_reservation, 3u);
  EXPECT_EQ(loaded->last_job, 5u);
  EXPECT_EQ(loaded->last_arrival, 15u);
  EXPECT_EQ(loaded->slot_use.at("r01/07"), 9u);
  EXPECT_EQ((*store_->FindIdempotency("ana", "k"))->result, "job-5");
}

TEST_F(SqliteStoreTest, FinishedRecords_AreHistoryNotWork) {
  Job job = FullJob(1);
  ASSERT_TRUE(store_->Commit({{}, {job}, {}, {}}).ok());
  job.state = JobState::kFinished;
  job.attempts[0].state = AttemptState::kEnded;
  ASSERT_TRUE(store_->Commit({{}, {job}, {}, {}}).ok());
  EXPECT_TRUE(store_->Load()->jobs.empty());
  EXPECT_EQ(store_->FindJob(1)->attempts[0].state, AttemptState::kEnded);
  EXPECT_EQ(store_->FindJob(2).status().code(), Code::kNotFound);
}

TEST_F(SqliteStoreTest, ListJobs_NewestFirstByPageAndUser) {
  for (uint64_t number = 1; number <= 5; ++number) {
    Job job = FullJob(number);
    job.person.user = number % 2 == 0 ? "bob" : "ana";
    ASSERT_TRUE(store_->Commit({{}, {job}, {}, {}}).ok());
  }
  const auto page = store_->ListJobs(2, 4, "");
  ASSERT_EQ(page->size(), 2u);
  EXPECT_EQ((*page)[0].number, 3u);
  EXPECT_EQ((*page)[1].number, 2u);
  EXPECT_EQ(store_->ListJobs(10, 0, "bob")->size(), 2u);
  EXPECT_TRUE(store_->ListJobs(10, 0, "' OR ''='")->empty());
}

TEST_F(SqliteStoreTest, FailedCommit_LeavesNothingBehind) {
  const Idempotency key{"ana", "k", "h", "job-1", {}};
  ASSERT_TRUE(store_->Commit({{}, {}, key, {}}).ok());
  EXPECT_FALSE(store_->Commit({{}, {FullJob(1)}, key, {}}).ok()) << "the key exists";
  EXPECT_EQ(store_->FindJob(1).status().code(), Code::kNotFound);
  EXPECT_TRUE(store_->Commit({{}, {FullJob(1)}, {}, {}}).ok()) << "and the store works on";
}

TEST_F(SqliteStoreTest, FullDisk_IsResourceExhausted) {
  ASSERT_TRUE(database_->Execute("PRAGMA max_page_count=1").ok());
  Job job = FullJob(1);
  job.spec.note = std::string(2'000'000, 'x');
  EXPECT_EQ(store_->Commit({{}, {job}, {}, {}}).code(), Code::kResourceExhausted);
  ASSERT_TRUE(database_->Execute("PRAGMA max_page_count=100000").ok());
  EXPECT_TRUE(store_->Commit({{}, {job}, {}, {}}).ok());
}

TEST_F(SqliteStoreTest, DamagedAttempt_OfAFinishedJobHidesNothingElse) {
  Job finished = FullJob(1);
  finished.state = JobState::kFinished;
  finished.outcome = Outcome::kFailed;
  finished.reason = "half \xc3";
  finished.attempts.front().state = AttemptState::kEnded;
  finished.attempts.front().outcome = Outcome::kFailed;
  finished.attempts.front().reason = "half a character: \xc3";
  ASSERT_TRUE(store_->Commit({{}, {finished, FullJob(2)}, {}, {}}).ok());
  const auto jobs = store_->ListJobs(10, 0, "");
  ASSERT_TRUE(jobs.ok()) << ToString(jobs.status());
  ASSERT_EQ(jobs->size(), 2u);
  EXPECT_EQ(jobs->back().reason, "half ") << "else nobody could read the lab's answer";
  const Attempt& attempt = jobs->back().attempts.front();
  EXPECT_EQ(attempt.id, "job-1.1");
  EXPECT_EQ(attempt.slot, "r01/07");
  EXPECT_EQ(attempt.outcome, Outcome::kFailed);
  EXPECT_NE(attempt.reason.find("damaged"), std::string::npos);
  EXPECT_TRUE(store_->Load().ok());
}

TEST_F(SqliteStoreTest, OldKeys_AreDropped) {
  ASSERT_TRUE(store_->Commit({{}, {}, Idempotency{"ana", "old", "h", "job-1", {Milliseconds(10)}}, {}}).ok());
  ASSERT_TRUE(store_->Commit({{}, {}, Idempotency{"ana", "new", "h", "job-2", {Milliseconds(20)}}, {}}).ok());
  EXPECT_EQ(*store_->CountIdempotency("ana", {Milliseconds(15)}), 1u);
  EXPECT_FALSE(store_->FindIdempotency("ana", "old")->has_value());
}

TEST_F(SqliteStoreTest, TheFirstSchemasRecordsAreReadAndTakeTraces) {
  store_.reset();
  database_.reset();
  crashed_ = folder_ + "/version1.sqlite";
  {
    auto old = Database::Open(path(), {LabMigrations().front()});
    ASSERT_TRUE(old.ok()) << ToString(old.status());
    ASSERT_TRUE(
        old->Execute("INSERT INTO reservations VALUES (3, 1, 'ana', 'user', '', 'model=pixel-8', 60, 0, 'n', 1, "
                     "'waits', x'', 0, 5)")
            .ok());
    ASSERT_TRUE(
        old->Execute("INSERT INTO jobs VALUES (4, 2, 'bob', 'ci', '', x'', 1, 0, 'waits', 0, '', 5, 0, 1)").ok());
  }
  Open();
  auto loaded = store_->Load();
  ASSERT_TRUE(loaded.ok()) << ToString(loaded.status());
  ASSERT_EQ(loaded->reservations.size(), 1u);
  ASSERT_EQ(loaded->jobs.size(), 1u);
  EXPECT_EQ(loaded->reservations[0].selector, "model=pixel-8");
  EXPECT_EQ(loaded->jobs[0].person.user, "bob");
  EXPECT_EQ(loaded->jobs[0].trace, "");
  loaded->reservations[0].trace = "0123456789abcdef";
  Job job = FullJob(5);
  job.trace = "fedcba9876543210";
  ASSERT_TRUE(store_->Commit({{loaded->reservations[0]}, {job}, {}, {}}).ok());
  Open();
  EXPECT_EQ(store_->FindReservation(3)->trace, "0123456789abcdef");
  EXPECT_EQ(store_->FindJob(5)->trace, "fedcba9876543210");
}

TEST_F(SqliteStoreTest, NewerSchema_IsRefused) {
  ASSERT_TRUE(database_->Execute("PRAGMA user_version=999").ok());
  database_.reset();
  EXPECT_EQ(Database::Open(path(), LabMigrations()).status().code(), Code::kFailedPrecondition);
  store_.reset();
}

TEST_F(SqliteStoreTest, ForeignFile_IsAnErrorNotACrash) {
  const std::string junk = folder_ + "/junk.sqlite";
  std::FILE* file = std::fopen(junk.c_str(), "w");
  for (int i = 0; i < 5000; ++i) std::fputs("this is no database\n", file);
  std::fclose(file);
  EXPECT_FALSE(Database::Open(junk, LabMigrations()).ok());
}

}  // namespace
}  // namespace faraday::lab
