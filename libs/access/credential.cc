#include "access/credential.h"

#include <fmt/core.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "base/check.h"

namespace faraday::access {
namespace {

// Crockford's alphabet: no i, l, o, u.
constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr size_t kChecksumBytes = 3;
constexpr size_t kCodeSecretBytes = 16;
constexpr size_t kGroup = 7;  // letters between dashes (chosen)
constexpr size_t kLongestText = 512;
constexpr std::string_view kCodeLabel = "faraday.v1 enrolment code";
constexpr std::string_view kChecksumLabel = "faraday.v1 typing error";

struct Form {
  Credential::Kind kind;
  std::string_view prefix;
  std::string_view name;
  size_t secret_bytes;
  bool grouped;  // codes are read aloud and typed, tokens are copied whole
  size_t bytes() const { return kKeyBytes + secret_bytes + kChecksumBytes; }
  size_t letters() const { return (bytes() * 8 + 4) / 5; }
};

constexpr std::array<Form, 2> kForms = {{
    {Credential::Kind::kCode, "fcode-", "enrolment code", kCodeSecretBytes, true},
    {Credential::Kind::kToken, "ftoken-", "token", kKeyBytes, false},
}};

const Form& FormOf(Credential::Kind kind) { return kForms[static_cast<size_t>(kind)]; }

// Bytes that are wiped when they go.
struct Wiped {
  explicit Wiped(size_t size) : bytes(size) {}
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  ~Wiped() { sodium_memzero(bytes.data(), bytes.size()); }
  std::vector<uint8_t> bytes;
};

const unsigned char* Raw(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

std::array<uint8_t, kKeyBytes> Digest(std::string_view label, std::string_view more, std::span<const uint8_t> bytes) {
  std::array<uint8_t, kKeyBytes> digest{};
  crypto_generichash_state state;
  crypto_generichash_init(&state, Raw(label), label.size(), digest.size());
  crypto_generichash_update(&state, Raw(more), more.size());
  crypto_generichash_update(&state, bytes.data(), bytes.size());
  crypto_generichash_final(&state, digest.data(), digest.size());
  sodium_memzero(&state, sizeof state);
  return digest;
}

std::array<uint8_t, kKeyBytes> Checksum(const Form& form, std::span<const uint8_t> bytes) {
  return Digest(kChecksumLabel, form.prefix, bytes);
}

std::string Encode(std::span<const uint8_t> bytes) {
  std::string text;
  unsigned held = 0;
  int bits = 0;
  for (const uint8_t byte : bytes) {
    held = (held << 8 | byte) & 0xfffU;
    for (bits += 8; bits >= 5; bits -= 5) text += kAlphabet[held >> (bits - 5) & 31U];
  }
  if (bits > 0) text += kAlphabet[held << (5 - bits) & 31U];
  return text;
}

char Plain(char letter) {
  if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  if (letter == 'o') return '0';
  return letter == 'i' || letter == 'l' ? '1' : letter;
}

bool IsFiller(char letter) {
  return letter == '-' || letter == ' ' || letter == '\t' || letter == '\r' || letter == '\n';
}

// The letters without fillers, in their plain form; nullopt and the position (from 1) of one that is none.
std::optional<std::string> Letters(std::string_view text, size_t* bad) {
  std::string letters;
  for (size_t i = 0; i < text.size(); ++i) {
    if (IsFiller(text[i])) continue;
    letters += Plain(text[i]);
    if (kAlphabet.find(letters.back()) != std::string_view::npos) continue;
    *bad = i + 1;
    sodium_memzero(letters.data(), letters.size());
    return std::nullopt;
  }
  return letters;
}

// Into `bytes`; false when bits are left over that are not zero.
bool Decode(std::string_view letters, std::vector<uint8_t>* bytes) {
  unsigned held = 0;
  int bits = 0;
  size_t at = 0;
  for (const char letter : letters) {
    held = (held << 5 | static_cast<unsigned>(kAlphabet.find(letter))) & 0xfffU;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    (*bytes)[at++] = static_cast<uint8_t>(held >> bits & 0xffU);
  }
  return (held & ((1U << bits) - 1U)) == 0;
}

std::string Grouped(const std::string& letters) {
  std::string text;
  for (size_t i = 0; i < letters.size(); ++i) {
    if (i != 0 && i % kGroup == 0) text += '-';
    text += letters[i];
  }
  return text;
}

KeyPair KeysOf(const Form& form, std::span<const uint8_t> server_key, std::span<const uint8_t> secret) {
  std::array<uint8_t, kKeyBytes> stretched{};
  if (form.kind == Credential::Kind::kToken) {
    std::copy(secret.begin(), secret.end(), stretched.begin());
  } else {
    Wiped both(0);
    both.bytes.assign(secret.begin(), secret.end());
    both.bytes.insert(both.bytes.end(), server_key.begin(), server_key.end());
    stretched = Digest(kCodeLabel, "", both.bytes);
  }
  KeyPair keys = KeyPairOf(SecretKey{stretched});
  sodium_memzero(stretched.data(), stretched.size());
  return keys;
}

NewCredential Make(const Form& form, const PublicKey& server_key) {
  FARADAY_CHECK(sodium_init() >= 0);
  Wiped all(form.bytes());
  const std::span<uint8_t> bytes(all.bytes);
  std::copy(server_key.bytes.begin(), server_key.bytes.end(), bytes.begin());
  const auto secret = bytes.subspan(kKeyBytes, form.secret_bytes);
  randombytes_buf(secret.data(), secret.size());
  const auto checksum = Checksum(form, bytes.first(kKeyBytes + form.secret_bytes));
  std::copy_n(checksum.begin(), kChecksumBytes, bytes.last(kChecksumBytes).begin());
  const std::string letters = Encode(bytes);
  return {std::string(form.prefix) + (form.grouped ? Grouped(letters) : letters),
          KeysOf(form, server_key.bytes, secret).public_key};
}

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), text.begin(), [](char p, char t) {
           return p == (t >= 'A' && t <= 'Z' ? static_cast<char>(t - 'A' + 'a') : t);
         });
}

