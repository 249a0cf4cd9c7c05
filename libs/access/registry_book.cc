#include "access/registry_book.h"

#include <fmt/core.h>
#include <sodium.h>

#include <algorithm>
#include <array>

#include "access/registry.pb.h"

namespace faraday::access {
namespace {

namespace file = faraday::registry;

constexpr std::string_view kHeading = "faraday users 1\n";
constexpr size_t kDigestBytes = 32;

std::string Bytes(const PublicKey& key) { return {key.bytes.begin(), key.bytes.end()}; }

std::string BytesOrNone(const PublicKey& key) { return key == PublicKey{} ? std::string() : Bytes(key); }

Result<PublicKey> KeyOrNone(const std::string& bytes) {
  if (bytes.empty()) return PublicKey{};
  return PublicKeyOfBytes(bytes);
}

std::string Digest(std::string_view bytes) {
  std::array<unsigned char, kDigestBytes> digest{};
  crypto_generichash(
      digest.data(), digest.size(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), nullptr, 0);
  return {digest.begin(), digest.end()};
}

Status Damaged(std::string why) { return {Code::kDataLoss, std::move(why)}; }

void ToFile(const UserKey& key, file::Key* put) {
  put->set_kind(static_cast<file::Key::Kind>(static_cast<int>(key.kind) + 1));
  put->set_key(Bytes(key.key));
  put->set_since_utc_ms(key.since.since_epoch.count());
  put->set_expires_utc_ms(key.expires.since_epoch.count());
  put->set_leaving(key.leaving);
  put->set_replaces(key.replaces);
  put->set_enrolled(BytesOrNone(key.enrolled));
}

Result<UserKey> FromFile(const file::Key& kept) {
  UserKey key;
  if (kept.kind() < file::Key::KIND_ENROLLED || kept.kind() > file::Key::KIND_CODE) {
    return Damaged("a key of a kind that this version does not know");
  }
  key.kind = static_cast<UserKey::Kind>(kept.kind() - 1);
  FARADAY_TRY_ASSIGN(key.key, PublicKeyOfBytes(kept.key()));
  key.since = UtcTime{Milliseconds(kept.since_utc_ms())};
  key.expires = UtcTime{Milliseconds(kept.expires_utc_ms())};
  key.leaving = kept.leaving();
  key.replaces = kept.replaces();
  FARADAY_TRY_ASSIGN(key.enrolled, KeyOrNone(kept.enrolled()));
  return key;
}

void ToFile(const User& user, file::User* put) {
  put->set_name(user.name);
  for (const Role role : user.roles) put->add_roles(std::string(RoleName(role)));
  for (const std::string& team : user.teams) put->add_teams(team);
  put->set_disabled(user.disabled);
  put->set_reason(user.reason);
  for (const UserKey& key : user.keys) ToFile(key, put->add_keys());
  put->set_endpoint(user.endpoint);
}

Result<User> FromFile(const file::User& kept) {
  User user;
  user.name = kept.name();
  for (const std::string& name : kept.roles()) {
    user.roles.push_back(ParseRole(name));
    if (user.roles.back() == Role::kNone)
      return Damaged(fmt::format("user {} has the unknown role '{}'", user.name, name));
  }
  user.teams.assign(kept.teams().begin(), kept.teams().end());
  user.disabled = kept.disabled();
  user.reason = kept.reason();
  for (const auto& key : kept.keys()) {
    FARADAY_TRY_ASSIGN(UserKey next, FromFile(key));
    user.keys.push_back(next);
  }
  user.endpoint = kept.endpoint();
  return user;
}

Result<Book> FromFile(const file::Book& kept) {
  Book book;
  for (const auto& user : kept.users()) {
    FARADAY_TRY_ASSIGN(User next, FromFile(user));
    book.users[next.name] = std::move(next);
  }
  book.signed_roster = kept.signed_roster();
  FARADAY_TRY_ASSIGN(book.signer, PublicKeyOfBytes(kept.signer()));
  FARADAY_TRY_ASSIGN(book.next_signer, KeyOrNone(kept.next_signer()));
  for (const auto& bridge : kept.bridges()) book.bridges.push_back({bridge.number(), bridge.signed_roster()});
  return book;
}

}  // namespace

std::string EncodeBook(const Book& book) {
  file::Book put;
  for (const auto& [name, user] : book.users) ToFile(user, put.add_users());
  put.set_signed_roster(book.signed_roster);
  put.set_signer(Bytes(book.signer));
  put.set_next_signer(BytesOrNone(book.next_signer));
  for (const Bridge& bridge : book.bridges) {
    auto* kept = put.add_bridges();
    kept->set_number(bridge.number);
    kept->set_signed_roster(bridge.signed_roster);
  }
  const std::string rest = put.SerializeAsString();
  return std::string(kHeading) + Digest(rest) + rest;
}

Result<Book> DecodeBook(std::string_view bytes) {
  if (!bytes.starts_with(kHeading)) return Damaged("it does not begin as such a file");
  bytes.remove_prefix(kHeading.size());
  if (bytes.size() < kDigestBytes) return Damaged("it is cut short");
  const std::string_view rest = bytes.substr(kDigestBytes);
  if (Digest(rest) != bytes.substr(0, kDigestBytes)) return Damaged("its checksum does not fit");
  file::Book kept;
  if (!kept.ParseFromArray(rest.data(), static_cast<int>(rest.size()))) return Damaged("its bytes do not fit");
  auto book = FromFile(kept);
  return book.ok() ? std::move(book) : Damaged(book.status().message());
}

}  // namespace faraday::access
