#include "access/credential.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace faraday::access {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const PublicKey kServer = NewKeyPair().public_key;

std::string Upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) { return static_cast<char>(toupper(c)); });
  return text;
}

TEST(Credential, BothSidesMakeOneKeyOfACode) {
  const NewCredential made = NewCode(kServer);
  EXPECT_THAT(made.text, StartsWith("fcode-"));
  const auto parsed = ParseCredential(made.text);
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(parsed->kind, Credential::Kind::kCode);
  EXPECT_EQ(parsed->server_key, kServer);
  EXPECT_EQ(parsed->keys.public_key, made.key);
  EXPECT_EQ(KeyPairOf(parsed->keys.secret_key).public_key, made.key);
  EXPECT_NE(NewCode(kServer).text, made.text);
}

TEST(Credential, ATokenIsOneWordWithItsServer) {
  const NewCredential made = NewToken(kServer);
  EXPECT_THAT(made.text, StartsWith("ftoken-"));
  EXPECT_THAT(made.text.substr(7), Not(HasSubstr("-")));
  const auto parsed = ParseCredential(made.text + "\n");
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(parsed->kind, Credential::Kind::kToken);
  EXPECT_EQ(parsed->server_key, kServer);
  EXPECT_EQ(parsed->keys.public_key, made.key);
}

// The form, made once by other means (Python's hashlib and the ladder of RFC 7748): server key 00 01 .. 1f, secret a0
// .. af of the code, c0 .. df of the token. Codes that are on their way must stay good across versions.
TEST(Credential, HasThisForm) {
  const auto code = ParseCredential(
      "fcode-000g40r-40m30e2-09185gr-38e1w81-24gk2ga-hc5rr34-d1p70x3-rft18d2-mejab9n-7n2mtna-xcnpqay-tgt4r");
  ASSERT_TRUE(code.ok()) << code.status().message();
  EXPECT_EQ(ToHex(code->server_key), "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
  EXPECT_EQ(ToHex(code->keys.public_key), "2739019e4060d86781c7981670872fb50e6552ceca70fdbff3631e9497e4505b");
  const auto token = ParseCredential(
      "ftoken-"
      "000g40r40m30e209185gr38e1w8124gk2gahc5rr34d1p70x3rfw1ge2rf2cbhp7s34wnjycsq7czm6htb9x9neptzcdkppvvkexxqwwwr7g");
  ASSERT_TRUE(token.ok()) << token.status().message();
  EXPECT_EQ(token->server_key, code->server_key);
  EXPECT_EQ(ToHex(token->keys.public_key), "dc2cca31e8e43bbd91dff7e475cca3347eb478107d5bd765aba4ae4a30c35d44");
}

TEST(Credential, IsReadAsPeopleTypeIt) {
  const NewCredential made = NewCode(kServer);
  std::string typed = made.text;
  for (char& c : typed) {  // what people take for a 0 and a 1
    if (&c - typed.data() < 6) continue;
    if (c == '0') c = 'O';
    if (c == '1') c = &c - typed.data() > 40 ? 'l' : 'I';
  }
  std::string plain = made.text;
  plain.erase(std::remove(plain.begin() + 6, plain.end(), '-'), plain.end());
  std::string broken = made.text;
  broken.insert(50, "\r\n  ");
  for (const std::string& text : {typed, plain, broken, Upper(made.text), "  " + made.text + " \n"}) {
    const auto parsed = ParseCredential(text);
    ASSERT_TRUE(parsed.ok()) << parsed.status().message();
    EXPECT_EQ(parsed->keys.public_key, made.key);
  }
}

// Every single wrong letter is told as a typing error, and no error repeats the secret.
TEST(Credential, AnyMistypedLetterIsToldAndNotRepeated) {
  for (const std::string& text : {NewCode(kServer).text, NewToken(kServer).text}) {
    for (size_t at = text.find('-') + 1; at < text.size(); ++at) {
      if (text[at] == '-') continue;
      std::string wrong = text;
      wrong[at] = text[at] == '7' ? 'q' : '7';
      const auto parsed = ParseCredential(wrong);
      ASSERT_EQ(parsed.status().code(), Code::kInvalidArgument) << at;
      EXPECT_THAT(parsed.status().message(), HasSubstr("mistyped"));
      EXPECT_THAT(parsed.status().message(), Not(HasSubstr(text.substr(60, 6))));
    }
  }
}

// The last letter holds one bit of the code and four that must be zero.
TEST(Credential, HasOneSpelling) {
  std::string text = NewCode(kServer).text;
  int good = 0;
  for (const char c : std::string("0123456789abcdefghjkmnpqrstvwxyz")) {
    text.back() = c;
    good += ParseCredential(text).ok() ? 1 : 0;
  }
  EXPECT_EQ(good, 1);
}

TEST(Credential, WhatIsMissingIsSaid) {
  const std::string code = NewCode(kServer).text;
  const auto why = [](const std::string& text) { return ParseCredential(text).status().message(); };
  EXPECT_THAT(why(""), HasSubstr("empty"));
  EXPECT_THAT(why(" \n"), HasSubstr("empty"));
  EXPECT_THAT(why(code.substr(6)), HasSubstr("begins with 'fcode-'"));
  EXPECT_THAT(why(code.substr(0, code.size() - 4)), HasSubstr("a part is missing"));
  EXPECT_THAT(why(code + "77"), HasSubstr("something is added"));
  EXPECT_THAT(why("fcode-abc!def"), HasSubstr("place 4"));
  EXPECT_THAT(why("ftoken-" + code.substr(6)), HasSubstr("token"));
  EXPECT_THAT(why("fcode-" + std::string(100'000, 'a')), HasSubstr("too long"));
  EXPECT_THAT(why(std::string("fcode-\0\xff", 8)), HasSubstr("place 1"));
}

TEST(Credential, AreHiddenInWordsOfOthers) {
  const std::string code = NewCode(kServer).text;
  const std::string token = NewToken(kServer).text;
  EXPECT_EQ(HideCredentials("login --code " + Upper(code) + ", " + token + "; ana"),
            "login --code fcode-..., ftoken-...; ana");
  EXPECT_EQ(HideCredentials("a code begins with fcode-"), "a code begins with fcode-");
}

}  // namespace
}  // namespace faraday::access
