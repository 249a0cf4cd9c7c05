// The sync service against literal requests and a real private folder; nothing it is told may touch what is outside.
#include "sim/phone/sync_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <sstream>

#include "sim/phone/scratch_folder.h"
#include "sim/phone/shell_service.h"

namespace faraday::sim {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using std::string_literals::operator""s;

struct CountingStream : Stream {
  void Wake() override {}
  void Consumed() override { ++consumed; }
  int consumed = 0;
};

std::string U32(size_t value) {
  std::string out;
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(value >> shift);
  return out;
}
std::string Request(const std::string& id, const std::string& body) { return id + U32(body.size()) + body; }

std::string Slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

class SyncServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto files = PhoneFiles::Create(outside_.path() / "phone", 65534, 65534);
    ASSERT_TRUE(files.ok()) << files.status().message();
    files_ = std::move(*files);
    std::ofstream(outside_.path() / "secret") << "secret";
    sync_ = std::make_unique<SyncService>(*files_, stream_);
  }
  std::string Ask(const std::string& bytes) {
    sync_->Deliver(bytes);
    return Drain();
  }
  std::string Drain() {
    std::string all;
    for (std::string some; !(some = sync_->Pull(4096)).empty();) all += some;
    return all;
  }
  std::string Push(const std::string& path, const std::string& content, unsigned mode = 0100644) {
    return Ask(Request("SEND", path + "," + std::to_string(mode)) + Request("DATA", content) + "DONE" +
               U32(1700000000));
  }
  fs::path root() const { return files_->root(); }

  ScratchFolder outside_;
  std::unique_ptr<PhoneFiles> files_;
  CountingStream stream_;
  std::unique_ptr<SyncService> sync_;
};

TEST_F(SyncServiceTest, PushesWithModeAndTimeAndMakesParents) {
  EXPECT_EQ(Push("/data/local/tmp/a/b/t.sh", "echo hi", 0100755), "OKAY" + U32(0));
  const fs::path file = root() / "data/local/tmp/a/b/t.sh";
  EXPECT_EQ(Slurp(file), "echo hi");
  struct stat status {};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode, 0100777u) << "what the owner may, all may, as adbd does";
  EXPECT_EQ(status.st_mtime, 1700000000);
}

TEST_F(SyncServiceTest, PushReplacesAFile) {
  Push("/sdcard/x", "a long first content");
  EXPECT_EQ(Push("/sdcard/x", "new"), "OKAY" + U32(0));
  EXPECT_EQ(Slurp(root() / "sdcard/x"), "new");
}

TEST_F(SyncServiceTest, TheOtherNameOfTheSdcardIsTheSameFolder) {
  EXPECT_EQ(Push("/storage/emulated/0/x", "1"), "OKAY" + U32(0));
  EXPECT_EQ(Ask(Request("RECV", "/sdcard/x")), "DATA" + U32(1) + "1DONE" + U32(0));
}

