// The attacks, one function each, run in a process of their own until it is killed.
#pragma once

#include <string>
#include <vector>

#include "hil-tests/hostile/victim.h"

namespace faraday::hil {

struct Target {
  std::string endpoint;
  std::string events;
  std::string plain;
  const People* people = nullptr;
};

struct Attack {
  const char* name;
  const char* what;
  void (*run)(const Target&);
};

const std::vector<Attack>& Attacks();

}  // namespace faraday::hil
