#include "agent/journal/file_journal.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>

namespace faraday::agent {
namespace {

namespace fs = std::filesystem;

class Journal : public testing::Test {
 protected:
  Journal() : dir_(testing::TempDir() + "/journal-" + std::to_string(::getpid())), journal_(loop_, dir_) {}
  ~Journal() override { fs::remove_all(dir_); }
  AttemptRecord Record(const std::string& id) {
    AttemptRecord record;
    record.wish = {id,
                   "job-1",
                   "r01/01",
                   "r01-01-5",
                   5,
                   {{"sh", "-c", "exit 1"}, Milliseconds(60'000), {"a/*"}, "r.xml", {{"A", "b"}}},
                   "ana"};
    record.phase = Phase::kRun;
    record.outcome = Outcome::kCancelled;
    record.exit_code = 3;
    record.reason = "why";
    record.power = {{"before", 5000, 400, 12}};
    record.has_junit = true;
    record.junit = {4, 3, 2, 1};
    record.artifacts = {{"x", 1, "ab", ""}};
    record.log_size = 9;
    record.log_dropped = 8;
    record.serial = "X1";
    record.model = "pixel-8";
    record.started_utc_ms = 100;
    record.ended_utc_ms = 200;
    return record;
  }
  bool Wait(const std::function<bool()>& condition) {
    for (const BootTime give_up = BootClock::now() + Milliseconds(30'000); !condition();) {
      if (BootClock::now() > give_up) return false;
      loop_.RunOnce(Milliseconds(20));
    }
    return true;
  }
  evloop::Loop loop_;
  std::string dir_;
  FileJournal journal_;
};

TEST_F(Journal, WhatIsKeptIsLoaded) {
  journal_.Keep(Record("job-1.1"));
  const auto records = FileJournal(loop_, dir_).LoadAttempts();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0], Record("job-1.1"));
}

TEST_F(Journal, NewestRecordWins_ForgottenOnesAreGone) {
  AttemptRecord record = Record("job-1.1");
  journal_.Keep(record);
  record.phase = Phase::kReport;
  journal_.Keep(record);
  ASSERT_EQ(journal_.LoadAttempts().size(), 1u);
  EXPECT_EQ(journal_.LoadAttempts()[0].phase, Phase::kReport);
  journal_.Forget("job-1.1");
  EXPECT_TRUE(journal_.LoadAttempts().empty());
  EXPECT_FALSE(fs::exists(journal_.FolderOf("job-1.1")));
}

TEST_F(Journal, Forgotten_WithReadOnlyFolders_IsRemovedBesideTheLoop) {
  journal_.Keep(Record("job-1.1"));
  const std::string cache = journal_.FolderOf("job-1.1") + "/work/go/pkg";
  fs::create_directories(cache);
  std::ofstream(cache + "/file") << "x";
  fs::permissions(cache, fs::perms::owner_read | fs::perms::owner_exec);
  journal_.Forget("job-1.1");
  EXPECT_FALSE(fs::exists(journal_.FolderOf("job-1.1")));
  EXPECT_FALSE(fs::is_empty(dir_ + "/trash")) << "not removed in the loop";
  EXPECT_TRUE(Wait([&] { return fs::is_empty(dir_ + "/trash"); }));
}

TEST_F(Journal, TheSameAttemptForgottenTwice_BothGo) {
  for (int i = 0; i < 2; ++i) {
    journal_.Keep(Record("job-1.1"));
    journal_.Forget("job-1.1");
  }
  EXPECT_TRUE(Wait([&] { return fs::is_empty(dir_ + "/trash"); }));
}

TEST_F(Journal, HalfForgottenFolder_IsTrashAtTheNextStart) {
  journal_.Keep(Record("job-1.1"));
  fs::remove(journal_.FolderOf("job-1.1") + "/record");
  fs::create_directories(dir_ + "/trash/job-0.1/work");  // an agent was killed before its trash was empty
  EXPECT_TRUE(journal_.LoadAttempts().empty());
  EXPECT_FALSE(fs::exists(journal_.FolderOf("job-1.1")));
  EXPECT_FALSE(fs::exists(journal_.FolderOf("job-1.1.damaged")));
  EXPECT_TRUE(Wait([&] { return fs::is_empty(dir_ + "/trash"); }));
}

TEST_F(Journal, DamagedRecord_IsMovedAsideAndHurtsNoOther) {
  for (const char* text : {"", "garbage", "99\n", "6\n\xff\xff\xff\xff\xff"}) {
    journal_.Keep(Record("job-1.1"));
    journal_.Keep(Record("job-2.1"));
    std::ofstream(journal_.FolderOf("job-1.1") + "/record") << text;
    const auto records = journal_.LoadAttempts();
    ASSERT_EQ(records.size(), 1u) << text;
    EXPECT_EQ(records[0].wish.attempt, "job-2.1");
    EXPECT_TRUE(fs::exists(journal_.FolderOf("job-1.1.damaged")));
    fs::remove_all(journal_.FolderOf("job-1.1.damaged"));
  }
}

TEST_F(Journal, EpochsSurvive) {
  EXPECT_TRUE(journal_.LoadEpochs().empty());
  journal_.KeepEpochs({{"r01/01", 42}, {"r02/32", 4294967295u}});
  EXPECT_EQ(FileJournal(loop_, dir_).LoadEpochs(),
            (std::map<std::string, uint32_t>{{"r01/01", 42}, {"r02/32", 4294967295u}}));
}

}  // namespace
}  // namespace faraday::agent
