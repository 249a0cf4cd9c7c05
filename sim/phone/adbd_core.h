// The adb daemon's protocol engine: bytes of one link in, bytes out. Packets, the opening exchange, streams and their
// flow control. It knows no socket, no file, no clock and no process: transports (TCP, later USB) carry its bytes,
// services (service.h) answer on its streams. One thread.
//
// A packet is six little-endian u32 (command, arg0, arg1, data_length, data_check, magic = ~command), then the data.
// Ids: arg0 is always the sender's own stream id, arg1 the receiver's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "sim/phone/service.h"

namespace faraday::sim {

struct AdbPacket {
  uint32_t command = 0;
  uint32_t arg0 = 0;
  uint32_t arg1 = 0;
  std::string data;
};

// Commands: their four letters, little-endian.
constexpr uint32_t AdbCommand(const char (&name)[5]) {
  uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = (value << 8) | static_cast<unsigned char>(name[i]);
  return value;
}
constexpr uint32_t kCnxn = AdbCommand("CNXN");
constexpr uint32_t kOpen = AdbCommand("OPEN");
constexpr uint32_t kOkay = AdbCommand("OKAY");
constexpr uint32_t kWrte = AdbCommand("WRTE");
constexpr uint32_t kClse = AdbCommand("CLSE");

constexpr size_t kAdbHeaderBytes = 24;
constexpr uint32_t kAdbVersionChecked = 0x01000000;    // data_check is the byte sum of the data
constexpr uint32_t kAdbVersionUnchecked = 0x01000001;  // data_check is 0 and not looked at
constexpr uint32_t kAdbMaxData = 1 << 20;              // adb's own MAX_PAYLOAD since 2018

// The bytes of a packet; `checked` fills data_check.
std::string EncodeAdbPacket(const AdbPacket& packet, bool checked);

struct AdbdOptions {
  std::string banner;  // "device::ro.product.name=...;features=shell_v2,..."
  uint32_t version = kAdbVersionUnchecked;
  uint32_t max_data = kAdbMaxData;  // per packet, at least 256
  size_t max_streams = 256;         // chosen; further OPENs are refused
};

class AdbdCore {
 public:
  // `opener` must outlive this.
  AdbdCore(AdbdOptions options, ServiceOpener& opener);
  ~AdbdCore();
  AdbdCore(const AdbdCore&) = delete;
  AdbdCore& operator=(const AdbdCore&) = delete;

  // Takes bytes from the host as they come, in any pieces. Returns: kDataLoss when the link cannot be trusted any more
  // (bad magic, length or checksum): the transport must drop it. Unknown commands with good framing are ignored.
  Status Feed(std::string_view bytes);
  // What waits for the host. The transport sends it and says how much went with Sent().
  std::string_view output() const { return std::string_view(output_).substr(sent_); }
  void Sent(size_t count);
  // Called whenever output() was empty and is not any more.
  void OnOutput(std::function<void()> callback) { on_output_ = std::move(callback); }

  bool connected() const { return connected_; }
  size_t stream_count() const { return streams_.size(); }

 private:
  class CoreStream;
  using Handler = void (AdbdCore::*)(const AdbPacket&);
  static Handler HandlerOf(uint32_t command);

  Status CheckHeader(const AdbPacket& packet, uint32_t length, uint32_t magic) const;
  void Handle(const AdbPacket& packet);
  void HandleCnxn(const AdbPacket& packet);
  void HandleOpen(const AdbPacket& packet);
  void HandleOkay(const AdbPacket& packet);
  void HandleWrte(const AdbPacket& packet);
  void HandleClse(const AdbPacket& packet);
  void Send(uint32_t command, uint32_t arg0, uint32_t arg1, std::string data = {});
  CoreStream* Find(uint32_t local, uint32_t remote);
  void Close(uint32_t local);
  void Pump(uint32_t local);
  void DropAll();

  AdbdOptions options_;
  ServiceOpener& opener_;
  std::string input_;
  std::string output_;
  size_t sent_ = 0;
  std::function<void()> on_output_;
  std::map<uint32_t, std::unique_ptr<CoreStream>> streams_;  // by our id
  uint32_t next_id_ = 1;
  uint32_t version_ = kAdbVersionChecked;  // in force; the minimum of both sides after CNXN
  uint32_t max_data_ = 4096;               // adb's limit before CNXN was exchanged
  bool connected_ = false;
};

}  // namespace faraday::sim
