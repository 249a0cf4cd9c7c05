#include "firmware/core/fuzz_witness.h"

#include <algorithm>
#include <string>
#include <type_traits>
#include <vector>

#include "base/fuzz.h"
#include "firmware/core/fuzz_ceilings.h"
#include "link/codec.h"

namespace faraday::firmware {
namespace {

using link::Channel;
using link::DataPath;
using link::Verdict;
namespace capability = link::capability;

// The wiring's order (drivers/board.h), as bits.
constexpr uint8_t kVbus = 1, kEnable = 2, kSelect = 4, kCharge = 8, kRelay = 16;
constexpr uint8_t kOutputs = 0x7F;    // all but the LED, which is no promise of safety
constexpr uint32_t kLongPassMs = 50;  // limits.h: a longer pass saw no sensor and no byte, it counts as this long

bool Has(int outputs, uint8_t bit) { return (outputs & bit) != 0; }

// open 0, charge 1, host 0 and 1: 2 and 3
int PathOf(uint8_t outputs) {
  if (Has(outputs, kEnable)) return Has(outputs, kSelect) ? 3 : 2;
  return Has(outputs, kCharge) ? 1 : 0;
}

uint32_t BitOf(uint32_t slot_number) {
  return slot_number >= 1 && slot_number <= link::kMaxSlots ? uint32_t{1} << (slot_number - 1) : 0U;
}

bool IsStop(const link::FrameView& frame) {
  constexpr std::string_view kMagic = "STOPRACK";
  return frame.header.channel == Channel::kStop && frame.payload.size() == kMagic.size() &&
         std::equal(kMagic.begin(), kMagic.end(), frame.payload.begin());
}

}  // namespace

uint32_t Witness::EntryOfLimit(size_t slot) const { return EntryOf(config_.current_limit_ma, slot); }
uint32_t Witness::RailOf(size_t slot) const { return EntryOf(config_.rail, slot); }
// link.proto: defaults of Configure.
uint32_t Witness::HostSilentMs() const { return OrDefault(config_.host_silent_ms, 10'000); }
uint32_t Witness::HostSilentMaxMs() const {
  return std::max(OrDefault(config_.host_silent_max_ms, 600'000), HostSilentMs());
}

// ---- what happens ----

void Witness::Booted(const RackCore& core, uint32_t session, bool memory_sound) {
  for (size_t i = 0; i < capabilities_.size(); ++i) {
    Truth fresh;
    fresh.epoch = memory_sound ? slots_[i].epoch : core.leases().epoch(i);
    fresh.known = memory_sound ? slots_[i].known : Sure::kUnsure;
    fresh.vbus_changed_ms = fresh.opened_ms = now_ms_;
    slots_[i] = fresh;
  }
  if (!memory_sound) {
    term_known_ = Sure::kUnsure;
    bound_.reset();
  } else if (session_ == 0) {
    bound_ = "";
  }
  session_ = session;
  stopped_ = core.StopAsserted();  // latched over a reset; what the memory took shows
  open_ = configured_ = silent_ = silent_max_ = armed_ = silence_latched_ = button_ = false;
  config_ = {};
  if (core.config().accepted) {
    const auto kept = taken_.find(core.config().crc);
    FARADAY_PROMISE(kept != taken_.end(), "what is in force after a reset was accepted before it (design 9)");
    config_ = kept->second;
    configured_ = true;
  }
  FARADAY_PROMISE(!memory_sound || core.config().crc == last_crc_, "the last accepted config outlives a reset");
  last_crc_ = core.config().crc;
  accepted_.clear();
  heard_ms_ = away_ms_ = 0;
  stagger_ms_ = {};
  for (size_t i = 0; i < capabilities_.size(); ++i) {
    FARADAY_PROMISE((core.DesiredOutputs(i) & kOutputs) == 0,
                    "after a reset every output is off (design 2, reset state)");
  }
  CheckEpochs(core);
}

void Witness::Ticked(const RackCore& core, uint32_t dt) {
  now_ms_ += dt;
  seen_ms_ += std::min(dt, kLongPassMs);
  for (Truth& slot : slots_) {
    slot.longest_pass_ms = std::max(slot.longest_pass_ms, dt);
    slot.deadline_holds = slot.deadline_holds && dt <= kLongPassMs;
  }
  AdvanceSilence(dt);
  AdvanceLeases(dt);
  AdvanceDuties(dt);
  LookAtDisobedience(core);
  LookAtTrips(core);
  Look(core, All(), true);
  CheckDeadlines(core);
}

void Witness::Fault(const RackCore& core, size_t slot) {
  LookAtTrip(core, slot);
  LookAt(core, slot, true, false);
}

void Witness::Button(const RackCore& core, bool pressed) {
  button_ = pressed;
  if (pressed) (void)OnStop(0);
  Look(core, pressed ? All() : 0, false);
}

void Witness::Bytes(const RackCore& core) { Look(core, 0, false); }
void Witness::Sample(const RackCore& core) { Look(core, 0, false); }

// "An over-current acts before this returns"; the limit is the slot's own, in the first 20 ms the board's 3 A.
void Witness::Current(const RackCore& core, size_t slot, uint32_t ma) {
  Truth& truth = slots_[slot];
  truth.ma = ma;
  truth.sampled = true;
  truth.sampled_at_seen_ms = seen_ms_;
  const bool was_on = Has(truth.outputs, kVbus);
  const uint32_t limit_ma = now_ms_ - truth.vbus_changed_ms < 20 ? 3000 : EntryOfLimit(slot);
  LookAtTrip(core, slot);
  LookAt(core, slot, true, false);
  FARADAY_PROMISE(!was_on || ma <= limit_ma || (!Has(truth.outputs, kVbus) && core.slot(slot).tripped()),
                  "current above the limit trips at once (firmware/README: inrush; rack_core.h OnCurrent)");
}

void Witness::Temperature(const RackCore& core, size_t slot, int32_t deci_c) {
  LookAtTrip(core, slot);
  LookAt(core, slot, true, false);
  FARADAY_PROMISE(deci_c < 500 || !Fitted(slot) || (!Has(slots_[slot].outputs, kVbus) && core.slot(slot).tripped()),
                  "50 degC in the tray trips at once (design 10, heat)");
}

void Witness::Frame(const RackCore& core, const link::FrameView& frame, const Answers& answers) {
  const uint32_t may_change = OnFrame(core, frame, answers);
  LookAtTrips(core);
  Look(core, may_change, false);
}

// ---- frames ----

bool Witness::Admitted(const link::FrameHeader& header) const {
  return header.protocol == 1 && open_ && header.session == session_ && header.term == term_;
}

// Answers with the slots whose outputs the frame may move.
uint32_t Witness::OnFrame(const RackCore& core, const link::FrameView& frame, const Answers& answers) {
  if (IsStop(frame)) return OnStop(0);
  if (frame.header.channel == Channel::kHello) {
    const auto hello = link::DecodeMessage<link::Hello>(frame.payload);
    if (hello.ok() && frame.header.protocol == 1 && hello->protocol == 1) OnHello(*hello, answers);
    return 0;
  }
  if (!Admitted(frame.header)) {
    FARADAY_PROMISE(!answers.reply, "frames of another session, term or protocol get no reply (design 9)");
    return 0;
  }
  if (frame.header.channel == Channel::kKeepalive) {
    const auto keepalive = link::DecodeMessage<link::Keepalive>(frame.payload);
    if (keepalive.ok()) Heard(keepalive->away_ms);
    return 0;
  }
  if (frame.header.channel != Channel::kCommand || frame.header.seq != due_seq_) return 0;
  due_seq_ = static_cast<uint16_t>(due_seq_ == 0xFFFF ? 1 : due_seq_ + 1);
  Heard(0);
  FARADAY_PROMISE(!answers.complete || answers.reply, "a command in its turn is answered (design 9)");
  const auto command = link::DecodeMessage<link::Command>(frame.payload);
  if (command.ok()) return OnCommand(core, *command, answers);
  FARADAY_PROMISE(!answers.reply || answers.reply->verdict == Verdict::kInvalid, "an undecodable command is invalid");
  return 0;
}

void Witness::Heard(uint32_t away_ms) {
  armed_ = true;
  heard_ms_ = 0;
  away_ms_ = away_ms;
}

// "Hello opens a host term (stored term + 1, persisted before the reply)" (design 9); the same nonce repeats the
// answer.
void Witness::OnHello(const link::Hello& hello, const Answers& answers) {
  const std::string rack{hello.rack.view()};
  const bool other = bound_ && !bound_->empty() && !rack.empty() && rack != *bound_;
  if (answers.complete && bound_)
    FARADAY_PROMISE(answers.hello.has_value() != other, "a board answers its own rack only");
  if (bound_ ? other : !answers.hello) return;
  const bool repeated = open_ && hello.nonce == nonce_;
  const uint32_t expected = repeated ? term_ : term_ + 1;
  if (answers.hello) {
    FARADAY_PROMISE(term_known_ != Sure::kYes || answers.hello->term == expected, "a term is the stored one plus one");
    FARADAY_PROMISE(answers.hello->session == session_ && answers.hello->nonce == hello.nonce, "hello is answered");
  }
  term_ = answers.hello ? answers.hello->term : expected;
  term_known_ = Sure::kYes;
  Heard(0);
  if (repeated) return;
  open_ = true;
  nonce_ = hello.nonce;
  hello_rack_ = rack;
  due_seq_ = 1;
}

uint32_t Witness::OnCommand(const RackCore& core, const link::Command& command, const Answers& answers) {
  if (answers.reply) FARADAY_PROMISE(answers.reply->command_id == command.id, "a reply names its command");
  if (command.id != 0) return Apply(core, command, answers);
  FARADAY_PROMISE(!answers.reply || answers.reply->verdict == Verdict::kInvalid, "id 0 is no command");
  return 0;
}

uint32_t Witness::Apply(const RackCore& core, const link::Command& command, const Answers& answers) {
  const auto& call = command.call;
  if (const auto* configure = std::get_if<link::Configure>(&call)) return OnConfigure(core, *configure, answers);
  if (const auto* lease = std::get_if<link::SetLease>(&call)) return OnLease(*lease, answers);
  if (const auto* vbus = std::get_if<link::SetVbus>(&call)) return OnFenced(command, *vbus, answers);
  if (const auto* cycle = std::get_if<link::CycleVbus>(&call)) return OnFenced(command, *cycle, answers);
  if (const auto* data = std::get_if<link::SetData>(&call)) return OnFenced(command, *data, answers);
  if (const auto* shield = std::get_if<link::SetShield>(&call)) return OnFenced(command, *shield, answers);
  if (const auto* stop = std::get_if<link::StopSlot>(&call)) return OnStop(stop->slot);
  if (const auto* clear = std::get_if<link::ClearTrip>(&call)) return OnClear(core, clear->slot);
  if (std::holds_alternative<link::ClearSilence>(call)) silence_latched_ = false;
  return 0;
}

// "Refused as a whole when any value is looser than the board's compiled-in ceilings" (link.proto).
uint32_t Witness::OnConfigure(const RackCore& core, const link::Configure& configure, const Answers& answers) {
  const bool sound = WithinCeilings(configure, capabilities_.size());
  std::vector<uint8_t> bytes(link::kMaxPayload);
  const auto length = link::EncodeMessage(configure, bytes);
  FARADAY_PROMISE(length.ok(), "a decoded config fits a message");
  const uint32_t crc = link::Crc32(std::span<const uint8_t>(bytes).first(*length));
  const bool taken = answers.reply ? answers.reply->verdict == Verdict::kOk : core.config().crc == crc;
  FARADAY_PROMISE(sound || !taken, "a config beyond the ceilings is refused");
  if (answers.reply && sound && !taken) {
    FARADAY_PROMISE(answers.reply->verdict == Verdict::kLooserWhileOn && core.queue().committed() != 0,
                    "a config within the ceilings is refused only for a slot that is on");
  }
  if (!taken) return 0;
  CheckTighter(configure);
  config_ = configure;
  configured_ = true;
  last_crc_ = crc;
  taken_[crc] = configure;
  if (bound_ && bound_->empty()) bound_ = hello_rack_;
  for (size_t i = 0; i < capabilities_.size(); ++i) {
    if (!Fitted(i)) Stop(slots_[i]);
  }
  return All();  // smaller budgets take slots off
}

// "Cannot loosen anything for a slot that is on" (design 9: it can only tighten).
void Witness::CheckTighter(const link::Configure& next) const {
  for (size_t i = 0; i < capabilities_.size(); ++i) {
    if (!Has(slots_[i].outputs, kVbus) || EntryOf(next.current_limit_ma, i) == 0) continue;
    const auto budget = [&](const link::Configure& config) {
      return OrDefault(EntryOf(config.rail_budget_ma, RailOf(i)), 20'000);
    };
    FARADAY_PROMISE(EntryOf(next.current_limit_ma, i) <= EntryOfLimit(i), "no larger limit for a slot that is on");
    FARADAY_PROMISE(EntryOf(next.rail, i) == RailOf(i), "a slot that is on stays on its rail");
    FARADAY_PROMISE(budget(next) <= budget(config_), "no larger budget for the rail of a slot that is on");
    FARADAY_PROMISE(OrDefault(next.rack_budget_ma, 160'000) <= OrDefault(config_.rack_budget_ma, 160'000),
                    "no larger rack budget while a slot is on");
    FARADAY_PROMISE(next.stagger_ms >= config_.stagger_ms && next.min_off_ms >= config_.min_off_ms,
                    "no shorter times while a slot is on");
    FARADAY_PROMISE(OrDefault(next.host_silent_ms, 10'000) <= HostSilentMs(), "no longer silence while a slot is on");
  }
}

uint32_t Witness::OnLease(const link::SetLease& lease, const Answers& answers) {
  if (lease.slot == 0 || lease.slot > capabilities_.size()) return 0;
  Truth& slot = slots_[lease.slot - 1];
  const bool sound = lease.epoch != 0 && lease.epoch >= slot.epoch;
  if (answers.reply) {
    const Verdict expected = lease.epoch == 0 ? Verdict::kInvalid : sound ? Verdict::kOk : Verdict::kFenced;
    FARADAY_PROMISE(answers.reply->verdict == expected, "an epoch only grows (design 4)");
  }
  if (!sound) return 0;
  const bool same = slot.known == Sure::kYes && lease.epoch == slot.epoch;
  if (slot.known == Sure::kUnsure && lease.epoch == slot.epoch) slot.unsure = true;
  slot.epoch = lease.epoch;
  slot.known = Sure::kYes;
  slot.holder = lease.duration_ms == 0 ? Holder::kCare : Holder::kLeased;
  slot.left_ms = lease.duration_ms;
  if (!same) {
    slot.wish_on = slot.duty = slot.rests_in_hold = slot.deadline_holds = false;
  }
  if (lease.to_safe_state && Fitted(lease.slot - 1)) EnterSafeState(lease.slot - 1);
  return BitOf(lease.slot);
}

// In the order in which the host can mend it (rack_core.cc says so, link.proto names the verdicts).
Verdict Witness::Fence(uint32_t number, uint32_t epoch, bool& sure) const {
  if (number == 0 || number > capabilities_.size()) return Verdict::kNoSuchSlot;
  if (!configured_) return Verdict::kNotConfigured;
  if (!Fitted(number - 1)) return Verdict::kNotFitted;
  const Truth& slot = slots_[number - 1];
  sure = slot.known != Sure::kUnsure;
  if (slot.known == Sure::kNo) return Verdict::kNvmLost;
  const bool held = slot.holder == Holder::kCare || slot.holder == Holder::kLeased;
  if (!held || epoch == 0 || epoch != slot.epoch) return Verdict::kFenced;
  return stopped_ ? Verdict::kTripped : Verdict::kOk;
}

template <typename Call>
uint32_t Witness::OnFenced(const link::Command& command, const Call& call, const Answers& answers) {
  bool sure = true;
  const Verdict fence = Fence(call.slot, call.epoch, sure);
  if (fence != Verdict::kOk) {
    const bool told = !answers.reply || answers.reply->verdict == fence;
    const bool either = !sure && answers.reply && answers.reply->verdict == Verdict::kNvmLost;
    FARADAY_PROMISE(told || either, "what a command lacks is refused by name (design 4.1, link.proto Verdict)");
    return 0;
  }
  Truth& slot = slots_[call.slot - 1];
  if (!answers.reply) {
    slot.unsure = true;
    slot.deadline_holds = false;
    Remember(command);  // perhaps it was accepted
    return BitOf(call.slot);
  }
  if (answers.reply->verdict != Verdict::kAccepted) return 0;
  if constexpr (std::is_same_v<Call, link::SetVbus>)
    FARADAY_PROMISE(!call.on || Has(slot.outputs, kVbus) || !silence_latched_, "silence blocks turn-ons (design 10)");
  if constexpr (std::is_same_v<Call, link::CycleVbus>)
    FARADAY_PROMISE(!silence_latched_, "silence blocks cycles (design 10)");
  Took(slot, call);
  slot.deadline_ms = now_ms_ + answers.reply->wait_ms;
  slot.deadline_holds = true;
  slot.longest_pass_ms = 1;
  slot.wish_id = command.id;
  Remember(command);
  return BitOf(call.slot);
}

// Ids are the host's; one that it gives twice says nothing about what was asked.
void Witness::Remember(const link::Command& command) {
  bool twice = false;
  for (Accepted& other : accepted_) {
    if (other.id != command.id) continue;
    other.command.call = std::monostate{};
    twice = true;
  }
  accepted_.push_back({command.id, twice ? link::Command{} : command});
}

void Witness::Took(Truth& slot, const link::SetVbus& call) {
  slot.duty = slot.rests_in_hold = false;
  slot.wish_on = call.on && !Has(slot.outputs, kVbus);
  slot.wish_is_cycle = false;
  if (call.on) return;
  slot.may_be_on = false;
  if (slot.data.path == DataPath::kHost) slot.data = {};
}

void Witness::Took(Truth& slot, const link::CycleVbus&) {
  slot.duty = slot.rests_in_hold = slot.may_be_on = false;
  slot.wish_on = slot.wish_is_cycle = true;
  slot.data_after_cycle = slot.data;
  if (slot.data.path == DataPath::kHost) slot.data = {};
}

// A newer command takes the place of an unfinished one (slot.h): what that one had not switched, it does not.
void Witness::Took(Truth& slot, const link::SetData& call) {
  slot.duty = slot.rests_in_hold = slot.wish_on = false;
  slot.data = {call.path, static_cast<uint8_t>(call.host_index)};
}

void Witness::Took(Truth& slot, const link::SetShield& call) {
  slot.duty = slot.rests_in_hold = slot.wish_on = false;
  slot.may_couple = call.couple;
}

uint32_t Witness::OnStop(uint32_t number) {
  if (number > capabilities_.size()) return 0;
  for (size_t i = 0; i < capabilities_.size(); ++i) {
    if (number != 0 && i != number - 1) continue;
    Stop(slots_[i]);
    slots_[i].kept_off = true;
    if (number != 0) slots_[i].stopped_alone = true;
    slots_[i].unsure = false;
  }
  stopped_ = stopped_ || number == 0;
  return number == 0 ? All() : BitOf(number);
}

// What is still tripped (too hot) stays off.
uint32_t Witness::OnClear(const RackCore& core, uint32_t number) {
  if (number > capabilities_.size()) return 0;
  if (number == 0 && button_) return 0;  // "no ClearTrip works while it is pressed"
  if (number == 0) stopped_ = false;
  for (size_t i = 0; i < capabilities_.size(); ++i) {
    if (number == 0) slots_[i].kept_off = slots_[i].stopped_alone;
    if (i + 1 != number || core.slot(i).tripped()) continue;
    slots_[i].stopped_alone = false;
    slots_[i].kept_off = stopped_;
  }
  return 0;  // "nothing turns on by itself then" (firmware/README, stop)
}

// ---- rules of time ----

void Witness::Stop(Truth& slot) {
  slot.wish_on = slot.duty = slot.rests_in_hold = slot.may_be_on = slot.may_couple = false;
  slot.data = {};
}

// design 10: charge (data open, isolated, VBUS by duty), hold, off.
void Witness::EnterSafeState(size_t i) {
  Truth& slot = slots_[i];
  if (slot.kept_off || !Fitted(i)) return Stop(slot);
  slot.wish_on = false;
  const uint32_t safe_state = EntryOf(config_.safe_state, i);
  const bool rested = slot.duty;
  slot.duty = safe_state == 0;
  slot.rests_in_hold = safe_state == 1;
  if (safe_state == 1) return;
  if (safe_state == 2) slot.may_be_on = false;
  if (!rested) slot.duty_phase_ms = 0;
  slot.data = {};
  slot.may_couple = false;
}

// design 10, host silence: beyond 10 s care slots go safe; leased ones at most host_silent_max.
void Witness::AdvanceSilence(uint32_t dt) {
  heard_ms_ += std::min(dt, kLongPassMs);
  const bool silent = armed_ && heard_ms_ > std::max(HostSilentMs(), std::min(away_ms_, HostSilentMaxMs()));
  const bool silent_max = armed_ && heard_ms_ > HostSilentMaxMs();
  for (size_t i = 0; i < capabilities_.size() && configured_; ++i) {
    Truth& slot = slots_[i];
    const bool leased = slot.holder == Holder::kLeased;
    if (silent && !silent_ && !(leased && slot.wish_is_cycle)) slot.wish_on = false;
    const bool due = leased ? silent_max && !silent_max_ : silent && !silent_;
    if (due && slot.holder != Holder::kNone) EnterSafeState(i);
  }
  silent_ = silent;
  silent_max_ = silent_max;
  silence_latched_ = silence_latched_ || silent;
}

void Witness::AdvanceLeases(uint32_t dt) {
  for (size_t i = 0; i < capabilities_.size(); ++i) {
    Truth& slot = slots_[i];
    if (slot.holder != Holder::kLeased) continue;
    slot.left_ms = slot.left_ms > dt ? slot.left_ms - dt : 0;
    if (slot.left_ms > 0) continue;
    slot.holder = Holder::kEnded;
    if (configured_) EnterSafeState(i);
  }
}

// A Configure may have made it another (docs/reference/protection.md).
void Witness::LookAtSafeState(size_t i) {
  Truth& slot = slots_[i];
  const uint32_t safe_state = EntryOf(config_.safe_state, i);
  if (slot.rests_in_hold && safe_state != 1) EnterSafeState(i);
  if (!slot.duty || safe_state == 0) return;
  slot.duty = slot.may_be_on = false;
  slot.rests_in_hold = safe_state == 1;
}

void Witness::AdvanceDuties(uint32_t dt) {
  const uint32_t period_ms = OrDefault(config_.charge_period_ms, 7'200'000);
  for (size_t i = 0; i < capabilities_.size() && configured_; ++i) {
    Truth& slot = slots_[i];
    LookAtSafeState(i);
    if (!slot.duty) continue;
    const uint32_t on_ms = OrDefault(config_.charge_on_ms, 1'200'000);
    // Its time stands still while it is due and off (docs/reference/protection.md).
    if (slot.duty_phase_ms >= on_ms || Has(slot.outputs, kVbus)) slot.duty_phase_ms += dt;
    if (slot.duty_phase_ms >= period_ms) slot.duty_phase_ms = 0;
    slot.may_be_on = slot.duty_phase_ms < on_ms;
  }
}

// firmware/README, stop: the one that nobody asked for. A tripped slot's current flows on and its expander is silent.
void Witness::LookAtDisobedience(const RackCore& core) {
  if (!core.StopAsserted() || stopped_) return;
  bool reason = false;
  for (size_t i = 0; i < capabilities_.size(); ++i) {
    const Truth& slot = slots_[i];
    const bool off = now_ms_ - slot.vbus_changed_ms >= 1000;
    const bool mute = core.slot(i).Bits().data_measured == DataPath::kUnknown;  // at once, unlike part_missing
    reason = reason || (off && slot.ma > 50 && core.slot(i).tripped() && mute);
  }
  FARADAY_PROMISE(reason, "stop without being asked: only when a trip is not obeyed");
  (void)OnStop(0);
}

// A trip is latched: off, data open, nothing pending (design 2, trip).
void Witness::LookAtTrip(const RackCore& core, size_t i) {
  if (!core.slot(i).tripped()) return;
  slots_[i].wish_on = false;
  if (!slots_[i].duty) slots_[i].may_be_on = false;
  if (slots_[i].data.path == DataPath::kHost) slots_[i].data = {};
}

void Witness::LookAtTrips(const RackCore& core) {
  for (size_t i = 0; i < capabilities_.size(); ++i) LookAtTrip(core, i);
}

// ---- promises ----

void Witness::Look(const RackCore& core, uint32_t may_change, bool ticking) {
  uint32_t risen = 0;
  for (size_t i = 0; i < capabilities_.size(); ++i) {
    if (LookAt(core, i, (may_change >> i & 1U) != 0, ticking)) risen |= uint32_t{1} << i;
  }
  CheckGrants(risen);
  CheckBudgets();
  CheckEpochs(core);
  FARADAY_PROMISE(core.StopAsserted() == stopped_, "stop is latched until ClearTrip of slot 0 (firmware/README)");
}

bool Witness::LookAt(const RackCore& core, size_t i, bool may_change, bool ticking) {
  Truth& slot = slots_[i];
  const uint8_t before = slot.outputs;
  const uint8_t now = slot.outputs = core.DesiredOutputs(i) & kOutputs;
  FARADAY_PROMISE(before == now || may_change, "an output moved that nothing asked for (design 9, last rule)");
  const bool rose = Has(now & ~before, kVbus);
  if (rose) CheckRise(core, i, ticking);
  if (Has(before ^ now, kVbus)) slot.vbus_changed_ms = now_ms_;
  CheckData(i, before, now);
  CheckLevels(core, i);
  return rose;
}

void Witness::CheckRise(const RackCore& core, size_t i, bool ticking) {
  Truth& slot = slots_[i];
  FARADAY_PROMISE(ticking, "VBUS turns on in a pass only, by turn (firmware/README: on waits)");
  FARADAY_PROMISE(now_ms_ - slot.vbus_changed_ms >= config_.min_off_ms, "VBUS was off for min_off_ms (link.proto)");
  const uint32_t apart_ms = config_.min_off_ms + OrDefault(config_.min_on_ms, 200);
  FARADAY_PROMISE(!slot.rose || now_ms_ - slot.vbus_rose_ms >= apart_ms, "two turn-ons are min_on + min_off apart");
  slot.vbus_rose_ms = now_ms_;
  slot.rose = true;
  FARADAY_PROMISE(!core.slot(i).tripped(), "a tripped slot stays off (design 2)");
  FARADAY_PROMISE((core.rails().down() >> RailOf(i) & 1U) == 0, "nothing turns on on a rail that is down");
  const bool held = slot.holder == Holder::kCare || slot.holder == Holder::kLeased;
  const bool by_duty = slot.duty && slot.may_be_on;
  FARADAY_PROMISE(slot.unsure || by_duty || (slot.wish_on && held),
                  "VBUS turns on for a holder's command or the charge duty (design 4.1, 10)");
  if (slot.wish_on && slot.wish_is_cycle) slot.data = slot.data_after_cycle;
  slot.wish_on = slot.wish_is_cycle = false;
  slot.may_be_on = true;
}

// Budgets in mA at VBUS per rail and rack (design 10): the limits of all that is on, at every instant.
void Witness::CheckBudgets() const {
  std::array<uint64_t, link::kMaxRails> rail_ma{};
  uint64_t rack_ma = 0;
  for (size_t i = 0; i < capabilities_.size(); ++i) {
    if (!Has(slots_[i].outputs, kVbus)) continue;
    rail_ma[RailOf(i)] += EntryOfLimit(i);
    rack_ma += EntryOfLimit(i);
  }
  FARADAY_PROMISE(rack_ma <= OrDefault(config_.rack_budget_ma, 160'000), "the rack's budget holds");
  for (size_t rail = 0; rail < rail_ma.size(); ++rail) {
    FARADAY_PROMISE(rail_ma[rail] <= OrDefault(EntryOf(config_.rail_budget_ma, rail), 20'000),
                    "the rail's budget holds");
  }
}

// design 10: stagger per rail.
void Witness::CheckGrants(uint32_t risen) {
  std::array<int, link::kMaxRails> rail_risen{};
  for (size_t i = 0; i < capabilities_.size(); ++i) {
    if ((risen >> i & 1U) == 0) continue;
    const uint32_t rail = RailOf(i);
    FARADAY_PROMISE(++rail_risen[rail] == 1, "one turn-on at a time on a rail");
    FARADAY_PROMISE(stagger_ms_[rail] == 0 || now_ms_ - granted_ms_[rail] >= stagger_ms_[rail], "stagger holds");
    granted_ms_[rail] = now_ms_;
    stagger_ms_[rail] = config_.stagger_ms;
  }
}

// design 10: open at least 500 ms between hosts; firmware/README: between any two data paths.
void Witness::CheckData(size_t i, uint8_t before, uint8_t now) {
  if (PathOf(before) == PathOf(now)) return;
  if (PathOf(now) == 0) {
    slots_[i].opened_ms = now_ms_;
    return;
  }
  FARADAY_PROMISE(PathOf(before) == 0, "the data path passes through open");
  FARADAY_PROMISE(now_ms_ - slots_[i].opened_ms >= 500, "the data path is open for 500 ms between two paths");
}

void Witness::CheckLevels(const RackCore& core, size_t i) {
  const Truth& slot = slots_[i];
  const uint8_t now = slot.outputs;
  if (now == 0) return;
  const uint32_t caps = capabilities_[i];
  const uint32_t needed =
      (Has(now, kVbus) ? capability::kVbus : 0U) | (Has(now, kEnable) ? capability::kDataEnable : 0U) |
      (Has(now, kSelect) ? capability::kDataSelect : 0U) | (Has(now, kCharge) ? capability::kChargeMode : 0U) |
      (Has(now, kRelay) ? capability::kRfRelay : 0U);
  FARADAY_PROMISE((needed & ~caps) == 0, "only outputs that the slot has move");
  FARADAY_PROMISE(configured_ && Fitted(i), "nothing is on without an accepted config that fits the slot (design 9)");
  FARADAY_PROMISE(!stopped_ && !slot.kept_off, "a stopped slot stays off until ClearTrip (firmware/README)");
  FARADAY_PROMISE(slot.holder != Holder::kNone, "nothing is on before a lease was given since boot (firmware/README)");
  FARADAY_PROMISE(!Has(now, kEnable) || Has(now, kVbus), "no data path to a host while VBUS is off (design 10)");
  FARADAY_PROMISE(!(Has(now, kEnable) && Has(now, kCharge)), "one data path at a time");
  if (core.slot(i).tripped()) FARADAY_PROMISE(!Has(now, kVbus | kEnable), "a tripped slot is off and open (design 2)");
  if (slot.unsure) return;
  FARADAY_PROMISE(!Has(now, kVbus) || slot.may_be_on, "VBUS stays on only while something allows it (design 4, 10)");
  FARADAY_PROMISE(
      !Has(now, kEnable) || slot.data == (DataChoice{DataPath::kHost, static_cast<uint8_t>(Has(now, kSelect))}),
      "data goes to the host that was asked for");
  FARADAY_PROMISE(!Has(now, kCharge) || slot.data.path == DataPath::kCharge, "charge port only when asked for");
  FARADAY_PROMISE(!Has(now, kRelay) || slot.may_couple, "coupled only when asked for");
}

void Witness::CheckEpochs(const RackCore& core) {
  for (size_t i = 0; i < capabilities_.size(); ++i) {
    FARADAY_PROMISE(core.leases().epoch(i) == slots_[i].epoch, "an epoch changes by SetLease only, and never back");
    FARADAY_PROMISE(core.leases().leased(i) == (slots_[i].holder == Holder::kLeased), "leases begin and end in time");
  }
}

// link.proto: CommandDone follows within wait_ms. A pass of the main loop may be late by itself three times: it acts,
// it notes that it acted, it judges.
void Witness::CheckDeadlines(const RackCore& core) {
  for (size_t i = 0; i < capabilities_.size(); ++i) {
    if (!core.slot(i).busy()) slots_[i].deadline_holds = false;
    const uint64_t late_ms = slots_[i].deadline_ms + 3 * uint64_t{slots_[i].longest_pass_ms};
    FARADAY_PROMISE(!slots_[i].deadline_holds || now_ms_ <= late_ms, "an accepted command ends within its wait_ms");
  }
}

// "An answer is a measurement" (firmware/README): ok means that the slot was seen as asked.
void Witness::Done(const link::CommandDone& done) {
  const auto found =
      std::find_if(accepted_.begin(), accepted_.end(), [&](const Accepted& a) { return a.id == done.command_id; });
  FARADAY_PROMISE(found != accepted_.end(), "an accepted command ends once, no other does");
  const link::SlotBits bits = link::Unpack(done.state);
  if (done.code == link::DoneCode::kOk) {
    const auto& call = found->command.call;
    if (const auto* vbus = std::get_if<link::SetVbus>(&call))
      FARADAY_PROMISE(bits.vbus_commanded == vbus->on, "ok: VBUS as asked");
    if (std::holds_alternative<link::CycleVbus>(call)) FARADAY_PROMISE(bits.vbus_commanded, "ok: VBUS is back");
    if (const auto* data = std::get_if<link::SetData>(&call))
      FARADAY_PROMISE(bits.data_commanded == data->path, "ok: data path as asked");
    if (const auto* shield = std::get_if<link::SetShield>(&call))
      FARADAY_PROMISE(bits.couple_commanded == shield->couple, "ok: relay as asked");
  }
  accepted_.erase(found);
  if (done.slot == 0 || done.slot > capabilities_.size()) return;
  Truth& slot = slots_[done.slot - 1];
  if (slot.wish_id == done.command_id) slot.wish_on = false;
}

}  // namespace faraday::firmware
