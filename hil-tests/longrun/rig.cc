#include "hil-tests/longrun/rig.h"

#include <fmt/core.h>

namespace faraday::longrun {
namespace {

constexpr size_t kStoryLines = 24;
// Causes of a blame besides a part's own fault (0 and 1), of each bus.
constexpr uint32_t kStuckCause = 2, kStretchCause = 17;
constexpr uint32_t kKeepaliveMs = 500;
constexpr uint64_t kMovingMs = 150;  // a rise of 5 ms, a discharge of 100 ms
constexpr uint64_t kSettlingMs = 1500;

std::vector<int> Rails() {
  std::vector<int> rails;
  for (int i = 0; i < static_cast<int>(kSlots); ++i) rails.push_back(i / 8);
  return rails;
}

}  // namespace

bool RigHost::RunUntil(uint32_t ms, const std::function<bool()>& condition) {
  for (uint32_t i = 0; waits_ != 0 && i < ms && !condition(); ++i) rig_.Pass(1);
  return condition();
}

void RigHost::SendBytes(std::span<const uint8_t> bytes) {
  std::vector<uint8_t> sent(bytes.begin(), bytes.end());
  rig_.Damage(sent);
  rig_.line.Send(sent, rig_.now_ms());
}

Rig::Rig(uint64_t seed_of)
    : seed(seed_of),
      chance(seed_of),
      board(Rails(), line, [this] { return static_cast<uint32_t>(now_ms_); }),
      judge(board) {
  line.now_ms = [this] { return board_ms(); };
  line.on_host_frame = [this](const link::FrameView& frame) { judge.claims().OnHostFrame(frame); };
  line.on_mcu_frame = [this](const link::FrameView& frame) { judge.claims().OnMcuFrame(frame); };
  for (int i = 0; i < 3; ++i) hosts_.push_back(std::make_unique<RigHost>(*this));
  judge.Boot(now_ms_);
  board.Boot();
  boots_ = board.boots();
}

// The board's clock is ahead of the rig's while it is in a slow transfer.
uint64_t Rig::board_ms() {
  const auto ahead = static_cast<int32_t>(board.board().NowMs() - static_cast<uint32_t>(now_ms_));
  return now_ms_ + static_cast<uint64_t>(std::max(ahead, 0));
}

void Rig::Pass(uint32_t dt_ms) {
  now_ms_ += dt_ms;
  ++passes_;
  if (alive && now_ms_ - keepalive_ms_ >= kKeepaliveMs && host().session != 0) {
    keepalive_ms_ = now_ms_;
    host().Keepalive();
  }
  judge.Open(now_ms_);
  board.Pass();
  if (board.boots() != boots_) {  // the watchdog, or Reset()
    boots_ = board.boots();
    judge.Boot(now_ms_);
    FineFor(2000);
  }
  judge.Look(board_ms());
  const std::vector<uint8_t> bytes = line.Take();
  if (!bytes.empty()) host().Hear(bytes);
}

void Rig::Run(uint64_t ms) {
  const uint64_t until = now_ms_ + ms;
  while (now_ms_ < until) {
    Pass(static_cast<uint32_t>(std::min<uint64_t>(StepMs(), until - now_ms_)));
  }
}

uint32_t Rig::StepMs() {
  if (now_ms_ < fine_until_ms_ || judge.quiet_ms() < kMovingMs) return 1;
  if (now_ms_ < busy_until_ms_ || judge.quiet_ms() < kSettlingMs) return busy_ms;
  // Silence is told by passes that saw no byte: a long one counts as a short one.
  lazy_ = !lazy_ && lazy_ms != 0 && alive && judge.Idle();
  return lazy_ ? lazy_ms : coarse_ms;
}

void Rig::Damage(std::vector<uint8_t>& bytes) {
  if (damage_per_mille == 0) return;
  for (uint8_t& byte : bytes) {
    if (chance.Below(1000) < damage_per_mille) byte = static_cast<uint8_t>(byte ^ (1U << chance.Below(8)));
  }
}

void Rig::SendStopFrame(uint64_t at_ms) {
  std::array<uint8_t, link::kMaxWire> wire{};
  const auto length = link::EncodeFrame({.channel = link::Channel::kStop}, link::kStopMagic, wire);
  line.Send(std::span<const uint8_t>(wire).first(*length), at_ms);
  FineFor(1000);
}

void Rig::Fault(size_t i, std::string_view name, bool on) {
  struct Row {
    std::string_view name;
    Blame blame;
    bool both;  // the part serves two slots
  };
  static constexpr std::array<Row, 9> kRows = {{{"short", Blame::kShort, false},
                                                {"switch-shorted", Blame::kSwitchShorted, false},
                                                {"back-feed", Blame::kBackFeed, false},
                                                {"no-discharge", Blame::kNoDischarge, false},
                                                {"relay-stuck", Blame::kRelayStuck, false},
                                                {"hot-tray", Blame::kHotTray, false},
                                                {"expander-missing", Blame::kExpander, true},
                                                {"monitor-missing", Blame::kMonitor, false},
                                                {"sensor-missing", Blame::kSensor, false}}};
  for (const Row& row : kRows) {
    if (row.name != name) continue;
    const auto cause = static_cast<uint32_t>(i & 1U);  // either of the two may hold the part's fault
    judge.Blame_(i, row.blame, on, now_ms_, cause);
    if (row.both) judge.Blame_(i ^ 1U, row.blame, on, now_ms_, cause);
    const bool part = row.blame == Blame::kExpander || row.blame == Blame::kMonitor;
    if (part) judge.Blame_(i, Blame::kPart, on, now_ms_, row.both ? cause : 2);
    if (row.both) judge.Blame_(i ^ 1U, Blame::kPart, on, now_ms_, cause);
  }
  (void)board.SetFault(i, name, on);
  FineFor(2000);
}

void Rig::BlameBus(int bus, Blame blame, bool on, uint32_t cause) {
  for (size_t i = 0; i < kSlots; ++i) {
    const firmware::SlotWiring& wiring = board.board().Slots()[i];
    if (blame == Blame::kSlow || bus < 0) judge.Blame_(i, blame, on, now_ms_, cause);
    if (wiring.outputs.bus == bus) judge.Blame_(i, Blame::kExpander, on, now_ms_, cause);
    if (wiring.monitor.bus == bus) judge.Blame_(i, Blame::kMonitor, on, now_ms_, cause);
  }
}

void Rig::StickBus(int bus, bool on) {
  (void)board.SetBusStuck(bus, on);
  BlameBus(bus, Blame::kSlow, on, kStuckCause + static_cast<uint32_t>(bus));
  FineFor(2000);
}

void Rig::Stretch(int bus, int ms) {
  (void)board.SetBusStretch(bus, ms);
  BlameBus(bus, Blame::kSlow, ms != 0, kStretchCause + static_cast<uint32_t>(bus));
  FineFor(2000);
}

void Rig::Load(size_t i, int ma) {
  judge.Blame_(i, Blame::kLoad, ma != 0, now_ms_);
  slot(i).SetTestLoad(ma);
  FineFor(1000);
}

void Rig::ResetExpander(size_t i) {
  board.ResetExpander(i);
  for (const size_t each : {i, i ^ 1U}) judge.Blame_(each, Blame::kExpander, false, now_ms_);
  FineFor(2000);
}

void Rig::Reset(link::BootReason reason) {
  board.McuReset(reason);
  FineFor(2000);
}

void Rig::Step(std::string text) {
  steps_.push_back(fmt::format("{:>12} ms  {}", now_ms_, text));
  if (steps_.size() > kStoryLines) steps_.pop_front();
}

std::string Rig::Story() const {
  std::string story = fmt::format("seed {}, {} passes, {} boots, the last steps:\n", seed, passes_, board.boots());
  for (const std::string& step : steps_) story += "  " + step + "\n";
  for (const Broken& broken : judge.broken()) {
    story += fmt::format("BROKEN {:>12} ms  {}: {}\n", broken.at_ms, ToString(broken.property), broken.text);
  }
  return story;
}

}  // namespace faraday::longrun
