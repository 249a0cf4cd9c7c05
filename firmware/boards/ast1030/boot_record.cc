#include "firmware/boards/ast1030/boot_record.h"

#include <cstddef>
#include <span>

#include "link/frame.h"

namespace faraday::firmware::ast1030 {
namespace {

constexpr uint32_t kMagic = 0x46524231;  // "FRB1"

uint32_t CrcOf(const BootRecord& record) {
  return link::Crc32({reinterpret_cast<const uint8_t*>(&record), offsetof(BootRecord, crc)});
}

bool IsValid(const BootRecord& record) { return record.magic == kMagic && record.crc == CrcOf(record); }

link::BootReason ReasonFrom(uint32_t number) {
  return number <= static_cast<uint32_t>(link::BootReason::kBrownOut) ? static_cast<link::BootReason>(number)
                                                                      : link::BootReason::kUnknown;
}

}  // namespace

link::BootReason OpenBootRecord(BootRecord& record) {
  const bool valid = IsValid(record);
  if (!valid) record = BootRecord{kMagic, 0, static_cast<uint32_t>(link::BootReason::kPowerOn), {}, 0};
  const link::BootReason reason = ReasonFrom(record.reason);
  ++record.boots;
  AnnounceReset(record, link::BootReason::kWatchdog);
  return reason;
}

void AnnounceReset(BootRecord& record, link::BootReason reason) {
  record.reason = static_cast<uint32_t>(reason);
  record.crc = CrcOf(record);
}

}  // namespace faraday::firmware::ast1030
