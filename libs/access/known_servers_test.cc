#include "access/known_servers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "access/temp_folder.h"

namespace faraday::access {
namespace {

using testing::HasSubstr;

KnownServer Lab() { return {"tcp://lab:7710", NewKeyPair().public_key, "keys/lab.key", "ana"}; }

class KnownServersTest : public testing::Test {
 protected:
  std::string Text() const {
    std::ifstream file(servers_.path());
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void Write(const std::string& text) const {
    std::filesystem::create_directories(folder_ / "config");
    std::ofstream(servers_.path()) << text;
    ::chmod(servers_.path().c_str(), 0600);
  }

  TempFolder folder_;
  KnownServers servers_{folder_ / "config/known_servers"};
};

TEST_F(KnownServersTest, NoFileIsAnEmptyList) {
  EXPECT_TRUE(servers_.List()->empty());
  EXPECT_FALSE(servers_.Find("tcp://lab:7710")->has_value());
  EXPECT_TRUE(servers_.Remove("tcp://lab:7710").ok());
}

TEST_F(KnownServersTest, ALineIsKeptForItsOwnerAlone) {
  const KnownServer lab = Lab();
  ASSERT_TRUE(servers_.Add(lab).ok());
  struct stat status {};
  ASSERT_EQ(::stat(servers_.path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  const auto found = servers_.Find(lab.endpoint);
  ASSERT_TRUE(found.ok() && *found);
  EXPECT_EQ((*found)->key, lab.key);
  EXPECT_EQ((*found)->key_file, "keys/lab.key");
  EXPECT_EQ((*found)->user, "ana");
  EXPECT_FALSE(servers_.Find("tcp://lab:7711")->has_value());
}

TEST_F(KnownServersTest, OneLineAnEndpointAndCommentsStay) {
  ASSERT_TRUE(servers_.Add(Lab()).ok());
  Write("# mine\n" + Text());
  KnownServer rack = Lab();
  rack.endpoint = "tcp://r01:7720";
  KnownServer again = Lab();
  again.user = "bob";
  ASSERT_TRUE(servers_.Add(rack).ok());
  ASSERT_TRUE(servers_.Add(again).ok());
  ASSERT_EQ(servers_.List()->size(), 2U);
  EXPECT_EQ((*servers_.Find("tcp://lab:7710"))->user, "bob");
  EXPECT_THAT(Text(), testing::StartsWith("# mine\n"));
  ASSERT_TRUE(servers_.Remove("tcp://lab:7710").ok());
  EXPECT_EQ(servers_.List()->size(), 1U);
}

TEST_F(KnownServersTest, ThatOthersMayWriteAreRefusedWithTheMend) {
  ASSERT_TRUE(servers_.Add(Lab()).ok());
  ASSERT_EQ(::chmod(servers_.path().c_str(), 0620), 0);
  for (const Status& status : {servers_.Find("x").status(), servers_.Add(Lab())}) {
    EXPECT_EQ(status.code(), Code::kFailedPrecondition);
    EXPECT_THAT(status.message(), HasSubstr("chmod 600 " + servers_.path()));
  }
}

TEST_F(KnownServersTest, ADamagedLineIsNamedAndNotOverwritten) {
  for (const std::string& line : {std::string("tcp://lab:7710 1234"),
                                  std::string("tcp://lab:7710\t1234\tkey\tana"),
                                  "\t" + ToHex(Lab().key) + "\tkey\tana",
                                  "tcp://lab:7710\t" + ToHex(Lab().key) + "\tkey"}) {
    Write("# one\n" + line + "\n");
    EXPECT_EQ(servers_.List().status().code(), Code::kDataLoss) << line;
    EXPECT_THAT(servers_.Add(Lab()).message(), HasSubstr("line 2")) << line;
    EXPECT_THAT(Text(), HasSubstr(line));
  }
}

TEST_F(KnownServersTest, AFieldCannotForgeALine) {
  KnownServer bad = Lab();
  bad.user = "ana\ntcp://evil";
  EXPECT_EQ(servers_.Add(bad).code(), Code::kInvalidArgument);
  bad = Lab();
  bad.endpoint = "tcp://lab\t7710";
  EXPECT_EQ(servers_.Add(bad).code(), Code::kInvalidArgument);
  bad.endpoint = "";
  EXPECT_EQ(servers_.Add(bad).code(), Code::kInvalidArgument);
  EXPECT_TRUE(servers_.List()->empty());
}

TEST_F(KnownServersTest, ManyProcessesWriteAndNoLineIsLost) {
  constexpr int kProcesses = 4;
  constexpr int kLines = 15;
  std::vector<pid_t> children;
  for (int p = 0; p < kProcesses; ++p) {
    const pid_t child = ::fork();
    if (child == 0) {
      for (int i = 0; i < kLines; ++i) {
        KnownServer server = Lab();
        server.endpoint = "tcp://r" + std::to_string(p) + ":" + std::to_string(i);
        if (!servers_.Add(server).ok()) ::_exit(1);
      }
      ::_exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(servers_.List()->size(), static_cast<size_t>(kProcesses * kLines));
}

}  // namespace
}  // namespace faraday::access