Status Bad(const Form& form, const std::string& why) {
  return {Code::kInvalidArgument, fmt::format("this is no {}: {}", form.name, why)};
}

Result<Credential> Parse(const Form& form, std::string_view text) {
  size_t bad = 0;
  auto letters = Letters(text, &bad);
  if (!letters) {
    return Bad(form,
               fmt::format("the character in place {} after '{}' is no letter or digit of one", bad, form.prefix));
  }
  if (letters->size() != form.letters()) {
    const size_t size = letters->size();
    sodium_memzero(letters->data(), letters->size());
    return Bad(form,
               fmt::format("it has {} letters and digits after '{}', not {}: {}",
                           size,
                           form.prefix,
                           form.letters(),
                           size < form.letters() ? "a part is missing" : "something is added"));
  }
  Wiped all(form.bytes());
  const bool whole = Decode(*letters, &all.bytes);
  sodium_memzero(letters->data(), letters->size());
  const std::span<const uint8_t> bytes(all.bytes);
  const auto checksum = Checksum(form, bytes.first(kKeyBytes + form.secret_bytes));
  if (!whole || !std::equal(checksum.begin(), checksum.begin() + kChecksumBytes, bytes.last(kChecksumBytes).begin())) {
    return Bad(form, "its checksum does not fit, so it was mistyped or damaged: compare it, or copy it whole");
  }
  Credential credential{
      form.kind, {}, KeysOf(form, bytes.first(kKeyBytes), bytes.subspan(kKeyBytes, form.secret_bytes))};
  std::copy_n(bytes.begin(), kKeyBytes, credential.server_key.bytes.begin());
  return credential;
}

}  // namespace

NewCredential NewCode(const PublicKey& server_key) { return Make(FormOf(Credential::Kind::kCode), server_key); }

NewCredential NewToken(const PublicKey& server_key) { return Make(FormOf(Credential::Kind::kToken), server_key); }

Result<Credential> ParseCredential(std::string_view text) {
  FARADAY_CHECK(sodium_init() >= 0);
  while (!text.empty() && IsFiller(text.front())) text.remove_prefix(1);
  if (text.empty()) return Status(Code::kInvalidArgument, "the enrolment code or token is empty");
  if (text.size() > kLongestText) {
    return Status(Code::kInvalidArgument, "this is no enrolment code or token: it is far too long");
  }
  for (const Form& form : kForms) {
    if (StartsWith(text, form.prefix)) return Parse(form, text.substr(form.prefix.size()));
  }
  return Status(
      Code::kInvalidArgument,
      "this is no enrolment code or token: a code begins with 'fcode-', a token with 'ftoken-'; copy it whole");
}

std::string HideCredentials(std::string_view text) {
  std::string hidden;
  while (!text.empty()) {
    const auto form =
        std::find_if(kForms.begin(), kForms.end(), [text](const Form& f) { return StartsWith(text, f.prefix); });
    if (form == kForms.end()) {
      hidden += text.front();
      text.remove_prefix(1);
      continue;
    }
    text.remove_prefix(form->prefix.size());
    const size_t before = text.size();
    while (!text.empty() && (text.front() == '-' || kAlphabet.find(Plain(text.front())) != std::string_view::npos)) {
      text.remove_prefix(1);
    }
    hidden += form->prefix;
    if (text.size() != before) hidden += "...";
  }
  return hidden;
}

}  // namespace faraday::access
