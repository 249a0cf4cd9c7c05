#include "controller/core/fake_board.h"

#include <algorithm>

namespace faraday::controller {

link::Reply FakeBoard::Lease(const link::SetLease& lease, link::Reply reply) {
  Slot& slot = At(lease.slot);
  reply.epoch = slot.epoch;
  if (lease.epoch < slot.epoch) {
    reply.verdict = link::Verdict::kFenced;
    return reply;
  }
  slot.epoch = reply.epoch = lease.epoch;
  slot.left_ms = lease.duration_ms;
  slot.safe = lease.to_safe_state;
  if (lease.to_safe_state) {
    slot.data = link::DataPath::kOpen;
    slot.couple = false;
    slot.vbus = false;
  }
  return reply;
}

link::Reply FakeBoard::Switched(uint32_t number, uint32_t id, link::Reply reply) {
  const Slot& slot = At(number);
  reply.verdict = link::Verdict::kAccepted;
  reply.wait_ms = 100;
  if (mute_done) return reply;
  link::CommandDone done;
  done.command_id = id;
  done.slot = number;
  done.vbus_mv = slot.vbus ? 5050 : 12;
  done.vbus_ma = slot.vbus ? 480 : 0;
  done.state = State(slot);
  if (slot.couple && slot.relay_stuck) done.code = link::DoneCode::kReadBackMismatch;
  events.push_back({next_event++, 0, done});
  return reply;
}

link::Reply FakeBoard::ReadLog(const link::ReadLog& read, link::Reply reply) {
  reply.value = log_oldest;
  reply.limit = log_oldest + static_cast<uint32_t>(log.size());
  link::LogPage page;
  page.first = std::max(read.from, log_oldest);
  for (uint32_t n = page.first; n < std::min(reply.limit, page.first + read.count); ++n) {
    const link::LogPage& record = log.at(n - log_oldest);
    page.boot.push_back(record.boot[0]);
    page.uptime_ms.push_back(record.uptime_ms[0]);
    page.kind.push_back(record.kind[0]);
    page.slot.push_back(record.slot[0]);
    page.detail.push_back(record.detail[0]);
    page.value.push_back(record.value[0]);
    page.limit.push_back(record.limit[0]);
  }
  const bool lost = lose_pages > 0 && lose_pages-- > 0;
  if (!page.kind.empty() && !lost) pages.push_back(page);
  return reply;
}

std::optional<link::Reply> FakeBoard::TakeUpkeep(const link::Command& command, link::Reply reply) {
  if (const auto* configure = std::get_if<link::Configure>(&command.call)) {
    configured.push_back(*configure);
    if (!configure_replies.empty()) {
      const uint32_t id = reply.command_id;
      reply = configure_replies.front();
      reply.command_id = id;
      configure_replies.pop_front();
      return reply;
    }
    config_crc = reply.value = crc_of(*configure);
    return reply;
  }
  if (const auto* stop = std::get_if<link::StopSlot>(&command.call)) {
    if (stop->slot == 0) {
      StopFrame();
      return reply;
    }
    At(stop->slot).vbus = At(stop->slot).couple = false;
    At(stop->slot).data = link::DataPath::kOpen;
    return reply;
  }
  if (const auto* clear = std::get_if<link::ClearTrip>(&command.call)) {
    if (clear->slot == 0) {
      stopped = false;
    } else if (!keeps_trips) {
      At(clear->slot).tripped = false;
    }
    return reply;
  }
  if (std::holds_alternative<link::ClearSilence>(command.call)) {
    faults &= ~link::kFaultHostSilent;
    return reply;
  }
  if (std::holds_alternative<link::Locate>(command.call)) return reply;
  if (const auto* read = std::get_if<link::ReadLog>(&command.call)) return ReadLog(*read, reply);
  if (const auto* read = std::get_if<link::ReadWear>(&command.call)) {
    reply.value = At(read->slot).relay_moves;
    reply.limit = 1'000'000;
    return reply;
  }
  if (const auto* set = std::get_if<link::SetWear>(&command.call)) {
    At(set->slot).relay_moves = set->moves;
    return reply;
  }
  return std::nullopt;
}

link::Reply FakeBoard::Take(const link::Command& command) {
  taken.push_back(command);
  link::Reply reply;
  reply.command_id = command.id;
  if (const auto* ping = std::get_if<link::Ping>(&command.call)) {
    reply.value = ping->nonce;
    return reply;
  }
  if (const auto upkeep = TakeUpkeep(command, reply)) return *upkeep;
  if (const auto* lease = std::get_if<link::SetLease>(&command.call)) return Lease(*lease, reply);
  const auto fenced = [&](uint32_t slot, uint32_t epoch) {
    reply.epoch = At(slot).epoch;
    reply.verdict = epoch != At(slot).epoch ? link::Verdict::kFenced : refuse;
    return reply.verdict != link::Verdict::kOk;
  };
  if (const auto* vbus = std::get_if<link::SetVbus>(&command.call)) {
    if (fenced(vbus->slot, vbus->epoch)) return reply;
    At(vbus->slot).vbus = vbus->on;
    return Switched(vbus->slot, command.id, reply);
  }
  if (const auto* cycle = std::get_if<link::CycleVbus>(&command.call)) {
    if (fenced(cycle->slot, cycle->epoch)) return reply;
    At(cycle->slot).vbus = true;
    return Switched(cycle->slot, command.id, reply);
  }
  if (const auto* data = std::get_if<link::SetData>(&command.call)) {
    if (fenced(data->slot, data->epoch)) return reply;
    At(data->slot).data = data->path;
    At(data->slot).host = static_cast<uint8_t>(data->host_index);
    return Switched(data->slot, command.id, reply);
  }
  if (const auto* shield = std::get_if<link::SetShield>(&command.call)) {
    if (fenced(shield->slot, shield->epoch)) return reply;
    At(shield->slot).couple = shield->couple;
    return Switched(shield->slot, command.id, reply);
  }
  reply.verdict = link::Verdict::kUnknownCommand;
  return reply;
}

}  // namespace faraday::controller
