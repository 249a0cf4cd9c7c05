// What the handler of a call knows and the audit log wants to: Call::audit(). Fill it in before the call is answered.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace faraday::rpc {

struct AuditFacts {
  std::string on;      // what it is about when the call's fields do not say: "job-12"
  // Hardware: as measured, "VBUS 3 mV 0 mA (off), data open, isolated". Leases: the holder. Users: state, roles, teams.
  std::string before;
  std::string after;
  std::vector<std::string> mcu_commands;  // "board 0 session 71af command 1042"
  // Set by the door.
  std::string proven;  // the user that the key belongs to, of refused calls too
  uint64_t asked = 0;  // number of the ASKED record, 0: none
  bool entered = false;
  bool let_in = false;  // the caller's role is what the door chose
  bool break_glass = false;
};

}  // namespace faraday::rpc
