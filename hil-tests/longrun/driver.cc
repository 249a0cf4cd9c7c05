#include "hil-tests/longrun/driver.h"

#include <fmt/core.h>

namespace faraday::longrun {
namespace {

using link::Verdict;

constexpr std::array<std::string_view, 9> kFaults = {"short",
                                                     "switch-shorted",
                                                     "back-feed",
                                                     "no-discharge",
                                                     "relay-stuck",
                                                     "hot-tray",
                                                     "expander-missing",
                                                     "monitor-missing",
                                                     "sensor-missing"};

}  // namespace

void Driver::Begin() {
  Hello();
  rig_.Run(600);
}

void Driver::Run(uint64_t ms) {
  const uint64_t until = rig_.now_ms() + ms;
  while (rig_.now_ms() < until && rig_.judge.broken().empty()) Draw();
}

void Driver::Draw() {
  const std::array<std::pair<uint32_t, void (Driver::*)()>, 15> table = {{
      {mix_.commands, &Driver::Command},
      {mix_.leases, &Driver::Lease},
      {mix_.waits, &Driver::Wait},
      {mix_.configures, &Driver::Configure},
      {mix_.clears, &Driver::Clear},
      {mix_.stops, &Driver::Stop},
      {mix_.stop_frames, &Driver::StopFrame},
      {mix_.hostile, &Driver::Hostile},
      {mix_.hellos, &Driver::Hello},
      {mix_.resets, &Driver::Reset},
      {mix_.silences, &Driver::Silence},
      {mix_.faults, &Driver::Fault},
      {mix_.bus_faults, &Driver::BusFault},
      {mix_.loads, &Driver::Load},
      {mix_.people, &Driver::People},
  }};
  uint32_t all = 0;
  for (const auto& row : table) all += row.first;
  uint32_t drawn = rig_.chance.Below(all);
  for (const auto& [weight, step] : table) {
    if (drawn < weight) {
      (this->*step)();
      break;
    }
    drawn -= weight;
  }
  rig_.host().events.clear();
  Mend();
  rig_.Run(rig_.chance.Between(1, rig_.chance.OneIn(3) ? 400 : 20));
}

void Driver::Mend() {
  if (!rig_.alive) return;
  const bool lost =
      !rig_.host().reply.has_value() || !open_ || rig_.host().session == 0 || !rig_.host().refusals.empty();
  if (!lost) return;
  rig_.host().refusals.clear();
  Hello();
}

void Driver::Hello() {
  rig_.BusyFor(500);
  rig_.Attach(rig_.chance.Below(static_cast<uint32_t>(rig_.hosts())));
  RigHost& host = rig_.host();
  rig_.Step("hello");
  open_ = host.Hello().has_value();
  if (!open_) return;
  for (size_t i = 0; i < kSlots && i < host.hello->epochs.size(); ++i) epochs_[i] = host.hello->epochs[i];
  (void)host.Do(link::ClearSilence{});
  const link::Reply configured = host.Do(config_);
  rig_.Step(fmt::format("configure: verdict {}, value {}", static_cast<int>(configured.verdict), configured.value));
  for (size_t i = 0; i < kSlots; ++i) {
    if (rig_.chance.OneIn(10)) continue;  // of which nobody says who holds it
    const bool leased = rig_.chance.OneIn(3);
    epochs_[i] = std::max(epochs_[i], 1U);
    (void)host.Do(link::SetLease{.slot = static_cast<uint32_t>(i + 1),
                                 .epoch = epochs_[i],
                                 .duration_ms = leased ? rig_.chance.Between(500, 60'000) : 0,
                                 .to_safe_state = !leased});
  }
  host.refusals.clear();
}

void Driver::Command() {
  const size_t i = AnySlot();
  const auto number = static_cast<uint32_t>(i + 1);
  RigHost& host = rig_.host();
  rig_.BusyFor(1500);
  link::Reply reply;
  const uint32_t kind = rig_.chance.Below(9);
  switch (kind) {
    case 0:
    case 1:
    case 2:
      reply = host.Do(link::SetVbus{.slot = number, .epoch = epochs_[i], .on = true});
      break;
    case 3:
      rig_.judge.Saw("offs");
      reply = host.Do(link::SetVbus{.slot = number, .epoch = epochs_[i], .on = false});
      break;
    case 4:
      rig_.judge.Saw("cycles");
      reply = host.Do(link::CycleVbus{.slot = number, .epoch = epochs_[i], .off_ms = rig_.chance.Between(400, 3000)});
      break;
    case 5:
    case 6:
      reply = host.Do(link::SetData{.slot = number,
                                    .epoch = epochs_[i],
                                    .path = static_cast<link::DataPath>(rig_.chance.Below(3)),
                                    .host_index = rig_.chance.Below(2)});
      break;
    default:
      reply = host.Do(link::SetShield{.slot = number, .epoch = epochs_[i], .couple = rig_.chance.OneIn(2)});
      break;
  }
  rig_.Step(fmt::format(
      "command {} to slot {}: verdict {}, wait {}", kind, number, static_cast<int>(reply.verdict), reply.wait_ms));
}

void Driver::Lease() {
  const size_t i = AnySlot();
  const bool newer = rig_.chance.OneIn(2);
  const bool leased = !rig_.chance.OneIn(3);
  const uint32_t epoch = epochs_[i] + (newer ? 1 : 0);
  const link::SetLease lease = {.slot = static_cast<uint32_t>(i + 1),
                                .epoch = epoch,
                                .duration_ms = leased ? rig_.chance.Between(200, 120'000) : 0,
                                .to_safe_state = rig_.chance.OneIn(2)};
  rig_.BusyFor(500);
  const link::Reply reply = rig_.host().Do(lease);
  if (reply.verdict == Verdict::kOk) epochs_[i] = epoch;
  rig_.Step(fmt::format("lease of slot {}: epoch {}, {} ms, safe {}: verdict {}",
                        lease.slot,
                        epoch,
                        lease.duration_ms,
                        lease.to_safe_state,
                        static_cast<int>(reply.verdict)));
}

void Driver::Wait() {
  const uint32_t ms = rig_.chance.Between(10, longest_wait_ms);
  rig_.Step(fmt::format("wait {} ms", ms));
  rig_.Run(ms);
}

// One value beyond the board's ceiling: the whole is refused.
void Driver::Exceed(link::Configure& config) {
  switch (rig_.chance.Below(8)) {
    case 0:
      config.rail_budget_ma[rig_.chance.Below(4)] = 20'001;
      break;
    case 1:
      config.stagger_ms = 49;
      break;
    case 2:
      config.min_off_ms = 499;
      break;
    case 3:
      config.host_silent_ms = 60'001;
      break;
    case 4:
      config.min_on_ms = 199;
      break;
    case 5:
      config.tray_trip_deci_c = 501;
      break;
    default:
      config.current_limit_ma[AnySlot()] = 3001;
  }
}

// One value alone, so that nothing else of the Configure is what gets it refused.
void Driver::ChangeOne(link::Configure& config) {
  Chance& chance = rig_.chance;
  switch (chance.Below(6)) {
    case 0:
      config.rail_budget_ma[chance.Below(4)] = chance.Between(3000, 20'000);
      break;
    case 1:
      config.rack_budget_ma = chance.Between(8000, 80'000);
      break;
    case 2:
      config.stagger_ms = chance.Between(50, 300);
      break;
    case 3:
      config.min_off_ms = chance.Between(500, 1500);
      break;
    default:
      config.current_limit_ma[SlotThatIsOn()] = chance.Between(1850, 3000);
  }
}

// Half of all meets four slots, so that what happens to one happens together.
size_t Driver::AnySlot() { return rig_.chance.OneIn(2) ? rig_.chance.Below(4) * 9 : rig_.chance.Below(kSlots); }

// The next that is, from any slot on; that slot where none is.
size_t Driver::SlotThatIsOn() {
  const size_t first = AnySlot();
  for (size_t n = 0; n < kSlots; ++n) {
    const size_t i = (first + n) % kSlots;
    if (rig_.slot(i).outputs().vbus) return i;
  }
  return first;
}

void Driver::ChangeAll(link::Configure& config) {
  Chance& chance = rig_.chance;
  for (size_t i = 0; i < kSlots; ++i) {
    if (chance.OneIn(8)) config.current_limit_ma[i] = chance.OneIn(6) ? 0 : chance.Between(1850, 3000);
    if (chance.OneIn(8)) config.safe_state[i] = chance.Below(3);
  }
  for (size_t rail = 0; rail < 4; ++rail) config.rail_budget_ma[rail] = chance.Between(3000, 16'000);
  config.rack_budget_ma = chance.Between(8000, 64'000);
  config.stagger_ms = chance.Between(50, 300);
  config.min_off_ms = chance.Between(500, 1500);
  config.charge_on_ms = chance.Between(1000, 20'000) * duty_times;
  config.charge_period_ms = chance.Between(20'000, 120'000) * duty_times;
}

void Driver::Configure() {
  rig_.BusyFor(500);
  link::Configure config = config_;
  if (rig_.chance.OneIn(2))
    ChangeAll(config);
  else
    ChangeOne(config);
  if (rig_.chance.OneIn(4)) Exceed(config);
  const link::Reply reply = rig_.host().Do(config);
  if (reply.verdict == Verdict::kOk) config_ = config;
  rig_.Step(fmt::format("configure: verdict {}, value {}", static_cast<int>(reply.verdict), reply.value));
}

void Driver::Clear() {
  const uint32_t slot = rig_.chance.OneIn(3) ? 0 : static_cast<uint32_t>(AnySlot() + 1);
  const link::Reply reply = rig_.host().Do(link::ClearTrip{.slot = slot});
  rig_.Step(fmt::format("clear {}: verdict {}", slot, static_cast<int>(reply.verdict)));
}

void Driver::Stop() {
  rig_.FineFor(500);
  const uint32_t slot = rig_.chance.OneIn(4) ? 0 : static_cast<uint32_t>(AnySlot() + 1);
  rig_.Step(fmt::format("stop {}", slot));
  (void)rig_.host().Do(link::StopSlot{.slot = slot});
}

void Driver::StopFrame() {
  rig_.Step("stop frame");
  rig_.SendStopFrame(rig_.now_ms() + rig_.chance.Below(20));
  rig_.Run(rig_.chance.Between(20, 2000));
  rig_.Step("clear 0");
  (void)rig_.host().Do(link::ClearTrip{.slot = 0});
}

void Driver::Hostile() {
  Chance& chance = rig_.chance;
  const size_t i = AnySlot();
  const auto number = static_cast<uint32_t>(i + 1);
  rig_.FineFor(500);
  switch (chance.Below(4)) {
    case 0: {
      const uint32_t epoch = epochs_[i] + (chance.OneIn(2) ? chance.Between(1, 5) : 0U - chance.Between(1, 5));
      rig_.Step(fmt::format("slot {} on with epoch {} in place of {}", number, epoch, epochs_[i]));
      (void)rig_.host().Do(link::SetVbus{.slot = number, .epoch = epoch, .on = true});
      break;
    }
    case 1: {  // a host that was superseded, or never spoke
      RigHost& other = rig_.host(chance.Below(static_cast<uint32_t>(rig_.hosts())));
      if (&other == &rig_.host()) return;
      rig_.Step(fmt::format("another host turns slot {} on", number));
      other.Say(link::SetVbus{.slot = number, .epoch = epochs_[i], .on = true});
      break;
    }
    case 2: {
      rig_.Step("noise");
      std::vector<uint8_t> noise(chance.Between(1, 600));
      for (uint8_t& byte : noise) byte = static_cast<uint8_t>(chance.Below(256));
      noise.push_back(0);
      rig_.SendRaw(noise, rig_.now_ms());
      break;
    }
    default:
      rig_.Step("flood");
      for (int n = 0; n < 20; ++n)
        rig_.host().Say(link::SetVbus{.slot = number, .epoch = epochs_[i], .on = n % 2 == 0});
      open_ = false;  // more than the window: some were lost
      break;
  }
}

void Driver::Reset() {
  rig_.Step("reset");
  rig_.Reset(rig_.chance.OneIn(2) ? link::BootReason::kPowerOn : link::BootReason::kWatchdog);
  rig_.Run(rig_.chance.Between(10, 3000));
  open_ = false;
}

void Driver::Silence() {
  const uint64_t ms = rig_.chance.OneIn(2) ? rig_.chance.Between(5000, 30'000) : rig_.chance.Between(60'000, 900'000);
  for (int turn_ons = 0; turn_ons < 4; ++turn_ons) {  // that wait for their minimum off time when it begins
    const size_t i = AnySlot();
    for (const bool on : {false, true})
      (void)rig_.host().Do(link::SetVbus{.slot = static_cast<uint32_t>(i + 1), .epoch = epochs_[i], .on = on});
  }
  rig_.Step(fmt::format("silence of {} ms", ms));
  rig_.alive = false;
  rig_.Run(ms);
  rig_.alive = true;
  open_ = false;
}

void Driver::Fault() {
  const size_t i = AnySlot();
  const std::string_view name = kFaults[rig_.chance.Below(kFaults.size())];
  const bool on = rig_.chance.OneIn(2);
  rig_.Step(fmt::format("fault {} of slot {} {}", name, i + 1, on ? "on" : "off"));
  if (on) return rig_.Fault(i, name, true);
  for (size_t each = 0; each < kSlots; ++each) rig_.Fault(each, name, false);
}

void Driver::BusFault() {
  const int bus = static_cast<int>(rig_.chance.Between(2, 10));
  if (rig_.chance.OneIn(2)) {
    const uint32_t ms = rig_.chance.Between(50, 6000);
    rig_.Step(fmt::format("bus {} stuck for {} ms", bus, ms));
    rig_.StickBus(bus, true);
    rig_.Run(ms);
    rig_.StickBus(bus, false);
    return;
  }
  const int stretch = static_cast<int>(rig_.chance.Between(1, 8));
  rig_.Step(fmt::format("bus {} stretches by {} ms", bus, stretch));
  rig_.Stretch(bus, stretch);
  rig_.Run(rig_.chance.Between(50, 3000));
  rig_.Stretch(bus, 0);
}

void Driver::Load() {
  const size_t i = AnySlot();
  const int ma = rig_.chance.OneIn(2) ? 0 : static_cast<int>(rig_.chance.Between(100, 3400));
  rig_.Step(fmt::format("load of {} mA at slot {}", ma, i + 1));
  rig_.Load(i, ma);
}

void Driver::People() {
  const size_t i = AnySlot();
  Chance& chance = rig_.chance;
  sim::SlotPhysics& slot = rig_.slot(i);
  rig_.Step(fmt::format("phone of slot {} changes", i + 1));
  const bool present = !chance.OneIn(4);
  if (present != slot.present()) rig_.judge.Saw(present ? "phones plugged" : "phones unplugged");
  slot.SetPhonePresent(present);
  sim::Battery battery;
  battery.percent = static_cast<int>(chance.OneIn(4) ? 100 * chance.Below(2) : chance.Below(101));
  if (battery.percent == 0) rig_.judge.Saw("empty phones");
  if (battery.percent == 100) rig_.judge.Saw("full phones");
  slot.SetBattery(battery);
  const bool boots = chance.OneIn(2);
  if (boots) rig_.judge.Saw("phones booting");
  slot.SetDraw({.running = boots, .system_ma = static_cast<int>(chance.Below(700))});
}

}  // namespace faraday::longrun
