#include "firmware/bench/bytes.h"

#include <array>

#include "base/check.h"
#include "faraday/link/v1/link.pb.h"
#include "link/frame.h"
#include "reference.pb.h"

namespace faraday::firmware::bench {
namespace {

NestedSlots NestedOf(const link::Telemetry& telemetry) {
  NestedSlots nested;
  for (size_t i = 0; i < telemetry.vbus_mv.size(); ++i) {
    SlotTelemetry& slot = *nested.add_slot();
    slot.set_vbus_mv(telemetry.vbus_mv[i]);
    slot.set_vbus_ma(telemetry.vbus_ma[i]);
    slot.set_tray_deci_c(telemetry.tray_deci_c[i]);
    slot.set_state(telemetry.state[i]);
    slot.set_lease_left_ms(telemetry.lease_left_ms[i]);
  }
  return nested;
}

// What stands in the message beside the slots' columns.
size_t BytesBesideSlots(const std::vector<uint8_t>& payload) {
  faraday::link::v1::Telemetry rest;
  FARADAY_CHECK(rest.ParseFromArray(payload.data(), static_cast<int>(payload.size())));
  rest.clear_vbus_mv();
  rest.clear_vbus_ma();
  rest.clear_tray_deci_c();
  rest.clear_state();
  rest.clear_lease_left_ms();
  return rest.ByteSizeLong();
}

}  // namespace

std::vector<uint8_t> Encoded(const link::Telemetry& telemetry, uint32_t form) {
  std::vector<uint8_t> payload(link::kMaxPayload);
  const bool compact = form == link::kCompactTelemetry;
  const auto length = compact ? link::EncodeCompact(telemetry, payload) : link::EncodeMessage(telemetry, payload);
  FARADAY_CHECK(length.ok());
  payload.resize(*length);
  return payload;
}

TelemetryBytes BytesOf(const link::Telemetry& telemetry) {
  const std::vector<uint8_t> payload = Encoded(telemetry, link::kCompactTelemetry);
  const std::vector<uint8_t> plain = Encoded(telemetry, link::kPlainTelemetry);
  std::array<uint8_t, link::kMaxWire> wire{};
  const auto frame =
      link::EncodeFrame({.channel = link::Channel::kTelemetry, .session = 0x5eed1234, .term = 3}, payload, wire);
  FARADAY_CHECK(frame.ok());
  return {.payload = payload.size(),
          .plain = plain.size(),
          .nested = BytesBesideSlots(plain) + NestedOf(telemetry).ByteSizeLong(),
          .wire = *frame};
}

}  // namespace faraday::firmware::bench
