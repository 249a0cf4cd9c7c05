// Hardware calls: VBUS, shield, data path, stop, clear. Each answers with what was measured after it acted.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "controller/core/conditions.h"
#include "controller/core/grants.h"
#include "controller/core/silence.h"

namespace faraday::controller {

struct VbusLevel {
  bool on = false;
};
struct VbusCycle {
  Milliseconds off{0};
};  // 0: 2 s
struct ShieldLevel {
  bool couple = false;
};
struct DataLevel {
  link::DataPath path = link::DataPath::kOpen;
  std::string host;  // with kHost; empty: the slot's first
};
using SwitchAction = std::variant<VbusLevel, VbusCycle, ShieldLevel, DataLevel>;

struct SwitchRequest {
  std::string slot;
  uint32_t epoch = 0;  // 0: tech or admin, with a reason
  SwitchAction action;
  std::string reason;
  // Set to true, before the answer, when the hardware has acted or nobody can tell; may be empty.
  std::shared_ptr<bool> acted = nullptr;
};

inline constexpr Milliseconds kReadBack{1'500};  // stop: until VBUS is below 0.8 V (1 s) and the relay has moved
inline constexpr Milliseconds kFreshAfterLoss{
    3'000};  // how long an unknown outcome waits for a new measurement; chosen

class Switching {
 public:
  Switching(RackParts& parts,
            Care& care,
            Grants& grants,
            const SlotViews& views,
            const Conditions& conditions,
            Silence& silence)
      : parts_(parts), care_(care), grants_(grants), views_(views), conditions_(conditions), silence_(silence) {}

  // Fenced: the slot's current epoch and its holder, agent, or tech/admin with a reason. Errors: kAborted (another
  // epoch is current), kFailedPrecondition (not leased; measured otherwise than asked), kPermissionDenied naming
  // holder and end, kUnavailable (no line), kUnknown (board reset or line lost in mid command) with measured values.
  void Switch(const CallContext& context, const SwitchRequest& request, Answer<SlotView> answer, Now now);
  // VBUS off, data open, isolated; ends the lease; the slot is in maintenance until cleared. Never fenced.
  void Stop(
      const CallContext& context, const std::string& slot, const std::string& reason, Answer<SlotView> answer, Now now);
  // Clears a trip, maintenance and quarantine. kFailedPrecondition while what quarantines it is still measured.
  void Clear(
      const CallContext& context, const std::string& slot, const std::string& reason, Answer<SlotView> answer, Now now);

  void OnMeasured(int board, Now now);
  void OnTime(Now now);

 private:
  // An answer that waits for a measurement newer than itself.
  struct Waiting {
    int slot;
    BootTime give_up;
    std::function<bool(const Measured&)> enough;
    std::function<void(bool enough, Now)> finish;
  };
  Status CheckFence(const CallContext& context, const SwitchRequest& request, int slot, Now now) const;
  Result<decltype(link::Command::call)> CommandFor(const SwitchRequest& request, int slot) const;
  Status Audit(const CallContext& context, const char* call, int slot, const std::string& text, Now now);
  void AnswerUnknown(int slot, const Status& status, Answer<SlotView> answer, Now now);
  void AwaitStopped(int slot, Answer<SlotView> answer, Now now);
  void Finish(const std::function<bool(const Waiting&, bool*)>& due, Now now);
  Status MayClear(int slot, Now now) const;
  // Once the board has cleared it: good again when nothing is wrong any more.
  void AwaitClear(const CallContext& context, int slot, const std::string& reason, Answer<SlotView> answer, Now now);
  Status StillWrong(int slot, Now now) const;

  RackParts& parts_;
  Care& care_;
  Grants& grants_;
  const SlotViews& views_;
  const Conditions& conditions_;
  Silence& silence_;
  std::vector<Waiting> waiting_;
};

}  // namespace faraday::controller
