// What a bystander at the line knows of each slot: who holds it, what it was asked, whether it rests, is tripped or
// stopped. Built from the frames that the firmware read and the answers it wrote, never from its own state.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>

#include "link/codec.h"
#include "link/frame.h"

namespace faraday::longrun {

inline constexpr size_t kSlots = 32;

struct DataClaim {
  link::DataPath path = link::DataPath::kOpen;
  uint32_t host = 0;
  bool operator==(const DataClaim&) const = default;
};

struct SlotClaim {
  // the lease as it was given since boot
  bool given = false;
  bool leased = false;
  uint32_t epoch = 0;
  uint64_t end_ms = 0;
  // a turn-on that a command asked and that has not happened yet
  uint32_t wish_id = 0;
  uint64_t wished_ms = 0;
  uint64_t wish_until_ms = 0;
  bool cycles = false;
  // what may be connected and coupled
  DataClaim data, after_cycle;
  bool coupled = false;
  bool resting = false;
  // Renewed as it ended, or heard again just as a silence began: whether before or after, only the board knows.
  bool may_rest = false;
  uint64_t rest_since_ms = 0;
  bool tripped = false;
  bool kept_off = false;
  bool stopped_alone = false;  // by StopSlot: the end of the board's stop does not end it
  uint64_t cleared_ms = 0;     // events of before say nothing any more

  bool barred() const { return tripped || kept_off; }
};

class Claims {
 public:
  // The MCU starts anew.
  void Boot(uint64_t now_ms);
  // Time passes: leases end, a silent host is noticed.
  void Advance(uint64_t now_ms);
  void OnHostFrame(const link::FrameView& frame);
  void OnMcuFrame(const link::FrameView& frame);

  const SlotClaim& slot(size_t index) const { return slots_[index]; }
  // In its safe state, or so close to its lease's end or a silence's limit that it may be.
  bool MayRest(size_t index) const;
  // No turn-on that a command asked is still to come.
  bool nothing_wished() const;
  // The Configure in force; nullopt: none is known to be since boot.
  const std::optional<link::Configure>& config() const { return config_; }
  uint64_t configured_ms() const { return configured_ms_; }
  bool stopped() const { return stopped_; }
  // Or a reset came so soon after the end of the stop that the board may have forgotten it.
  bool may_be_stopped() const { return stopped_ || stop_forgotten_; }
  // Bit n: rail, bus ... as the last telemetry says; nullopt since boot.
  const std::optional<link::Telemetry>& telemetry() const { return telemetry_; }
  uint64_t telemetry_ms() const { return telemetry_ms_; }
  uint64_t heard_ms() const { return heard_ms_; }
  uint64_t boot_ms() const { return boot_ms_; }
  bool term_open() const { return term_ != 0; }
  uint64_t stop_frame_ms() const { return stop_frame_ms_; }

  // Called with each command that is answered for the first time, before it counts, and with each event.
  std::function<void(const link::Command&, const link::Reply&)> on_answer;
  std::function<void(const link::Event&)> on_event;
  std::function<void(const link::Telemetry&)> on_telemetry;
  std::function<void(const link::HelloReply&)> on_hello;

 private:
  void Answered(const link::Command& command, const link::Reply& reply);
  void OnEvent(const link::Event& event);
  void Took(const link::SetLease& call);
  void Took(const link::SetVbus& call, const link::Reply& reply);
  void Took(const link::CycleVbus& call, const link::Reply& reply);
  void Took(const link::SetData& call);
  void Took(const link::SetShield& call);
  void Took(const link::StopSlot& call);
  void Took(const link::ClearTrip& call);
  void ForgetAsked();
  void Hear();
  uint64_t LongestWaitMs(size_t index, uint64_t off_ms) const;
  void AdvanceSilence();
  bool MayBeSilent(const SlotClaim& slot) const;
  void Wish(SlotClaim& slot, uint32_t id) const;
  void Begin(SlotClaim& slot);
  void Rest(size_t index);
  void KeepOff(SlotClaim& slot);

  std::array<SlotClaim, kSlots> slots_{};
  std::optional<link::Configure> config_;
  uint64_t configured_ms_ = 0;
  std::optional<link::Telemetry> telemetry_;
  uint64_t telemetry_ms_ = 0;
  bool stopped_ = false;
  bool stop_forgotten_ = false;
  uint64_t stop_cleared_ms_ = 0;
  uint64_t stop_frame_ms_ = 0;
  uint64_t now_ms_ = 0;
  uint64_t boot_ms_ = 0;
  uint64_t heard_ms_ = 0;
  uint32_t session_ = 0;
  uint32_t term_ = 0;
  bool silent_ = false;
  bool silent_max_ = false;
  std::map<uint16_t, link::Command> asked_;
  std::optional<link::Configure> stored_;  // what a reset may bring back
};

}  // namespace faraday::longrun
