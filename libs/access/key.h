// Keys: Curve25519 pairs for the sockets, Ed25519 pairs for the roster's signature; their files. libsodium does the
// mathematics. Any thread.
//
// A key file is text, readable by its owner alone (mode 0600); every read checks that.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace faraday::access {

inline constexpr size_t kKeyBytes = 32;

// A public key: of a socket (Curve25519), or of a signer (Ed25519). Texts show it as 64 hex digits.
struct PublicKey {
  std::array<uint8_t, kKeyBytes> bytes{};
  auto operator<=>(const PublicKey&) const = default;
};

// 32 secret bytes, wiped when they go.
class SecretKey {
 public:
  SecretKey() = default;
  explicit SecretKey(std::span<const uint8_t, kKeyBytes> bytes);
  SecretKey(const SecretKey&) = default;
  SecretKey& operator=(const SecretKey&) = default;
  ~SecretKey();
  const std::array<uint8_t, kKeyBytes>& bytes() const { return bytes_; }

 private:
  std::array<uint8_t, kKeyBytes> bytes_{};
};

struct KeyPair {
  PublicKey public_key;
  SecretKey secret_key;
};

// A fresh pair for a socket.
KeyPair NewKeyPair();
// The pair of a secret: one-time codes and tokens are such secrets.
KeyPair KeyPairOf(const SecretKey& secret);
// 32 random bytes.
SecretKey NewSecret();

// A signer is its 32-byte seed.
PublicKey SignerOf(const SecretKey& seed);
std::string Sign(const SecretKey& seed, std::string_view message);  // 64 bytes
bool Verify(const PublicKey& signer, std::string_view message, std::string_view signature);

std::string ToHex(std::span<const uint8_t> bytes);
inline std::string ToHex(const PublicKey& key) { return ToHex(key.bytes); }
// kInvalidArgument unless `text` is 64 hex digits.
Result<PublicKey> PublicKeyOf(std::string_view text);
// The key of raw bytes; kInvalidArgument unless there are 32.
Result<PublicKey> PublicKeyOfBytes(std::string_view bytes);
// What people compare: "9f3a-77c1-0b2e-44d0", the first 8 bytes of the key's BLAKE2b.
std::string Fingerprint(const PublicKey& key);

// ---- files ----

// The secret in `path`. Errors: kNotFound when there is no such file; kFailedPrecondition when others may read or write
// it, or it belongs to another user, with the command that mends it; kDataLoss when it is no key file.
Result<SecretKey> ReadSecret(const std::string& path);
// Writes it in one step, mode 0600, on disk when it returns; folders are made with 0700. `what` is a comment: "r01
// (controller)". kAlreadyExists when the file is there.
Status WriteSecret(const std::string& path, const SecretKey& secret, std::string_view what);
// Reads it, or makes a new one.
Result<SecretKey> ReadOrMakeSecret(const std::string& path, std::string_view what);

}  // namespace faraday::access