TEST_F(SyncServiceTest, PullsInChunksOf64KiB) {
  const std::string content(100'000, 'z');
  Push("/sdcard/z", content.substr(0, 65536));
  std::ofstream(root() / "sdcard/z", std::ios::app) << content.substr(65536);
  const std::string got = Ask(Request("RECV", "/sdcard/z"));
  EXPECT_EQ(
      got,
      "DATA" + U32(65536) + content.substr(0, 65536) + "DATA" + U32(34464) + content.substr(65536) + "DONE" + U32(0));
}

TEST_F(SyncServiceTest, StatSaysWhatIsThereAndWhatIsNot) {
  Push("/sdcard/x", "12345");
  const std::string old = Ask(Request("STAT", "/sdcard/x"));
  EXPECT_EQ(old, "STAT" + U32(0100666) + U32(5) + U32(1700000000));
  EXPECT_EQ(Ask(Request("STAT", "/sdcard/none")), "STAT" + std::string(12, '\0'));
  const std::string now = Ask(Request("STA2", "/sdcard/x"));
  ASSERT_EQ(now.size(), 72u);
  EXPECT_EQ(now.substr(0, 8), "STA2" + U32(0));
  EXPECT_EQ(now.substr(24, 4), U32(0100666));
  EXPECT_EQ(now.substr(40, 8), U32(5) + U32(0));
  EXPECT_EQ(Ask(Request("LST2", "/sdcard/none")).substr(0, 8), "LST2" + U32(ENOENT));
}

TEST_F(SyncServiceTest, ListsBothWays) {
  Push("/sdcard/d/x", "12345");
  EXPECT_EQ(Ask(Request("LIST", "/sdcard/d")),
            "DENT" + U32(0100666) + U32(5) + U32(1700000000) + U32(1) + "x" + "DONE" + std::string(16, '\0'));
  const std::string two = Ask(Request("LIS2", "/sdcard/d"));
  ASSERT_EQ(two.size(), 76u + 1 + 76);
  EXPECT_THAT(two, StartsWith("DNT2"));
  EXPECT_EQ(two.substr(77, 4), "DONE");
}

TEST_F(SyncServiceTest, RefusesToWriteOutsideTheWritableFolders) {
  for (const char* path : {"/system/bin/getprop", "/x", "/etc/passwd", "x", "", "/", "/sdcard", "/data/local/tmp"}) {
    EXPECT_THAT(Push(path, "evil"), StartsWith("FAIL")) << path;
    sync_ = std::make_unique<SyncService>(*files_, stream_);
  }
  EXPECT_THAT(Slurp(root() / "system/bin/getprop"), StartsWith("#!/bin/sh"));
}

TEST_F(SyncServiceTest, NeitherDotsNorLinksLeadOut) {
  fs::create_symlink(outside_.path(), root() / "sdcard/out");
  fs::create_symlink("../../../../..", root() / "sdcard/up");
  fs::create_symlink(outside_.path() / "secret", root() / "sdcard/secret");
  for (const char* path : {"/sdcard/../../secret",
                           "/../secret",
                           "../../secret",
                           "/sdcard/out/secret",
                           "/sdcard/up/secret",
                           "/sdcard/secret",
                           "/proc/self/root/etc/passwd"}) {
    EXPECT_THAT(Ask(Request("RECV", path)), StartsWith("FAIL")) << path;
  }
  for (const char* path :
       {"/sdcard/../../evil", "/sdcard/out/evil", "/sdcard/up/evil", "/data/local/tmp/../../../../evil"}) {
    EXPECT_THAT(Push(path, "evil"), StartsWith("FAIL")) << path;
    sync_ = std::make_unique<SyncService>(*files_, stream_);
  }
  EXPECT_FALSE(fs::exists(outside_.path() / "evil"));
  EXPECT_EQ(Push("/sdcard/secret", "mine"), "OKAY" + U32(0)) << "a link is replaced, not followed";
  EXPECT_EQ(Slurp(outside_.path() / "secret"), "secret");
}

TEST_F(SyncServiceTest, PushesALinkAsALink) {
  const std::string answer =
      Ask(Request("SEND", "/sdcard/l," + std::to_string(0120777)) + Request("DATA", "/sdcard/x\0"s) + "DONE" + U32(0));
  EXPECT_EQ(answer, "OKAY" + U32(0));
  EXPECT_EQ(fs::read_symlink(root() / "sdcard/l"), "/sdcard/x");
}

TEST_F(SyncServiceTest, AFifoIsRefusedAndHoldsUpNothing) {
  ASSERT_EQ(::mkfifo((root() / "sdcard/fifo").c_str(), 0666), 0);
  EXPECT_THAT(Ask(Request("RECV", "/sdcard/fifo")), StartsWith("FAIL"));
  EXPECT_THAT(Ask(Request("RECV", "/sdcard")), HasSubstr("Is a directory"));
}

TEST_F(SyncServiceTest, EndsOnWhatItDoesNotKnow) {
  for (const std::string& bytes : {Request("EVIL", ""), "RECV" + U32(5000), "SEND" + U32(0xffffffff)}) {
    sync_ = std::make_unique<SyncService>(*files_, stream_);
    EXPECT_THAT(Ask(bytes), StartsWith("FAIL"));
    EXPECT_TRUE(sync_->Ended());
  }
  sync_ = std::make_unique<SyncService>(*files_, stream_);
  EXPECT_THAT(Ask(Request("SEND", "/sdcard/x,33188") + "DATA" + U32(70'000)), StartsWith("FAIL"));
  EXPECT_TRUE(sync_->Ended());
}

TEST_F(SyncServiceTest, RepliesConsumedOncePerWriteHoweverItIsCut) {
  const std::string bytes = Request("STAT", "/sdcard") + Request("STAT", "/sdcard");
  std::string out;
  for (char byte : bytes) out += Ask(std::string(1, byte));
  EXPECT_EQ(stream_.consumed, static_cast<int>(bytes.size()));
  EXPECT_EQ(out.size(), 32u);
}

// Property: requests of random and mutated content never touch anything outside the phone's folder.
TEST_F(SyncServiceTest, RandomRequestsStayInside) {
  std::mt19937 random(4711);
  const auto pick = [&random](size_t below) { return std::uniform_int_distribution<size_t>(0, below - 1)(random); };
  fs::create_symlink("/", root() / "sdcard/root");
  fs::create_symlink("..", root() / "sdcard/up");
  const std::vector<std::string> parts = {"/",
                                          "..",
                                          "sdcard",
                                          "up",
                                          "root",
                                          "data",
                                          "local",
                                          "tmp",
                                          "secret",
                                          "phone",
                                          ".",
                                          "//",
                                          "x",
                                          outside_.path().string(),
                                          "\0"s};
  const std::vector<std::string> ids = {"STAT", "STA2", "LST2", "LIST", "LIS2", "SEND", "RECV", "DATA", "DONE", "QUIT"};
  for (int round = 0; round < 2000; ++round) {
    SyncService sync(*files_, stream_);
    std::string bytes;
    for (size_t i = 0, n = 1 + pick(5); i < n; ++i) {
      std::string path;
      for (size_t k = pick(8); k > 0; --k) path += "/" + parts[pick(parts.size())];
      const std::string& id = ids[pick(ids.size())];
      bytes += Request(id, id == "SEND" ? path + (pick(4) != 0 ? ",33188" : ",41471") : path);
    }
    for (size_t flips = pick(3); flips > 0; --flips) bytes[pick(bytes.size())] = static_cast<char>(pick(256));
    sync.Deliver(bytes);
    for (int pulls = 0; pulls < 1000 && !sync.Pull(65536).empty(); ++pulls) {
    }
  }
  EXPECT_EQ(Slurp(outside_.path() / "secret"), "secret");
  const auto count = std::distance(fs::directory_iterator(outside_.path()), fs::directory_iterator());
  EXPECT_EQ(count, 2) << "the phone's folder and the secret, nothing new beside them";
  EXPECT_THAT(Slurp(root() / "system/bin/getprop"), StartsWith("#!/bin/sh"));
}

TEST(ShellServiceName, ReadsItsArguments) {
  const auto request = ParseShellService("shell,v2,TERM=xterm-256color,raw:echo a:b,c");
  ASSERT_TRUE(request);
  EXPECT_TRUE(request->framed);
  EXPECT_FALSE(request->pty);
  EXPECT_EQ(request->term, "xterm-256color");
  EXPECT_EQ(request->line, "echo a:b,c");
  EXPECT_FALSE(ParseShellService("shell:ls")->framed);
  EXPECT_EQ(ParseShellService("shell:")->line, "");
  EXPECT_TRUE(ParseShellService("exec:cat")->finishes);
}

TEST(ShellServiceName, RefusesWhatItDoesNotKnow) {
  for (std::string_view name : {"shell", "shellx:ls", "shell,v9:ls", "execute:ls", ""}) {
    EXPECT_FALSE(ParseShellService(name)) << name;
  }
  EXPECT_FALSE(ParseShellService("shell:a\0b"s));
}

}  // namespace
}  // namespace faraday::sim
