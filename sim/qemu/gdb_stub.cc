#include "sim/qemu/gdb_stub.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "sim/qemu/unix_socket.h"

namespace faraday::sim::qemu {
namespace {

constexpr size_t kProgramCounterAt = 15 * 8;  // r15, eight hex digits a register

uint32_t ByteFrom(std::string_view two_digits) {
  uint32_t byte = 0;
  std::from_chars(two_digits.data(), two_digits.data() + two_digits.size(), byte, 16);
  return byte;
}

// Takes the first whole packet's content out of `received`.
std::optional<std::string> TakePacket(std::string& received) {
  const size_t start = received.find('$');
  const size_t end = received.find('#', start == std::string::npos ? 0 : start);
  if (start == std::string::npos || end == std::string::npos || received.size() < end + 3) return std::nullopt;
  std::string content = received.substr(start + 1, end - start - 1);
  received.erase(0, end + 3);
  return content;
}

// The stub tells by itself that the processor stopped, which is no answer.
bool IsStopNotice(const std::string& content) { return content.starts_with('T'); }

}  // namespace

std::string GdbPacket(std::string_view packet) {
  unsigned sum = 0;
  for (const char c : packet) sum += static_cast<unsigned char>(c);
  return fmt::format("${}#{:02x}", packet, sum & 0xFFU);
}

Result<GdbStub> GdbStub::Connect(const std::string& path, Milliseconds timeout) {
  FARADAY_TRY_ASSIGN(const int fd, ConnectUnix(path, BootClock::now() + timeout));
  return GdbStub(fd, timeout);
}

GdbStub::GdbStub(GdbStub&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), timeout_(other.timeout_), stopped_(other.stopped_) {}

GdbStub::~GdbStub() {
  if (fd_ < 0) return;
  if (stopped_) (void)SendAll(fd_, GdbPacket("D"));
  close(fd_);
}

Result<std::string> GdbStub::Exchange(std::string_view packet) {
  FARADAY_TRY(SendAll(fd_, GdbPacket(packet)));
  const BootTime deadline = BootClock::now() + timeout_;
  while (true) {
    while (auto content = TakePacket(received_)) {
      FARADAY_TRY(SendAll(fd_, "+"));
      if (!IsStopNotice(*content)) return std::move(*content);
    }
    pollfd waiting{.fd = fd_, .events = POLLIN, .revents = 0};
    const auto left = deadline - BootClock::now();
    if (left.count() <= 0 || poll(&waiting, 1, static_cast<int>(left.count())) <= 0) {
      return Status(Code::kDeadlineExceeded, fmt::format("the GDB stub does not answer \"{}\"", packet));
    }
    std::array<char, 2048> buffer{};
    const ssize_t count = recv(fd_, buffer.data(), buffer.size(), 0);
    if (count <= 0) return Status(Code::kUnavailable, "the GDB stub closed the line");
    received_.append(buffer.data(), static_cast<size_t>(count));
  }
}

Result<uint32_t> GdbStub::ProgramCounter() {
  FARADAY_TRY_ASSIGN(const std::string registers, Exchange("g"));
  if (registers.size() < kProgramCounterAt + 8) return Status(Code::kDataLoss, "the GDB stub's registers are short");
  uint32_t counter = 0;
  for (size_t i = 0; i < 4; ++i) {  // target byte order: little endian
    counter |= ByteFrom(std::string_view(registers).substr(kProgramCounterAt + 2 * i, 2)) << (8 * i);
  }
  return counter;
}

Status GdbStub::SetStackPointer(uint32_t value) {
  // QEMU takes single registers only from a debugger that has asked which there are.
  FARADAY_TRY_ASSIGN(const std::string registers, Exchange("qXfer:features:read:target.xml:0,40"));
  const uint32_t swapped = __builtin_bswap32(value);  // target byte order: little endian
  FARADAY_TRY_ASSIGN(const std::string answer, Exchange(fmt::format("Pd={:08x}", swapped)));
  if (answer != "OK") return {Code::kFailedPrecondition, "stack pointer not written: " + answer};
  return OkStatus();
}

Status GdbStub::WriteMemory(uint32_t address, std::span<const uint8_t> bytes) {
  std::string packet = fmt::format("M{:x},{:x}:", address, bytes.size());
  for (const uint8_t byte : bytes) packet += fmt::format("{:02x}", byte);
  FARADAY_TRY_ASSIGN(const std::string answer, Exchange(packet));
  if (answer != "OK")
    return {Code::kFailedPrecondition, fmt::format("memory at {:#x} not written: {}", address, answer)};
  return OkStatus();
}

Status GdbStub::Detach() {
  FARADAY_TRY_ASSIGN(const std::string answer, Exchange("D"));
  stopped_ = answer != "OK";
  return stopped_ ? Status(Code::kFailedPrecondition, "the GDB stub does not let go: " + answer) : OkStatus();
}

}  // namespace faraday::sim::qemu
