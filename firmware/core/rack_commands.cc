#include "firmware/core/rack_core.h"

#include <bit>

#include "firmware/core/version.h"

// What comes over the line: who may speak, what each command needs, what it does.

namespace faraday::firmware {

using link::CancelCause;
using link::Reply;
using link::Verdict;

namespace {

constexpr size_t IndexOf(uint32_t number) { return number - 1; }

}  // namespace

void RackCore::OnBytes(std::span<const uint8_t> bytes) {
  using Incoming = LinkServer::Incoming;
  for (uint8_t byte : bytes) {
    switch (server_.Feed(byte)) {
      case Incoming::kNothing:
        break;
      case Incoming::kStop:
        StopAll(StopSource::kFrame);
        break;
      case Incoming::kHello:
        OnHello();
        break;
      case Incoming::kCommand:
        OnCommand();
        break;
      case Incoming::kBadCommand:
        host_.Heard(0);
        server_.Answer({.command_id = server_.command().id, .verdict = Verdict::kInvalid});
        break;
      case Incoming::kKeepalive:
        host_.Heard(server_.keepalive().away_ms);
        break;
    }
  }
}

void RackCore::OnHello() {
  const link::Hello& hello = server_.hello();
  const std::string_view bound = store_.rack();
  if (!bound.empty() && !hello.rack.empty() && hello.rack.view() != bound) {
    return server_.Refuse(link::RefusalReason::kWrongRack, bound);
  }
  const bool repeated = server_.open() && hello.nonce == server_.nonce();
  if (!repeated && Overtaken(hello)) return server_.Refuse(link::RefusalReason::kSuperseded);
  if (!repeated) OpenTerm();
  host_.Heard(0);
  SendHelloReply();
}

// A later term of the session is open than the one this host held. Across a reset nobody is overtaken: terms may have
// been lost with the NVM, and the hosts' order with the RAM.
bool RackCore::Overtaken(const link::Hello& hello) const {
  return server_.open() && hello.last_session == server_.session() && hello.last_term < server_.term();
}

// The term is in NVM before the reply goes out. One that could not be stored still fences older hosts until the reset,
// which brings another session; refusing it would hide the fault from the host.
void RackCore::OpenTerm() {
  const uint32_t term = store_.term() + 1;
  (void)store_.SaveTerm(term);
  hello_rack_ = server_.hello().rack;
  server_.OpenTerm(term, server_.hello().nonce);
  events_.Log(link::LogKind::kHello, 0, 0, server_.hello().host_mark, term);
}

bool RackCore::AnyEpochLost() const {
  for (size_t i = 0; i < facts_.slots; ++i) {
    const bool fitted = !config_.accepted || config_.slots[i].limit_ma != 0;
    if (fitted && !store_.known(i)) return true;
  }
  return false;
}

void RackCore::SendHelloReply() {
  link::HelloReply& reply = hello_reply_;
  reply = {};
  reply.firmware_version = kFirmwareVersion;
  reply.build_id = kBuildId;
  reply.board = facts_.name;
  reply.rack = store_.rack();
  reply.slots = static_cast<uint32_t>(facts_.slots);
  for (size_t i = 0; i < facts_.slots; ++i) {
    reply.capabilities.push_back(places_[i].capabilities);
    reply.epochs.push_back(leases_.epoch(i));
    reply.lease_left_ms.push_back(leases_.left_ms(i));
  }
  reply.boot_reason = facts_.boot_reason;
  reply.config_crc = config_.crc;
  reply.term = server_.term();
  reply.session = server_.session();
  reply.nvm_lost = AnyEpochLost();
  reply.uptime_ms = events_.uptime_ms();
  reply.nonce = server_.nonce();
  reply.next_event_id = events_.oldest_id();
  reply.flash_id = facts_.flash_id;
  reply.boot_number = log_.boot_number() != 0 ? log_.boot_number() : facts_.boot_number;
  server_.SendHelloReply(reply);
}

void RackCore::OnCommand() {
  host_.Heard(0);
  Reply reply{.command_id = server_.command().id};
  if (reply.command_id == 0)
    reply.verdict = Verdict::kInvalid;
  else if (!Execute(reply))
    reply.verdict = Verdict::kUnknownCommand;
  server_.Answer(reply);
}

template <typename Call>
bool RackCore::Try(Reply& reply) {
  const Call* call = std::get_if<Call>(&server_.command().call);
  if (call == nullptr) return false;
  reply.verdict = On(*call, reply);
  return true;
}

// False: a call that this firmware does not know.
bool RackCore::Execute(Reply& reply) {
  return Try<link::Ping>(reply) || Try<link::Configure>(reply) || Try<link::SetLease>(reply) ||
         Try<link::SetVbus>(reply) || Try<link::CycleVbus>(reply) || Try<link::SetData>(reply) ||
         Try<link::SetShield>(reply) || Try<link::StopSlot>(reply) || Try<link::ClearTrip>(reply) ||
         Try<link::Locate>(reply) || Try<link::ClearSilence>(reply) || Try<link::ReadLog>(reply) ||
         Try<link::ReadWear>(reply) || Try<link::SetWear>(reply);
}

Verdict RackCore::FindSlot(uint32_t number, Reply& reply) const {
  if (number == 0 || number > facts_.slots) {
    reply.limit = static_cast<uint32_t>(facts_.slots);
    return Verdict::kNoSuchSlot;
  }
  reply.epoch = leases_.epoch(IndexOf(number));
  return Verdict::kOk;
}

// What every command that moves an output must pass, in the order in which the host can mend it.
Verdict RackCore::Fence(uint32_t number, uint32_t epoch, Reply& reply) const {
  if (const Verdict found = FindSlot(number, reply); found != Verdict::kOk) return found;
  const size_t slot = IndexOf(number);
  if (!config_.accepted) return Verdict::kNotConfigured;
  if (config_.slots[slot].limit_ma == 0) return Verdict::kNotFitted;
  if (!store_.known(slot)) return Verdict::kNvmLost;
  if (!leases_.Holds(slot, epoch)) return Verdict::kFenced;
  return stopped_ ? Verdict::kTripped : Verdict::kOk;
}

// In the order in which somebody can mend it. What holds a charge duty back holds a command too.
Verdict RackCore::MayTurnOn(size_t slot, Reply& reply) const {
  Block block = FindBlock(slot);
  if (!block && host_.latched()) block.cause = link::BlockCause::kHostSilent;
  if (!block) return queue_.Admit(slot, reply);
  reply.value = static_cast<uint32_t>(block.cause);
  reply.limit = block.which;
  return Verdict::kBlocked;
}

// With ACCEPTED: until when CommandDone comes at the latest.
Verdict RackCore::Promise(size_t slot, Verdict verdict, Reply& reply) {
  if (verdict != Verdict::kAccepted) return verdict;
  TurnOnQueue::Turn turn;
  if (slots_[slot].cycling())
    turn = queue_.TurnOfCycle(slot);
  else if (slots_[slot].waits_for_command())
    turn = queue_.TurnOf(slot);
  const uint32_t wait_ms = slots_[slot].WaitMs(config_) + turn.wait_ms;
  reply.queue_position = turn.position;
  slots_[slot].SetPatience(wait_ms + kAnswerMs - kVerifyMs);
  reply.wait_ms = wait_ms + kAnswerMs;
  return verdict;
}

Verdict RackCore::On(const link::Ping& ping, Reply& reply) {
  reply.value = ping.nonce;
  return Verdict::kOk;
}

// Whole or not at all, and kept before the answer. The one in force is not written again, unless the memory took it
// not.
Verdict RackCore::On(const link::Configure& configure, Reply& reply) {
  ConfigFault fault = CheckConfigure(configure, facts_.slots, facts_.ceilings);
  const auto length = link::EncodeMessage(configure, server_.scratch());
  if (fault.verdict == Verdict::kOk && (!length.ok() || *length > ConfigStore::kMostBytes)) {
    fault = {Verdict::kInvalid, 0, ConfigStore::kMostBytes, 0};
  }
  if (fault.verdict == Verdict::kOk) {
    const std::span<const uint8_t> bytes = server_.scratch().first(*length);
    reply.value = link::Crc32(bytes);
    const bool binds = store_.rack().empty() && !hello_rack_.empty();
    if (InForce(reply.value) && !binds && config_kept_) return Verdict::kOk;
    const BoardConfig next = ApplyConfigure(configure, reply.value, facts_.ceilings);
    fault = FindLooserWhileOn(config_, next, queue_.committed());
    if (fault.verdict == Verdict::kOk) {
      if (binds || !config_kept_) store_.SaveRack((binds ? hello_rack_ : link::FixedString<15>(store_.rack())).view());
      config_kept_ = configs_.Save(bytes);
      TakeConfig(next);
      events_.Log(link::LogKind::kConfigured, 0, 0, config_.crc);
      return Verdict::kOk;
    }
  }
  reply.value = fault.value;
  reply.limit = fault.limit;
  reply.queue_position = fault.field;
  return fault.verdict;
}

// Stricter values hold from now on; a slot that is not fitted any more goes to the reset state.
void RackCore::TakeConfig(const BoardConfig& config) {
  config_ = config;
  inputs_.SetRules(config_.input_rules);
  for (size_t i = 0; i < facts_.slots; ++i) {
    if (!fitted(i)) slots_[i].Stop(shared_);
  }
  queue_.FitBudgets();
}

Verdict RackCore::On(const link::SetLease& lease, Reply& reply) {
  if (const Verdict found = FindSlot(lease.slot, reply); found != Verdict::kOk) return found;
  const size_t slot = IndexOf(lease.slot);
  const auto given = leases_.Give(slot, lease.epoch, lease.duration_ms);
  reply.epoch = leases_.epoch(slot);
  if (given == LeaseTable::Given::kInvalid) return Verdict::kInvalid;
  if (given == LeaseTable::Given::kFenced) return Verdict::kFenced;
  if (given == LeaseTable::Given::kHandedOver) slots_[slot].HandOver(shared_);
  if (lease.to_safe_state && fitted(slot)) EnterSafeState(slot, CancelCause::kHandOver);
  return Verdict::kOk;
}

// On at a slot whose charge duty has it on takes it over from the duty, which needs room as a turn-on does.
Verdict RackCore::On(const link::SetVbus& vbus, Reply& reply) {
  if (const Verdict fence = Fence(vbus.slot, vbus.epoch, reply); fence != Verdict::kOk) return fence;
  const size_t slot = IndexOf(vbus.slot);
  if (vbus.on && !slots_[slot].barred() && (!slots_[slot].vbus().out() || slots_[slot].on_duty())) {
    if (const Verdict may = MayTurnOn(slot, reply); may != Verdict::kOk) return may;
  }
  return Promise(slot, slots_[slot].SetVbus(reply.command_id, vbus.on, shared_), reply);
}

Verdict RackCore::On(const link::CycleVbus& cycle, Reply& reply) {
  if (const Verdict fence = Fence(cycle.slot, cycle.epoch, reply); fence != Verdict::kOk) return fence;
  const size_t slot = IndexOf(cycle.slot);
  if (!slots_[slot].barred()) {
    if (const Verdict may = MayTurnOn(slot, reply); may != Verdict::kOk) return may;
  }
  return Promise(slot, slots_[slot].CycleVbus(reply.command_id, cycle.off_ms, shared_), reply);
}

Verdict RackCore::On(const link::SetData& data, Reply& reply) {
  if (const Verdict fence = Fence(data.slot, data.epoch, reply); fence != Verdict::kOk) return fence;
  const size_t slot = IndexOf(data.slot);
  if (data.host_index > 1) return Verdict::kInvalid;
  const DataChoice choice{data.path, static_cast<uint8_t>(data.host_index)};
  return Promise(slot, slots_[slot].SetData(reply.command_id, choice, shared_), reply);
}

Verdict RackCore::On(const link::SetShield& shield, Reply& reply) {
  if (const Verdict fence = Fence(shield.slot, shield.epoch, reply); fence != Verdict::kOk) return fence;
  const size_t slot = IndexOf(shield.slot);
  return Promise(slot, slots_[slot].SetShield(reply.command_id, shield.couple, shared_), reply);
}

Verdict RackCore::On(const link::StopSlot& stop, Reply& reply) {
  if (stop.slot == 0) {
    StopAll(StopSource::kCommand);
    return Verdict::kOk;
  }
  const Verdict found = FindSlot(stop.slot, reply);
  if (found != Verdict::kOk) return found;
  slots_[IndexOf(stop.slot)].KeepOff(shared_);
  stopped_slots_ |= uint32_t{1} << IndexOf(stop.slot);
  events_.Log(link::LogKind::kStop, stop.slot, static_cast<uint32_t>(StopSource::kCommand));
  return Verdict::kOk;
}

// A slot's own stop and trip. What the rack's stop keeps off stays off until that ends.
Verdict RackCore::ClearSlot(size_t slot) {
  if (!slots_[slot].ClearTrip(shared_)) return Verdict::kTripped;
  stopped_slots_ &= ~(uint32_t{1} << slot);
  if (stopped_) slots_[slot].KeepOff(shared_);
  events_.Log(link::LogKind::kCleared, static_cast<uint32_t>(slot + 1));
  return Verdict::kOk;
}

// Slot 0: the board's stop, which lasts as long as its cause. Trips and single slots' stops are cleared slot by slot,
// by somebody who looked at them.
Verdict RackCore::On(const link::ClearTrip& clear, Reply& reply) {
  if (clear.slot != 0) {
    const Verdict found = FindSlot(clear.slot, reply);
    return found == Verdict::kOk ? ClearSlot(IndexOf(clear.slot)) : found;
  }
  if (stop_button_ || inputs_.stopping() != 0) {
    const auto cause = stop_button_ ? link::BlockCause::kStopButton : link::BlockCause::kInput;
    reply.value = static_cast<uint32_t>(cause);
    reply.limit = stop_button_ ? 0 : static_cast<uint32_t>(std::countr_zero(inputs_.stopping()));
    return Verdict::kBlocked;
  }
  stopped_ = false;
  events_.Log(link::LogKind::kCleared, 0);
  for (size_t i = 0; i < facts_.slots; ++i) {
    if ((stopped_slots_ >> i & 1U) == 0) slots_[i].EndKeepOff();
  }
  return Verdict::kOk;
}

Verdict RackCore::On(const link::Locate& locate, Reply& reply) {
  if (locate.duration_ms > Indicators::kMostLocateMs) {
    reply.limit = Indicators::kMostLocateMs;
    return Verdict::kInvalid;
  }
  if (locate.slot != 0) {
    const Verdict found = FindSlot(locate.slot, reply);
    if (found == Verdict::kOk) indicators_.Locate(IndexOf(locate.slot), locate.duration_ms);
    return found;
  }
  for (size_t i = 0; i < facts_.slots; ++i) indicators_.Locate(i, locate.duration_ms);
  return Verdict::kOk;
}

Verdict RackCore::On(const link::ClearSilence&, Reply&) {
  host_.Clear();
  return Verdict::kOk;
}

// The page goes out before the answer, which the host waits for; both may be lost, it asks again.
Verdict RackCore::On(const link::ReadLog& read, Reply& reply) {
  reply.value = log_.oldest();
  reply.limit = log_.next();
  if (read.count == 0 || read.count > link::kMaxLogRecords) {
    reply.limit = link::kMaxLogRecords;
    return Verdict::kInvalid;
  }
  link::LogPage page;
  if (!log_.Read(read.from, read.count, page)) return Verdict::kBusy;
  if (!page.kind.empty() && !server_.SendLogPage(page)) return Verdict::kBusy;
  return Verdict::kOk;
}

Verdict RackCore::On(const link::ReadWear& read, Reply& reply) {
  if (const Verdict found = FindSlot(read.slot, reply); found != Verdict::kOk) return found;
  reply.value = wear_.moves(IndexOf(read.slot));
  reply.limit = config_.relay_warn_count;
  return Verdict::kOk;
}

Verdict RackCore::On(const link::SetWear& set, Reply& reply) {
  if (const Verdict found = FindSlot(set.slot, reply); found != Verdict::kOk) return found;
  if (set.moves > WearStore::kMostMoves) {
    reply.limit = WearStore::kMostMoves;
    return Verdict::kInvalid;
  }
  wear_.Set(IndexOf(set.slot), set.moves);
  return Verdict::kOk;
}

}  // namespace faraday::firmware
