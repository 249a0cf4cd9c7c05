#include "access/roster_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace faraday::access {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr UtcTime kNow{Milliseconds(1'800'000'000'000)};
constexpr UtcTime kLater{Milliseconds(1'800'000'001'000)};

Entry Of(const std::string& user, Role role) {
  Entry entry;
  entry.key = NewKeyPair().public_key;
  entry.user = user;
  entry.roles = {role};
  return entry;
}

class RosterDirectoryTest : public testing::Test {
 protected:
  const Entry& Add(Entry entry) {
    roster_.number += 1;
    roster_.entries.push_back(std::move(entry));
    directory_.SetRoster(roster_);
    return roster_.entries.back();
  }
  Status Refusal(const PublicKey& key, UtcTime now = kNow) const { return directory_.Find(key, now).status(); }

  Roster roster_;
  RosterDirectory directory_;
};

TEST_F(RosterDirectoryTest, AKeyIsItsUser) {
  Entry ana = Of("ana", Role::kTech);
  ana.roles.push_back(Role::kUser);
  ana.teams = {"apps", "radio"};
  const PublicKey key = Add(ana).key;
  for (int i = 0; i < 50; ++i) Add(Of("u" + std::to_string(i), Role::kUser));
  const auto who = directory_.Find(key, kNow);
  ASSERT_TRUE(who.ok());
  EXPECT_EQ(who->user, "ana");
  EXPECT_EQ(who->key, key);
  EXPECT_THAT(who->roles, ElementsAre(Role::kTech, Role::kUser));
  EXPECT_THAT(who->teams, ElementsAre("apps", "radio"));
  EXPECT_FALSE(who->break_glass);
  for (const Entry& entry : roster_.entries) EXPECT_EQ(directory_.Find(entry.key, kNow)->user, entry.user);
}

TEST_F(RosterDirectoryTest, TheUnknownTheDisabledAndTheExpiredAreToldWhatToDo) {
  Add(Of("ana", Role::kUser));
  const PublicKey stranger = NewKeyPair().public_key;
  EXPECT_EQ(Refusal(stranger).code(), Code::kUnauthenticated);
  EXPECT_THAT(Refusal(stranger).message(), HasSubstr(Fingerprint(stranger)));
  EXPECT_THAT(Refusal(stranger).message(), HasSubstr("faraday login"));
  EXPECT_EQ(Refusal(PublicKey{}).code(), Code::kUnauthenticated);

  Entry bob = Of("bob", Role::kUser);
  bob.disabled = true;
  EXPECT_EQ(Refusal(Add(bob).key).code(), Code::kUnauthenticated);
  EXPECT_THAT(Refusal(bob.key).message(), HasSubstr("bob is disabled"));

  Entry ci = Of("ci-apps", Role::kCi);
  ci.expires = kLater;
  Add(ci);
  EXPECT_TRUE(directory_.Find(ci.key, kNow).ok());
  EXPECT_EQ(Refusal(ci.key, kLater).code(), Code::kUnauthenticated) << "the last moment is over";
  EXPECT_THAT(Refusal(ci.key, kLater).message(), HasSubstr("has expired"));
}

TEST_F(RosterDirectoryTest, AKeyIsGoneWithItsRoster) {
  const PublicKey key = Add(Of("ana", Role::kUser)).key;
  roster_.entries.clear();
  directory_.SetRoster(roster_);
  EXPECT_EQ(Refusal(key).code(), Code::kUnauthenticated);
}

TEST_F(RosterDirectoryTest, ACodeMayNothingButEnrol) {
  Entry code = Of("ana", Role::kAdmin);
  code.enrols = true;
  code.expires = kLater;
  Add(code);
  EXPECT_THAT(directory_.Find(code.key, kNow)->roles, ElementsAre(Role::kCode)) << "whatever the roster says";
  EXPECT_THAT(Refusal(code.key, kLater).message(), HasSubstr("faraday user rotate ana"));
  EXPECT_EQ(directory_.FindUser("ana"), nullptr);
  EXPECT_FALSE(directory_.Standing("ana", kNow).ok());
}

