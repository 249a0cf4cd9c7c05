// One board as the controller knows it: the state of its line, the handshake above Hello (configure, hand every slot
// its lease), commands and their ends, and what each slot measured last.
//
// States: kNoLine --OnUp--> kConfiguring --all slots told--> kReady; OnDown leads back to kNoLine from anywhere.
// kRefused: the line is up but the board cannot be used (reason() says why); tried again every 2 s.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "controller/core/rack_line.h"
#include "rackconfig/rack_config.h"

namespace faraday::controller {

// One slot as measured. Older than kFresh it is no knowledge any more (design 6.1).
struct Measured {
  bool ever = false;
  BootTime at;
  uint32_t vbus_mv = 0;
  uint32_t vbus_ma = 0;
  int32_t tray_deci_c = 0;
  link::SlotBits bits;
  link::SlotMarks marks;
  std::string trip;       // "over-current 2.41 A > 2.00 A" while tripped
  link::Tripped tripped;  // while tripped; without figures after a restart
  UtcTime tripped_at;     // 0: not known
};
inline constexpr Milliseconds kFresh{1'000};         // ten telemetry periods; chosen
inline constexpr Milliseconds kDoneGrace{1'500};     // beyond the board's own wait (design 6.1)
inline constexpr Milliseconds kRefusedRetry{2'000};  // chosen
inline constexpr int kConfigureTries = 80;           // a value kept for each slot twice, and for the rack; chosen

// How a command ended.
struct Outcome {
  Status status;         // OK: done, read-back agrees
  bool unknown = false;  // nobody can tell whether it acted; status is kUnknown
  link::Reply reply;
};

class Board final : public LineEvents {
 public:
  enum class State { kNoLine, kConfiguring, kReady, kRefused };
  using Done = std::function<void(const Outcome&, Now)>;

  // What the board asks of, and tells to, the rack.
  struct Hooks {
    std::function<Status(const link::HelloReply&, bool new_session, Now)> on_hello;  // exchange epochs
    std::function<link::SetLease(int board_slot, bool new_session, Now)> lease_for;
    std::function<void(bool new_session, Now)> on_ready;
    std::function<void(Now)> on_down;
    std::function<void(Now)> on_telemetry;
    std::function<void(const link::Event&, Now)> on_event;
    std::function<void(const link::LogPage&, Now)> on_log_page = nullptr;
  };

  // `config` must outlive the board. `first_command_id` must differ from run to run: the board may still hold events
  // of an earlier controller's commands.
  Board(const rackconfig::RackConfig& config, int index, uint32_t first_command_id);
  void SetHooks(Hooks hooks) { hooks_ = std::move(hooks); }
  void SetLine(RackLine* line) { line_ = line; }  // must outlive the board's use

  // Sends one command; `done` runs later, once. `what` begins its messages ("r01/07: power on"). Without a usable
  // board returns the reason (kUnavailable) and `done` never runs.
  Status Send(decltype(link::Command::call) call, std::string what, Done done, Now now);
  // SetLease, remembering what the board was told.
  Status Give(const link::SetLease& lease, Done done, Now now);
  // Stops the whole board, ready or not: the stop frame, then StopSlot 0 that is answered. kUnavailable: no line takes
  // the answered one; the frame may have arrived.
  Status StopAll(Done done, Now now);
  // Ends commands whose CommandDone is overdue, retries a refused handshake.
  void OnTime(Now now);

  void OnUp(const link::HelloReply& hello, Now now) override;
  void OnDown(const std::string& reason, Now now) override;
  void OnReply(const link::Reply& reply, Now now) override;
  void OnEvent(const link::Event& event, Now now) override;
  void OnTelemetry(const link::Telemetry& telemetry, Now now) override;
  void OnLogPage(const link::LogPage& page, Now now) override;

  int index() const { return index_; }
  State state() const { return state_; }
  bool ready() const { return state_ == State::kReady; }
  // kUnavailable with the reason in plain words unless ready.
  Status CheckReady() const;
  const std::string& reason() const { return reason_; }
  const link::HelloReply& hello() const { return hello_; }
  // What Send or Give has just sent, for people: "board 0 session 71af command 1042".
  std::string last_command() const;
  const link::Telemetry& telemetry() const { return telemetry_; }
  LineCounters counters() const { return line_ == nullptr ? LineCounters{} : line_->counters(); }
  // 1 to 32.
  const Measured& measured(int board_slot) const { return measured_.at(static_cast<size_t>(board_slot) - 1); }
  // The largest epoch this board is known to have for the slot.
  uint32_t firmware_epoch(int board_slot) const { return epochs_.at(static_cast<size_t>(board_slot) - 1); }
  // Whether the board holds, or is being told, exactly this epoch.
  bool Told(int board_slot, uint32_t epoch) const { return told_.at(static_cast<size_t>(board_slot) - 1) == epoch; }
  bool Busy(int board_slot) const;
  // Of link::capability, as the board said in Hello.
  bool Has(int board_slot, uint32_t capability) const;
  // A moment on the board's clock in this boot of it.
  UtcTime UtcOf(uint32_t uptime_ms, Now now) const;
  // "current_limit_ma stays 2000 while r01/07 is on"; empty: the board has the whole config.
  const std::string& config_waits() const { return config_waits_; }
  // Name of a slot of this board, "r01/07".
  std::string SlotName(int board_slot) const;

 private:
  struct Pending {
    std::string what;
    Done done;
    int board_slot = 0;
    std::optional<link::Reply> reply;
    std::optional<BootTime> overdue;  // once accepted
  };
  void Handshake(Now now);
  void Refuse(std::string reason, Now now);
  void AfterConfigure(const link::Configure& sent, int tries, const Outcome& outcome, Now now);
  void Configured(Now now);
  void PushLeases(Now now);
  void OneLeasePushed(Now now);
  Status Transmit(decltype(link::Command::call) call, std::string what, Done done, Now now);
  void Finish(std::map<uint32_t, Pending>::iterator it, Outcome outcome, Now now);
  Status TrippedStatus(const Status& status, int board_slot) const;
  void OnDone(const link::CommandDone& done, bool late, Now now);
  void OnTripped(const link::Event& event, bool late, Now now);
  void SendConfigure(const link::Configure& configure, int tries, Now now);
  void ConfigureAgain(Now now);
  std::string BlockedBy(const link::Reply& reply) const;

  const rackconfig::RackConfig& config_;
  const int index_;
  RackLine* line_ = nullptr;
  Hooks hooks_;
  State state_ = State::kNoLine;
  std::string reason_ = "the line is being opened";
  link::HelloReply hello_;
  link::Telemetry telemetry_;
  uint32_t last_session_ = 0;  // the last that got all its leases
  bool new_session_ = true;
  uint32_t configure_crc_ = 0;
  std::string config_waits_;
  int config_waits_for_ = 0;  // the board slot that must be off first
  bool configuring_again_ = false;
  uint32_t clock_uptime_ms_ = 0;  // the board's clock ...
  Now clock_at_;                  // ... and ours, at the same moment
  uint32_t next_id_;
  uint32_t last_id_ = 0;
  uint32_t generation_ = 0;
  int leases_left_ = 0;
  BootTime retry_at_;
  std::map<uint32_t, Pending> pending_;
  std::array<Measured, link::kMaxSlots> measured_{};
  std::array<uint32_t, link::kMaxSlots> epochs_{};
  std::array<uint32_t, link::kMaxSlots> told_{};
};

}  // namespace faraday::controller
