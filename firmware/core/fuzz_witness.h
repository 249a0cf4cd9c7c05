// What a bystander knows who sees every frame to the firmware, every answer, every sample and the clock: which output
// may be energised at this moment, and when. Holds RackCore to design.md sections 4, 9, 10 and firmware/README.md;
// every promise in fuzz_witness.cc names its source. Decides nothing, shares no state with the core. Host test builds
// only.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "firmware/core/rack_core.h"
#include "link/frame.h"

namespace faraday::firmware {

// What the firmware sent while it took one frame; `complete`: nothing was kept back by a full line.
struct Answers {
  bool complete = true;
  std::optional<link::Reply> reply;
  std::optional<link::HelloReply> hello;
  std::optional<link::Refusal> refusal;
};

class Witness {
 public:
  // `capabilities`: a slot each.
  explicit Witness(std::vector<uint32_t> capabilities) : capabilities_(std::move(capabilities)) {}

  // A new core after construction or a reset. `memory_sound`: no NVM fault since the last boot.
  void Booted(const RackCore& core, uint32_t session, bool memory_sound);
  void Ticked(const RackCore& core, uint32_t dt);
  void Bytes(const RackCore& core);  // bytes that completed no frame
  void Frame(const RackCore& core, const link::FrameView& frame, const Answers& answers);
  void Current(const RackCore& core, size_t slot, uint32_t ma);
  void Temperature(const RackCore& core, size_t slot, int32_t deci_c);
  void Fault(const RackCore& core, size_t slot);  // a report that may trip the slot
  void Button(const RackCore& core, bool pressed);
  void Sample(const RackCore& core);  // any other report: moves nothing
  void Done(const link::CommandDone& done);

  uint32_t epoch(size_t slot) const { return slots_[slot].epoch; }
  uint16_t due_seq() const { return due_seq_; }
  bool configured() const { return configured_; }
  // Commands whose CommandDone was not seen, by id.
  size_t unfinished() const { return accepted_.size(); }

 private:
  enum class Holder : uint8_t { kNone, kCare, kLeased, kEnded };
  enum class Sure : uint8_t { kNo, kYes, kUnsure };

  struct Truth {
    // The lease as the frames gave it.
    Holder holder = Holder::kNone;
    uint32_t epoch = 0;
    Sure known = Sure::kNo;
    uint32_t left_ms = 0;
    // What the slot may do.
    bool wish_on = false;  // an accepted command's turn-on is still to come
    bool wish_is_cycle = false;
    uint32_t wish_id = 0;
    bool duty = false;  // rests in safe state charge
    bool rests_in_hold = false;
    uint32_t duty_phase_ms = 0;
    bool may_be_on = false;
    DataChoice data, data_after_cycle;
    bool may_couple = false;
    bool kept_off = false;
    bool stopped_alone = false;  // by a StopSlot of its own
    bool unsure = false;         // a command's verdict was not seen
    // What was seen.
    uint8_t outputs = 0;
    uint64_t vbus_changed_ms = 0;
    uint64_t vbus_rose_ms = 0;
    bool rose = false;  // since boot
    uint64_t opened_ms = 0;
    uint32_t ma = 0;
    bool sampled = false;
    uint64_t sampled_at_seen_ms = 0;
    // The unfinished command.
    uint64_t deadline_ms = 0;
    uint32_t longest_pass_ms = 0;  // since it was accepted
    bool deadline_holds = false;
  };
  struct Accepted {
    uint32_t id = 0;
    link::Command command;
  };

  // frames
  bool Admitted(const link::FrameHeader& header) const;
  uint32_t OnFrame(const RackCore& core, const link::FrameView& frame, const Answers& answers);
  void OnHello(const link::Hello& hello, const Answers& answers);
  uint32_t OnCommand(const RackCore& core, const link::Command& command, const Answers& answers);
  uint32_t Apply(const RackCore& core, const link::Command& command, const Answers& answers);
  link::Verdict Fence(uint32_t slot, uint32_t epoch, bool& sure) const;
  uint32_t OnConfigure(const RackCore& core, const link::Configure& configure, const Answers& answers);
  void CheckTighter(const link::Configure& configure) const;
  uint32_t OnLease(const link::SetLease& lease, const Answers& answers);
  template <typename Call>
  uint32_t OnFenced(const link::Command& command, const Call& call, const Answers& answers);
  void Remember(const link::Command& command);
  void Took(Truth& slot, const link::SetVbus& call);
  void Took(Truth& slot, const link::CycleVbus& call);
  void Took(Truth& slot, const link::SetData& call);
  void Took(Truth& slot, const link::SetShield& call);
  uint32_t OnStop(uint32_t slot);
  uint32_t OnClear(const RackCore& core, uint32_t slot);
  void Heard(uint32_t away_ms);

  // rules
  void Stop(Truth& slot);
  void EnterSafeState(size_t slot);
  void AdvanceSilence(uint32_t dt);
  void AdvanceLeases(uint32_t dt);
  void LookAtSafeState(size_t slot);
  void AdvanceDuties(uint32_t dt);
  void LookAtDisobedience(const RackCore& core);

  // promises
  // At every slot; `may_change`: those whose outputs may move.
  void Look(const RackCore& core, uint32_t may_change, bool ticking);
  // At one slot; true when its VBUS rose.
  bool LookAt(const RackCore& core, size_t slot, bool may_change, bool ticking);
  void LookAtTrip(const RackCore& core, size_t slot);
  void LookAtTrips(const RackCore& core);
  void CheckRise(const RackCore& core, size_t slot, bool ticking);
  void CheckGrants(uint32_t risen);
  void CheckData(size_t slot, uint8_t before, uint8_t now);
  void CheckLevels(const RackCore& core, size_t slot);
  void CheckEpochs(const RackCore& core);
  void CheckDeadlines(const RackCore& core);
  void CheckBudgets() const;

  uint32_t All() const { return 0xFFFF'FFFFU; }
  bool Fitted(size_t slot) const { return configured_ && EntryOfLimit(slot) != 0; }
  uint32_t EntryOfLimit(size_t slot) const;
  uint32_t RailOf(size_t slot) const;
  uint32_t HostSilentMs() const;
  uint32_t HostSilentMaxMs() const;

  std::vector<uint32_t> capabilities_;
  std::array<Truth, link::kMaxSlots> slots_{};
  std::vector<Accepted> accepted_;
  bool configured_ = false;
  link::Configure config_;
  std::map<uint32_t, link::Configure> taken_;  // by CRC: what was ever accepted
  uint32_t last_crc_ = 0;
  uint32_t session_ = 0;
  bool open_ = false;
  uint32_t term_ = 0;
  Sure term_known_ = Sure::kYes;
  uint32_t nonce_ = 0;
  uint16_t due_seq_ = 1;
  std::optional<std::string> bound_;  // the rack's name in NVM; none: not known
  std::string hello_rack_;
  bool stopped_ = false;
  uint64_t now_ms_ = 0;   // since construction
  uint64_t seen_ms_ = 0;  // the same, long passes counted as short ones
  uint64_t heard_ms_ = 0;
  uint32_t away_ms_ = 0;
  bool armed_ = false;  // a host was heard since boot
  bool silent_ = false;
  bool silent_max_ = false;
  bool silence_latched_ = false;
  bool button_ = false;
  std::array<uint64_t, link::kMaxRails> granted_ms_{};
  std::array<uint32_t, link::kMaxRails> stagger_ms_{};  // that the last grant asked for; 0: none yet
};

}  // namespace faraday::firmware
