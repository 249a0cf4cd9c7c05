#include "firmware/boards/ast1030/uart.h"

#include "firmware/boards/ast1030/registers.h"

namespace faraday::firmware::ast1030 {
namespace {

// 16550 registers, four bytes apart here.
constexpr uintptr_t kData = kUart5 + 0x00;
constexpr uintptr_t kInterruptEnable = kUart5 + 0x04;
constexpr uintptr_t kInterruptId = kUart5 + 0x08;  // read
constexpr uintptr_t kFifoControl = kUart5 + 0x08;  // write
constexpr uintptr_t kLineControl = kUart5 + 0x0C;
constexpr uintptr_t kModemControl = kUart5 + 0x10;
constexpr uintptr_t kLineStatus = kUart5 + 0x14;

constexpr uint32_t kReceiveInterrupt = 1U << 0;
constexpr uint32_t kTransmitInterrupt = 1U << 1;
constexpr uint32_t kLineStatusInterrupt = 1U << 2;
constexpr uint32_t kDataReady = 1U << 0;
constexpr uint32_t kLineErrors = 0x1EU;  // overrun, parity, framing, break; reading clears them
constexpr uint32_t kTransmitEmpty = 1U << 5;
constexpr size_t kFifoBytes = 16;

// UART5's clock: 24 or 192 MHz (SCU304 bit 14), divided by 13 or not (SCU0C0 bit 12); U-Boot clk_ast2600.c.
constexpr uintptr_t kScuKey = kScu + 0x00;
constexpr uint32_t kScuUnlock = 0x1688A8A8;
constexpr uintptr_t kMiscControl = kScu + 0xC0;
constexpr uint32_t kDivideBy13 = 1U << 12;
constexpr uintptr_t kClockSelect2 = kScu + 0x304;
constexpr uint32_t kUart5From192MHz = 1U << 14;
// 192 MHz / 13 / 16 / 2 = 461,538 baud, 0.16 % above 460,800; a receiver stands 2 %.
constexpr uint32_t kDivisor = 2;

void SelectClock() {
  WriteRegister(kScuKey, kScuUnlock);
  SetBits(kMiscControl, kDivideBy13);
  SetBits(kClockSelect2, kUart5From192MHz);
  WriteRegister(kScuKey, 0);  // locked again
}

}  // namespace

void Uart::Start() {
  SelectClock();
  WriteRegister(kInterruptEnable, 0);
  WriteRegister(kLineControl, 0x83);  // 8N1, divisor latch open
  WriteRegister(kData, kDivisor);
  WriteRegister(kInterruptEnable, 0);  // the divisor's upper byte
  WriteRegister(kLineControl, 0x03);
  // FIFOs on and cleared, receive trigger 8: four times the throughput of trigger 1 in the emulator, and on a wire
  // 8 bytes (174 us) of room for the handler's latency. The rest comes with the FIFO time-out (87 us).
  WriteRegister(kFifoControl, 0x87);
  WriteRegister(kModemControl, 0x03);  // DTR, RTS
  WriteRegister(kInterruptEnable, kReceiveInterrupt | kLineStatusInterrupt);
  WriteRegister(kNvicEnable, 1U << kUart5Irq);
}

// An empty ring after all that came was read: a stop frame that was counted before and is still not taken was cut by a
// full ring, and has stopped the rack already.
size_t Uart::Read(std::span<uint8_t> in) {
  const uint32_t seen = stops_seen_.load(std::memory_order_acquire);
  if (!in.empty() && received_.empty()) stops_taken_ = seen;
  size_t count = 0;
  while (count < in.size() && received_.Take(in[count])) ++count;
  return count;
}

size_t Uart::Write(std::span<const uint8_t> out) {
  size_t count = 0;
  while (count < out.size() && to_send_.Put(out[count])) ++count;
  // Written whole, not read-modify-write: the handler clears the same bit.
  if (count > 0) WriteRegister(kInterruptEnable, kReceiveInterrupt | kLineStatusInterrupt | kTransmitInterrupt);
  return count;
}

bool Uart::OnInterrupt() {
  bool stop = false;
  // Reading the id acknowledges a transmit interrupt, so it comes before the bytes are moved.
  for (uint32_t id = ReadRegister(kInterruptId); (id & 1U) == 0; id = ReadRegister(kInterruptId)) {
    switch (id & 0x0FU) {
      case 0x04:  // receive trigger
      case 0x0C:  // receive time-out: fewer bytes than the trigger are waiting
        stop = Receive() || stop;
        break;
      case 0x02:
        Transmit();
        break;
      default:
        TakeLineStatus();
        break;
    }
  }
  return stop;
}

// A break arrives as a zero byte, which ends a frame: what was cut is dropped for its CRC, and the next one is whole.
uint32_t Uart::TakeLineStatus() {
  const uint32_t status = ReadRegister(kLineStatus);
  if ((status & kLineErrors) != 0) CountError();
  return status;
}

// The byte is in the ring before its stop frame counts: Read relies on it.
bool Uart::Receive() {
  bool stop = false;
  while ((TakeLineStatus() & kDataReady) != 0) {
    const auto byte = static_cast<uint8_t>(ReadRegister(kData));
    if (!received_.Put(byte)) CountError();
    if (!stop_watch_.Feed(byte)) continue;
    stops_seen_.store(stops_seen_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    stop = true;
  }
  return stop;
}

void Uart::Transmit() {
  if ((TakeLineStatus() & kTransmitEmpty) == 0) return;
  uint8_t byte = 0;
  for (size_t i = 0; i < kFifoBytes; ++i) {
    if (!to_send_.Take(byte)) {
      WriteRegister(kInterruptEnable, kReceiveInterrupt | kLineStatusInterrupt);
      return;
    }
    WriteRegister(kData, byte);
  }
}

}  // namespace faraday::firmware::ast1030
