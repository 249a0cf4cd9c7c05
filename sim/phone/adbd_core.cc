#include "sim/phone/adbd_core.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/result.h"

namespace faraday::sim {
namespace {

void PutU32(std::string& out, uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(value >> shift);
}

uint32_t GetU32(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value |= uint32_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
  return value;
}

uint32_t ByteSum(std::string_view data) {
  return std::accumulate(
      data.begin(), data.end(), uint32_t{0}, [](uint32_t sum, char c) { return sum + static_cast<unsigned char>(c); });
}

// What a packet may hold before CNXN told the real limit: the first protocol's maxdata, and ample for a banner.
constexpr uint32_t kMaxDataBeforeCnxn = 4096;

}  // namespace

std::string EncodeAdbPacket(const AdbPacket& packet, bool checked) {
  std::string out;
  out.reserve(kAdbHeaderBytes + packet.data.size());
  PutU32(out, packet.command);
  PutU32(out, packet.arg0);
  PutU32(out, packet.arg1);
  PutU32(out, static_cast<uint32_t>(packet.data.size()));
  PutU32(out, checked ? ByteSum(packet.data) : 0);
  PutU32(out, ~packet.command);
  return out + packet.data;
}

// One open stream. The window is ours: one WRTE may be out until the host's OKAY.
class AdbdCore::CoreStream : public Stream {
 public:
  CoreStream(AdbdCore& core, uint32_t local, uint32_t remote) : core_(core), local_(local), remote_(remote) {}

  void Wake() override {
    if (open) core_.Pump(local_);
  }
  void Consumed() override {
    if (!std::exchange(owes_okay, false) || !open) return;
    core_.Send(kOkay, local_, remote_);
  }
  uint32_t remote() const { return remote_; }

  std::unique_ptr<Service> service;
  bool open = false;       // OKAY for the OPEN was sent, and the stream is not closed
  bool window = false;     // the host is ready for one WRTE
  bool owes_okay = false;  // the service still holds the host's last WRTE
  bool busy = false;       // inside the service: Wake() is answered afterwards

