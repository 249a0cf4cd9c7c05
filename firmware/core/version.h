// What HelloReply says about this firmware.
#pragma once

#ifndef FARADAY_FIRMWARE_BUILD_ID
#define FARADAY_FIRMWARE_BUILD_ID "unversioned"
#endif

namespace faraday::firmware {

inline constexpr const char* kFirmwareVersion = "0.1.0";            // the project's version in the top CMakeLists.txt
inline constexpr const char* kBuildId = FARADAY_FIRMWARE_BUILD_ID;  // the commit, at most 23 bytes

}  // namespace faraday::firmware
