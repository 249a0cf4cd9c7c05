// Signed rosters and the file in which a daemon keeps the newest.
#include "access/roster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <iterator>

#include "access/durable_file.h"
#include "access/temp_folder.h"

namespace faraday::access {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const SecretKey kSigner = NewSecret();
const PublicKey kSignerKey = SignerOf(kSigner);

Roster Numbered(uint64_t number, std::vector<PublicKey> signers = {kSignerKey}) {
  Roster roster;
  roster.number = number;
  roster.keeper = "lab";
  roster.issued = UtcTime{Milliseconds(1'800'000'000'000)};
  Entry ana{NewKeyPair().public_key,
            "ana",
            {Role::kUser, Role::kTech},
            {"apps"},
            UtcTime{Milliseconds(77)},
            false,
            false,
            ""};
  Entry rack{NewKeyPair().public_key, "r01", {Role::kController}, {}, {}, true, false, "tcp://r01:7720"};
  Entry code{NewKeyPair().public_key, "bob", {}, {}, UtcTime{Milliseconds(5)}, false, true, ""};
  roster.entries = {ana, rack, code};
  roster.signers = std::move(signers);
  return roster;
}

std::string Signed(const Roster& roster, const SecretKey& seed = kSigner) { return *SignRoster(roster, seed); }

std::vector<PublicKey> Trusted() { return {kSignerKey}; }

TEST(Roster, ComesBackWhole) {
  const Roster roster = Numbered(7);
  const auto opened = OpenRoster(Signed(roster), Trusted());
  ASSERT_TRUE(opened.ok()) << opened.status().message();
  EXPECT_EQ(opened->number, 7U);
  EXPECT_EQ(opened->keeper, "lab");
  EXPECT_EQ(opened->issued, roster.issued);
  EXPECT_THAT(opened->signers, ElementsAre(kSignerKey));
  ASSERT_EQ(opened->entries.size(), 3U);
  for (size_t i = 0; i < 3; ++i) {
    const Entry& a = opened->entries[i];
    const Entry& b = roster.entries[i];
    EXPECT_EQ(std::tie(a.key, a.user, a.roles, a.teams, a.expires, a.disabled, a.enrols, a.endpoint),
              std::tie(b.key, b.user, b.roles, b.teams, b.expires, b.disabled, b.enrols, b.endpoint));
  }
}

TEST(Roster, NoByteCanBeChanged) {
  const std::string whole = Signed(Numbered(7));
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x01);
    EXPECT_FALSE(OpenRoster(changed, Trusted()).ok()) << "byte " << at;
  }
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(OpenRoster(whole.substr(0, size), Trusted()).status().code(), Code::kDataLoss) << size << " bytes";
  }
}

TEST(Roster, OfAnotherSignerIsRefusedByName) {
  const SecretKey other = NewSecret();
  const auto opened = OpenRoster(Signed(Numbered(7), other), Trusted());
  EXPECT_EQ(opened.status().code(), Code::kPermissionDenied);
  EXPECT_THAT(opened.status().message(), HasSubstr(Fingerprint(SignerOf(other))));
  EXPECT_FALSE(OpenRoster(Signed(Numbered(7)), {}).ok()) << "nobody is trusted";
}

TEST(Roster, GivesNoRoleThatIsNone) {
  Roster roster = Numbered(7);
  roster.entries[0].roles = {Role::kCode, Role::kUser};
  EXPECT_THAT(OpenRoster(Signed(roster), Trusted())->entries[0].roles, ElementsAre(Role::kUser));
}

TEST(Roster, IsBounded) {
  Roster roster = Numbered(1);
  for (int i = 0; i < 20'000; ++i) roster.entries.push_back(roster.entries[0]);
  EXPECT_EQ(SignRoster(roster, kSigner).status().code(), Code::kResourceExhausted);
  EXPECT_EQ(OpenRoster(std::string(kMaxRosterBytes + 1, 'x'), Trusted()).status().code(), Code::kDataLoss);
}

TEST(Roster, WithoutANumberIsNone) { EXPECT_FALSE(OpenRoster(Signed(Numbered(0)), Trusted()).ok()); }

// ---- the file ----

class RosterFileTest : public testing::Test {
 protected:
  RosterFile Load() {
    auto file = RosterFile::Load(path_);
    EXPECT_TRUE(file.ok()) << file.status().message();
    return std::move(*file);
  }
  void Damage(const std::string& path) const {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(40);
    file.put('\x7f').put('\x7f');
  }

  TempFolder folder_;
  std::string path_ = folder_ / "state/roster";
};

TEST_F(RosterFileTest, TrustsNobodyBeforeEnrolment) {
  RosterFile file = Load();
  EXPECT_EQ(file.number(), 0U);
  EXPECT_THAT(file.note(), IsEmpty());
  EXPECT_EQ(file.Accept(Signed(Numbered(3))).code(), Code::kFailedPrecondition);
  EXPECT_TRUE(file.Accept(Signed(Numbered(3)), Trusted()).ok()) << "by an anchor from elsewhere";
}

TEST_F(RosterFileTest, KeepsTheNewestAcrossRestarts) {
  {
    RosterFile file = Load();
    ASSERT_TRUE(file.Adopt(Signed(Numbered(3))).ok());
    ASSERT_TRUE(file.Accept(Signed(Numbered(5))).ok());
  }
  RosterFile file = Load();
  EXPECT_EQ(file.number(), 5U);
  EXPECT_EQ(file.roster().entries.size(), 3U);
  EXPECT_EQ(OpenRoster(file.signed_bytes(), Trusted())->number, 5U);
  for (const std::string& path : {path_, path_ + ".signers"}) {
    struct stat status {};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U);
  }
}

