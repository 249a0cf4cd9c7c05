// The one error type of every layer, host and MCU: a canonical code and a message.
//
// Codes are the gRPC set and are chosen by what the caller should do next. On the MCU the message
// is a string literal (`StaticMessage`); on the host it owns its text. No exceptions cross this type.
#pragma once

#include <cstdint>
#include <string_view>

#if __STDC_HOSTED__
#include <string>
#endif

namespace faraday {

// Numbers equal google.rpc.Code and faraday.v1.Status.code on the wire.
enum class Code : uint8_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,           // the outcome is unknown: read the state again before repeating
  kInvalidArgument = 3,   // mend the request
  kDeadlineExceeded = 4,  // no answer in time: the outcome is unknown
  kNotFound = 5,          // no such slot, lease, job
  kAlreadyExists = 6,
  kPermissionDenied = 7,    // another caller may, this one may not
  kResourceExhausted = 8,   // a bound is reached: wait or ask for less
  kFailedPrecondition = 9,  // mend the state first (clear the trip, get the lease)
  kAborted = 10,            // lost a race (stale epoch): start the operation again
  kOutOfRange = 11,
  kUnimplemented = 12,  // this peer cannot: it is older, or the slot has no such part
  kInternal = 13,       // a bug
  kUnavailable = 14,    // try the same call again later
  kDataLoss = 15,       // corrupt bytes
  kUnauthenticated = 16,
};

// The canonical spelling, e.g. "FAILED_PRECONDITION"; "CODE_?" for a number that is none.
constexpr std::string_view CodeName(Code code) {
  constexpr std::string_view kNames[] = {"OK",
                                         "CANCELLED",
                                         "UNKNOWN",
                                         "INVALID_ARGUMENT",
                                         "DEADLINE_EXCEEDED",
                                         "NOT_FOUND",
                                         "ALREADY_EXISTS",
                                         "PERMISSION_DENIED",
                                         "RESOURCE_EXHAUSTED",
                                         "FAILED_PRECONDITION",
                                         "ABORTED",
                                         "OUT_OF_RANGE",
                                         "UNIMPLEMENTED",
                                         "INTERNAL",
                                         "UNAVAILABLE",
                                         "DATA_LOSS",
                                         "UNAUTHENTICATED"};
  const auto index = static_cast<uint8_t>(code);
  return index < sizeof(kNames) / sizeof(kNames[0]) ? kNames[index] : "CODE_?";
}

class [[nodiscard]] Status {
 public:
#if __STDC_HOSTED__
  using Message = std::string;
#else
  using Message = std::string_view;  // must be a literal
#endif

  Status() = default;  // OK
  Status(Code code, Message message) : code_(code), message_(static_cast<Message&&>(message)) {}

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  // Plain words for people: what, where, allowed range with unit, what to do next. Empty when ok().
  const Message& message() const { return message_; }

 private:
  Code code_ = Code::kOk;
  Message message_{};
};

inline Status OkStatus() { return {}; }

#if __STDC_HOSTED__
// "FAILED_PRECONDITION: slot r01/07 is tripped ..."; "OK" when ok.
inline std::string ToString(const Status& status) {
  std::string text{CodeName(status.code())};
  if (!status.ok()) text += ": " + status.message();
  return text;
}
#endif

}  // namespace faraday
