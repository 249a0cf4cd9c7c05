#include "rpc/local_address.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <memory>
#include <optional>

namespace faraday::rpc {
namespace {

constexpr char kIpc[] = "localhost";  // libzmq's word; a TCP peer has numbers only

// Both families in one form: IPv4 as ::ffff:a.b.c.d.
in6_addr Mapped(const in_addr& v4) {
  in6_addr address{};
  address.s6_addr[10] = address.s6_addr[11] = 0xff;
  std::memcpy(address.s6_addr + 12, &v4, sizeof v4);
  return address;
}

std::optional<in6_addr> Parse(const std::string& text) {
  const std::string plain = text.substr(0, text.find('%'));
  in_addr v4{};
  if (inet_pton(AF_INET, plain.c_str(), &v4) == 1) return Mapped(v4);
  in6_addr v6{};
  if (inet_pton(AF_INET6, plain.c_str(), &v6) == 1) return v6;
  return std::nullopt;
}

bool IsLoopback(const in6_addr& address) {
  if (IN6_IS_ADDR_LOOPBACK(&address)) return true;
  return IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[12] == 127;
}

bool Has(const ifaddrs& own, const in6_addr& address) {
  if (own.ifa_addr == nullptr) return false;
  in6_addr mine{};
  if (own.ifa_addr->sa_family == AF_INET) {
    mine = Mapped(reinterpret_cast<const sockaddr_in*>(own.ifa_addr)->sin_addr);
  } else if (own.ifa_addr->sa_family == AF_INET6) {
    mine = reinterpret_cast<const sockaddr_in6*>(own.ifa_addr)->sin6_addr;
  } else {
    return false;
  }
  return std::memcmp(&mine, &address, sizeof mine) == 0;
}

struct FreeList {
  void operator()(ifaddrs* list) const { freeifaddrs(list); }
};

}  // namespace

bool IsThisMachine(const std::string& address) {
  if (address.starts_with(kIpc)) return true;
  const auto peer = Parse(address);
  if (!peer) return false;
  if (IsLoopback(*peer)) return true;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return false;
  const std::unique_ptr<ifaddrs, FreeList> all(list);
  for (const ifaddrs* own = list; own != nullptr; own = own->ifa_next) {
    if (Has(*own, *peer)) return true;
  }
  return false;
}

bool IsLoopbackHost(const std::string& host) {
  if (host == "localhost") return true;
  const bool bracketed = host.size() > 2 && host.starts_with('[') && host.ends_with(']');
  const auto address = Parse(bracketed ? host.substr(1, host.size() - 2) : host);
  return address && host.find('%') == std::string::npos && IsLoopback(*address);
}

Status CheckOneAddress(const std::string& endpoint) {
  if (endpoint.find(';') == std::string::npos) return OkStatus();
  return {Code::kInvalidArgument, fmt::format("'{}' is no endpoint: it has a ';'; write tcp://HOST:PORT", endpoint)};
}

}  // namespace faraday::rpc
