// The plant at the emulated machine's pins: outputs come as trace events, inputs go out as QMP qom-set, one at a time
// and paced (machine_inputs.h). The physics is sim/plant's, the same as behind the native board.
//
// Never waits in Step(). Prepare(), Attach() and the moment after a reset of the MCU do wait for QEMU: they halt the
// machine, write every input and let it run on, so that the firmware hardly ever meets the chips' own power-up values
// (12 V and 25 A). One thread; knows no process and no serial line.
#pragma once

#include <poll.h>

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "sim/plant/plant.h"
#include "sim/qemu/driven_pins.h"
#include "sim/qemu/machine_inputs.h"
#include "sim/qemu/qmp_client.h"
#include "sim/qemu/trace_feed.h"

namespace faraday::sim::qemu {

// What QEMU has told of the machine since the plant was made.
struct MachineEvents {
  int resets = 0;
  int watchdog_bites = 0;
  bool shut_down = false;  // QEMU is about to end
};

class QemuPlant {
 public:
  // `missing`: ids of parts that the machine lacks. The plant outlives this.
  QemuPlant(Plant& plant,
            const std::vector<int>& slot_rails,
            const std::set<std::string>& missing,
            QmpClient qmp,
            TraceFeed trace);

  // For a machine that has not run yet (-S): writes every input. Errors: as QmpClient::Execute.
  Status Prepare();
  // For a machine that runs, or was halted by a plant that is no more: halts it, reads back what it drives, writes
  // every input, lets it run on. Errors: as QmpClient::Execute.
  Status Attach();
  // Lets a prepared machine run.
  Status Continue();
  // One turn at `now_ms` (free-running): takes in what came, lets the plant catch up, sends the next input.
  // Errors: kUnavailable QEMU is gone, kDeadlineExceeded it does not answer for 10 s, kFailedPrecondition QEMU's error.
  Status Step(uint32_t now_ms);
  // What to poll(2) for. Returns the longest wait in ms until the next Step().
  int Watch(std::vector<pollfd>& watch) const;

  // An expander's registers are lost. Done within a few steps; the trace tells when.
  void ResetExpander(size_t expander);
  void PressStopButton(bool pressed) { inputs_.PressStopButton(pressed); }
  // A QMP command of the caller's, waited for. Errors: as QmpClient::Execute.
  Status Execute(std::string_view command);

  const DrivenPins& pins() const { return pins_; }
  const MachineEvents& events() const { return events_; }
  // qom-sets since construction.
  uint64_t sets() const { return sets_; }

 private:
  void Count(const QmpMessage& event);
  Status TakeAnswers();
  bool TakeTrace();
  void FollowPins(uint32_t now_ms);
  void ReleaseHeldPins();
  Status SendNext(uint32_t now_ms);
  Status Send(const InputSet& set);
  Status WriteAll(const std::vector<InputSet>& sets);
  Status Settle();
  Status AfterReset();
  Status ReadPins();
  Result<bool> ReadsAs(const std::string& path, const std::string& property, std::string_view value);

  Plant& plant_;
  MachineInputs inputs_;
  QmpClient qmp_;
  TraceFeed trace_;
  std::set<std::string> missing_;
  DrivenPins pins_;
  std::vector<SlotOutputs> followed_;  // by slot
  MachineEvents events_;
  std::vector<std::pair<size_t, size_t>> to_release_;  // expander, pin
  bool in_flight_ = false;
  BootTime sent_at_{};
  uint64_t sets_ = 0;
};

}  // namespace faraday::sim::qemu
