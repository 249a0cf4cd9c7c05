#include "access/key.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "base/check.h"

namespace faraday::access {
namespace {

static_assert(crypto_box_SECRETKEYBYTES == kKeyBytes && crypto_box_PUBLICKEYBYTES == kKeyBytes);
static_assert(crypto_sign_SEEDBYTES == kKeyBytes && crypto_sign_PUBLICKEYBYTES == kKeyBytes);

constexpr std::string_view kSecretWord = "secret ";
constexpr size_t kLargestFile = 4096;

const unsigned char* Bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

// libsodium must be started once; repeated starts are harmless.
void Start() { FARADAY_CHECK(sodium_init() >= 0); }

Status FileTrouble(const std::string& path, int error) {
  return {error == ENOENT ? Code::kNotFound : Code::kUnavailable, fmt::format("{}: {}", path, std::strerror(error))};
}

Status CheckPrivate(const std::string& path, int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return FileTrouble(path, errno);
  if (status.st_uid != ::geteuid()) {
    return {Code::kFailedPrecondition,
            fmt::format("{} belongs to user {}, not to this one ({}): a key is its owner's alone; chown {} {}",
                        path,
                        status.st_uid,
                        ::geteuid(),
                        ::geteuid(),
                        path)};
  }
  if ((status.st_mode & 077) == 0) return OkStatus();
  return {Code::kFailedPrecondition,
          fmt::format("{} has mode {:04o}: others may read this key; chmod 600 {} and, if somebody may have read it, "
                      "replace it (docs/operate/rotate-keys.md)",
                      path,
                      static_cast<unsigned>(status.st_mode & 07777),
                      path)};
}

struct Fd {
  int fd;
  ~Fd() {
    if (fd >= 0) ::close(fd);
  }
};

}  // namespace

SecretKey::SecretKey(std::span<const uint8_t, kKeyBytes> bytes) {
  std::copy(bytes.begin(), bytes.end(), bytes_.begin());
}

SecretKey::~SecretKey() { sodium_memzero(bytes_.data(), bytes_.size()); }

SecretKey NewSecret() {
  Start();
  std::array<uint8_t, kKeyBytes> bytes{};
  randombytes_buf(bytes.data(), bytes.size());
  SecretKey secret{bytes};
  sodium_memzero(bytes.data(), bytes.size());
  return secret;
}

KeyPair NewKeyPair() { return KeyPairOf(NewSecret()); }

KeyPair KeyPairOf(const SecretKey& secret) {
  Start();
  KeyPair pair{{}, secret};
  FARADAY_CHECK(crypto_scalarmult_base(pair.public_key.bytes.data(), secret.bytes().data()) == 0);
  return pair;
}

PublicKey SignerOf(const SecretKey& seed) {
  Start();
  PublicKey signer;
  std::array<unsigned char, crypto_sign_SECRETKEYBYTES> secret{};
  crypto_sign_seed_keypair(signer.bytes.data(), secret.data(), seed.bytes().data());
  sodium_memzero(secret.data(), secret.size());
  return signer;
}

std::string Sign(const SecretKey& seed, std::string_view message) {
  Start();
  std::array<unsigned char, crypto_sign_PUBLICKEYBYTES> signer{};
  std::array<unsigned char, crypto_sign_SECRETKEYBYTES> secret{};
  crypto_sign_seed_keypair(signer.data(), secret.data(), seed.bytes().data());
  std::array<unsigned char, crypto_sign_BYTES> signature{};
  crypto_sign_detached(signature.data(), nullptr, Bytes(message), message.size(), secret.data());
  sodium_memzero(secret.data(), secret.size());
  return {reinterpret_cast<const char*>(signature.data()), signature.size()};
}

bool Verify(const PublicKey& signer, std::string_view message, std::string_view signature) {
  Start();
  if (signature.size() != crypto_sign_BYTES) return false;
  return crypto_sign_verify_detached(Bytes(signature), Bytes(message), message.size(), signer.bytes.data()) == 0;
}

std::string ToHex(std::span<const uint8_t> bytes) {
  std::string text;
  for (const uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

Result<PublicKey> PublicKeyOf(std::string_view text) {
  PublicKey key;
  size_t size = 0;
  const char* end = nullptr;
  if (text.size() == 2 * kKeyBytes &&
      sodium_hex2bin(key.bytes.data(), kKeyBytes, text.data(), text.size(), nullptr, &size, &end) == 0 &&
      size == kKeyBytes) {
    return key;
  }
  return Status(Code::kInvalidArgument, fmt::format("'{}' is no key: 64 hex digits", text));
}

Result<PublicKey> PublicKeyOfBytes(std::string_view bytes) {
  if (bytes.size() != kKeyBytes)
    return Status(Code::kInvalidArgument, fmt::format("a key has 32 bytes, not {}", bytes.size()));
  PublicKey key;
  std::copy(bytes.begin(), bytes.end(), key.bytes.begin());
  return key;
}

std::string Fingerprint(const PublicKey& key) {
  Start();
  std::array<uint8_t, crypto_generichash_BYTES> digest{};
  crypto_generichash(digest.data(), digest.size(), key.bytes.data(), key.bytes.size(), nullptr, 0);
  const std::string hex = ToHex(std::span(digest).first(8));
  return fmt::format("{}-{}-{}-{}", hex.substr(0, 4), hex.substr(4, 4), hex.substr(8, 4), hex.substr(12, 4));
}

// ---- files ----

Result<SecretKey> ReadSecret(const std::string& path) {
  const Fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
  if (file.fd < 0) return FileTrouble(path, errno);
  FARADAY_TRY(CheckPrivate(path, file.fd));
  std::array<char, kLargestFile> text{};
  const ssize_t got = ::read(file.fd, text.data(), text.size());
  if (got < 0) return FileTrouble(path, errno);
  const std::string_view all(text.data(), static_cast<size_t>(got));
  for (size_t at = 0; at < all.size();) {
    const size_t end = std::min(all.find('\n', at), all.size());
    const std::string_view line = all.substr(at, end - at);
    at = end + 1;
    if (!line.starts_with(kSecretWord)) continue;
    auto key = PublicKeyOf(line.substr(kSecretWord.size()));
    sodium_memzero(text.data(), text.size());
    if (!key.ok()) break;
    SecretKey secret{key->bytes};
    sodium_memzero(key->bytes.data(), key->bytes.size());
    return secret;
  }
  return Status(
      Code::kDataLoss,
      fmt::format("{} is no key file (no line 'secret ' and 64 hex digits): restore it from a copy, or remove "
                  "it and enrol anew",
                  path));
}

Status WriteSecret(const std::string& path, const SecretKey& secret, std::string_view what) {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!folder.empty() && !std::filesystem::exists(folder, error)) {
    std::filesystem::create_directories(folder, error);
    if (error) return {Code::kUnavailable, fmt::format("{}: {}", folder.string(), error.message())};
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  }
  const std::string fresh = path + ".new";
  ::unlink(fresh.c_str());
  const Fd file{::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (file.fd < 0) return FileTrouble(fresh, errno);
  std::string text = fmt::format(
      "# Faraday rack: secret key of {}. Nobody else may read it.\n{}{}\n", what, kSecretWord, ToHex(secret.bytes()));
  const ssize_t written = ::write(file.fd, text.data(), text.size());
  sodium_memzero(text.data(), text.size());
  if (written != static_cast<ssize_t>(text.size()) || ::fsync(file.fd) != 0) return FileTrouble(fresh, errno);
  // link(2) and not rename(2): a key that is there is never replaced by accident.
  if (::link(fresh.c_str(), path.c_str()) != 0) {
    const int why = errno;
    ::unlink(fresh.c_str());
    if (why == EEXIST) return {Code::kAlreadyExists, path + " exists: a key is never overwritten"};
    return FileTrouble(path, why);
  }
  ::unlink(fresh.c_str());
  const Fd dir{::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (dir.fd < 0 || ::fsync(dir.fd) != 0) return FileTrouble(folder.string(), errno);
  return OkStatus();
}

Result<SecretKey> ReadOrMakeSecret(const std::string& path, std::string_view what) {
  auto have = ReadSecret(path);
  if (have.ok() || have.status().code() != Code::kNotFound) return have;
  const SecretKey fresh = NewSecret();
  FARADAY_TRY(WriteSecret(path, fresh, what));
  return fresh;
}

}  // namespace faraday::access
