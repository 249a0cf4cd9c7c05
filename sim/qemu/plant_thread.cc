#include "sim/qemu/plant_thread.h"

#include <poll.h>

#include <vector>

#include "sim/board/machine.h"

namespace faraday::sim::qemu {
namespace {

constexpr Milliseconds kConnectLimit{20'000};  // chosen: tests run beside builds
const std::vector<int> kOneRail(32, 0);

}  // namespace

Result<std::unique_ptr<PlantThread>> PlantThread::Make(const MachineFiles& files,
                                                       Result<TraceFeed> trace,
                                                       const MachineFaults& faults) {
  FARADAY_TRY(trace.status());
  FARADAY_TRY_ASSIGN(QmpClient qmp, QmpClient::Connect(files.plant_qmp, kConnectLimit));
  std::unique_ptr<PlantThread> made(new PlantThread(kOneRail));
  for (size_t slot = 0; slot < made->plant_.slots(); ++slot) made->plant_.slot(slot).SetPhonePresent(false);
  made->pins_ = std::make_unique<QemuPlant>(made->plant_, kOneRail, faults.missing, std::move(qmp), std::move(*trace));
  return made;
}

Result<std::unique_ptr<PlantThread>> PlantThread::Prepare(const MachineFiles& files,
                                                          TraceFeed trace,
                                                          const MachineFaults& faults) {
  FARADAY_TRY_ASSIGN(auto made, Make(files, std::move(trace), faults));
  FARADAY_TRY(made->pins_->Prepare());
  made->Follow();
  return made;
}

Result<std::unique_ptr<PlantThread>> PlantThread::Attach(const MachineFiles& files, const MachineFaults& faults) {
  FARADAY_TRY_ASSIGN(auto made, Make(files, TraceFeed::Open(files.trace), faults));
  FARADAY_TRY(made->pins_->Attach());
  made->Follow();
  return made;
}

PlantThread::~PlantThread() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void PlantThread::Follow() {
  thread_ = std::thread([this] { Run(); });
}

void PlantThread::Run() {
  std::vector<pollfd> watch;
  while (!stopping_) {
    int longest_ms = 0;
    {
      const std::lock_guard lock(mutex_);
      const Status step = pins_->Step(FreeRunningMs());
      if (!step.ok()) {
        if (step.code() != Code::kUnavailable) status_ = step;
        return;
      }
      watch.clear();
      longest_ms = pins_->Watch(watch);
    }
    poll(watch.data(), watch.size(), longest_ms);
  }
}

void PlantThread::SetLoad(int slot, int milliamps) {
  const std::lock_guard lock(mutex_);
  Slot(slot).SetTestLoad(milliamps);
}

void PlantThread::SetRelayStuck(int slot, bool stuck) { SetFault(slot, SlotFault::kRelayStuck, stuck); }

void PlantThread::SetFault(int slot, SlotFault fault, bool on) {
  const std::lock_guard lock(mutex_);
  Slot(slot).SetFault(fault, on);
}

void PlantThread::SetInput(int pin, bool level) {
  const std::lock_guard lock(mutex_);
  plant_.SetInput(pin, level);
}

void PlantThread::PressStopButton(bool pressed) {
  const std::lock_guard lock(mutex_);
  pins_->PressStopButton(pressed);
}

void PlantThread::ResetExpander(int slot) {
  const std::lock_guard lock(mutex_);
  pins_->ResetExpander(DrivenPins::ExpanderOf(static_cast<size_t>(slot - 1)));
}

bool PlantThread::Driven(int slot, firmware::Output output) const {
  const std::lock_guard lock(mutex_);
  return ((ToBits(Slot(slot).outputs()) >> static_cast<unsigned>(output)) & 1) != 0;
}

int PlantThread::VbusMv(int slot) const {
  const std::lock_guard lock(mutex_);
  return Slot(slot).vbus_mv();
}

bool PlantThread::stopped() const {
  const std::lock_guard lock(mutex_);
  return pins_->pins().stopped();
}

bool PlantThread::alarm() const {
  const std::lock_guard lock(mutex_);
  return pins_->pins().alarm();
}

int PlantThread::resets() const {
  const std::lock_guard lock(mutex_);
  return pins_->events().resets;
}

int PlantThread::watchdog_bites() const {
  const std::lock_guard lock(mutex_);
  return pins_->events().watchdog_bites;
}

uint64_t PlantThread::sets() const {
  const std::lock_guard lock(mutex_);
  return pins_->sets();
}

Status PlantThread::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

}  // namespace faraday::sim::qemu
