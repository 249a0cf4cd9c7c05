// Random hosts, hardware faults and accidents, drawn from the rig's seed.
#pragma once

#include "hil-tests/longrun/rig.h"

namespace faraday::longrun {

// How often each kind of step is drawn; 0: never.
struct Mix {
  uint32_t commands = 40;
  uint32_t leases = 10;
  uint32_t waits = 20;
  uint32_t configures = 2;
  uint32_t clears = 6;
  uint32_t stops = 1;
  uint32_t stop_frames = 1;
  uint32_t hostile = 6;  // wrong epochs, stale terms, noise, floods, other racks' hosts
  uint32_t hellos = 1;
  uint32_t resets = 1;
  uint32_t silences = 0;
  uint32_t faults = 6;
  uint32_t bus_faults = 0;
  uint32_t loads = 2;
  uint32_t people = 3;  // phones plugged, unplugged, changed
};

class Driver {
 public:
  Driver(Rig& rig, const Mix& mix) : rig_(rig), mix_(mix) {}

  // Hello, Configure and a lease for every slot.
  void Begin();
  // Draws steps until the time is over or a promise is broken.
  void Run(uint64_t ms);
  link::Configure& config() { return config_; }
  uint32_t longest_wait_ms = 3000;
  uint32_t duty_times = 1;  // how many times longer than in a storm the charge duties are

 private:
  void Draw();
  void Command();
  void Lease();
  void Wait();
  void Configure();
  void Exceed(link::Configure& config);
  void ChangeOne(link::Configure& config);
  void ChangeAll(link::Configure& config);
  void Clear();
  void Stop();
  void StopFrame();
  void Hostile();
  void Hello();
  void Reset();
  void Silence();
  void Fault();
  void BusFault();
  void Load();
  void People();
  size_t AnySlot();
  size_t SlotThatIsOn();
  // Speaks again after a reset, a lost term, or bytes that were lost.
  void Mend();

  Rig& rig_;
  Mix mix_;
  link::Configure config_ = sim::TestHost::Config();
  std::array<uint32_t, kSlots> epochs_{};
  bool open_ = false;
};

}  // namespace faraday::longrun
