// libFuzzer: texts and bytes that people and peers hand over: codes and tokens, keys, rosters. No crash; a text has one
// meaning however it is written; nothing that nobody trusted signed is a roster.
#include <cctype>
#include <cstdlib>
#include <string>
#include <string_view>

#include "access/credential.h"
#include "access/roster.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace faraday::access;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto credential = ParseCredential(text);
  if (credential.ok()) {
    std::string shouted;
    for (const char c : text) shouted += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    const auto again = ParseCredential(shouted + " ");
    if (!again.ok() || again->keys.public_key != credential->keys.public_key) std::abort();
  } else if (credential.status().message().empty()) {
    std::abort();
  }
  if (const auto key = PublicKeyOf(text); key.ok() && PublicKeyOf(ToHex(*key)).ok() == false) std::abort();
  [[maybe_unused]] const std::string hidden = HideCredentials(text);
  const PublicKey trusted[] = {PublicKey{}};
  if (OpenRoster(text, trusted).ok()) std::abort();
  [[maybe_unused]] const auto signer = SignerIn(text);
  return 0;
}
