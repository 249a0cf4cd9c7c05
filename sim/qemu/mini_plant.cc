#include "sim/qemu/mini_plant.h"

#include <fmt/format.h>
#include <poll.h>

#include "firmware/boards/ast1030/wiring.h"

namespace faraday::sim::qemu {
namespace {

using firmware::ast1030::kWiring;
using namespace std::chrono_literals;

constexpr auto kAnswerLimit = 10s;  // of one QMP command, on a machine with every core busy
constexpr auto kPace = 4ms;         // at most 250 sets a second: more would slow the machine itself
constexpr int kTickMs = 20;

// GPIO registers of banks M to P; the stop pin is M0, low-active, pulled down.
constexpr uint32_t kDataMnop = 0x78;
constexpr uint32_t kDirectionMnop = 0x7C;
constexpr uint32_t kStopPin = 1;

// The model's scale is fixed at 50 mA a step (300 microohm); the board has 5 milliohm, 3 mA a step.
constexpr int ModelMilliamps(int milliamps) { return (milliamps + 1) / 3 * 50; }

std::string ExpanderOf(const firmware::SlotWiring& wiring) {
  const int first = wiring.outputs.bus == kWiring[0].outputs.bus ? 0 : 8;
  return fmt::format("exp{}", first + wiring.outputs.address - 0x60);
}

std::string Peripheral(std::string_view kind, size_t number) {
  return fmt::format("/machine/peripheral/{}{}", kind, number);
}

std::string Pin(size_t input) { return fmt::format("gpio{}{}", static_cast<char>('A' + input / 8), input % 8); }

}  // namespace

void RackPhysics::Apply(const TraceEvent& event) {
  if (std::holds_alternative<MachineReset>(event)) return Reset();
  if (const auto* gpio = std::get_if<GpioWritten>(&event)) return OnGpio(*gpio);
  const auto& pin = std::get<ExpanderPinChanged>(event);
  if (pin.asserted) {
    asserted_.emplace(pin.label, pin.pin);
  } else {
    asserted_.erase({pin.label, pin.pin});
  }
}

void RackPhysics::OnGpio(const GpioWritten& written) {
  if (written.offset == kDataMnop) stop_data_ = written.value;
  if (written.offset == kDirectionMnop) stop_direction_ = written.value;
  stopped_ = (stop_data_ & stop_direction_ & kStopPin) == 0;
}

void RackPhysics::Reset() {
  asserted_.clear();
  stop_data_ = 0;
  stop_direction_ = 0;
  stopped_ = true;
}

bool RackPhysics::Driven(int slot, firmware::Output output) const {
  const auto& wiring = kWiring[Index(slot)];
  const auto pin = static_cast<uint32_t>(wiring.outputs.first_pin + static_cast<uint8_t>(output));
  return !stopped_ && asserted_.contains({ExpanderOf(wiring), pin});
}

RackPhysics::Inputs RackPhysics::Evaluate() const {
  Inputs inputs;
  for (size_t slot = 1; slot <= kSlots; ++slot) {
    const int number = static_cast<int>(slot);
    const bool on = Driven(number, firmware::Output::kVbus);
    const bool coupled = Driven(number, firmware::Output::kRfRelay) && !relay_stuck_[slot - 1];
    const int load_ma = on ? load_ma_[slot - 1] : 0;
    inputs[{Peripheral("mon", slot), "vout"}] = std::to_string(on ? kVbusMv : 0);
    inputs[{Peripheral("mon", slot), "iout"}] = std::to_string(ModelMilliamps(load_ma));
    inputs[{Peripheral("tray", slot), "temperature"}] = "25000";
    inputs[{"/machine/soc/gpio", Pin(kWiring[slot - 1].relay_sense_input)}] = coupled ? "false" : "true";
  }
  return inputs;
}

RackPhysics::Inputs RackPhysics::ForcedPins() const {
  Inputs pins;
  if (!stopped_) return pins;
  for (const auto& [expander, pin] : asserted_) {
    pins[{fmt::format("/machine/peripheral/{}", expander), fmt::format("led{}", pin)}] = R"("off")";
  }
  return pins;
}

Result<std::unique_ptr<MiniPlant>> MiniPlant::Start(QmpClient qmp, TraceFeed trace) {
  std::unique_ptr<MiniPlant> plant(new MiniPlant(std::move(qmp), std::move(trace)));
  plant->TakeTrace();  // the resets of the machine's own making
  FARADAY_TRY(plant->WriteEveryInput());
  plant->thread_ = std::thread([raw = plant.get()] { raw->Run(); });
  return plant;
}

MiniPlant::~MiniPlant() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void MiniPlant::SetLoad(int slot, int milliamps) {
  const std::lock_guard lock(mutex_);
  physics_.SetLoad(slot, milliamps);
}

void MiniPlant::SetRelayStuck(int slot, bool stuck) {
  const std::lock_guard lock(mutex_);
  physics_.SetRelayStuck(slot, stuck);
}

bool MiniPlant::Driven(int slot, firmware::Output output) const {
  const std::lock_guard lock(mutex_);
  return physics_.Driven(slot, output);
}

bool MiniPlant::stopped() const {
  const std::lock_guard lock(mutex_);
  return physics_.stopped();
}

Status MiniPlant::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

void MiniPlant::Run() {
  while (!stopping_) {
    Status step = Step();
    if (step.ok()) continue;
    const std::lock_guard lock(mutex_);
    if (step.code() != Code::kUnavailable) status_ = std::move(step);
    return;
  }
}

// Waits for news, takes it in, and sends the next thing that changed.
Status MiniPlant::Step() {
  std::array<pollfd, 2> waiting = {pollfd{.fd = trace_.fd(), .events = POLLIN, .revents = 0},
                                   pollfd{.fd = qmp_.fd(), .events = POLLIN, .revents = 0}};
  poll(waiting.data(), waiting.size(), kTickMs);
  FARADAY_TRY(qmp_.KeepEvents());
  CountEvents();
  if (TakeTrace()) return RestartAfterReset();
  return SendNext();
}

// Returns whether the chips were reset meanwhile.
bool MiniPlant::TakeTrace() {
  bool reset = false;
  const std::lock_guard lock(mutex_);
  for (const TraceEvent& event : trace_.Read()) {
    reset = reset || std::holds_alternative<MachineReset>(event);
    physics_.Apply(event);
  }
  return reset;
}

void MiniPlant::CountEvents() {
  for (const QmpMessage& event : qmp_.TakeEvents()) {
    if (event.name == "RESET") ++resets_;
    if (event.name == "WATCHDOG") ++watchdog_bites_;
  }
}

Status MiniPlant::SendNext() {
  const BootTime now = BootClock::now();
  if (now < next_send_) return OkStatus();
  RackPhysics::Inputs inputs;
  {
    const std::lock_guard lock(mutex_);
    inputs = physics_.ForcedPins();
    inputs.merge(physics_.Evaluate());
  }
  for (const auto& input : inputs) {
    const auto known = sent_.find(input.first);
    if (known != sent_.end() && known->second == input.second) continue;
    next_send_ = now + kPace;
    return Set(input);
  }
  return OkStatus();
}

Status MiniPlant::Set(const RackPhysics::Inputs::value_type& input) {
  const auto& [place, value] = input;
  // A forced pin is not remembered: the firmware may drive it again, and then it is forced again.
  if (!place.second.starts_with("led")) sent_[place] = value;
  return qmp_.Execute("qom-set", QomSetArguments(place.first, place.second, value), kAnswerLimit).status();
}

Status MiniPlant::WriteEveryInput() {
  RackPhysics::Inputs inputs;
  {
    const std::lock_guard lock(mutex_);
    inputs = physics_.Evaluate();
  }
  for (const auto& input : inputs) FARADAY_TRY(Set(input));
  return OkStatus();
}

// The machine stands still meanwhile, so that the firmware hardly ever meets the chips' own defaults.
Status MiniPlant::RestartAfterReset() {
  FARADAY_TRY(qmp_.Execute("stop", "", kAnswerLimit).status());
  FARADAY_TRY(WriteEveryInput());
  return qmp_.Execute("cont", "", kAnswerLimit).status();
}

}  // namespace faraday::sim::qemu
