#include "cli/keyring.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "access/credential.h"

namespace faraday::cli {
namespace {

constexpr size_t kLongestToken = 4096;

rpc::Keys KeysOf(const access::SecretKey& secret) {
  return std::make_shared<access::KeyPair>(access::KeyPairOf(secret));
}

Status NoKey(const std::string& endpoint) {
  return {Code::kUnauthenticated,
          fmt::format("no key is known for {0}: faraday login {0} (an admin gives you a code)", endpoint)};
}

Result<std::string> ReadSmallFile(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  std::string text(kLongestToken + 1, '\0');
  if (file) text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (!file || std::ferror(file.get()) != 0) {
    return Status(Code::kInvalidArgument, fmt::format("FARADAY_TOKEN_FILE: {}: {}", path, std::strerror(errno)));
  }
  if (text.size() <= kLongestToken) return text;
  return Status(Code::kInvalidArgument, fmt::format("FARADAY_TOKEN_FILE: {} is no token: too large", path));
}

}  // namespace

Result<Standing> Keyring::At(const std::string& endpoint, Server server) const {
  if (!options_.key_file.empty()) return WithKeyFile(endpoint);
  if (!options_.server_key.empty()) {
    return Status(Code::kInvalidArgument, "--server-key goes with --key FILE: whose key do you present?");
  }
  FARADAY_TRY_ASSIGN(const std::string token, TokenText());
  if (!token.empty()) return WithToken(endpoint, server, token);
  FARADAY_TRY_ASSIGN(const auto login, LoginAt(endpoint));
  if (login) return *login;
  // A controller of a lab where the person has logged in.
  FARADAY_TRY_ASSIGN(const auto servers, known_.List());
  std::string listed;
  for (const access::KnownServer& keeper : servers) {
    const auto key = InRoster(keeper.key, endpoint);
    if (!key) {
      listed += ListedAt(keeper.key);
      continue;
    }
    FARADAY_TRY_ASSIGN(auto standing, LoginAt(keeper.endpoint));
    standing->server = *key;
    return *standing;
  }
  if (listed.empty()) return NoKey(endpoint);
  return Status(Code::kUnauthenticated,
                fmt::format("{}. Or write it as your lab does:{}; faraday whoami --lab ENDPOINT brings its newest list",
                            NoKey(endpoint).message(),
                            listed));
}

// " r01 tcp://10.0.0.5:7700" of each controller that the keeper's stored roster places.
std::string Keyring::ListedAt(const access::PublicKey& keeper) const {
  std::string listed;
  const auto roster = RosterOf(keeper);
  if (!roster.ok()) return listed;
  for (const access::Entry& entry : roster->entries) {
    if (!entry.endpoint.empty() && entry.key != keeper) listed += fmt::format(" {} {}", entry.user, entry.endpoint);
  }
  return listed;
}

Result<std::optional<Standing>> Keyring::LoginAt(const std::string& endpoint) const {
  FARADAY_TRY_ASSIGN(const auto server, known_.Find(endpoint));
  if (!server) return std::optional<Standing>();
  auto secret = access::ReadSecret(server->key_file);
  if (!secret.ok() && secret.status().code() == Code::kNotFound) {
    return Status(Code::kUnauthenticated,
                  fmt::format("your key for {0} is gone ({1}): faraday login {0} (an admin gives you a code)",
                              endpoint,
                              server->key_file));
  }
  FARADAY_TRY(secret.status());
  return std::optional<Standing>({KeysOf(*secret), server->key, server->key, server->user});
}

Result<Standing> Keyring::WithKeyFile(const std::string& endpoint) const {
  FARADAY_TRY_ASSIGN(const access::SecretKey secret, access::ReadSecret(options_.key_file));
  if (!options_.server_key.empty()) {
    const auto server = access::PublicKeyOf(options_.server_key);
    if (!server.ok()) return Status(Code::kInvalidArgument, "--server-key: " + server.status().message());
    return Standing{KeysOf(secret), *server, *server, ""};
  }
  FARADAY_TRY_ASSIGN(const auto known, known_.Find(endpoint));
  if (!known) {
    return Status(Code::kUnauthenticated,
                  fmt::format("the key of {} is not known: give it with --server-key HEX", endpoint));
  }
  return Standing{KeysOf(secret), known->key, known->key, ""};
}

Result<std::string> Keyring::TokenText() const {
  if (!options_.token_file.empty()) return ReadSmallFile(options_.token_file);
  return options_.token;
}

Result<Standing> Keyring::WithToken(const std::string& endpoint, Server server, const std::string& text) const {
  const std::string where =
      options_.token_file.empty() ? "FARADAY_TOKEN" : "FARADAY_TOKEN_FILE (" + options_.token_file + ")";
  const auto token = access::ParseCredential(text);
  if (!token.ok()) return Status(Code::kInvalidArgument, where + ": " + token.status().message());
  if (token->kind != access::Credential::Kind::kToken) {
    return Status(Code::kInvalidArgument,
                  fmt::format("{} holds a one-time code, not a token: faraday login {}", where, endpoint));
  }
  auto keys = std::make_shared<access::KeyPair>(token->keys);
  std::optional<access::PublicKey> controller;
  if (server == Server::kController) controller = InRoster(token->server_key, endpoint);
  return Standing{std::move(keys), controller.value_or(token->server_key), token->server_key, ""};
}

// ---- rosters ----

std::string Keyring::RosterPath(const access::PublicKey& keeper) const {
  return options_.folder + "/rosters/" + access::Fingerprint(keeper);
}

Result<access::Roster> Keyring::RosterOf(const access::PublicKey& keeper) const {
  FARADAY_TRY_ASSIGN(const access::RosterFile file, access::RosterFile::Load(RosterPath(keeper)));
  return file.roster();
}

Status Keyring::KeepRoster(const access::PublicKey& keeper, const std::string& signed_bytes) const {
  if (signed_bytes.empty()) return OkStatus();
  FARADAY_TRY_ASSIGN(access::RosterFile file, access::RosterFile::Load(RosterPath(keeper)));
  const Status accepted = file.Accept(signed_bytes);
  if (accepted.ok() || (file.number() > 0 && accepted.code() == Code::kFailedPrecondition)) return OkStatus();
  return file.Adopt(signed_bytes);
}

std::optional<access::PublicKey> Keyring::InRoster(const access::PublicKey& keeper, const std::string& endpoint) const {
  const auto roster = RosterOf(keeper);
  if (!roster.ok()) return std::nullopt;
  const auto found = std::find_if(roster->entries.begin(), roster->entries.end(), [&](const access::Entry& entry) {
    const bool serves = std::any_of(entry.roles.begin(), entry.roles.end(), [](access::Role role) {
      return role == access::Role::kController || role == access::Role::kLab;
    });
    return entry.endpoint == endpoint && serves && !entry.disabled && !entry.enrols;
  });
  return found == roster->entries.end() ? std::nullopt : std::optional(found->key);
}

}  // namespace faraday::cli
