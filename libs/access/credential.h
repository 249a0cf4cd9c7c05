// The two secrets that people copy by hand: enrolment codes and CI tokens, as texts. Any thread.
//
//   fcode-XXXXXXX-XXXXXXX-...   a one-time enrolment code: server's public key, 16 secret bytes, checksum
//   ftoken-XXXX...              a long-lived secret for CI: server's public key, 32 secret bytes, checksum
//
// Base32 (Crockford: 0-9 a-z without i l o u; o reads as 0, i and l as 1), upper or lower case, dashes and white space
// ignored. The checksum tells a typing error from a code that the server does not know. A code never travels on the
// wire: both sides derive the same key pair of it (keyed BLAKE2b over secret and server key), so whoever holds it also
// knows the right server.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "access/key.h"
#include "base/result.h"

namespace faraday::access {

struct Credential {
  enum class Kind : uint8_t { kCode, kToken };
  Kind kind = Kind::kCode;
  PublicKey server_key;  // of the server that made it
  KeyPair keys;          // what its bearer presents
};

struct NewCredential {
  std::string text;  // shown once
  PublicKey key;     // what the server keeps
};

NewCredential NewCode(const PublicKey& server_key);
NewCredential NewToken(const PublicKey& server_key);

// kInvalidArgument for a text that is none: says what is wrong (no prefix, too short, mistyped) and never repeats it.
Result<Credential> ParseCredential(std::string_view text);

// A copy of `text` in which every code and token is replaced by "fcode-..." or "ftoken-...": for logs and errors that
// carry words of others.
std::string HideCredentials(std::string_view text);

}  // namespace faraday::access
