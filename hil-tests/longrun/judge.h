// Holds one simulated board to the rack's promises, judged at the pins: the plant is the truth, the line says what was
// allowed (claims.h). Looks after every pass of the firmware; a broken promise is kept with its property's name.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "hil-tests/longrun/claims.h"
#include "sim/board/sim_board.h"

namespace faraday::longrun {

// One a point of the issue, in its order.
enum class Property : uint8_t {
  kCeilings,
  kBudget,
  kTrips,
  kTruth,
  kBreakBeforeMake,
  kFencing,
  kSilence,
  kSafeState,
  kStop,
  kWatchdog,
};
std::string_view ToString(Property property);

struct Broken {
  Property property;
  uint64_t at_ms = 0;
  std::string text;
};

// What was done to a slot's hardware, as the judge must know it: who may be accused of what.
enum class Blame : uint8_t {
  kShort,
  kSwitchShorted,
  kBackFeed,
  kNoDischarge,
  kRelayStuck,
  kHotTray,
  kExpander,  // missing, reset behind the firmware's back, or its bus does not work
  kMonitor,   // missing, or its bus does not work
  kSensor,
  kLoad,  // a test load
  kSlow,  // a transfer of any bus takes time
  kRail,  // the rail's supply is not good or sags
  kPart,  // the expander or the monitor does not answer, on whatever bus
};
inline constexpr size_t kBlames = 13;

class Judge {
 public:
  explicit Judge(sim::SimBoard& board) : board_(board) {}

  // A fault begins or ends. What it may lead to is forgiven until kForgiveMs after its end.
  void Blame_(size_t slot, Blame blame, bool on, uint64_t now_ms, uint32_t cause = 0);
  // True: the fault holds, or ended less than `ms` ago.
  bool Blamed(size_t slot, Blame blame, uint64_t ms) const;

  void Boot(uint64_t now_ms);
  // Before a pass, with the clock's time; after it, with the board's.
  void Open(uint64_t now_ms);
  void Look(uint64_t now_ms);

  Claims& claims() { return claims_; }
  const std::vector<Broken>& broken() const { return broken_; }
  void Break(Property property, std::string text);
  // How often a promise was put to the test; a test that never was proves nothing.
  int64_t seen(const std::string& what) const;
  std::map<std::string, int64_t> all_seen() const;
  // `what` lives as long as the program.
  void Saw(const char* what);
  // For 3 s no pin moved, and no command is unfinished; for 10 s no fault was in the plant: passes may be long.
  bool Idle() const;
  // ms since a VBUS pin, a data path or a relay moved.
  uint64_t quiet_ms() const { return now_ms_ - moved_ms_; }
  // Nobody may be accused of anything: no trip, no condition.
  void ExpectNoAccusation() { healthy_ = true; }

 private:
  struct Pins {
    sim::SlotOutputs now;
    uint64_t on_ms = 0;      // VBUS rose
    uint64_t off_ms = 0;     // VBUS fell
    uint64_t opened_ms = 0;  // the data path became open
    uint64_t open_pass_ms = 0;
    uint64_t over_ms = 0;  // current above the limit since; 0: it is not
    uint64_t band_ms = 0;  // the measured class of VBUS holds since
    int band = 0;          // 0 off, 1 between, 2 on
    uint64_t relay_ms = 0;
    sim::RelayPosition relay = sim::RelayPosition::kIsolated;
    bool ever_on = false;
    bool ever_off = false;
    uint64_t rest_on_ms = 0;                         // of the duty: time on in this rest, see duty
    std::deque<std::pair<uint64_t, uint64_t>> duty;  // times on within the last period
    uint64_t duty_rest_ms = 0;
    uint64_t duty_changed_ms = 0;  // by a Configure, for this slot
    uint64_t fault_shown_ms = 0;
    uint64_t seen_ms = 0;       // off, or its monitor answered
    uint64_t hot_ms = 0;        // the tray was, last
    link::SlotBits said;        // by the last telemetry
    uint64_t part_told_ms = 0;  // no part was missing, or it was told
    uint64_t heat = 0;          // of the soft limit's inverse time, mA^2 ms
  };

  void LookAtSlot(size_t i);
  void VbusRose(size_t i);
  void DataMoved(size_t i, const sim::SlotOutputs& before);
  void JudgeCurrent(size_t i);
  void JudgeSoftLimit(size_t i);
  void JudgeBlind(size_t i);
  void JudgeRest(size_t i);
  void JudgeDuty(size_t i);
  void JudgeHeat(size_t shelf);
  void JudgeBudgets();
  void JudgeStop();
  void JudgeSilence();
  void OnAnswer(const link::Command& command, const link::Reply& reply);
  void OnEvent(const link::Event& event);
  void OnTelemetry(const link::Telemetry& telemetry);
  void JudgeConditions(size_t i, const link::SlotBits& bits);
  void JudgeMissed(size_t i, const link::SlotBits& bits);
  void JudgeMissedPart(size_t i, const link::SlotBits& bits);
  void JudgeCeilings(const link::Configure& taken);
  void JudgeConfigure(const link::Configure& wanted);
  void NoteDuties(const link::Configure& wanted);
  bool MayBeOn(size_t i, const SlotClaim& claim) const;
  bool Commits(size_t i) const;
  bool Sick(size_t i, uint64_t ms) const;
  uint32_t LimitMa(size_t i) const;
  uint32_t RailOf(size_t i) const;
  std::string Name(size_t i) const;

  sim::SimBoard& board_;
  Claims claims_;
  std::array<Pins, kSlots> pins_{};
  std::array<SlotClaim, kSlots> claims_before_{};
  std::array<std::array<uint64_t, kBlames>, kSlots> blame_until_{};
  std::array<std::array<uint32_t, kBlames>, kSlots> causes_{};  // bit n: cause n holds now
  std::array<uint64_t, 4> hot_ms_{};                            // no tray of the shelf was too hot
  std::array<uint64_t, 8> rail_rose_ms_{};
  uint64_t opened_ms_ = 0;
  uint64_t now_ms_ = 0;
  uint64_t pass_ms_ = 0;  // the longer of the last two
  uint64_t last_pass_ms_ = 0;
  uint64_t last_look_ms_ = 0;
  uint64_t moved_ms_ = 0;
  bool stopped_before_ = false;
  bool healthy_ = false;
  std::optional<link::Configure> config_before_;
  std::deque<std::pair<uint64_t, link::Configure>> drains_;  // what ended lately, and when
  uint32_t config_crc_ = 0;
  uint32_t last_trip_ = 0;
  std::vector<Broken> broken_;
  std::vector<std::pair<const char*, int64_t>> seen_;  // a text may have several places
};

}  // namespace faraday::longrun
