// The rack with fake time, a fake board and a store that fails on demand: what the stories about it share.
#pragma once

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "controller/core/fake_line.h"
#include "controller/core/memory_store.h"
#include "controller/core/rack.h"

namespace faraday::controller {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::IsEmpty;

inline constexpr int kSlots = 4;

inline rackconfig::RackConfig MakeConfig() {
  rackconfig::RackConfig config;
  config.rack = "r01";
  config.boards.resize(1);
  config.boards[0].port.path = "/dev/ttyTEST";
  config.rails = {{{"A", Milliamps(16000)}}};
  config.hosts = {{"h01", ""}};
  for (int i = 1; i <= kSlots; ++i) {
    rackconfig::SlotConfig slot;
    slot.number = slot.board_slot = i;
    slot.current_limit = Milliamps(2000);
    if (i <= 2) slot.hosts = {{"h01", "127.0.0.1:5601", ""}};
    config.slots.push_back(slot);
  }
  return config;
}

class Recorder final : public EventSink {
 public:
  void OnSlot(int slot, std::string_view kind, const std::string& text, const std::string&, Now) override {
    lines.push_back(fmt::format("{} {} {}", slot, kind, text));
  }
  void OnBoard(int board, std::string_view kind, const std::string& text, Now) override {
    lines.push_back(fmt::format("board {} {} {}", board, kind, text));
  }
  void OnSyncChange() override { ++changes; }
  std::vector<std::string> lines;
  int changes = 0;
};

// Verbs: Start, Kill, Advance, Acquire, Power, Release. Slots 1 and 2 have an agent, 3 and 4 have none.
class RackTest : public testing::Test {
 protected:
  void SetUp() override { Start("boot-1"); }

  void Start(const std::string& boot_id) {
    book = std::make_unique<LeaseBook>(config, store, boot_id);
    ASSERT_TRUE(book->Load(now).ok());
    rack = std::make_unique<Rack>(config, *book, events, next_seed += 1000);
    line = std::make_unique<FakeLine>(board, rack->board(0));
    rack->board(0).SetLine(line.get());
  }
  void Connect() {
    line->Up(now);
    line->Run(now);
    rack->OnTime(now);
    line->Run(now);
  }
  // As kill -9 would: what is in memory is gone.
  void Kill() {
    rack.reset();
    book.reset();
    line.reset();
  }
  void Advance(Milliseconds by, Milliseconds utc_step = Milliseconds(0)) {
    now.utc.since_epoch += utc_step;
    for (Milliseconds done{0}; done < by; done += seconds(1)) {
      now.boot += seconds(1);
      now.utc.since_epoch += seconds(1);
      if (talking) line->Run(now);
      rack->OnTime(now);
      if (talking) line->Run(now);
    }
  }
  static CallContext As(const std::string& user, Role role = Role::kUser) { return {{user, role, ""}, "trace", {}}; }

  Result<LeaseView> Acquire(const std::string& slot,
                            const std::string& user,
                            Milliseconds duration = minutes(10),
                            Purpose purpose = Purpose::kPerson) {
    AcquireRequest request;
    request.slot = slot;
    request.purpose = purpose;
    request.duration = duration;
    std::optional<Result<LeaseView>> answer;
    rack->grants().Acquire(
        As(user), request, [&](Result<LeaseView> lease, Now) { answer = std::move(lease); }, now);
    line->Run(now);
    if (!answer) return Status{Code::kInternal, "no answer"};
    return *answer;
  }
  Status Power(
      const std::string& slot, uint32_t epoch, const CallContext& as, bool on = true, const std::string& reason = "") {
    std::optional<Status> answer;
    rack->switching().Switch(
        as,
        {slot, epoch, VbusLevel{on}, reason},
        [&](const Result<SlotView>& view, Now) { answer = view.ok() ? OkStatus() : view.status(); },
        now);
    line->Run(now);
    return answer.value_or(Status{Code::kInternal, "no answer"});
  }
  Status Report(const std::string& slot, const std::string& adb_state, std::optional<bool> booted = std::nullopt) {
    DeviceFacts facts;
    facts.adb_state = adb_state;
    facts.boot_completed = booted;
    facts.read_at = now.boot;
    return rack->agent_calls().Report({"h01", Role::kAgent, ""}, {"h01", "h01", {{slot, facts}}, {}, {}}, now);
  }
  Status Cleared(const std::string& slot, uint32_t epoch, const std::string& agent = "h01") {
    return rack->agent_calls().Report({agent, Role::kAgent, ""}, {agent, "h01", {}, {{slot, epoch}}, {}}, now);
  }
  SlotView View(int slot) { return rack->views().Of(slot, now); }

  rackconfig::RackConfig config = MakeConfig();
  MemoryStore store;
  FakeBoard board{kSlots};
  Recorder events;
  Now now{BootTime(Milliseconds(1'000'000)), UtcTime{Milliseconds(1'760'000'000'000)}};
  uint32_t next_seed = 0;
  bool talking = true;
  std::unique_ptr<LeaseBook> book;
  std::unique_ptr<Rack> rack;
  std::unique_ptr<FakeLine> line;
};

}  // namespace faraday::controller
