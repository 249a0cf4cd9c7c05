#include "sim/qemu/qemu_plant.h"

#include <fmt/format.h>

#include <algorithm>

namespace faraday::sim::qemu {
namespace {

using namespace std::chrono_literals;

constexpr auto kAnswerLimit = 10s;  // of one QMP command, on a machine with every core busy
constexpr int kTickMs = 5;          // chosen: VBUS rises in 5 ms, a relay travels for 5 to 10

}  // namespace

QemuPlant::QemuPlant(Plant& plant,
                     const std::vector<int>& slot_rails,
                     const std::set<std::string>& missing,
                     QmpClient qmp,
                     TraceFeed trace)
    : plant_(plant),
      inputs_(plant, slot_rails, missing),
      qmp_(std::move(qmp)),
      trace_(std::move(trace)),
      missing_(missing),
      followed_(plant.slots()) {}

// ---- start and restart --------------------------------------------------------------------------------------------

Status QemuPlant::Prepare() {
  trace_.Read();  // the resets of the machine's own making
  return WriteAll(inputs_.All());
}

Status QemuPlant::Attach() {
  FARADAY_TRY(Execute("stop"));
  trace_.Read();  // lines of a life that the pins tell of
  FARADAY_TRY(ReadPins());
  for (size_t slot = 0; slot < followed_.size(); ++slot) {
    followed_[slot] = pins_.Outputs(slot);
    plant_.slot(slot).SetOutputs(followed_[slot]);
  }
  FARADAY_TRY(WriteAll(inputs_.All()));
  return Continue();
}

Status QemuPlant::Continue() { return Execute("cont"); }

Result<bool> QemuPlant::ReadsAs(const std::string& path, const std::string& property, std::string_view value) {
  FARADAY_TRY(Settle());
  FARADAY_TRY_ASSIGN(
      const std::string answer,
      qmp_.Execute("qom-get", fmt::format(R"("path":"{}","property":"{}")", path, property), kAnswerLimit));
  return answer.find(fmt::format(R"("return": {})", value)) != std::string::npos;
}

Status QemuPlant::ReadPins() {
  pins_.Reset();
  FARADAY_TRY_ASSIGN(const bool released, ReadsAs(kGpioPath, StopPinProperty(), "true"));
  pins_.SetStopPin(released);
  for (size_t expander = 0; expander < kExpanders; ++expander) {
    if (missing_.contains(fmt::format("exp{}", expander))) continue;
    for (size_t pin = 0; pin < kExpanderPins; ++pin) {
      FARADAY_TRY_ASSIGN(const bool on, ReadsAs(PartPath("exp", expander), fmt::format("led{}", pin), R"("on")"));
      pins_.SetPin(expander, pin, on);
    }
  }
  return OkStatus();
}

// The machine stands still meanwhile.
Status QemuPlant::AfterReset() {
  to_release_.clear();
  FARADAY_TRY(Execute("stop"));
  FARADAY_TRY(WriteAll(inputs_.AfterReset()));
  return Continue();
}

// ---- one turn -----------------------------------------------------------------------------------------------------

Status QemuPlant::Step(uint32_t now_ms) {
  FARADAY_TRY(TakeAnswers());
  plant_.AdvanceTo(now_ms);
  const bool reset = TakeTrace();
  FollowPins(now_ms);
  if (reset) return AfterReset();
  return SendNext(now_ms);
}

int QemuPlant::Watch(std::vector<pollfd>& watch) const {
  watch.push_back({trace_.fd(), POLLIN, 0});
  watch.push_back({qmp_.fd(), POLLIN, 0});
  return kTickMs;
}

void QemuPlant::Count(const QmpMessage& event) {
  if (event.name == "RESET") ++events_.resets;
  if (event.name == "WATCHDOG") ++events_.watchdog_bites;
  if (event.name == "SHUTDOWN") events_.shut_down = true;
}

Status QemuPlant::TakeAnswers() {
  for (const QmpMessage& event : qmp_.TakeEvents()) Count(event);
  FARADAY_TRY_ASSIGN(const auto messages, qmp_.Receive());
  for (const QmpMessage& message : messages) {
    if (message.kind == QmpMessage::Kind::kEvent) {
      Count(message);
      continue;
    }
    in_flight_ = false;
    if (message.kind == QmpMessage::Kind::kError) return {Code::kFailedPrecondition, "QMP: " + message.text};
  }
  if (in_flight_ && BootClock::now() - sent_at_ > kAnswerLimit) {
    return {Code::kDeadlineExceeded, "QEMU does not answer a QMP command for 10 s"};
  }
  return OkStatus();
}

// Returns whether the chips were reset meanwhile.
bool QemuPlant::TakeTrace() {
  bool reset = false;
  for (const TraceEvent& event : trace_.Read()) {
    reset = reset || std::holds_alternative<MachineReset>(event);
    pins_.Apply(event);
  }
  return reset;
}

void QemuPlant::FollowPins(uint32_t now_ms) {
  for (size_t slot = 0; slot < followed_.size(); ++slot) {
    const SlotOutputs outputs = pins_.Outputs(slot);
    if (outputs == followed_[slot]) continue;
    followed_[slot] = outputs;
    plant_.slot(slot).SetOutputs(outputs);
    inputs_.OnOutputsChanged(slot, now_ms);
  }
}

// ---- what goes out ------------------------------------------------------------------------------------------------

void QemuPlant::ResetExpander(size_t expander) {
  for (size_t pin = 0; pin < kExpanderPins; ++pin) {
    if (((pins_.asserted(expander) >> pin) & 1U) != 0) to_release_.emplace_back(expander, pin);
  }
}

// The machine cannot wire the stop pin to the expanders' reset; this stands for the wire.
void QemuPlant::ReleaseHeldPins() {
  if (!pins_.stopped() || !to_release_.empty()) return;
  for (size_t expander = 0; expander < kExpanders; ++expander) ResetExpander(expander);
}

Status QemuPlant::SendNext(uint32_t now_ms) {
  if (in_flight_) return OkStatus();
  ReleaseHeldPins();
  if (!to_release_.empty()) {
    const auto [expander, pin] = to_release_.back();
    to_release_.pop_back();
    return Send({PartPath("exp", expander), fmt::format("led{}", pin), R"("off")"});
  }
  const auto next = inputs_.Next(now_ms);
  return next ? Send(*next) : OkStatus();
}

Status QemuPlant::Send(const InputSet& set) {
  in_flight_ = true;
  sent_at_ = BootClock::now();
  ++sets_;
  return qmp_.Send("qom-set", QomSetArguments(set.path, set.property, set.value));
}

// Waits for the answer that is under way.
Status QemuPlant::Settle() {
  while (in_flight_) {
    pollfd waiting{qmp_.fd(), POLLIN, 0};
    poll(&waiting, 1, kTickMs);
    FARADAY_TRY(TakeAnswers());
  }
  return OkStatus();
}

Status QemuPlant::WriteAll(const std::vector<InputSet>& sets) {
  for (const InputSet& set : sets) {
    FARADAY_TRY(Settle());
    FARADAY_TRY(Send(set));
  }
  return Settle();
}

Status QemuPlant::Execute(std::string_view command) {
  FARADAY_TRY(Settle());
  FARADAY_TRY(qmp_.Send(command, ""));
  in_flight_ = true;
  sent_at_ = BootClock::now();
  return Settle();
}

}  // namespace faraday::sim::qemu
