// What the keeper's file `users` holds, and its form: a heading line, BLAKE2b-256 of the rest, the rest
// (registry.proto). Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "access/key.h"
#include "access/user.h"
#include "base/result.h"

namespace faraday::access {

inline constexpr size_t kMaxBookBytes = 8 << 20;

// A roster that introduced a signer: receivers that missed it need it before any later one.
struct Bridge {
  uint64_t number = 0;
  std::string signed_roster;
};

struct Book {
  UserTable users;
  std::string signed_roster;    // the newest, as SignRoster made it
  PublicKey signer;             // whose signature it carries
  PublicKey next_signer;        // introduced by it; zero: none
  std::vector<Bridge> bridges;  // oldest first
};

std::string EncodeBook(const Book& book);
// kDataLoss with what is wrong; never a part of a book.
Result<Book> DecodeBook(std::string_view bytes);

}  // namespace faraday::access
