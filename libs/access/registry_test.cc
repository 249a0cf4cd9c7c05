#include "access/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>

#include "access/credential.h"
#include "access/roster_directory.h"
#include "access/temp_folder.h"

namespace faraday::access {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class RegistryTest : public testing::Test {
 protected:
  RegistryTest() { Reopen(); }

  Registry::Options Options() const {
    Registry::Options options;
    options.state_dir = folder_.path();
    options.keeper = "lab";
    options.server_key = server_.public_key;
    options.endpoint = "tcp://lab:7710";
    options.forbidden = {break_glass_.public_key};
    return options;
  }
  Result<std::unique_ptr<Registry>> Open() const { return Registry::Open(Options(), now_); }
  void Reopen() {
    registry_.reset();
    auto opened = Open();
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    registry_ = std::move(*opened);
    registry_->OnChange([this] { Obey(); });
    Obey();
  }
  void Obey() {
    ++changes_;
    directory_.SetRoster(registry_->roster());
  }
  void Pass(Milliseconds time) { now_.since_epoch += time; }

  static NewUser Named(const std::string& name, std::vector<Role> roles, std::vector<std::string> teams = {}) {
    NewUser user;
    user.name = name;
    user.roles = std::move(roles);
    user.teams = std::move(teams);
    return user;
  }
  Result<Change> TryAdd(const std::string& name, std::vector<Role> roles = {Role::kUser}) {
    return registry_->AddUser(Named(name, std::move(roles)), now_);
  }
  std::string Add(const std::string& name, std::vector<Role> roles = {Role::kUser}) {
    auto added = TryAdd(name, std::move(roles));
    EXPECT_TRUE(added.ok()) << added.status().message();
    return added.ok() ? added->secret : "";
  }
  std::string AddToken(const std::string& name, seconds life = hours(24 * 30)) {
    NewUser user = Named(name, {Role::kCi}, {"apps"});
    user.token_life = life;
    auto added = registry_->AddUser(user, now_);
    EXPECT_TRUE(added.ok()) << added.status().message();
    return added.ok() ? added->secret : "";
  }
  static PublicKey KeyOf(const std::string& secret) { return ParseCredential(secret)->keys.public_key; }
  Result<Change> Enrol(const std::string& code, const PublicKey& key, const std::string& endpoint = "") {
    return registry_->Enrol(KeyOf(code), key, endpoint, now_);
  }
  // With a new key, which it returns.
  PublicKey Enrolled(const std::string& code) {
    const PublicKey key = NewKeyPair().public_key;
    const auto enrolled = Enrol(code, key);
    EXPECT_TRUE(enrolled.ok()) << enrolled.status().message();
    return key;
  }
  Result<Change> Rotate(Rotation rotation) { return registry_->RotateUser(rotation, now_); }
  static Rotation Of(const std::string& name) {
    Rotation rotation;
    rotation.name = name;
    return rotation;
  }
  bool IsLetIn(const PublicKey& key) const { return directory_.Find(key, now_).ok(); }
  std::string Text(const std::string& name) const {
    std::ifstream file(folder_ / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  TempFolder folder_;
  KeyPair server_ = NewKeyPair();
  KeyPair break_glass_ = NewKeyPair();
  UtcTime now_{Milliseconds(1'800'000'000'000)};
  std::unique_ptr<Registry> registry_;
  RosterDirectory directory_;
  int changes_ = 0;
};

// ---- the first start, restarts, files ----

TEST_F(RegistryTest, BeginsWithTheKeeperItself) {
  EXPECT_EQ(registry_->number(), 1U);
  EXPECT_THAT(registry_->Users(), IsEmpty());
  const auto self = directory_.Find(server_.public_key, now_);
  ASSERT_TRUE(self.ok());
  EXPECT_EQ(self->user, "lab");
  EXPECT_THAT(self->roles, ElementsAre(Role::kLab));
  EXPECT_EQ(directory_.FindEndpoint("tcp://lab:7710")->key, server_.public_key);
  for (const char* name : {"users", "keys/signer.key"}) {
    struct stat status {};
    ASSERT_EQ(::stat((folder_ / name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 0777, 0600U) << name;
  }
}

TEST_F(RegistryTest, ARackWithoutALabKeepsItsOwn) {
  const TempFolder other;
  Registry::Options options = Options();
  options.state_dir = other.path();
  options.keeper = "r01";
  options.keeper_role = Role::kController;
  auto registry = Registry::Open(options, now_);
  ASSERT_TRUE(registry.ok());
  EXPECT_EQ((*registry)->roster().keeper, "r01");
  EXPECT_THAT((*registry)->roster().entries[0].roles, ElementsAre(Role::kController));
  EXPECT_EQ((*registry)->AddUser(Named("r01", {Role::kUser}), now_).status().code(), Code::kAlreadyExists);
}

TEST_F(RegistryTest, EverythingIsThereAfterARestart) {
  const PublicKey ana = Enrolled(Add("ana", {Role::kUser, Role::kTech}));
  const std::string code = Add("bob");
  const PublicKey token = KeyOf(AddToken("ci-apps"));
  ASSERT_TRUE(registry_->DisableUser("bob", "left", now_).ok());
  const uint64_t number = registry_->number();
  const std::string roster = registry_->signed_roster();
  Reopen();
  EXPECT_EQ(registry_->number(), number) << "a start alone is no change";
  EXPECT_EQ(registry_->signed_roster(), roster);
  EXPECT_TRUE(IsLetIn(ana));
  EXPECT_TRUE(IsLetIn(token));
  EXPECT_EQ(registry_->FindUser("bob")->reason, "left");
  ASSERT_TRUE(registry_->EnableUser("bob", now_).ok());
  EXPECT_EQ(registry_->number(), number + 1);
  EXPECT_TRUE(IsLetIn(Enrolled(code)));
}

TEST_F(RegistryTest, EachChangeIsOneSignedRosterWithALargerNumber) {
  const std::vector<PublicKey> signers = {registry_->signer()};
  const std::string code = Add("ana");
  EXPECT_EQ(registry_->number(), 2U);
  const auto enrolled = Enrol(code, NewKeyPair().public_key);
  EXPECT_EQ(enrolled->roster, 3U);
  ASSERT_TRUE(registry_->DisableUser("ana", "left", now_).ok());
  EXPECT_EQ(OpenRoster(registry_->signed_roster(), signers)->number, 4U);
  EXPECT_EQ(changes_, 4) << "told each time, and at the start";
  EXPECT_FALSE(TryAdd("ana").ok());
  EXPECT_EQ(registry_->number(), 4U) << "a refusal is no change";
  EXPECT_EQ(changes_, 4);
}

TEST_F(RegistryTest, ADamagedFileStopsTheStartAndSaysWhatToDo) {
  Add("ana");
  const std::string whole = Text("users");
  for (size_t at = 0; at < whole.size(); at += 7) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    std::ofstream(folder_ / "users", std::ios::binary) << damaged;
    const auto opened = Open();
    ASSERT_EQ(opened.status().code(), Code::kDataLoss) << "byte " << at;
    EXPECT_THAT(opened.status().message(), HasSubstr("restore " + folder_.path() + "/users from a copy"));
  }
  std::ofstream(folder_ / "users", std::ios::binary) << "";
  EXPECT_EQ(Open().status().code(), Code::kDataLoss) << "an empty file is no empty registry";
  std::ofstream(folder_ / "users", std::ios::binary) << whole;
  EXPECT_TRUE(Open().ok());
}

TEST_F(RegistryTest, AMissingFileIsNoEmptyRegistry) {
  Add("ana");
  const std::string users = folder_ / "users";
  const std::string signer = folder_ / "keys/signer.key";
  std::filesystem::rename(users, users + ".gone");
  EXPECT_EQ(Open().status().code(), Code::kDataLoss);
  EXPECT_THAT(Open().status().message(), HasSubstr(users + " is missing"));
  std::filesystem::rename(users + ".gone", users);
  std::filesystem::rename(signer, signer + ".gone");
  EXPECT_EQ(Open().status().code(), Code::kDataLoss);
  EXPECT_THAT(Open().status().message(), HasSubstr(signer + " is missing"));
  ASSERT_TRUE(WriteSecret(signer, NewSecret(), "another").ok());
  EXPECT_THAT(Open().status().message(), HasSubstr("is not the signer"));
}

TEST_F(RegistryTest, AFileThatOthersMayReadStopsTheStart) {
  ASSERT_EQ(::chmod((folder_ / "users").c_str(), 0644), 0);
  EXPECT_EQ(Open().status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(Open().status().message(), HasSubstr("chmod 600"));
}

TEST_F(RegistryTest, ANewServerKeyIsANewRoster) {
  server_ = NewKeyPair();
  Reopen();
  EXPECT_EQ(registry_->number(), 2U);
  EXPECT_EQ(directory_.FindUser("lab")->key, server_.public_key);
}

TEST_F(RegistryTest, SecretsAreInNoFile) {
  const std::string code = Add("ana");
  const std::string token = AddToken("ci-apps");
  for (const std::string& text : {code, token}) {
    const auto secret = ParseCredential(text)->keys.secret_key.bytes();
    EXPECT_THAT(Text("users"), Not(HasSubstr(std::string(secret.begin(), secret.end()))));
    EXPECT_THAT(Text("users"), Not(HasSubstr(text.substr(text.size() - 12))));
  }
}

// ---- names, roles, teams, lives ----

TEST_F(RegistryTest, NamesAreChecked) {
  Add("r-2.d_2");
  Add("a");
  Add(std::string(64, 'a'));
  const std::string broken[] = {"",
                                "Ana",
                                "1ana",
                                "-ana",
                                "ana ",
                                "an/a",
                                "a\nb",
                                "\xc3\xa4na",
                                std::string(65, 'a'),
                                "care",
                                "lab",
                                "break-glass"};
  for (const std::string& name : broken) {
    EXPECT_EQ(TryAdd(name).status().code(), Code::kInvalidArgument) << name;
  }
  EXPECT_THAT(TryAdd("a\x1b[2J").status().message(), Not(HasSubstr("\x1b")));
  EXPECT_EQ(TryAdd("a", {Role::kAgent}).status().code(), Code::kAlreadyExists) << "machines share the names";
}

TEST_F(RegistryTest, RolesAreChecked) {
  using Roles = std::vector<Role>;
  const Roles broken[] = {{},
                          {Role::kLab},
                          {Role::kCode},
                          {Role::kNone},
                          {Role::kUser, Role::kUser},
                          {Role::kUser, Role::kLab},
                          {Role::kAgent, Role::kUser},
                          {Role::kController, Role::kAgent},
                          {Role::kAdmin, Role::kController}};
  for (const Roles& roles : broken) {
    EXPECT_EQ(TryAdd("ana", roles).status().code(), Code::kInvalidArgument);
  }
  Add("ana", {Role::kViewer, Role::kUser, Role::kCi, Role::kTech, Role::kAdmin});
  Add("h01", {Role::kAgent});
  Add("r01", {Role::kController});
}

TEST_F(RegistryTest, TeamsAndLivesAreChecked) {
  NewUser user = Named("ana", {Role::kUser}, {"Apps"});
  EXPECT_EQ(registry_->AddUser(user, now_).status().code(), Code::kInvalidArgument);
  user.teams = {"apps", "apps"};
  EXPECT_EQ(registry_->AddUser(user, now_).status().code(), Code::kInvalidArgument);
  user.teams.clear();
  for (int i = 0; i < 17; ++i) user.teams.push_back("t" + std::to_string(i));
  EXPECT_EQ(registry_->AddUser(user, now_).status().code(), Code::kInvalidArgument);
  user.teams = {"apps"};
  for (const seconds life : {seconds(59), kMaxCodeLife + seconds(1), seconds(-1)}) {
    user.code_life = life;
    EXPECT_EQ(registry_->AddUser(user, now_).status().code(), Code::kInvalidArgument) << life.count();
  }
  user.code_life = seconds(60);
  EXPECT_TRUE(registry_->AddUser(user, now_).ok());
}

// ---- codes ----

TEST_F(RegistryTest, ACodeBecomesAKeyInOneStep) {
  const std::string code = Add("ana");
  EXPECT_THAT(directory_.Find(KeyOf(code), now_)->roles, ElementsAre(Role::kCode));
  EXPECT_THAT(directory_.FindKey(KeyOf(code))->roles, IsEmpty()) << "in the roster it has none";
  const PublicKey key = NewKeyPair().public_key;
  const auto enrolled = Enrol(code, key);
  ASSERT_TRUE(enrolled.ok());
  EXPECT_EQ(enrolled->user.name, "ana");
  EXPECT_THAT(enrolled->secret, IsEmpty());
  EXPECT_THAT(directory_.Find(key, now_)->roles, ElementsAre(Role::kUser));
}

TEST_F(RegistryTest, ALostAnswerIsAskedForAgain) {
  const std::string code = Add("ana");
  const PublicKey key = Enrolled(code);
  const uint64_t number = registry_->number();
  Reopen();
  const auto again = Enrol(code, key);
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_EQ(again->user.name, "ana");
  EXPECT_EQ(again->roster, number) << "nothing was changed twice";
  Pass(kRetryLife);
  EXPECT_EQ(Enrol(code, key).status().code(), Code::kUnauthenticated);
  EXPECT_FALSE(IsLetIn(KeyOf(code)));
  EXPECT_TRUE(IsLetIn(key));
}

TEST_F(RegistryTest, AUsedCodeEnrolsNoOtherKey) {
  const std::string code = Add("ana");
  const PublicKey key = Enrolled(code);
  const PublicKey thief = NewKeyPair().public_key;
  const auto refused = Enrol(code, thief);
  EXPECT_EQ(refused.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(refused.status().message(), HasSubstr(Fingerprint(key)));
  EXPECT_FALSE(IsLetIn(thief));
}

TEST_F(RegistryTest, AnExpiredCodeEnrolsNothing) {
  const std::string code = Add("ana");
  Pass(hours(24));
  const auto refused = Enrol(code, NewKeyPair().public_key);
  EXPECT_EQ(refused.status().code(), Code::kUnauthenticated);
  EXPECT_THAT(refused.status().message(), HasSubstr("expired"));
  EXPECT_FALSE(IsLetIn(KeyOf(code)));
  Add("bob");
  EXPECT_THAT(registry_->FindUser("ana")->keys, IsEmpty()) << "cleared away by the next change";
  EXPECT_EQ(registry_->Enrol(NewKeyPair().public_key, NewKeyPair().public_key, "", now_).status().code(),
            Code::kUnauthenticated);
}

TEST_F(RegistryTest, AKeyBelongsToOneUser) {
  const PublicKey ana = Enrolled(Add("ana"));
  const std::string token = AddToken("ci-apps");
  const std::string open = Add("carol");
  const std::string code = Add("bob");
  for (const PublicKey& taken :
       {ana, KeyOf(token), KeyOf(open), KeyOf(code), server_.public_key, break_glass_.public_key}) {
    EXPECT_EQ(Enrol(code, taken).status().code(), Code::kAlreadyExists);
  }
  EXPECT_EQ(Enrol(code, PublicKey{}).status().code(), Code::kInvalidArgument) << "a point of small order";
  PublicKey one;
  one.bytes[0] = 1;
  EXPECT_EQ(Enrol(code, one).status().code(), Code::kInvalidArgument);
  EXPECT_TRUE(Enrol(code, NewKeyPair().public_key).ok()) << "the code is still good";
  const auto mine = Rotate(Of("ana"));
  EXPECT_EQ(Enrol(mine->secret, ana).status().code(), Code::kAlreadyExists) << "a rotation to the same key is none";
}

TEST_F(RegistryTest, AKeyOrTokenIsNoCode) {
  const PublicKey ana = Enrolled(Add("ana"));
  EXPECT_EQ(registry_->Enrol(ana, NewKeyPair().public_key, "", now_).status().code(), Code::kUnauthenticated);
  EXPECT_EQ(Enrol(AddToken("ci"), NewKeyPair().public_key).status().code(), Code::kUnauthenticated);
}

TEST_F(RegistryTest, MachinesTellWhereTheyAre) {
  const std::string code = Add("r01", {Role::kController});
  ASSERT_TRUE(Enrol(code, NewKeyPair().public_key, "tcp://r01:7720").ok());
  EXPECT_EQ(directory_.FindEndpoint("tcp://r01:7720")->user, "r01");
  ASSERT_TRUE(registry_->FillEndpoint("r01", "tcp://10.0.0.7:7720", now_).ok());
  EXPECT_EQ(directory_.FindEndpoint("tcp://10.0.0.7:7720")->user, "r01");
  const uint64_t number = registry_->number();
  ASSERT_TRUE(registry_->FillEndpoint("r01", "tcp://10.0.0.7:7720", now_).ok());
  EXPECT_EQ(registry_->number(), number);
  EXPECT_EQ(registry_->FillEndpoint("r02", "tcp://x", now_).code(), Code::kNotFound);
  EXPECT_EQ(registry_->FillEndpoint("r01", "tcp://x y", now_).code(), Code::kInvalidArgument);
  const std::string ana = Add("ana");
  ASSERT_TRUE(Enrol(ana, NewKeyPair().public_key, "tcp://evil:1").ok());
  EXPECT_EQ(registry_->FindUser("ana")->endpoint, "") << "a person is found nowhere";
  EXPECT_EQ(registry_->FillEndpoint("ana", "tcp://x", now_).code(), Code::kInvalidArgument);
}

TEST_F(RegistryTest, NobodyTakesAnothersEndpoint) {
  ASSERT_TRUE(Enrol(Add("r01", {Role::kController}), NewKeyPair().public_key, "tcp://r01:7720").ok());
  const std::string code = Add("r02", {Role::kController});
  const PublicKey rogue = NewKeyPair().public_key;
  for (const char* taken : {"tcp://r01:7720", "tcp://lab:7710"}) {
    EXPECT_EQ(Enrol(code, rogue, taken).status().code(), Code::kAlreadyExists) << taken;
    NewUser user = Named("r03", {Role::kController});
    user.endpoint = taken;
    EXPECT_EQ(registry_->AddUser(user, now_).status().code(), Code::kAlreadyExists) << taken;
  }
  ASSERT_TRUE(Enrol(code, rogue, "tcp://r02:7720").ok()) << "the code was not used up";
  EXPECT_EQ(registry_->FillEndpoint("r02", "tcp://lab:7710", now_).code(), Code::kAlreadyExists);
  ASSERT_TRUE(registry_->DisableUser("r01", "broken", now_).ok());
  ASSERT_TRUE(registry_->FillEndpoint("r02", "tcp://r01:7720", now_).ok());
  EXPECT_EQ(directory_.FindEndpoint("tcp://r01:7720")->user, "r02");
  ASSERT_TRUE(registry_->EnableUser("r01", now_).ok()) << "it has lost the endpoint";
  EXPECT_EQ(directory_.FindEndpoint("tcp://r01:7720")->user, "r02");
  ASSERT_TRUE(registry_->FillEndpoint("r01", "tcp://r01:7720", now_).ok()) << "the config is right";
  EXPECT_EQ(directory_.FindEndpoint("tcp://r01:7720")->user, "r01");
  ASSERT_TRUE(registry_->DisableUser("r01", "broken", now_).ok());
  NewUser next = Named("r03", {Role::kController});
  next.endpoint = "tcp://r01:7720";
  ASSERT_TRUE(registry_->AddUser(next, now_).ok()) << "the disabled hold no place";
  EXPECT_EQ(registry_->EnableUser("r01", now_).status().code(), Code::kAlreadyExists);
}

// ---- size ----

TEST_F(RegistryTest, AFullRosterStillTakesRightsAway) {
  std::vector<std::string> teams;
  for (size_t i = 0; i < kMaxTeams; ++i) teams.push_back("t" + std::to_string(10 + i) + std::string(60, 'x'));
  const PublicKey ana = Enrolled(Add("ana"));
  Status full;
  std::string last;
  int users = 0;
  while (full.ok()) {
    ASSERT_LT(users, 1000);
    NewUser user = Named("ci-" + std::to_string(users), {Role::kCi}, teams);
    user.token_life = hours(24 * 30);
    full = registry_->AddUser(user, now_).status();
    if (full.ok()) last = "ci-" + std::to_string(users++);
  }
  EXPECT_EQ(full.code(), Code::kResourceExhausted);
  EXPECT_THAT(full.message(), HasSubstr("what removes rights"));
  EXPECT_GT(registry_->signed_roster().size(), kMaxRosterBytes / 8 * 7 - 2000);
  EXPECT_LE(registry_->signed_roster().size(), kMaxRosterBytes / 8 * 7);
  // Up to the bound with names alone, then nothing more that grows.
  while (TryAdd("u" + std::to_string(users)).ok()) ASSERT_LT(++users, 1000);
  Rotation keep = Of("ana");
  keep.keep = true;
  EXPECT_EQ(Rotate(keep).status().code(), Code::kResourceExhausted);
  const size_t before = registry_->signed_roster().size();
  Rotation now = Of("ana");
  now.now = true;
  ASSERT_TRUE(Rotate(now).ok()) << "a stolen key goes at once";
  EXPECT_FALSE(IsLetIn(ana));
  ASSERT_TRUE(registry_->DisableUser("ana", "left", now_).ok());
  EXPECT_LE(registry_->signed_roster().size(), before + 8);
  ASSERT_TRUE(registry_->DisableUser(last, "left", now_).ok());
  EXPECT_LT(registry_->signed_roster().size(), before - 1000) << "who is disabled needs no teams";
  EXPECT_TRUE(TryAdd("next").ok()) << "there is room again";
}

// ---- tokens ----

TEST_F(RegistryTest, ATokenIsLetInUntilItEnds) {
  const std::string token = AddToken("ci-apps", hours(1));
  EXPECT_EQ(ParseCredential(token)->kind, Credential::Kind::kToken);
  const auto who = directory_.Find(KeyOf(token), now_);
  ASSERT_TRUE(who.ok());
  EXPECT_EQ(who->user, "ci-apps");
  EXPECT_THAT(who->teams, ElementsAre("apps"));
  Pass(hours(1));
  EXPECT_FALSE(IsLetIn(KeyOf(token)));
}

TEST_F(RegistryTest, ATokenNeedsRoleTeamAndEnd) {
  const auto with = [](std::vector<Role> roles, std::vector<std::string> teams, seconds life) {
    NewUser user = Named("ci", std::move(roles), std::move(teams));
    user.token_life = life;
    return user;
  };
  const auto code = [&](const NewUser& user) { return registry_->AddUser(user, now_).status().code(); };
  EXPECT_EQ(code(with({Role::kUser}, {"apps"}, hours(1))), Code::kInvalidArgument);
  EXPECT_EQ(code(with({Role::kCi, Role::kAdmin}, {"apps"}, hours(1))), Code::kInvalidArgument);
  EXPECT_EQ(code(with({Role::kAgent}, {"apps"}, hours(1))), Code::kInvalidArgument);
  EXPECT_EQ(code(with({Role::kCi}, {}, hours(1))), Code::kInvalidArgument);
  EXPECT_EQ(code(with({Role::kCi}, {"apps"}, seconds(59))), Code::kInvalidArgument);
  EXPECT_EQ(code(with({Role::kCi}, {"apps"}, kMaxTokenLife + seconds(1))), Code::kInvalidArgument);
  NewUser both = with({Role::kCi}, {"apps"}, hours(1));
  both.code_life = hours(1);
  EXPECT_EQ(code(both), Code::kInvalidArgument);
  EXPECT_EQ(code(with({Role::kCi, Role::kViewer}, {"apps"}, hours(1))), Code::kOk);
}

TEST_F(RegistryTest, WhoHasATokenKeepsItsRoleAndTeam) {
  AddToken("ci-apps", hours(1));
  EXPECT_EQ(registry_->SetUser({"ci-apps", {Role::kAdmin}, {}, false}, now_).status().code(),
            Code::kFailedPrecondition);
  EXPECT_EQ(registry_->SetUser({"ci-apps", {}, {}, true}, now_).status().code(), Code::kFailedPrecondition);
  EXPECT_TRUE(registry_->SetUser({"ci-apps", {Role::kViewer}, {"radio"}, false}, now_).ok());
  Pass(hours(1));
  EXPECT_TRUE(registry_->SetUser({"ci-apps", {Role::kAdmin}, {}, false}, now_).ok()) << "it has none any more";
}

// ---- changes to a user ----

TEST_F(RegistryTest, RolesAndTeamsAreSetAtOnce) {
  const PublicKey ana = Enrolled(Add("ana"));
  ASSERT_TRUE(registry_->SetUser({"ana", {Role::kTech}, {"apps"}, false}, now_).ok());
  EXPECT_THAT(directory_.Find(ana, now_)->roles, ElementsAre(Role::kTech));
  ASSERT_TRUE(registry_->SetUser({"ana", {}, {}, true}, now_).ok());
  EXPECT_THAT(directory_.Find(ana, now_)->roles, ElementsAre(Role::kTech)) << "as they were";
  EXPECT_THAT(directory_.Find(ana, now_)->teams, IsEmpty());
  const uint64_t number = registry_->number();
  EXPECT_TRUE(registry_->SetUser({"ana", {Role::kTech}, {}, false}, now_).ok());
  EXPECT_EQ(registry_->number(), number) << "what already is";
  EXPECT_EQ(registry_->SetUser({"bob", {Role::kTech}, {}, false}, now_).status().code(), Code::kNotFound);
  EXPECT_EQ(registry_->SetUser({"ana", {Role::kLab}, {}, false}, now_).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(registry_->SetUser({"ana", {Role::kAgent}, {}, false}, now_).status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(registry_->SetUser({"ana", {}, {"apps"}, true}, now_).status().code(), Code::kInvalidArgument);
  Add("h01", {Role::kAgent});
  EXPECT_EQ(registry_->SetUser({"h01", {Role::kUser}, {}, false}, now_).status().code(), Code::kFailedPrecondition);
}

TEST_F(RegistryTest, TheDisabledAreRefusedWithAllTheyHave) {
  const PublicKey ana = Enrolled(Add("ana"));
  Rotation more = Of("ana");
  more.keep = true;
  const std::string code = Rotate(more)->secret;
  EXPECT_EQ(registry_->DisableUser("ana", "", now_).status().code(), Code::kInvalidArgument);
  const auto disabled = registry_->DisableUser("ana", "left the company", now_);
  ASSERT_TRUE(disabled.ok());
  EXPECT_TRUE(disabled->user.disabled);
  EXPECT_FALSE(IsLetIn(ana));
  EXPECT_FALSE(IsLetIn(KeyOf(code)));
  EXPECT_EQ(Enrol(code, NewKeyPair().public_key).status().code(), Code::kUnauthenticated);
  EXPECT_EQ(Rotate(Of("ana")).status().code(), Code::kFailedPrecondition);
  ASSERT_TRUE(registry_->DisableUser("ana", "left the company", now_).ok());
  EXPECT_EQ(registry_->number(), disabled->roster) << "twice is once";
  ASSERT_TRUE(registry_->EnableUser("ana", now_).ok());
  EXPECT_TRUE(IsLetIn(ana));
  EXPECT_EQ(registry_->FindUser("ana")->reason, "");
  EXPECT_EQ(registry_->DisableUser("bob", "x", now_).status().code(), Code::kNotFound);
}

TEST_F(RegistryTest, OldKeysOfTheDisabledGoBeforeTheyAreEnabled) {
  const PublicKey stolen = Enrolled(Add("ana"));
  ASSERT_TRUE(registry_->DisableUser("ana", "laptop lost", now_).ok());
  Rotation now = Of("ana");
  now.now = true;
  const auto rotated = Rotate(now);
  ASSERT_TRUE(rotated.ok()) << rotated.status().message();
  EXPECT_EQ(Enrol(rotated->secret, NewKeyPair().public_key).status().code(), Code::kUnauthenticated)
      << "still disabled";
  ASSERT_TRUE(registry_->EnableUser("ana", now_).ok());
  EXPECT_FALSE(IsLetIn(stolen));
  EXPECT_TRUE(IsLetIn(Enrolled(rotated->secret)));
}

TEST_F(RegistryTest, TheLastAdminMayGoButItIsSaid) {
  Add("ana", {Role::kAdmin});
  Add("bob", {Role::kAdmin, Role::kUser});
  EXPECT_THAT(registry_->DisableUser("bob", "left", now_)->note, IsEmpty());
  EXPECT_THAT(registry_->DisableUser("ana", "left", now_)->note, HasSubstr("no enabled admin"));
  EXPECT_THAT(registry_->EnableUser("bob", now_)->note, IsEmpty());
  EXPECT_THAT(registry_->SetUser({"bob", {Role::kUser}, {}, false}, now_)->note, HasSubstr("no enabled admin"));
}

// ---- rotation ----

TEST_F(RegistryTest, OldKeysGoWhenTheNewOneIsEnrolled) {
  const PublicKey old = Enrolled(Add("ana"));
  const std::string lost = Rotate(Of("ana"))->secret;
  const std::string code = Rotate(Of("ana"))->secret;
  EXPECT_FALSE(IsLetIn(KeyOf(lost))) << "a newer code replaces an open one";
  EXPECT_TRUE(IsLetIn(old));
  const PublicKey fresh = Enrolled(code);
  EXPECT_FALSE(IsLetIn(old));
  EXPECT_TRUE(IsLetIn(fresh));
  EXPECT_TRUE(Enrol(code, fresh).ok()) << "a lost answer, asked for again";
  EXPECT_TRUE(IsLetIn(fresh));
}

TEST_F(RegistryTest, OldKeysGoAtOnceWithNow) {
  const PublicKey old = Enrolled(Add("ana"));
  Rotation now = Of("ana");
  now.now = true;
  const std::string code = Rotate(now)->secret;
  EXPECT_FALSE(IsLetIn(old));
  EXPECT_TRUE(IsLetIn(Enrolled(code)));
  now.keep = true;
  EXPECT_EQ(Rotate(now).status().code(), Code::kInvalidArgument);
}

TEST_F(RegistryTest, WithKeepAnotherKeyStandsBeside) {
  const PublicKey old = Enrolled(Add("ana"));
  Rotation keep = Of("ana");
  keep.keep = true;
  const std::string laptop = Rotate(keep)->secret;
  const std::string bench = Rotate(keep)->secret;
  const PublicKey second = Enrolled(laptop);
  const PublicKey third = Enrolled(bench);
  for (const PublicKey& key : {old, second, third}) EXPECT_TRUE(IsLetIn(key));
  const PublicKey only = Enrolled(Rotate(Of("ana"))->secret);
  for (const PublicKey& key : {old, second, third}) EXPECT_FALSE(IsLetIn(key));
  EXPECT_TRUE(IsLetIn(only));
}

TEST_F(RegistryTest, AnUnusedRotationChangesNothing) {
  const PublicKey old = Enrolled(Add("ana"));
  ASSERT_TRUE(Rotate(Of("ana")).ok());
  Pass(hours(25));
  Rotation keep = Of("ana");
  keep.keep = true;
  Enrolled(Rotate(keep)->secret);
  EXPECT_TRUE(IsLetIn(old)) << "the code that would have removed it was never used";
}

TEST_F(RegistryTest, KeysOfOneUserAreBounded) {
  Add("ana");
  Rotation keep = Of("ana");
  keep.keep = true;
  int made = 1;
  while (Rotate(keep).ok()) ASSERT_LT(++made, 100);
  EXPECT_EQ(made, static_cast<int>(kMaxKeysOfUser));
  EXPECT_EQ(Rotate(keep).status().code(), Code::kResourceExhausted);
  EXPECT_TRUE(Rotate(Of("ana")).ok()) << "as it says";
}

TEST_F(RegistryTest, AReplacedTokenWorksOnForADay) {
  const PublicKey old = KeyOf(AddToken("ci"));
  Rotation rotation = Of("ci");
  rotation.token_life = hours(24 * 90);
  const auto rotated = Rotate(rotation);
  ASSERT_TRUE(rotated.ok()) << rotated.status().message();
  EXPECT_THAT(rotated->note, HasSubstr("24 h"));
  EXPECT_TRUE(IsLetIn(old));
  EXPECT_TRUE(IsLetIn(KeyOf(rotated->secret)));
  Pass(kTokenOverlap);
  EXPECT_FALSE(IsLetIn(old));
  rotation.now = true;
  const PublicKey third = KeyOf(Rotate(rotation)->secret);
  EXPECT_FALSE(IsLetIn(KeyOf(rotated->secret)));
  EXPECT_TRUE(IsLetIn(third));
}

TEST_F(RegistryTest, NoTokenProlongsItself) {
  AddToken("ci", hours(24));
  Rotation self = Of("ci");
  self.by_self = true;
  EXPECT_EQ(Rotate(self).status().code(), Code::kPermissionDenied) << "a code makes a key without an end";
  self.token_life = hours(24 * 90);
  const PublicKey next = KeyOf(Rotate(self)->secret);
  EXPECT_TRUE(IsLetIn(next));
  Pass(hours(24));
  EXPECT_FALSE(IsLetIn(next)) << "it ends with the one that asked";
  EXPECT_EQ(Rotate(self).status().code(), Code::kPermissionDenied);
  Add("carol", {Role::kCi});
  Rotation first = Of("carol");
  first.by_self = true;
  first.token_life = hours(1);
  EXPECT_EQ(Rotate(first).status().code(), Code::kPermissionDenied);
  first.token_life = seconds(0);
  EXPECT_TRUE(Rotate(first).ok());
}

// ---- signers and numbers ----

TEST_F(RegistryTest, TheOldSignerIntroducesTheNew) {
  const PublicKey old = registry_->signer();
  ASSERT_TRUE(registry_->RotateSigner(now_).ok());
  const auto introduces = OpenRoster(registry_->signed_roster(), std::vector{old});
  ASSERT_TRUE(introduces.ok()) << "signed by the old one";
  ASSERT_EQ(introduces->signers.size(), 2U);
  Add("ana");
  EXPECT_NE(registry_->signer(), old);
  EXPECT_THAT(introduces->signers, testing::Contains(registry_->signer()));
  EXPECT_FALSE(OpenRoster(registry_->signed_roster(), std::vector{old}).ok());
  const auto next = OpenRoster(registry_->signed_roster(), std::vector{registry_->signer()});
  EXPECT_THAT(next->signers, ElementsAre(registry_->signer()));
  Reopen();
  Add("bob");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "keys/signer.next.key"));
}

TEST_F(RegistryTest, TheReplacementOutlivesARestart) {
  const PublicKey old = registry_->signer();
  ASSERT_TRUE(registry_->RotateSigner(now_).ok());
  Reopen();
  EXPECT_EQ(registry_->signer(), old);
  Add("ana");
  EXPECT_NE(registry_->signer(), old);
  Reopen();
  EXPECT_NE(registry_->signer(), old);
}

// As after a crash between `users` and the renaming of the key.
TEST_F(RegistryTest, AHalfDoneReplacementIsFinishedAtTheStart) {
  const std::string signer = folder_ / "keys/signer.key";
  const std::string next = folder_ / "keys/signer.next.key";
  const std::string old = Text("keys/signer.key");
  ASSERT_TRUE(registry_->RotateSigner(now_).ok());
  Add("ana");
  std::filesystem::rename(signer, next);
  std::ofstream(signer) << old;
  ::chmod(signer.c_str(), 0600);
  Reopen();
  EXPECT_FALSE(std::filesystem::exists(next));
  Add("bob");
}

TEST_F(RegistryTest, WhoMissedRostersIsLedFromSignerToSigner) {
  RosterFile receiver = *RosterFile::Load(folder_ / "receiver/roster");
  ASSERT_TRUE(receiver.Adopt(registry_->signed_roster()).ok());
  RosterFile up_to_date = *RosterFile::Load(folder_ / "other/roster");
  ASSERT_TRUE(up_to_date.Adopt(registry_->signed_roster()).ok());
  const auto bring = [this](RosterFile* file) {
    int steps = 0;
    for (;;) {
      const std::string& next = registry_->RosterAfter(file->number());
      if (next.empty()) return steps;
      EXPECT_TRUE(file->Accept(next).ok());
      if (++steps > 20) return steps;
    }
  };
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(registry_->RotateSigner(now_).ok());
    EXPECT_EQ(bring(&up_to_date), 1);
    Add("u" + std::to_string(i));
    Add("v" + std::to_string(i));
    EXPECT_EQ(bring(&up_to_date), 1);
  }
  Reopen();
  EXPECT_EQ(receiver.Accept(registry_->signed_roster()).code(), Code::kPermissionDenied)
      << "the newest alone is foreign";
  EXPECT_EQ(bring(&receiver), 4) << "three introductions and the newest";
  EXPECT_EQ(receiver.number(), registry_->number());
  EXPECT_EQ(up_to_date.number(), registry_->number());
}

TEST_F(RegistryTest, AfterARestoreNumbersGoOnBeyondWhatReceiversHave) {
  Add("ana");
  Add("eve");
  std::filesystem::copy_file(folder_ / "users", folder_ / "copy");
  Add("bob");
  Add("carol");
  ASSERT_TRUE(registry_->DisableUser("eve", "left", now_).ok());
  const std::string seen = registry_->signed_roster();
  const uint64_t number = registry_->number();
  std::filesystem::rename(folder_ / "copy", folder_ / "users");
  Reopen();
  std::string told;
  registry_->OnChange([&] { told = registry_->restored(), Obey(); });
  ASSERT_LT(registry_->number(), number);
  EXPECT_EQ(registry_->SeeRoster(*SignRoster(registry_->roster(), NewSecret()), now_).code(), Code::kPermissionDenied);
  ASSERT_TRUE(registry_->SeeRoster(seen, now_).ok());
  EXPECT_EQ(registry_->number(), number + 1);
  EXPECT_THAT(told, HasSubstr("roster 3 was in it, roster " + std::to_string(number) + " is in force elsewhere"));
  EXPECT_THAT(registry_->restored(), IsEmpty());
  EXPECT_FALSE(registry_->FindUser("ana")->disabled);
  EXPECT_TRUE(registry_->FindUser("eve")->disabled) << "as the newer roster said";
  ASSERT_TRUE(registry_->SeeRoster(seen, now_).ok());
  EXPECT_EQ(registry_->number(), number + 1);
}

}  // namespace
}  // namespace faraday::access
