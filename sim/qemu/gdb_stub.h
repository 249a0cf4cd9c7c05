// The debugger's door of QEMU (GDB remote protocol), as far as a test needs it to break the running firmware: read the
// program counter, write memory and the stack pointer, let go. One connection; blocking; not thread safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace faraday::sim::qemu {

class GdbStub {
 public:
  // Connecting stops the processor. Errors: kUnavailable.
  static Result<GdbStub> Connect(const std::string& path, Milliseconds timeout);
  GdbStub(GdbStub&& other) noexcept;
  GdbStub& operator=(GdbStub&&) = delete;
  // Lets the processor run on unless Detach() did, as far as the stub still listens.
  ~GdbStub();

  Result<uint32_t> ProgramCounter();
  // r13, of the context that the processor stopped in.
  Status SetStackPointer(uint32_t value);
  Status WriteMemory(uint32_t address, std::span<const uint8_t> bytes);
  // Lets the processor run on.
  Status Detach();

 private:
  GdbStub(int fd, Milliseconds timeout) : fd_(fd), timeout_(timeout) {}
  Result<std::string> Exchange(std::string_view packet);

  int fd_;
  Milliseconds timeout_;
  bool stopped_ = true;  // by our coming
  std::string received_;
};

// "$packet#sum", the sum as two hex digits (GDB manual, "Remote Protocol: Overview").
std::string GdbPacket(std::string_view packet);

}  // namespace faraday::sim::qemu
