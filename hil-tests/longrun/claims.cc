#include "hil-tests/longrun/claims.h"

#include <algorithm>

namespace faraday::longrun {
namespace {

constexpr uint64_t kLateMs = 100;  // a promise and a lease end are judged to within some passes
// How long a turn-on may wait besides its minimum times and its rail's stagger: a slot that still drains holds its
// budget for a second, a rail that sags sheds for five.
constexpr uint64_t kDrainMs = 1000, kSagMs = 5000;

uint64_t SilentMs(const link::Configure& config) { return config.host_silent_ms != 0 ? config.host_silent_ms : 10'000; }
uint64_t SilentMaxMs(const link::Configure& config) {
  return config.host_silent_max_ms != 0 ? config.host_silent_max_ms : 600'000;
}

}  // namespace

// Latches outlive a reset.
void Claims::Boot(uint64_t now_ms) {
  for (SlotClaim& slot : slots_) {
    SlotClaim latched;
    latched.tripped = slot.tripped;
    latched.kept_off = slot.kept_off;
    latched.stopped_alone = slot.stopped_alone;
    slot = latched;
  }
  stop_forgotten_ = stop_cleared_ms_ != 0 && now_ms < stop_cleared_ms_ + 2 * kLateMs;
  config_.reset();
  telemetry_.reset();
  stop_frame_ms_ = 0;
  silent_ = silent_max_ = false;
  now_ms_ = boot_ms_ = heard_ms_ = now_ms;
  session_ = term_ = 0;
  asked_.clear();
}

void Claims::Advance(uint64_t now_ms) {
  now_ms_ = now_ms;
  for (size_t i = 0; i < kSlots; ++i) {
    SlotClaim& slot = slots_[i];
    if (slot.wish_id != 0 && now_ms > slot.wish_until_ms) slot.wish_id = 0;
    if (!slot.leased || now_ms <= slot.end_ms + kLateMs) continue;
    slot.leased = false;
    if (config_) Rest(i);
  }
  if (config_ && term_ != 0) AdvanceSilence();
}

// A turn-on that waits is discarded, care goes to its safe state, and so do leased slots after the longest silence. A
// cycle under a lease ends.
void Claims::AdvanceSilence() {
  const bool silent = now_ms_ > heard_ms_ + SilentMs(*config_) + kLateMs;
  const bool silent_max = now_ms_ > heard_ms_ + SilentMaxMs(*config_) + kLateMs;
  for (size_t i = 0; i < kSlots; ++i) {
    SlotClaim& slot = slots_[i];
    if (silent && !silent_ && !(slot.leased && slot.cycles)) slot.wish_id = 0;
    const bool due = slot.leased ? silent_max && !silent_max_ : silent && !silent_;
    if (due && slot.given) Rest(i);
  }
  silent_ = silent;
  silent_max_ = silent_max;
}

bool Claims::MayBeSilent(const SlotClaim& slot) const {
  const uint64_t limit_ms = slot.leased ? SilentMaxMs(*config_) : SilentMs(*config_);
  return term_ != 0 && now_ms_ + kLateMs >= heard_ms_ + limit_ms;
}

bool Claims::MayRest(size_t index) const {
  const SlotClaim& slot = slots_[index];
  if (slot.resting || slot.may_rest) return true;
  if (!slot.given || !config_) return false;
  return (slot.leased && now_ms_ + kLateMs >= slot.end_ms) || MayBeSilent(slot);
}

bool Claims::nothing_wished() const {
  return std::ranges::none_of(slots_, [](const SlotClaim& slot) { return slot.wish_id != 0; });
}

// The board may have gone to its safe states just before this frame; what it began then goes on (design section 10).
void Claims::Hear() {
  for (SlotClaim& slot : slots_) {
    if (slot.given && config_ && MayBeSilent(slot)) slot.may_rest = true;
  }
  heard_ms_ = now_ms_;
}

void Claims::OnHostFrame(const link::FrameView& frame) {
  if (link::IsStopFrame(frame)) {
    stopped_ = true;
    stop_frame_ms_ = now_ms_;
    for (SlotClaim& slot : slots_) KeepOff(slot);
    return;
  }
  if (frame.header.session != session_ || frame.header.term != term_ || term_ == 0) return;
  Hear();
  if (frame.header.channel != link::Channel::kCommand) return;
  const auto command = link::DecodeMessage<link::Command>(frame.payload);
  if (command.ok()) asked_.insert_or_assign(frame.header.seq, *command);
}

void Claims::OnMcuFrame(const link::FrameView& frame) {
  switch (frame.header.channel) {
    case link::Channel::kHello: {
      const auto hello = link::DecodeMessage<link::HelloReply>(frame.payload);
      if (!hello.ok()) return;
      if (hello->term != term_ || hello->session != session_) ForgetAsked();
      Hear();
      session_ = hello->session;
      term_ = hello->term;
      if (!config_ && hello->config_crc != 0 && stored_) config_ = stored_;
      if (on_hello) on_hello(*hello);
      break;
    }
    case link::Channel::kReply: {
      const auto found = asked_.find(frame.header.seq);
      if (found == asked_.end()) return;  // a replay
      const auto reply = link::DecodeMessage<link::Reply>(frame.payload);
      const link::Command command = found->second;
      asked_.erase(found);
      if (!reply.ok() || reply->command_id != command.id) return;
      if (on_answer) on_answer(command, *reply);
      Answered(command, *reply);
      break;
    }
    case link::Channel::kTelemetry:
      if (const auto telemetry = link::DecodeMessage<link::Telemetry>(frame.payload); telemetry.ok()) {
        telemetry_ = *telemetry;
        telemetry_ms_ = now_ms_;
        if (on_telemetry) on_telemetry(*telemetry_);
      }
      break;
    case link::Channel::kEvent:
      if (const auto event = link::DecodeMessage<link::Event>(frame.payload); event.ok()) OnEvent(*event);
      break;
    default:
      break;
  }
}

// From the answer to the turn-on: minimum times (or a cycle's off time and its proof), all others of the rail, what
// holds the rail's budget.
uint64_t Claims::LongestWaitMs(size_t index, uint64_t off_ms) const {
  if (!config_) return 0;
  const auto rail_of = [this](size_t i) { return i < config_->rail.size() ? config_->rail[i] : 0; };
  uint64_t others = 0;
  for (size_t i = 0; i < kSlots; ++i) others += rail_of(i) == rail_of(index) ? 1 : 0;
  const bool sags = telemetry_ && (telemetry_->rails_sagging >> rail_of(index) & 1U) != 0;
  const uint64_t rest_ms =
      std::max<uint64_t>(off_ms, std::max(config_->min_off_ms, 500U)) + std::max(config_->min_on_ms, 200U);
  return rest_ms + others * (std::max(config_->stagger_ms, 50U) + 10) + 2 * kDrainMs + (sags ? kSagMs : 0) + kLateMs;
}

// A turn-on whose answer a new term swallowed may have been taken: for as long as it may wait it may come.
void Claims::ForgetAsked() {
  const auto may_come = [this](uint32_t number, uint32_t epoch, uint32_t id, uint32_t off_ms) {
    if (number == 0 || number > kSlots) return;
    SlotClaim& slot = slots_[number - 1];
    if (!slot.given || slot.epoch != epoch || slot.wish_id != 0) return;
    Wish(slot, id);
    slot.wish_until_ms = now_ms_ + LongestWaitMs(number - 1, off_ms);
  };
  for (const auto& [seq, command] : asked_) {
    if (const auto* vbus = std::get_if<link::SetVbus>(&command.call); vbus != nullptr && vbus->on)
      may_come(vbus->slot, vbus->epoch, command.id, 0);
    if (const auto* cycle = std::get_if<link::CycleVbus>(&command.call))
      may_come(cycle->slot, cycle->epoch, command.id, cycle->off_ms);
  }
  asked_.clear();
}

void Claims::OnEvent(const link::Event& event) {
  const uint64_t at_ms = boot_ms_ + event.uptime_ms;
  if (on_event) on_event(event);
  if (const auto* done = std::get_if<link::CommandDone>(&event.kind)) {
    // Every host counts its commands for itself, and an end may be told late.
    SlotClaim& slot = slots_[(done->slot + kSlots - 1) % kSlots];
    if (slot.wish_id == done->command_id && at_ms + kLateMs / 2 >= slot.wished_ms) slot.wish_id = 0;
  }
  const auto* tripped = std::get_if<link::Tripped>(&event.kind);
  if (tripped == nullptr) return;
  if (tripped->slot == 0) {
    if (at_ms < stop_cleared_ms_) return;
    stopped_ = true;
    for (SlotClaim& slot : slots_) KeepOff(slot);
    return;
  }
  SlotClaim& slot = slots_[(tripped->slot - 1) % kSlots];
  if (at_ms < slot.cleared_ms) return;
  slot.tripped = true;
  slot.wish_id = 0;
  slot.data = {};
}

void Claims::Answered(const link::Command& command, const link::Reply& reply) {
  using link::Verdict;
  if (const auto* clear = std::get_if<link::ClearTrip>(&command.call)) {
    if (reply.verdict == Verdict::kOk || (clear->slot == 0 && reply.verdict == Verdict::kTripped)) Took(*clear);
    return;
  }
  if (reply.verdict != Verdict::kOk && reply.verdict != Verdict::kAccepted) return;
  if (const auto* configure = std::get_if<link::Configure>(&command.call)) {
    config_ = stored_ = *configure;
    configured_ms_ = now_ms_;
  }
  if (const auto* lease = std::get_if<link::SetLease>(&command.call)) Took(*lease);
  if (const auto* stop = std::get_if<link::StopSlot>(&command.call)) Took(*stop);
  if (const auto* vbus = std::get_if<link::SetVbus>(&command.call)) {
    Took(*vbus, reply);
    Wish(slots_[vbus->slot - 1], vbus->on ? command.id : 0);
  }
  if (const auto* cycle = std::get_if<link::CycleVbus>(&command.call)) {
    Took(*cycle, reply);
    Wish(slots_[cycle->slot - 1], command.id);
  }
  if (const auto* data = std::get_if<link::SetData>(&command.call)) Took(*data);
  if (const auto* shield = std::get_if<link::SetShield>(&command.call)) Took(*shield);
}

void Claims::Wish(SlotClaim& slot, uint32_t id) const {
  slot.wish_id = id;
  slot.wished_ms = now_ms_;
}

// A newer command takes the place of the unfinished one and ends a rest.
void Claims::Begin(SlotClaim& slot) {
  slot.wish_id = 0;
  slot.cycles = false;
  slot.resting = slot.may_rest = false;
}

void Claims::Rest(size_t index) {
  SlotClaim& slot = slots_[index];
  const bool resting = slot.resting;
  Begin(slot);
  const bool hold = config_ && index < config_->safe_state.size() &&
                    config_->safe_state[index] == static_cast<uint32_t>(link::SafeState::kHold);
  slot.resting = true;
  if (!resting) slot.rest_since_ms = now_ms_;
  if (hold) return;
  slot.data = {};
  slot.coupled = false;
}

void Claims::KeepOff(SlotClaim& slot) {
  Begin(slot);
  slot.kept_off = true;
  slot.data = {};
  slot.coupled = false;
}

void Claims::Took(const link::SetLease& call) {
  SlotClaim& slot = slots_[call.slot - 1];
  if (slot.epoch != call.epoch || !slot.given) Begin(slot);  // another holder: what waits is discarded
  slot.may_rest = slot.may_rest || (slot.leased && now_ms_ + kLateMs >= slot.end_ms);
  slot.given = true;
  slot.epoch = call.epoch;
  slot.leased = call.duration_ms != 0;
  slot.end_ms = now_ms_ + call.duration_ms;
  if (call.to_safe_state && config_) Rest(call.slot - 1);
}

void Claims::Took(const link::SetVbus& call, const link::Reply& reply) {
  SlotClaim& slot = slots_[call.slot - 1];
  Begin(slot);
  slot.wish_until_ms = now_ms_ + reply.wait_ms + kLateMs;
  if (!call.on && slot.data.path == link::DataPath::kHost) slot.data = {};
}

void Claims::Took(const link::CycleVbus& call, const link::Reply& reply) {
  SlotClaim& slot = slots_[call.slot - 1];
  const DataClaim before = slot.data;
  Begin(slot);
  slot.cycles = true;
  slot.after_cycle = before;
  slot.wish_until_ms = now_ms_ + reply.wait_ms + kLateMs;
}

void Claims::Took(const link::SetData& call) {
  SlotClaim& slot = slots_[call.slot - 1];
  Begin(slot);
  slot.data = {call.path, call.host_index};
}

void Claims::Took(const link::SetShield& call) {
  SlotClaim& slot = slots_[call.slot - 1];
  Begin(slot);
  slot.coupled = call.couple;
}

void Claims::Took(const link::StopSlot& call) {
  if (call.slot != 0) {
    KeepOff(slots_[call.slot - 1]);
    slots_[call.slot - 1].stopped_alone = true;
    return;
  }
  stopped_ = true;
  for (SlotClaim& slot : slots_) KeepOff(slot);
}

// Slot 0 ends the board's stop alone; trips and single stops are cleared slot by slot.
void Claims::Took(const link::ClearTrip& call) {
  if (call.slot != 0) {
    SlotClaim& slot = slots_[call.slot - 1];
    slot.tripped = slot.stopped_alone = false;
    slot.kept_off = stopped_;
    slot.cleared_ms = now_ms_;
    return;
  }
  stopped_ = stop_forgotten_ = false;
  stop_cleared_ms_ = now_ms_;
  for (SlotClaim& slot : slots_) slot.kept_off = slot.stopped_alone;
}

}  // namespace faraday::longrun
