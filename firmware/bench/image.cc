// The measuring image for the ast1030 machine of QEMU: runs the product's codec and frames on the sample messages and
// prints what each takes, in instructions of the processor, by semihosting. No part of the product's image.
//
// Run with `-icount shift=0` every instruction takes 1 ns of the machine's time, and SysTick counts that time. How many
// instructions a tick is, is measured with a loop of known length, not assumed.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "firmware/bench/sample.h"
#include "link/codec.h"
#include "link/frame.h"

extern "C" {
extern uint32_t data_image, data_start, data_end, bss_start, bss_end, stack_top;
void ResetHandler();
void Stop();
}

namespace faraday::firmware::bench {
namespace {

// ---- semihosting (Arm's "Semihosting for AArch32 and AArch64") ----

constexpr uint32_t kWriteText = 0x04;
constexpr uint32_t kExit = 0x18;
constexpr uint32_t kGood = 0x20026;  // ADP_Stopped_ApplicationExit
constexpr uint32_t kBad = 0x20024;   // ADP_Stopped_InternalError

void Semihost(uint32_t operation, uint32_t argument) {
  register uint32_t r0 __asm("r0") = operation;
  register uint32_t r1 __asm("r1") = argument;
  __asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

void Print(const char* text) { Semihost(kWriteText, reinterpret_cast<uint32_t>(text)); }

[[noreturn]] void Exit(uint32_t reason) {
  Semihost(kExit, reason);
  while (true) continue;
}

void PrintNumber(uint32_t value) {
  std::array<char, 11> text{};
  size_t at = text.size() - 1;
  do {
    text[--at] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value > 0);
  Print(&text[at]);
}

void PrintFigure(const char* name, uint32_t value, const char* unit) {
  Print(name);
  Print(" ");
  PrintNumber(value);
  Print(unit);
}

// ---- time ----

volatile uint32_t& Register(uintptr_t address) { return *reinterpret_cast<volatile uint32_t*>(address); }
constexpr uintptr_t kControl = 0xE000E010;  // SysTick (ARMv7-M Architecture Reference Manual, B3.3)
constexpr uintptr_t kReload = 0xE000E014;
constexpr uintptr_t kCurrent = 0xE000E018;
constexpr uint32_t kMask = 0xFFFFFF;

void StartClock() {
  Register(kReload) = kMask;
  Register(kCurrent) = 0;
  Register(kControl) = 0x5;  // core clock, no interrupt
}

uint32_t Ticks() { return kMask - (Register(kCurrent) & kMask); }

// Two instructions a round.
constexpr uint32_t kRounds = 100'000;
void KnownLoop() {
  uint32_t rounds = kRounds;
  __asm volatile("1: subs %0, %0, #1\n bne 1b\n" : "+r"(rounds) : : "cc");
}

uint32_t TicksOf(void (*work)()) {
  const uint32_t before = Ticks();
  work();
  return (Ticks() - before) & kMask;
}

// ---- what is measured ----

constexpr uint32_t kRepeats = 20;

link::Telemetry telemetry;
link::Command command;
std::array<uint8_t, link::kMaxPayload> payload;
std::array<uint8_t, link::kMaxWire> wire;
size_t payload_bytes = 0;
size_t wire_bytes = 0;
link::FrameDecoder decoder;

void MustBe(bool good, const char* what) {
  if (good) return;
  Print(what);
  Print(": failed\n");
  Exit(kBad);
}

template <typename Message>
void Encode(const Message& message) {
  const auto length = link::EncodeMessage(message, payload);
  MustBe(length.ok(), "encode");
  payload_bytes = *length;
}

void EncodePlainTelemetry() { Encode(telemetry); }
void EncodeTelemetry() {
  const auto length = link::EncodeCompact(telemetry, payload);
  MustBe(length.ok(), "encode");
  payload_bytes = *length;
}
void DecodeCommand() {
  link::Command decoded;
  MustBe(link::DecodeInto(std::span<const uint8_t>(payload).first(payload_bytes), decoded).ok(), "decode");
}
void EncodeFrame() {
  const auto length = link::EncodeFrame({}, std::span(payload).first(payload_bytes), wire);
  MustBe(length.ok(), "frame");
  wire_bytes = *length;
}
void DecodeFrame() {
  bool whole = false;
  for (size_t i = 0; i < wire_bytes; ++i) whole = decoder.Feed(wire[i]) == link::FrameDecoder::Outcome::kFrame;
  MustBe(whole, "frame's end");
}
void Nothing() {}

void (*measured)() = Nothing;
void Repeat() {
  for (uint32_t i = 0; i < kRepeats; ++i) measured();
}

// Instructions of one run of `work`, without the call's own.
uint32_t InstructionsOf(void (*work)()) {
  const auto ticks = [](void (*what)()) {
    measured = what;
    return TicksOf(Repeat);
  };
  const uint64_t empty = ticks(Nothing);
  const uint64_t taken = ticks(work) - empty;
  return static_cast<uint32_t>(taken * 2 * kRounds / TicksOf(KnownLoop) / kRepeats);
}

void Measure(const char* name, void (*work)()) { PrintFigure(name, InstructionsOf(work), " instructions\n"); }

void MeasureTelemetry(void (*fill)(link::Telemetry&), const char* encode, const char* frame) {
  fill(telemetry);
  Measure(encode, EncodeTelemetry);
  Measure(frame, EncodeFrame);
}

void MeasureCommand(const link::Command& sample, const char* frame, const char* decode) {
  command = sample;
  Encode(command);
  EncodeFrame();
  Measure(frame, DecodeFrame);
  Measure(decode, DecodeCommand);
}

}  // namespace

[[noreturn]] void Main() {
  StartClock();
  MeasureTelemetry(FillCharging, "telemetry_encode", "telemetry_frame_encode");
  PrintFigure("telemetry_on_target", payload_bytes, " B\n");
  Measure("telemetry_plain_encode", EncodePlainTelemetry);
  MeasureTelemetry(FillWorst, "telemetry_worst_encode", "telemetry_worst_frame_encode");
  MeasureCommand(SwitchOn(), "set_vbus_frame_decode", "set_vbus_decode");
  MeasureCommand(Configuration(), "configure_frame_decode", "configure_decode");
  Exit(kGood);
}

extern "C" [[noreturn]] __attribute__((used)) void StartBench() {
  const uint32_t* from = &data_image;
  for (uint32_t* to = &data_start; to < &data_end;) *to++ = *from++;
  for (uint32_t* to = &bss_start; to < &bss_end;) *to++ = 0;
  Main();
}

}  // namespace faraday::firmware::bench

extern "C" {
__attribute__((naked)) void ResetHandler() { __asm volatile("b StartBench\n"); }
void Stop() { faraday::firmware::bench::Exit(faraday::firmware::bench::kBad); }
[[noreturn]] void abort() { faraday::firmware::bench::Exit(faraday::firmware::bench::kBad); }
}

union VectorEntry {
  const uint32_t* stack;
  void (*handler)();
};
__attribute__((section(".vectors"), used)) constinit const std::array<VectorEntry, 16> kVectors = [] {
  std::array<VectorEntry, 16> vectors{};
  for (auto& vector : vectors) vector = {.handler = Stop};
  vectors[0] = {.stack = &stack_top};
  vectors[1] = {.handler = ResetHandler};
  return vectors;
}();
