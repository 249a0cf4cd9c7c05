#include "access/roster.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "access/durable_file.h"
#include "faraday/v1/access.pb.h"

namespace faraday::access {
namespace {

// Said before what is signed, so that a signature of anything else is none of a roster.
constexpr std::string_view kContext = "faraday.v1.Roster";
constexpr size_t kLargestSigners = 4096;
constexpr std::string_view kSignerWord = "signer ";

std::string Bytes(const PublicKey& key) { return {key.bytes.begin(), key.bytes.end()}; }

void ToWire(const Entry& entry, v1::Roster::Entry* wire) {
  wire->set_key(Bytes(entry.key));
  wire->set_user(entry.user);
  for (const Role role : entry.roles) wire->add_roles(std::string(RoleName(role)));
  for (const std::string& team : entry.teams) wire->add_teams(team);
  wire->set_expires_utc_ms(entry.expires.since_epoch.count());
  wire->set_disabled(entry.disabled);
  wire->set_enrols(entry.enrols);
  wire->set_endpoint(entry.endpoint);
}

// A code's key has no role, and nobody gets role code by name.
bool IsGiven(Role role) { return role != Role::kNone && role != Role::kCode; }

Result<Entry> FromWire(const v1::Roster::Entry& wire) {
  Entry entry;
  FARADAY_TRY_ASSIGN(entry.key, PublicKeyOfBytes(wire.key()));
  entry.user = wire.user();
  for (const std::string& name : wire.roles()) {
    const Role role = ParseRole(name);
    if (IsGiven(role)) entry.roles.push_back(role);
  }
  entry.teams.assign(wire.teams().begin(), wire.teams().end());
  entry.expires = UtcTime{Milliseconds(wire.expires_utc_ms())};
  entry.disabled = wire.disabled();
  entry.enrols = wire.enrols();
  entry.endpoint = wire.endpoint();
  return entry;
}

Result<Roster> FromWire(const v1::Roster& wire) {
  Roster roster;
  roster.number = wire.number();
  roster.keeper = wire.keeper();
  roster.issued = UtcTime{Milliseconds(wire.issued_utc_ms())};
  for (const auto& entry : wire.entries()) {
    FARADAY_TRY_ASSIGN(Entry next, FromWire(entry));
    roster.entries.push_back(std::move(next));
  }
  for (const std::string& bytes : wire.signers()) {
    FARADAY_TRY_ASSIGN(const PublicKey signer, PublicKeyOfBytes(bytes));
    roster.signers.push_back(signer);
  }
  return roster;
}

Status NoRoster(const std::string& why) { return {Code::kDataLoss, fmt::format("this is no signed roster: {}", why)}; }

Result<v1::SignedRoster> ParseSigned(std::string_view bytes) {
  if (bytes.size() > kMaxRosterBytes) {
    return NoRoster(fmt::format("{} bytes, at most {}", bytes.size(), kMaxRosterBytes));
  }
  v1::SignedRoster wire;
  if (!wire.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return NoRoster("its bytes are damaged");
  return wire;
}

std::string SignersText(const std::vector<PublicKey>& signers) {
  std::string text = "# Faraday rack: whose rosters this daemon believes. Written by enrolment and by each roster.\n";
  for (const PublicKey& signer : signers) text += fmt::format("{}{}\n", kSignerWord, ToHex(signer));
  return text;
}

Result<std::vector<PublicKey>> ParseSigners(std::string_view text) {
  std::vector<PublicKey> signers;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    at = end + 1;
    if (line.empty() || line.starts_with('#')) continue;
    if (!line.starts_with(kSignerWord)) return Status(Code::kDataLoss, "a line that names no signer");
    FARADAY_TRY_ASSIGN(const PublicKey signer, PublicKeyOf(line.substr(kSignerWord.size())));
    signers.push_back(signer);
  }
  return signers;
}

}  // namespace

Result<std::string> SignRoster(const Roster& roster, const SecretKey& seed) {
  v1::Roster wire;
  wire.set_number(roster.number);
  wire.set_keeper(roster.keeper);
  wire.set_issued_utc_ms(roster.issued.since_epoch.count());
  for (const Entry& entry : roster.entries) ToWire(entry, wire.add_entries());
  for (const PublicKey& signer : roster.signers) wire.add_signers(Bytes(signer));
  v1::SignedRoster put;
  put.set_roster(wire.SerializeAsString());
  put.set_signer(Bytes(SignerOf(seed)));
  put.set_signature(Sign(seed, std::string(kContext) + put.roster()));
  std::string bytes = put.SerializeAsString();
  if (bytes.size() <= kMaxRosterBytes) return bytes;
  return Status(
      Code::kResourceExhausted,
      fmt::format("the roster would have {} bytes with {} keys, at most {}: disable and rotate away keys that "
                  "nobody uses",
                  bytes.size(),
                  roster.entries.size(),
                  kMaxRosterBytes));
}

Result<PublicKey> SignerIn(std::string_view signed_bytes) {
  FARADAY_TRY_ASSIGN(const v1::SignedRoster wire, ParseSigned(signed_bytes));
  const auto signer = PublicKeyOfBytes(wire.signer());
  return signer.ok() ? signer : NoRoster("it names no signer");
}

Result<Roster> OpenRoster(std::string_view signed_bytes, std::span<const PublicKey> trusted) {
  FARADAY_TRY_ASSIGN(const v1::SignedRoster wire, ParseSigned(signed_bytes));
  FARADAY_TRY_ASSIGN(const PublicKey signer, SignerIn(signed_bytes));
  if (std::find(trusted.begin(), trusted.end(), signer) == trusted.end()) {
    return Status(Code::kPermissionDenied,
                  fmt::format("this roster is signed by {}, whom this server does not trust: enrol it again if the lab "
                              "was set up anew",
                              Fingerprint(signer)));
  }
  if (!Verify(signer, std::string(kContext) + wire.roster(), wire.signature())) {
    return NoRoster("its signature does not fit, so it was changed");
  }
  v1::Roster roster;
  if (!roster.ParseFromString(wire.roster())) return NoRoster("its table is damaged");
  auto opened = FromWire(roster);
  if (!opened.ok()) return NoRoster(opened.status().message());
  if (opened->number == 0) return NoRoster("it has no number");
  return opened;
}

// ---- the file ----

Result<RosterFile> RosterFile::Load(std::string path) {
  RosterFile file(std::move(path));
  FARADAY_TRY(file.LoadSigners());
  FARADAY_TRY(file.LoadRoster());
  return file;
}

Status RosterFile::LoadSigners() {
  const std::string path = path_ + ".signers";
  auto text = ReadPrivateFile(path, kLargestSigners);
  if (text.status().code() == Code::kNotFound) return OkStatus();
  if (!text.ok()) return text.status();
  auto signers = ParseSigners(*text);
  if (!signers.ok()) {
    return {Code::kDataLoss,
            fmt::format("{} is damaged ({}): restore it from a copy, or remove it and {} and enrol anew",
                        path,
                        signers.status().message(),
                        path_)};
  }
  trusted_ = std::move(*signers);
  return OkStatus();
}

Status RosterFile::LoadRoster() {
  auto bytes = ReadPrivateFile(path_, kMaxRosterBytes);
  if (bytes.status().code() == Code::kNotFound) return OkStatus();
  if (!bytes.ok() && bytes.status().code() != Code::kDataLoss) return bytes.status();
  auto roster = bytes.ok() ? OpenRoster(*bytes, trusted_) : Result<Roster>(bytes.status());
  if (roster.ok()) {
    roster_ = std::move(*roster);
    signed_bytes_ = std::move(*bytes);
    return OkStatus();
  }
  const std::string aside = path_ + ".damaged";
  if (std::rename(path_.c_str(), aside.c_str()) != 0) {
    return {Code::kUnavailable, fmt::format("cannot put {} aside: {}", path_, std::strerror(errno))};
  }
  note_ = fmt::format(
      "{} is not used ({}) and was renamed to {}: only the lab and the local admin key are let in until "
      "the lab sends a new one",
      path_,
      roster.status().message(),
      aside);
  return OkStatus();
}

Status RosterFile::PutSigners(std::vector<PublicKey> signers) {
  std::sort(signers.begin(), signers.end());
  signers.erase(std::unique(signers.begin(), signers.end()), signers.end());
  if (signers == trusted_) return OkStatus();
  FARADAY_TRY(ReplaceFile(path_ + ".signers", SignersText(signers)));
  trusted_ = std::move(signers);
  return OkStatus();
}

// Whoever signed the new roster stays trusted until it is on disk: a crash in between loses neither.
Status RosterFile::Put(Roster roster, std::string_view signed_bytes) {
  FARADAY_TRY_ASSIGN(const PublicKey signer, SignerIn(signed_bytes));
  std::vector<PublicKey> both = roster.signers;
  both.push_back(signer);
  both.insert(both.end(), trusted_.begin(), trusted_.end());
  FARADAY_TRY(PutSigners(std::move(both)));
  FARADAY_TRY(ReplaceFile(path_, signed_bytes));
  std::vector<PublicKey> next = roster.signers;
  next.push_back(signer);
  roster_ = std::move(roster);
  signed_bytes_ = std::string(signed_bytes);
  note_.clear();
  return PutSigners(std::move(next));
}

Status RosterFile::Accept(std::string_view signed_bytes, std::span<const PublicKey> more_trusted) {
  std::vector<PublicKey> trusted = trusted_;
  trusted.insert(trusted.end(), more_trusted.begin(), more_trusted.end());
  if (trusted.empty()) return {Code::kFailedPrecondition, "this server is not enrolled at a lab: enrol it first"};
  FARADAY_TRY_ASSIGN(Roster roster, OpenRoster(signed_bytes, trusted));
  if (roster.number <= roster_.number) {
    return {Code::kFailedPrecondition,
            fmt::format("roster {} is not newer than roster {}, which is in force", roster.number, roster_.number)};
  }
  return Put(std::move(roster), signed_bytes);
}

Status RosterFile::Adopt(std::string_view signed_bytes) {
  FARADAY_TRY_ASSIGN(const PublicKey signer, SignerIn(signed_bytes));
  FARADAY_TRY_ASSIGN(Roster roster, OpenRoster(signed_bytes, std::span(&signer, 1)));
  return Put(std::move(roster), signed_bytes);
}

}  // namespace faraday::access
