#include "rpc/local_address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <array>

#include "rpc/security.h"
#include "rpc/server.h"

namespace faraday::rpc {
namespace {

TEST(LocalAddress, LoopbackIpcAndOwnInterfacesAreThisMachine) {
  for (const char* here : {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "localhost:0:0:812"}) {
    EXPECT_TRUE(IsThisMachine(here)) << here;
  }
  // Addresses for documentation (RFC 5737, RFC 3849): no machine has them.
  for (const char* other : {"", "192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7", "127.0.0.1.example", "127.1", "here"}) {
    EXPECT_FALSE(IsThisMachine(other)) << other;
  }
  ifaddrs* list = nullptr;
  ASSERT_EQ(getifaddrs(&list), 0);
  for (const ifaddrs* own = list; own != nullptr; own = own->ifa_next) {
    if (own->ifa_addr == nullptr || own->ifa_addr->sa_family != AF_INET) continue;
    std::array<char, INET_ADDRSTRLEN> text{};
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(own->ifa_addr)->sin_addr, text.data(), text.size());
    EXPECT_TRUE(IsThisMachine(text.data())) << text.data();
  }
  freeifaddrs(list);
}

TEST(LocalAddress, OnlyLoopbackItselfIsLoopback) {
  for (const char* good :
       {"tcp://127.0.0.1:7700", "tcp://127.77.9.9:0", "tcp://localhost:1", "tcp://[::1]:1", "ipc:///run/x"}) {
    EXPECT_TRUE(CheckLoopback(good).ok()) << good;
  }
  for (const char* bad : {"tcp://127.example.invalid:7700",
                          "tcp://127.0.0.1.example.invalid:7700",
                          "tcp://127.:7700",
                          "tcp://127.0.0.1:0;127.77.9.9:7710",
                          "tcp://localhost.example.invalid:1",
                          "tcp://[::2]:1",
                          "tcp://10.0.0.7:1"}) {
    EXPECT_EQ(CheckLoopback(bad).code(), Code::kInvalidArgument) << bad;
  }
}

TEST(LocalAddress, AnEndpointIsOneAddress) {
  constexpr char kTwo[] = "tcp://127.0.0.1:0;10.0.0.7:7710";
  Security security;
  security.keys = std::make_shared<const access::KeyPair>(access::NewKeyPair());
  EXPECT_EQ(CheckBind(kTwo, security).code(), Code::kInvalidArgument);
  zmq::context_t context;
  zmq::socket_t socket(context, zmq::socket_type::dealer);
  EXPECT_EQ(Present(socket, kTwo, Credentials()).code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace faraday::rpc