 private:
  AdbdCore& core_;
  const uint32_t local_;
  const uint32_t remote_;
};

AdbdCore::AdbdCore(AdbdOptions options, ServiceOpener& opener) : options_(std::move(options)), opener_(opener) {
  options_.max_data = std::clamp<uint32_t>(options_.max_data, 256, kAdbMaxData);
}

AdbdCore::~AdbdCore() {
  on_output_ = nullptr;
  DropAll();
}

Status AdbdCore::Feed(std::string_view bytes) {
  input_ += bytes;
  size_t at = 0;
  while (input_.size() - at >= kAdbHeaderBytes) {
    AdbPacket packet{GetU32(input_, at), GetU32(input_, at + 4), GetU32(input_, at + 8), {}};
    const uint32_t length = GetU32(input_, at + 12);
    FARADAY_TRY(CheckHeader(packet, length, GetU32(input_, at + 20)));
    if (input_.size() - at < kAdbHeaderBytes + length) break;
    packet.data = input_.substr(at + kAdbHeaderBytes, length);
    if (version_ < kAdbVersionUnchecked && ByteSum(packet.data) != GetU32(input_, at + 16)) {
      return {Code::kDataLoss, "adb packet with a wrong data checksum; the link is dropped"};
    }
    at += kAdbHeaderBytes + length;
    Handle(packet);
  }
  input_.erase(0, at);
  return OkStatus();
}

Status AdbdCore::CheckHeader(const AdbPacket& packet, uint32_t length, uint32_t magic) const {
  if (magic != ~packet.command) return {Code::kDataLoss, "adb packet with a wrong magic; the link is dropped"};
  const uint32_t limit = connected_ ? options_.max_data : kMaxDataBeforeCnxn;
  if (length > limit) {
    return {Code::kDataLoss,
            "adb packet of " + std::to_string(length) + " bytes, allowed 0 to " + std::to_string(limit) +
                "; the link is dropped"};
  }
  return OkStatus();
}

void AdbdCore::Sent(size_t count) {
  sent_ += std::min(count, output_.size() - sent_);
  if (sent_ == output_.size()) {
    output_.clear();
    sent_ = 0;
  } else if (sent_ > kAdbMaxData) {
    output_.erase(0, sent_);
    sent_ = 0;
  }
}

AdbdCore::Handler AdbdCore::HandlerOf(uint32_t command) {
  static constexpr struct {
    uint32_t command;
    Handler handler;
  } kHandlers[] = {
      {kCnxn, &AdbdCore::HandleCnxn},
      {kOpen, &AdbdCore::HandleOpen},
      {kOkay, &AdbdCore::HandleOkay},
      {kWrte, &AdbdCore::HandleWrte},
      {kClse, &AdbdCore::HandleClse},
  };
  for (const auto& entry : kHandlers) {
    if (entry.command == command) return entry.handler;
  }
  return nullptr;
}

void AdbdCore::Handle(const AdbPacket& packet) {
  const Handler handler = HandlerOf(packet.command);
  if (handler == nullptr || (!connected_ && packet.command != kCnxn)) return;
  (this->*handler)(packet);
}

// A CNXN starts the link anew, whatever was open: the host's server has restarted or lost step.
void AdbdCore::HandleCnxn(const AdbPacket& packet) {
  DropAll();
  version_ = std::min(packet.arg0, options_.version);
  max_data_ = std::clamp<uint32_t>(packet.arg1, 256, options_.max_data);
  connected_ = true;
  // The answer carries a checksum whatever the versions: the host checks by its own state, which CNXN is about to set.
  const bool was_empty = output().empty();
  output_ += EncodeAdbPacket({kCnxn, options_.version, options_.max_data, options_.banner}, true);
  if (was_empty && on_output_) on_output_();
}

void AdbdCore::HandleOpen(const AdbPacket& packet) {
  const uint32_t remote = packet.arg0;
  if (remote == 0) return;
  if (streams_.size() >= options_.max_streams) return Send(kClse, 0, remote);
  std::string_view name = packet.data;
  if (!name.empty() && name.back() == '\0') name.remove_suffix(1);
  const uint32_t local = next_id_++;
  if (next_id_ == 0) next_id_ = 1;
  auto stream = std::make_unique<CoreStream>(*this, local, remote);
  stream->service = opener_.Open(name, *stream);
  if (!stream->service) return Send(kClse, 0, remote);
  stream->open = stream->window = true;
  streams_[local] = std::move(stream);
  Send(kOkay, local, remote);
  Pump(local);
}

void AdbdCore::HandleOkay(const AdbPacket& packet) {
  CoreStream* stream = Find(packet.arg1, packet.arg0);
  if (stream == nullptr) return;
  stream->window = true;
  Pump(packet.arg1);
}

void AdbdCore::HandleWrte(const AdbPacket& packet) {
  CoreStream* stream = Find(packet.arg1, packet.arg0);
  if (stream == nullptr) return;
  // A second write before our OKAY breaks the protocol; the stream is lost, the link is not.
  if (stream->owes_okay) return Close(packet.arg1);
  stream->owes_okay = true;
  stream->busy = true;
  stream->service->Deliver(packet.data);
  stream->busy = false;
  Pump(packet.arg1);
}

void AdbdCore::HandleClse(const AdbPacket& packet) {
  // arg0 is 0 when the host refuses instead of closing; then only our id names the stream.
  const auto found = streams_.find(packet.arg1);
  if (found == streams_.end()) return;
  if (packet.arg0 != 0 && packet.arg0 != found->second->remote()) return;
  Close(packet.arg1);
}

void AdbdCore::Send(uint32_t command, uint32_t arg0, uint32_t arg1, std::string data) {
  const bool was_empty = output().empty();
  output_ += EncodeAdbPacket({command, arg0, arg1, std::move(data)}, version_ < kAdbVersionUnchecked);
  if (was_empty && on_output_) on_output_();
}

AdbdCore::CoreStream* AdbdCore::Find(uint32_t local, uint32_t remote) {
  const auto found = streams_.find(local);
  if (found == streams_.end() || found->second->remote() != remote) return nullptr;
  return found->second.get();
}

void AdbdCore::Close(uint32_t local) {
  const auto found = streams_.find(local);
  if (found == streams_.end()) return;
  const auto stream = std::move(found->second);
  streams_.erase(found);
  stream->open = false;
  Send(kClse, local, stream->remote());
}

// Sends what the service has while the host's window is open; closes the stream once the service has ended.
void AdbdCore::Pump(uint32_t local) {
  const auto found = streams_.find(local);
  if (found == streams_.end()) return;
  CoreStream& stream = *found->second;
  if (!stream.window || stream.busy) return;
  stream.busy = true;
  std::string data = stream.service->Pull(max_data_);
  stream.busy = false;
  if (!data.empty()) {
    stream.window = false;
    return Send(kWrte, local, stream.remote(), std::move(data));
  }
  if (stream.service->Ended()) Close(local);
}

void AdbdCore::DropAll() {
  for (auto& [id, stream] : streams_) stream->open = false;
  streams_.clear();
}

}  // namespace faraday::sim
