// How many bytes a telemetry takes on the line, and what one message per slot would take. Host only: encodes with the
// firmware's codec and, for the comparison, with a stock Protobuf library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "link/messages.h"

namespace faraday::firmware::bench {

struct TelemetryBytes {
  size_t payload = 0;  // the message as the firmware sends it to our controller: Hello.telemetry_form 1
  size_t plain = 0;    // to a host that does not ask for that form
  size_t nested = 0;   // the same numbers with one message per slot (reference.proto)
  size_t wire = 0;     // the payload in its frame: zeros, COBS, header, CRC
};

// REQUIRES: form is kPlainTelemetry or kCompactTelemetry.
std::vector<uint8_t> Encoded(const link::Telemetry& telemetry, uint32_t form);
TelemetryBytes BytesOf(const link::Telemetry& telemetry);

}  // namespace faraday::firmware::bench
