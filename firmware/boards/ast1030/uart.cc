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
constexpr uint32_t kTransmitEmpty = 1U << 5;
constexpr size_t kFifoBytes = 16;

}  // namespace

void Uart::Start() {
  WriteRegister(kInterruptEnable, 0);
  WriteRegister(kLineControl, 0x83);  // 8N1, divisor latch open
  WriteRegister(kData, 1);            // divisor 1 of the 24 MHz / 13 clock: 115200 baud. The model keeps no pace.
  WriteRegister(kUart5 + 0x04, 0);
  WriteRegister(kLineControl, 0x03);
  // FIFOs on and cleared, receive trigger 8: four times the throughput of trigger 1 in the emulator, and on a wire
  // 8 bytes of room for the handler's latency. The rest comes with the FIFO time-out.
  WriteRegister(kFifoControl, 0x87);
  WriteRegister(kModemControl, 0x03);  // DTR, RTS
  WriteRegister(kInterruptEnable, kReceiveInterrupt | kLineStatusInterrupt);
  WriteRegister(kNvicEnable, 1U << kUart5Irq);
}

size_t Uart::Read(std::span<uint8_t> in) {
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

void Uart::OnInterrupt() {
  // Reading the id acknowledges a transmit interrupt, so it comes before the bytes are moved.
  for (uint32_t id = ReadRegister(kInterruptId); (id & 1U) == 0; id = ReadRegister(kInterruptId)) {
    switch (id & 0x0FU) {
      case 0x04:  // receive trigger
      case 0x0C:  // receive time-out: fewer bytes than the trigger are waiting
        Receive();
        break;
      case 0x02:
        Transmit();
        break;
      default:
        static_cast<void>(ReadRegister(kLineStatus));  // break or error: reading clears it, the CRC judges the bytes
        break;
    }
  }
}

void Uart::Receive() {
  while ((ReadRegister(kLineStatus) & kDataReady) != 0) {
    if (!received_.Put(static_cast<uint8_t>(ReadRegister(kData)))) ++overruns_;
  }
}

void Uart::Transmit() {
  if ((ReadRegister(kLineStatus) & kTransmitEmpty) == 0) return;
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
