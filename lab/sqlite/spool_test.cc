#include "lab/sqlite/spool.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/crc32.h"
#include "lab/sqlite/schema.h"

namespace faraday::lab {
namespace {

// sha256 of "hello world", as sha256sum(1) prints it.
constexpr char kHelloWorld[] = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";

class SpoolTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "lab-spool-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    Open(kMaxAttemptBytes);
  }
  void TearDown() override {
    spool_.reset();
    database_.reset();
    std::filesystem::remove_all(folder_);
  }
  void Open(uint64_t most) {
    spool_.reset();
    database_.reset();
    database_.emplace(std::move(Database::Open(folder_ + "/lab.sqlite", LabMigrations())).value());
    spool_ = std::move(Spool::Open(*database_, folder_ + "/spool", most)).value();
  }
  Result<uint64_t> Put(uint64_t offset,
                       const std::string& data,
                       bool complete = false,
                       const std::string& sha256 = "",
                       const std::string& name = "log") {
    return spool_->Put({"job-1.1", name, offset, data, Crc32(data), complete, sha256});
  }

  std::string folder_;
  std::optional<Database> database_;
  std::unique_ptr<Spool> spool_;
};

TEST_F(SpoolTest, Chunks_GrowAFileThatIsReadWhileItGrows) {
  EXPECT_EQ(*Put(0, "hello "), 6u);
  EXPECT_EQ(spool_->Read("job-1.1", "log", 0, 0)->data, "hello ");
  EXPECT_EQ(spool_->Read("job-1.1", "log", 6, 0)->data, "");
  EXPECT_FALSE(spool_->Read("job-1.1", "log", 6, 0)->complete);
  EXPECT_EQ(*Put(6, "world", true, kHelloWorld), 11u);
  const auto piece = spool_->Read("job-1.1", "log", 4, 3);
  EXPECT_EQ(piece->data, "o w");
  EXPECT_EQ(piece->size, 11u);
  EXPECT_TRUE(piece->complete);
  EXPECT_EQ(piece->sha256, kHelloWorld);
  EXPECT_EQ(spool_->Read("job-1.1", "log", 12, 0).status().code(), Code::kOutOfRange);
}

TEST_F(SpoolTest, ChunkThatDoesNotFollow_TellsWhereToSendFrom) {
  EXPECT_EQ(*Put(0, "hello "), 6u);
  EXPECT_EQ(*Put(0, "hello "), 6u) << "repeated: the answer was lost";
  EXPECT_EQ(*Put(9, "ld"), 6u) << "a gap";
  EXPECT_EQ(spool_->Read("job-1.1", "log", 0, 0)->data, "hello ");
}

TEST_F(SpoolTest, CompleteFile_NeverChanges) {
  EXPECT_EQ(*Put(0, "hello world", true), 11u);
  EXPECT_EQ(*Put(0, "HELLO WORLD", true), 11u);
  EXPECT_EQ(*Put(11, "more"), 11u);
  EXPECT_EQ(spool_->Read("job-1.1", "log", 0, 0)->data, "hello world");
}

TEST_F(SpoolTest, Restart_GoesOnAndChecksTheWholeFile) {
  EXPECT_EQ(*Put(0, "hello "), 6u);
  Open(kMaxAttemptBytes);
  EXPECT_EQ(*Put(6, "world", true, kHelloWorld), 11u);
  Open(kMaxAttemptBytes);
  EXPECT_TRUE(spool_->Read("job-1.1", "log", 0, 0)->complete);
}

TEST_F(SpoolTest, WrongChecksums_AreDataLoss) {
  EXPECT_EQ(spool_->Put({"job-1.1", "log", 0, "data", 1, false, ""}).status().code(), Code::kDataLoss);
  EXPECT_EQ(*Put(0, "hello "), 6u);
  EXPECT_EQ(Put(6, "there", true, kHelloWorld).status().code(), Code::kDataLoss);
  EXPECT_EQ(*Put(0, "hello world", true, kHelloWorld), 11u) << "sent again from 0";
}

