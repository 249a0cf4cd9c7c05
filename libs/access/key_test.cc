#include "access/key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace faraday::access {
namespace {

using testing::HasSubstr;

class KeyFile : public testing::Test {
 protected:
  KeyFile() {
    char folder[] = "/tmp/faraday-key-XXXXXX";
    folder_ = mkdtemp(folder);
  }
  ~KeyFile() override { std::filesystem::remove_all(folder_); }
  std::string path() const { return folder_ + "/keys/server.key"; }
  std::string folder_;
};

TEST_F(KeyFile, IsMadeOnceForItsOwnerAlone) {
  const auto made = ReadOrMakeSecret(path(), "r01 (controller)");
  ASSERT_TRUE(made.ok()) << made.status().message();
  struct stat status {};
  ASSERT_EQ(::stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  ASSERT_EQ(::stat((folder_ + "/keys").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
  const auto again = ReadOrMakeSecret(path(), "r01");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->bytes(), made->bytes());
  EXPECT_EQ(WriteSecret(path(), NewSecret(), "another").code(), Code::kAlreadyExists);
}

TEST_F(KeyFile, ThatOthersMayReadIsRefusedWithTheMend) {
  ASSERT_TRUE(ReadOrMakeSecret(path(), "x").ok());
  ASSERT_EQ(::chmod(path().c_str(), 0640), 0);
  const auto read = ReadSecret(path());
  EXPECT_EQ(read.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(read.status().message(), HasSubstr("chmod 600 " + path()));
  EXPECT_EQ(ReadOrMakeSecret(path(), "x").status().code(), Code::kFailedPrecondition) << "never replaced in silence";
}

TEST_F(KeyFile, ThatIsDamagedIsNoKey) {
  std::filesystem::create_directories(folder_ + "/keys");
  std::ofstream(path()) << "secret 1234\n";
  ASSERT_EQ(::chmod(path().c_str(), 0600), 0);
  EXPECT_EQ(ReadSecret(path()).status().code(), Code::kDataLoss);
  EXPECT_EQ(ReadSecret(folder_ + "/none").status().code(), Code::kNotFound);
}

TEST_F(KeyFile, BehindASymbolicLinkIsRefused) {
  ASSERT_TRUE(ReadOrMakeSecret(path(), "x").ok());
  std::filesystem::create_symlink(path(), folder_ + "/link");
  EXPECT_FALSE(ReadSecret(folder_ + "/link").ok());
}

TEST(Key, OneSecretIsOnePair) {
  const SecretKey secret = NewSecret();
  EXPECT_EQ(KeyPairOf(secret).public_key, KeyPairOf(secret).public_key);
  EXPECT_NE(KeyPairOf(secret).public_key, NewKeyPair().public_key);
  const PublicKey key = NewKeyPair().public_key;
  EXPECT_EQ(*PublicKeyOf(ToHex(key)), key);
  EXPECT_FALSE(PublicKeyOf("00").ok());
  EXPECT_FALSE(PublicKeyOf(std::string(64, 'g')).ok());
  EXPECT_EQ(Fingerprint(key).size(), 19U);
}

TEST(Key, SignaturesHoldForTheirMessageAlone) {
  const SecretKey seed = NewSecret();
  const std::string signature = Sign(seed, "roster 7");
  EXPECT_TRUE(Verify(SignerOf(seed), "roster 7", signature));
  EXPECT_FALSE(Verify(SignerOf(seed), "roster 8", signature));
  EXPECT_FALSE(Verify(SignerOf(NewSecret()), "roster 7", signature));
  EXPECT_FALSE(Verify(SignerOf(seed), "roster 7", signature.substr(1)));
}

}  // namespace
}  // namespace faraday::access