TEST_F(RosterDirectoryTest, WithoutARoleNobodyComesIn) {
  Entry ana = Of("ana", Role::kUser);
  ana.roles.clear();
  EXPECT_EQ(Refusal(Add(ana).key).code(), Code::kUnauthenticated);
}

TEST_F(RosterDirectoryTest, BreakGlassIsAnAdminWithoutARoster) {
  const PublicKey key = NewKeyPair().public_key;
  EXPECT_FALSE(directory_.Find(key, kNow).ok());
  EXPECT_FALSE(directory_.Find(PublicKey{}, kNow).ok()) << "no key set is not the zero key";
  directory_.SetBreakGlass(key);
  const auto who = directory_.Find(key, kNow);
  ASSERT_TRUE(who.ok());
  EXPECT_EQ(who->user, "break-glass");
  EXPECT_TRUE(who->break_glass);
  EXPECT_THAT(who->roles, ElementsAre(Role::kAdmin));
}

TEST_F(RosterDirectoryTest, TheLabOfTheEnrolmentCountsUntilTheRosterNamesOne) {
  const PublicKey lab = NewKeyPair().public_key;
  directory_.SetLab(lab);
  EXPECT_THAT(directory_.Find(lab, kNow)->roles, ElementsAre(Role::kLab));
  Add(Of("ana", Role::kUser));
  EXPECT_TRUE(directory_.Find(lab, kNow).ok());
  const PublicKey next = Add(Of("lab", Role::kLab)).key;
  EXPECT_FALSE(directory_.Find(lab, kNow).ok()) << "replaced";
  EXPECT_TRUE(directory_.Find(next, kNow).ok());
}

TEST_F(RosterDirectoryTest, ServersAreFoundByNameAndEndpoint) {
  Entry rack = Of("r01", Role::kController);
  rack.endpoint = "tcp://r01:7720";
  Add(rack);
  EXPECT_EQ(directory_.FindUser("r01")->key, rack.key);
  EXPECT_EQ(directory_.FindEndpoint("tcp://r01:7720")->key, rack.key);
  EXPECT_EQ(directory_.FindEndpoint("tcp://r01:7721"), nullptr);
  EXPECT_EQ(directory_.FindEndpoint(""), nullptr);
  Entry person = Of("ana", Role::kUser);
  person.endpoint = "tcp://r02:7720";
  Add(person);
  EXPECT_EQ(directory_.FindEndpoint("tcp://r02:7720"), nullptr) << "a person is no server";
  Entry fresh = Of("r01", Role::kController);
  fresh.endpoint = rack.endpoint;
  Add(fresh);
  EXPECT_EQ(directory_.FindUser("r01")->key, fresh.key) << "the newest key";
  EXPECT_EQ(directory_.FindEndpoint(rack.endpoint)->key, fresh.key);
  Entry rogue = Of("r02", Role::kController);
  rogue.endpoint = rack.endpoint;
  Add(rogue);
  EXPECT_EQ(directory_.FindEndpoint(rack.endpoint), nullptr) << "two servers claim it";
}

TEST_F(RosterDirectoryTest, StandingSaysWhyItEnds) {
  Entry ana = Of("ana", Role::kUser);
  Add(ana);
  Entry bob = Of("bob", Role::kUser);
  bob.disabled = true;
  Add(bob);
  Entry ci = Of("ci", Role::kCi);
  ci.expires = kLater;
  Add(ci);
  EXPECT_TRUE(directory_.Standing("ana", kNow).ok());
  EXPECT_EQ(directory_.Standing("bob", kNow).message(), "user bob is disabled");
  EXPECT_EQ(directory_.Standing("eve", kNow).message(), "user eve has no key");
  EXPECT_TRUE(directory_.Standing("ci", kNow).ok());
  EXPECT_EQ(directory_.Standing("ci", kLater).message(), "the key of user ci has expired");
}

}  // namespace
}  // namespace faraday::access
