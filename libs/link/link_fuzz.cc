// libFuzzer target: any bytes into the frame decoder, and its payload into every message decoder and the printer.
// Built with FARADAY_FUZZ: cmake --preset fuzz && build/fuzz/bin/fuzz_link
#include <cstdint>
#include <span>

#include "link/human.h"

namespace {

using namespace faraday::link;  // NOLINT: this file is about nothing else

void TakePayload(std::span<const uint8_t> payload) {
  (void)DecodeMessage<Hello>(payload);
  (void)DecodeMessage<HelloReply>(payload);
  (void)DecodeMessage<Command>(payload);
  (void)DecodeMessage<Reply>(payload);
  (void)DecodeMessage<Telemetry>(payload);
  (void)DecodeMessage<Event>(payload);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const uint8_t> bytes(data, size);
  static FrameDecoder decoder;
  for (uint8_t byte : bytes) {
    if (decoder.Feed(byte) != FrameDecoder::Outcome::kFrame) continue;
    (void)Describe(Direction::kToMcu, decoder.frame());
    (void)Describe(Direction::kToHost, decoder.frame());
  }
  TakePayload(bytes);  // the CRC would keep most inputs from getting here through a frame
  (void)ParseHuman({reinterpret_cast<const char*>(data), size});
  return 0;
}
