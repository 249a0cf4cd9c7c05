#include "cli/verbs.h"

#include <iterator>

namespace faraday::cli {

std::vector<Verb> AllVerbs() {
  std::vector<Verb> all;
  for (auto family : {StatusVerbs,
                      LeaseVerbs,
                      HardwareVerbs,
                      RackVerbs,
                      RunVerbs,
                      JobVerbs,
                      EventVerbs,
                      LinkVerbs,
                      LoginVerbs,
                      UserVerbs,
                      AuditVerbs}) {
    std::vector<Verb> verbs = family();
    all.insert(all.end(), std::make_move_iterator(verbs.begin()), std::make_move_iterator(verbs.end()));
  }
  return all;
}

std::vector<Group> AllGroups() {
  return {{"power", "Switch a slot's VBUS (a phone's charge and USB, not the phone itself)"},
          {"shield", "Isolate a slot's antenna coupler, or couple it to the rack's RF feed"},
          {"usb", "Where a slot's data lines go: nowhere, to a charge port, to a host"},
          {"slot", "Stop a slot, or clear what stopped it (techs and admins)"},
          {"rack", "Stop a whole rack, resume, read its boards' memory (techs and admins)"},
          {"job", "Submit jobs and look at them"},
          {"link", "Look at a board's serial line"},
          {"user", "Who may come in, and in which roles (admins)"}};
}

}  // namespace faraday::cli
