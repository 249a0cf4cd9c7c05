// RackApp over a board in memory, for tests: a host's frames in, milliseconds, telemetry out.
#pragma once

#include <gtest/gtest.h>

#include <utility>

#include "firmware/drivers/fake_board.h"
#include "firmware/drivers/rack_app.h"
#include "link/codec.h"

namespace faraday::firmware {

template <typename B>
struct AppOn : testing::Test {
  AppOn() : app(board) { app.Boot(); }

  void Run(uint32_t ms) {
    for (uint32_t i = 0; i < ms; ++i) {
      ++board.now_ms;
      if (follow_vbus) {
        for (size_t slot = 0; slot < FakeBoard::kSlots; ++slot) {
          board.SetMillivolts(slot, board.PinOn(slot, 0) ? 5000 : 0);
        }
      }
      app.Pass();
    }
  }
  void Feed(const link::FrameHeader& header, std::span<const uint8_t> payload) {
    std::array<uint8_t, link::kMaxWire> wire{};
    const auto length = link::EncodeFrame(header, payload, wire);
    board.to_mcu.insert(board.to_mcu.end(), wire.begin(), wire.begin() + static_cast<ptrdiff_t>(*length));
  }
  template <typename Message>
  void FeedMessage(const link::FrameHeader& header, const Message& message) {
    std::array<uint8_t, link::kMaxPayload> payload{};
    const auto length = link::EncodeMessage(message, payload);
    Feed(header, std::span<const uint8_t>(payload).first(*length));
  }
  template <typename Call>
  void FeedCommand(const Call& call) {
    ++seq;
    const link::FrameHeader header{.channel = link::Channel::kCommand, .session = 77, .term = 1, .seq = seq};
    FeedMessage(header, link::Command{.id = seq, .call = call});
  }
  template <typename Call>
  void Command(const Call& call) {
    FeedCommand(call);
    Run(1);
  }
  void FeedStop() { Feed({.channel = link::Channel::kStop}, link::kStopMagic); }
  // Slot 1 leased and on.
  void TurnOn() {
    Ready();
    Command(link::SetVbus{.slot = 1, .epoch = 1, .on = true});
    Run(100);
    ASSERT_TRUE(board.PinOn(0, 0));
  }
  // Configured, slot 1 leased.
  void Ready(link::SafeState safe_state = link::SafeState::kOff) {
    FeedMessage({.channel = link::Channel::kHello}, link::Hello{.rack = "r01", .host_version = "test", .nonce = 1});
    link::Configure config;
    for (size_t i = 0; i < FakeBoard::kSlots; ++i) {
      config.current_limit_ma.push_back(2000);
      config.rail.push_back(0);
      config.safe_state.push_back(static_cast<uint32_t>(safe_state));
    }
    config.rail_budget_ma.push_back(20'000);
    config.stagger_ms = 50;
    config.min_off_ms = 500;
    Command(config);
    Command(link::SetLease{.slot = 1, .epoch = 1, .duration_ms = 60'000, .to_safe_state = false});
    Run(600);
  }
  // The next one that the board sends.
  link::Telemetry NextTelemetry() {
    board.to_host.clear();
    link::FrameDecoder decoder;
    link::Telemetry found;
    for (int ms = 0; ms < 1000; ++ms) {
      Run(1);
      for (const uint8_t byte : std::exchange(board.to_host, {})) {
        if (decoder.Feed(byte) != link::FrameDecoder::Outcome::kFrame) continue;
        if (decoder.frame().header.channel != link::Channel::kTelemetry) continue;
        const auto telemetry = link::DecodeMessage<link::Telemetry>(decoder.frame().payload);
        if (telemetry.ok()) return *telemetry;
      }
    }
    ADD_FAILURE() << "no telemetry in a second";
    return found;
  }
  link::SlotBits Bits(size_t slot) const { return app.core().slot(slot).Bits(); }

  B board;
  RackApp<B> app;
  bool follow_vbus = true;
  uint16_t seq = 0;
};

}  // namespace faraday::firmware
