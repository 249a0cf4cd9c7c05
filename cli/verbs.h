// The verb families, a file each. Every function gives the rows of its family.
#pragma once

#include <vector>

#include "cli/verb.h"

namespace faraday::cli {

std::vector<Verb> StatusVerbs();    // status
std::vector<Verb> LeaseVerbs();     // reserve, renew, release
std::vector<Verb> HardwareVerbs();  // power, shield, usb, slot
std::vector<Verb> RackVerbs();      // rack stop|resume|log, locate
std::vector<Verb> RunVerbs();       // run
std::vector<Verb> JobVerbs();       // job submit|list|show|logs|cancel
std::vector<Verb> EventVerbs();     // events
std::vector<Verb> LinkVerbs();      // link decode|encode|ping
std::vector<Verb> LoginVerbs();     // login, whoami, logout
std::vector<Verb> UserVerbs();      // user add|list|role|disable|enable|rotate
std::vector<Verb> AuditVerbs();     // audit

std::vector<Verb> AllVerbs();
std::vector<Group> AllGroups();

}  // namespace faraday::cli
