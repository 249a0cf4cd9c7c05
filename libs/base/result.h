// Result<T>: a value or the Status that says why there is none. Works freestanding.
#pragma once

#include <optional>
#include <utility>

#include "base/status.h"

namespace faraday {

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}          // NOLINT: implicit by design
  Result(Status status) : status_(std::move(status)) {}  // NOLINT: REQUIRES: !status.ok()

  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  // OK when a value is held.
  const Status& status() const { return status_; }
  // REQUIRES: ok()
  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T&& value() && { return std::move(*value_); }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return std::move(*value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  Status status_;
  std::optional<T> value_;
};

// Returns the status from the calling function when `expr` (a Status) is not OK.
#define FARADAY_TRY(expr)                                                          \
  do {                                                                             \
    if (auto faraday_status = (expr); !faraday_status.ok()) return faraday_status; \
  } while (false)

// `FARADAY_TRY_ASSIGN(auto x, F())`: x gets the value, or the calling function returns the status.
#define FARADAY_CONCAT_(a, b) a##b
#define FARADAY_CONCAT(a, b) FARADAY_CONCAT_(a, b)
#define FARADAY_TRY_ASSIGN(target, expr) FARADAY_TRY_ASSIGN_(FARADAY_CONCAT(faraday_result_, __LINE__), target, expr)
#define FARADAY_TRY_ASSIGN_(result, target, expr) \
  auto result = (expr);                           \
  if (!result.ok()) return result.status();       \
  target = std::move(result).value()

}  // namespace faraday
