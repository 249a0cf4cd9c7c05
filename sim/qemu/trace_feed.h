// QEMU's trace log as the feed of the firmware's outputs: lines pushed into a FIFO, in order, as pins change.
//
// The FIFO is opened for reading and writing before QEMU starts, so that QEMU never waits for a reader. A reader that
// stops reading stops QEMU once the pipe is full.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace faraday::sim::qemu {

// An expander's pin changed: asserted is "LED on", the pin pulled low.
struct ExpanderPinChanged {
  std::string label;  // the expander's description
  uint32_t pin;       // 0 to 15
  bool asserted;
  bool operator==(const ExpanderPinChanged&) const = default;
};
// The firmware wrote a GPIO register.
struct GpioWritten {
  uint32_t offset;
  uint32_t value;
  bool operator==(const GpioWritten&) const = default;
};
// Every chip of the machine went to its reset state. Stands in the log where it happened: lines before it belong to
// the firmware's earlier life (an expander's reset changes pins without a line of its own).
struct MachineReset {
  bool operator==(const MachineReset&) const = default;
};
using TraceEvent = std::variant<ExpanderPinChanged, GpioWritten, MachineReset>;

// The events the rack needs; QEMU is asked for these.
inline constexpr const char* kTraceEvents[] = {"pca955x_gpio_change", "aspeed_gpio_write", "resettable_reset"};

// One line, with or without QEMU's process id and time stamp in front. Nothing when it is another line.
std::optional<TraceEvent> ParseTraceLine(std::string_view line);

class TraceFeed {
 public:
  // Makes the FIFO at `path` and opens it. Errors: kUnavailable with the reason.
  static Result<TraceFeed> Create(const std::string& path);
  // Opens one that is there, of a machine that runs. What QEMU told while nobody had it open is lost.
  static Result<TraceFeed> Open(const std::string& path);
  TraceFeed(TraceFeed&& other) noexcept;
  TraceFeed& operator=(TraceFeed&&) = delete;
  ~TraceFeed();

  int fd() const { return fd_; }
  // What has arrived by now, in order; never waits.
  std::vector<TraceEvent> Read();

 private:
  explicit TraceFeed(int fd) : fd_(fd) {}

  int fd_;
  std::string received_;
};

}  // namespace faraday::sim::qemu
