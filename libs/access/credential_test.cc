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