TEST_F(RosterFileTest, RefusesTheOlderTheEqualAndTheForeign) {
  RosterFile file = Load();
  ASSERT_TRUE(file.Adopt(Signed(Numbered(5))).ok());
  EXPECT_EQ(file.Accept(Signed(Numbered(4))).code(), Code::kFailedPrecondition);
  EXPECT_EQ(file.Accept(Signed(Numbered(5))).code(), Code::kFailedPrecondition);
  EXPECT_EQ(file.Accept(Signed(Numbered(6), NewSecret())).code(), Code::kPermissionDenied);
  EXPECT_EQ(file.Accept("nonsense").code(), Code::kDataLoss);
  EXPECT_EQ(file.number(), 5U);
  EXPECT_EQ(Load().number(), 5U);
}

TEST_F(RosterFileTest, FollowsTheSignerThatAnOldOneNamed) {
  const SecretKey next = NewSecret();
  RosterFile file = Load();
  ASSERT_TRUE(file.Adopt(Signed(Numbered(5))).ok());
  EXPECT_EQ(file.Accept(Signed(Numbered(7, {SignerOf(next)}), next)).code(), Code::kPermissionDenied)
      << "nobody introduced it";
  ASSERT_TRUE(file.Accept(Signed(Numbered(6, {kSignerKey, SignerOf(next)}))).ok());
  file = Load();
  ASSERT_TRUE(file.Accept(Signed(Numbered(7, {SignerOf(next)}), next)).ok());
  EXPECT_EQ(file.Accept(Signed(Numbered(8))).code(), Code::kPermissionDenied) << "the old signer is over";
  EXPECT_EQ(Load().number(), 7U) << "and the file still opens";
}

TEST_F(RosterFileTest, ThatNamesNoSignerStillOpensAndIsFollowed) {
  ASSERT_TRUE(Load().Adopt(Signed(Numbered(5, {}))).ok());
  RosterFile file = Load();
  EXPECT_EQ(file.number(), 5U);
  EXPECT_TRUE(file.Accept(Signed(Numbered(6))).ok());
}

TEST_F(RosterFileTest, ADamagedOneIsSaidKeptAsideAndReplaced) {
  ASSERT_TRUE(Load().Adopt(Signed(Numbered(5))).ok());
  Damage(path_);
  RosterFile file = Load();
  EXPECT_EQ(file.number(), 0U) << "not trusted";
  EXPECT_THAT(file.note(), HasSubstr(path_ + ".damaged"));
  EXPECT_TRUE(std::filesystem::exists(path_ + ".damaged"));
  EXPECT_EQ(file.Accept(Signed(Numbered(9), NewSecret())).code(), Code::kPermissionDenied);
  ASSERT_TRUE(file.Accept(Signed(Numbered(6))).ok()) << "whom it trusted is still known";
  EXPECT_THAT(file.note(), IsEmpty());
  EXPECT_EQ(Load().number(), 6U);
}

TEST_F(RosterFileTest, ThatOthersMayWriteOrWithDamagedSignersIsRefused) {
  ASSERT_TRUE(Load().Adopt(Signed(Numbered(5))).ok());
  ASSERT_EQ(::chmod(path_.c_str(), 0660), 0);
  EXPECT_EQ(RosterFile::Load(path_).status().code(), Code::kFailedPrecondition);
  ASSERT_EQ(::chmod(path_.c_str(), 0600), 0);
  Damage(path_ + ".signers");
  std::ofstream(path_ + ".signers") << "signer 12\n";
  const auto file = RosterFile::Load(path_);
  EXPECT_EQ(file.status().code(), Code::kDataLoss);
  EXPECT_THAT(file.status().message(), HasSubstr("enrol anew"));
}

TEST_F(RosterFileTest, EnrolmentAtAnotherLabReplacesAll) {
  const SecretKey other = NewSecret();
  RosterFile file = Load();
  ASSERT_TRUE(file.Adopt(Signed(Numbered(500))).ok());
  ASSERT_TRUE(file.Adopt(Signed(Numbered(2, {SignerOf(other)}), other)).ok());
  EXPECT_EQ(file.Accept(Signed(Numbered(501))).code(), Code::kPermissionDenied);
  EXPECT_EQ(Load().number(), 2U);
}

TEST_F(RosterFileTest, OnAFullDiskNothingChanges) {
  RosterFile file = Load();
  ASSERT_TRUE(file.Adopt(Signed(Numbered(5))).ok());
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit tight{200, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  const Status full = file.Accept(Signed(Numbered(6)));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(full.code(), Code::kUnavailable) << full.message();
  EXPECT_EQ(file.number(), 5U);
  EXPECT_EQ(Load().number(), 5U);
  EXPECT_TRUE(file.Accept(Signed(Numbered(6))).ok());
}

}  // namespace
}  // namespace faraday::access
