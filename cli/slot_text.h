// Slots, racks and leases as people read them. Pure: time is an argument.
#pragma once

#include <cstdint>
#include <string>

#include "faraday/v1/rack.pb.h"

namespace faraday::cli {

// "ana until 14:20", "job of ana until 14:20", "free", "cleaning".
std::string LeaseWords(const v1::SlotState& slot, int64_t now_utc_ms);
// "board 0 online (native 0.1.0), STOPPED, a rail sags", "board 0 is OFFLINE: why".
std::string BoardWords(const v1::BoardState& board);
// "on" or, where the wish is not what is measured, "on>off" (asked > measured); "?" is unknown.
std::string VbusWords(const v1::Vbus& vbus);
std::string ShieldWords(const v1::Shield& shield);
std::string DataWords(const v1::Data& data);
std::string HealthWord(v1::Health health);
// "pixel-8 14 87%", "expects pixel-8", "-".
std::string PhoneWords(const v1::Device& device);

// Header lines and one row a slot. `age_ms` is that of the whole answer (0: fresh); `width` in characters: where it
// is small, reasons go under their rows.
std::string RenderRack(const v1::RackState& rack, int64_t now_utc_ms, size_t width, int64_t age_ms = 0);
// Everything about one slot, a line a fact.
std::string RenderCard(const v1::SlotState& slot, int64_t now_utc_ms);
// How a server's sockets are protected: "rack r01: CURVE", or a warning that nobody overlooks. Empty when not known.
std::string SecurityWords(const std::string& server, const std::string& security);
// One line after a switch command, measured: "r01/07: VBUS on, 5021 mV, 412 mA; data open; RF isolated".
std::string RenderMeasured(const v1::SlotState& slot);

}  // namespace faraday::cli
