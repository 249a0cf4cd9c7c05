// The register block of host tests: what registers.h calls off the target. Registers keep what is written; a model (an
// I2C port, a flash) takes over the addresses it knows. Time goes on by a microsecond at each look at the timer, so
// that every bounded wait ends. One alive at a time; single thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace faraday::firmware::ast1030 {

class FakeRegisters {
 public:
  FakeRegisters();
  ~FakeRegisters();
  FakeRegisters(const FakeRegisters&) = delete;
  FakeRegisters& operator=(const FakeRegisters&) = delete;

  uint32_t Read(uintptr_t address);
  void Write(uintptr_t address, uint32_t value);

  std::map<uintptr_t, uint32_t> values;
  std::map<uintptr_t, std::function<uint32_t()>> on_read;
  std::map<uintptr_t, std::function<void(uint32_t)>> on_write;
  uint32_t now_us = 0;
};

// One I2C controller in legacy mode with chips on its wire. Writes down what happens on the wire, in order, together
// with other ports of the same log: "2:S20" START and byte, "2:8b" byte, "2:r" read and ACK, "2:n" read and NAK,
// "2:P" STOP, "2:recover", "2:reset" the controller.
class FakeI2cPort {
 public:
  FakeI2cPort(FakeRegisters& registers, int bus, std::vector<std::string>& log);

  struct Chip {
    std::vector<uint8_t> answer;   // what it gives at a read
    std::vector<uint8_t> written;  // of the last write transfer
    int silent_for = 0;            // address bytes that it does not acknowledge
  };
  std::map<uint8_t, Chip> chips;
  bool hangs = false;    // no step ever ends
  bool sda_low = false;  // a part holds the line; ends with the recovery command if that works
  bool recovery_works = true;
  std::function<void(Chip&)> on_stop;  // after a write transfer

 private:
  void OnCommand(uint32_t command);
  void OnStart();
  void OnTransmit();
  void OnReceive(bool last);
  void Note(const std::string& what);

  FakeRegisters& registers_;
  uintptr_t base_;
  std::string name_;
  std::vector<std::string>& log_;
  uint32_t status_ = 0;
  Chip* chip_ = nullptr;
  bool reading_ = false;
  size_t at_ = 0;
};

}  // namespace faraday::firmware::ast1030