TEST_F(SpoolTest, NamesThatLeadAway_AreRefused) {
  const std::string nul("a\0b", 3);
  for (const std::string& name : {std::string("../x"),
                                  std::string("/etc/x"),
                                  std::string("a/../b"),
                                  std::string(""),
                                  std::string("a//b"),
                                  std::string("a/"),
                                  std::string("./a"),
                                  std::string("a\nb"),
                                  nul,
                                  std::string("a\\b"),
                                  std::string(600, 'x'),
                                  std::string(300, 'x')}) {
    EXPECT_EQ(Put(0, "x", false, "", name).status().code(), Code::kInvalidArgument) << name;
    EXPECT_EQ(spool_->Read("job-1.1", name, 0, 0).status().code(), Code::kInvalidArgument) << name;
  }
  EXPECT_EQ(spool_->Put({"../job-1.1", "log", 0, "", 0, false, ""}).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(spool_->Read("job-1", "log", 0, 0).status().code(), Code::kInvalidArgument);
}

TEST_F(SpoolTest, FoldersAndFilesOfOneName_AreAClearError) {
  EXPECT_EQ(*Put(0, "x", false, "", "a"), 1u);
  EXPECT_EQ(Put(0, "x", false, "", "a/b").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(*Put(0, "x", false, "", "c/d"), 1u);
  EXPECT_EQ(Put(0, "x", false, "", "c").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(spool_->Read("job-1.1", "c", 0, 0).status().code(), Code::kNotFound);
}

TEST_F(SpoolTest, SymlinkInTheSpool_IsNotFollowed) {
  std::filesystem::create_directories(folder_ + "/spool/job-1.1");
  std::ofstream(folder_ + "/secret") << "secret";
  std::filesystem::create_symlink(folder_ + "/secret", folder_ + "/spool/job-1.1/log");
  EXPECT_FALSE(spool_->Read("job-1.1", "log", 0, 0).ok());
  EXPECT_FALSE(Put(0, "x").ok());
}

TEST_F(SpoolTest, AttemptHasABound_AcrossFilesAndRestarts) {
  Open(1000);
  EXPECT_EQ(*Put(0, std::string(600, 'x')), 600u);
  EXPECT_EQ(Put(0, std::string(500, 'y'), false, "", "shot.png").status().code(), Code::kResourceExhausted);
  EXPECT_EQ(*Put(0, std::string(300, 'y'), true, "", "shot.png"), 300u);
  Open(1000);
  EXPECT_EQ(Put(600, std::string(101, 'x')).status().code(), Code::kResourceExhausted);
  EXPECT_EQ(*Put(600, std::string(100, 'x'), true), 700u);
}

TEST_F(SpoolTest, OversizedChunk_IsRefused) {
  EXPECT_EQ(Put(0, std::string(kMaxChunkBytes + 1, 'x')).status().code(), Code::kInvalidArgument);
}

TEST_F(SpoolTest, FileClosedInBetween_IsNotReadAgain) {
  EXPECT_EQ(*Put(0, "hello "), 6u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(*Put(0, "a", false, "", "f" + std::to_string(i)), 1u);
  std::ofstream(folder_ + "/spool/job-1.1/log") << "HELLO ";
  EXPECT_EQ(*Put(6, "world", true, kHelloWorld), 11u) << "the hash is of what was sent";
}

TEST_F(SpoolTest, FileThatGotShorter_IsTakenUpAnew) {
  EXPECT_EQ(*Put(0, "hello "), 6u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(*Put(0, "a", false, "", "f" + std::to_string(i)), 1u);
  std::filesystem::resize_file(folder_ + "/spool/job-1.1/log", 3);
  EXPECT_EQ(*Put(6, "world"), 3u);
  EXPECT_EQ(*Put(3, "lo world", true, kHelloWorld), 11u);
}

TEST_F(SpoolTest, ForgottenAttempt_StillTakesChunks) {
  EXPECT_EQ(*Put(0, "hello "), 6u);
  spool_->Forget("job-1.1");
  spool_->Forget("job-2.1");
  EXPECT_EQ(*Put(6, "world", true, kHelloWorld), 11u);
}

TEST_F(SpoolTest, FullDiskAtTheEndOfAFile_IsToBeTriedAgain) {
  ASSERT_TRUE(database_->Execute("PRAGMA max_page_count=1").ok());  // as many as there are now
  Result<uint64_t> put = 0;
  std::string name;
  for (int i = 0; put.ok() && i < 1000; ++i) {
    name = std::to_string(i) + "/" + std::string(200, 'x') + "/" + std::string(200, 'y');
    put = Put(0, "hello world", true, kHelloWorld, name);
  }
  EXPECT_EQ(put.status().code(), Code::kUnavailable) << "the agent drops its copy for RESOURCE_EXHAUSTED";
  ASSERT_TRUE(database_->Execute("PRAGMA max_page_count=100000").ok());
  EXPECT_EQ(*Put(11, "", true, kHelloWorld, name), 11u);
  EXPECT_TRUE(spool_->Read("job-1.1", name, 0, 0)->complete);
}

TEST_F(SpoolTest, ManyFiles_ShareFewDescriptors) {
  for (int i = 0; i < 200; ++i) EXPECT_EQ(*Put(0, "a", false, "", "f" + std::to_string(i)), 1u);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(*Put(1, "b", true, "", "f" + std::to_string(i)), 2u);
  EXPECT_EQ(spool_->Read("job-1.1", "f0", 0, 0)->data, "ab");
  EXPECT_EQ(Put(0, "x", false, "", "f0/g").status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace faraday::lab
