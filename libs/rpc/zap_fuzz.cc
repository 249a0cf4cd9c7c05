// libFuzzer: libzmq's question to the ZAP handler, its parts cut from the input by their first bytes. Nobody comes in
// whom the gate does not admit, and not without CURVE.
#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "rpc/security.h"

namespace faraday::rpc {
namespace {

constexpr std::string_view kKnown = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk";

class KnownOnly : public Gate {
 public:
  bool Admits(const access::PublicKey& key) override {
    return std::equal(key.bytes.begin(), key.bytes.end(), kKnown.begin());
  }
  Status Enter(Call&) override { return OkStatus(); }
  void Leave(const Call&, const v1::Reply&, std::function<void()>) override {}
};

std::vector<std::string_view> Parts(std::string_view input) {
  std::vector<std::string_view> parts;
  while (!input.empty()) {
    const auto size = std::min<size_t>(static_cast<uint8_t>(input[0]), input.size() - 1);
    parts.push_back(input.substr(1, size));
    input.remove_prefix(1 + size);
  }
  return parts;
}

void Check(std::span<const std::string_view> parts) {
  KnownOnly gate;
  const auto answer = AnswerZap(parts, gate);
  if (answer.has_value() != (parts.size() >= 4)) std::abort();
  if (!answer) return;
  const bool known =
      parts.size() == 9 && parts[1].empty() && parts[2] == "1.0" && parts[7] == "CURVE" && parts[8] == kKnown;
  if (answer->admitted != known || answer->user.empty() == known) std::abort();
}

}  // namespace
}  // namespace faraday::rpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto parts = faraday::rpc::Parts({reinterpret_cast<const char*>(data), size});
  faraday::rpc::Check(parts);
  return 0;
}
