#include "controller/core/quarantine.h"

#include <string>

namespace faraday::controller {

void Quarantine::OnTelemetry(int board, Now now) {
  for (const auto& slot : parts_.config.slots) {
    const Health health = parts_.book.at(slot.number).health;
    if (slot.board != board || health == Health::kQuarantined || health == Health::kMaintenance) continue;
    const auto due = conditions_.QuarantineDue(slot.number, now);
    if (!due) continue;
    const std::string why = Sentence(*due, now.utc);
    const AuditLine line{now.utc, kCareHolder, "controller", "quarantine", slot.number, why};
    if (!parts_.book.SetHealth(slot.number, Health::kQuarantined, why, line, now).ok()) continue;
    parts_.events.OnSlot(slot.number, "slot.quarantined", why, "", now);
    parts_.events.OnSyncChange();
  }
}

}  // namespace faraday::controller
