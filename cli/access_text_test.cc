#include "cli/access_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

namespace faraday::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kNow = 1'795'435'200'000;  // 2026-11-23T12:00Z
constexpr int64_t kHour = 3'600'000;

class AccessText : public ::testing::Test {
 protected:
  AccessText() {
    setenv("TZ", "UTC", 1);
    tzset();
  }
};

v1::User Ana() {
  v1::User user;
  user.set_name("ana");
  user.add_roles("user");
  user.add_roles("tech");
  user.add_teams("apps");
  auto& key = *user.add_keys();
  key.set_fingerprint("9f3a-77c1-0b2e-44d0");
  key.set_since_utc_ms(kNow - 72 * kHour);
  return user;
}

TEST_F(AccessText, UsersAreATable) {
  v1::ListUsersResult users;
  *users.add_users() = Ana();
  auto& bob = *users.add_users();
  bob.set_name("bob");
  bob.add_roles("user");
  bob.add_keys()->set_enrols(true);
  bob.mutable_keys(0)->set_expires_utc_ms(kNow + kHour);
  EXPECT_EQ(RenderUsers(users, kNow),
            "USER  ROLES      TEAMS  STATE                  KEYS\n"
            "ana   user,tech  apps   enabled                9f3a-77c1-0b2e-44d0 since 3d\n"
            "bob   user       -      has not logged in yet  open code until 13:00\n");
}

TEST_F(AccessText, KeysSayWhatTheyAreAndUntilWhen) {
  v1::User::Key key = Ana().keys(0);
  key.set_token(true);
  key.set_expires_utc_ms(kNow + 24 * kHour);
  EXPECT_EQ(KeyWords(key, kNow), "token 9f3a-77c1-0b2e-44d0 since 3d, until 24 Nov 12:00");
  EXPECT_THAT(KeyWords(key, kNow + 48 * kHour), HasSubstr("expired 24 Nov 12:00"));
}

TEST_F(AccessText, DisabledSaysWhy) {
  v1::User user = Ana();
  user.set_disabled(true);
  user.set_reason("left");
  EXPECT_EQ(StateWords(user), "disabled: left");
}

TEST_F(AccessText, WhoAmITellsRolesKeyAndSecurity) {
  v1::WhoAmIResult who;
  who.set_user("ana");
  who.set_server("lab");
  who.add_roles("user");
  who.set_fingerprint("9f3a-77c1-0b2e-44d0");
  who.set_security("CURVE");
  EXPECT_EQ(RenderWhoAmI(who, "tcp://lab:7710", "1111-2222-3333-4444", kNow),
            "ana at lab (tcp://lab:7710)\n"
            "  roles     user\n"
            "  teams     -\n"
            "  your key  9f3a-77c1-0b2e-44d0, does not expire\n"
            "  its key   1111-2222-3333-4444\n"
            "lab: CURVE\n");
  who.set_break_glass(true);
  who.set_security("plain text, loopback only");
  EXPECT_THAT(RenderWhoAmI(who, "tcp://lab:7710", "", kNow),
              AllOf(HasSubstr("break-glass"),
                    HasSubstr("WARNING: lab speaks plain text, loopback only"),
                    Not(HasSubstr("its key"))));
}

}  // namespace
}  // namespace faraday::cli
