// The whole line under fire: 5 % of frames damaged both ways, mixed commands, effects counted at the plant's pins. Each
// accepted command must have acted exactly once and in order, nothing may move that was not asked for.
//
// The workload knows for each slot which pin words must come, in which order; every change of the pins must be the next
// of them. Planted faults (a firmware that replays nothing, forged frames that are right in everything) show that the
// test sees what it is for. FARADAY_LINE_COMMANDS sets how many commands a run has (default 10,000),
// FARADAY_LINE_SEED is added to the seeds.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "controller/mcu_line/fake_bad_line.h"
#include "link/codec.h"

namespace faraday::controller {
namespace {

using sim::DamageRates;
using testing::HasSubstr;
using testing::IsEmpty;
using Bytes = FakeBadLine::Bytes;

// The pins that the workload moves, as bits of sim::ToBits().
constexpr uint8_t kVbus = 1;
constexpr uint8_t kEnable = 2;
constexpr uint8_t kSelect = 4;
constexpr uint8_t kCharge = 8;
constexpr uint8_t kRelay = 16;
constexpr uint8_t kData = kEnable | kSelect | kCharge;

uint8_t Word(int bits) { return static_cast<uint8_t>(bits); }
// The selector says nothing while the data lines are open.
uint8_t Normal(uint8_t pins) { return Word((pins & kEnable) != 0 ? pins & 31 : pins & 27); }

int FromEnvironment(const char* name, int otherwise) {
  const char* wanted = std::getenv(name);
  return wanted == nullptr ? otherwise : std::max(0, std::atoi(wanted));
}
int CommandsWanted() { return std::max(100, FromEnvironment("FARADAY_LINE_COMMANDS", 10'000)); }

class Workload {
 public:
  Workload(FakeBadLine& line, uint64_t seed, int commands) : line_(line), random_(seed ^ 0xABCD), wanted_(commands) {
    for (int slot = 1; slot <= FakeBadLine::kSlots; ++slot) At(slot).epoch_seen = line_.StoredEpoch(slot);
    line_.on_pass = [this] {
      Observe();
      if (!ending_) Ask();
    };
    line_.on_event = [this](const link::Event& event) { OnEvent(event); };
    line_.sim_board->board().eeprom().OnChange([this](size_t) { ObserveEpochs(); });
  }
  ~Workload() { line_.on_pass = nullptr; }

  // Until all commands are asked and answered, or `most_wrong` things went wrong.
  void Run(size_t most_wrong = 10) {
    const auto over = [&] { return wrong.size() >= most_wrong; };
    line_.RunUntil(3'600'000, [&] { return asked >= wanted_ || over(); });
    ending_ = true;
    line_.RunUntil(30'000, [&] { return over() || (open_ == 0 && AllSeen()); });
    line_.Run(2'000);  // what still moves now was not asked for
    if (over()) return;
    if (open_ != 0) Wrong(fmt::format("{} commands never ended", open_));
    for (int slot = 1; slot <= FakeBadLine::kSlots; ++slot) {
      if (!At(slot).expected.empty()) Wrong(fmt::format("slot {}: a command that was accepted did not act", slot));
      if (!At(slot).epochs.empty()) Wrong(fmt::format("slot {}: an epoch did not reach the memory", slot));
    }
    CheckEvents();
  }

  std::vector<std::string> wrong;
  int asked = 0;
  int unknown = 0;

 private:
  struct SlotWork {
    uint8_t seen = 0;     // pins as last seen
    uint8_t planned = 0;  // pins when all that was asked has acted
    std::deque<uint8_t> expected;
    std::deque<uint32_t> epochs;
    uint32_t epoch_seen = 0;
    int open = 0;
    bool waits_for_end = false;  // of its lease
    uint64_t next_ms = 0;
  };
  using Act = void (Workload::*)(int slot);
  struct Kind {
    int weight;
    Act act;
  };

  SlotWork& At(int slot) { return slots_.at(static_cast<size_t>(slot) - 1); }
  uint32_t Epoch(int slot) const { return line_.epochs.at(static_cast<size_t>(slot) - 1); }
  static uint32_t Number(int slot) { return static_cast<uint32_t>(slot); }
  void Wrong(const std::string& what) { wrong.push_back(fmt::format("at {} ms: {}", line_.now_ms, what)); }
  bool AllSeen() const {
    return std::all_of(slots_.begin(), slots_.end(), [](const SlotWork& work) {
      return work.expected.empty() && work.epochs.empty() && !work.waits_for_end;
    });
  }

  // ---- asking ----
  void Ask() {
    if (line_.now_ms % 700 == 0) {
      line_.sim_board->plant().SetInput(0, input_ = !input_);
      ++toggles_;
    }
    for (int slot = 1; slot <= FakeBadLine::kSlots && asked < wanted_; ++slot) {
      SlotWork& work = At(slot);
      if (work.open > 0 || work.waits_for_end || line_.now_ms < work.next_ms || !work.expected.empty()) continue;
      work.next_ms = line_.now_ms + random_.Between(100, 900);
      static constexpr std::array<Kind, 10> kKinds = {{{10, &Workload::AskPing},
                                                       {15, &Workload::AskRenewal},
                                                       {8, &Workload::AskHandOver},
                                                       {18, &Workload::AskShield},
                                                       {18, &Workload::AskShieldTwice},
                                                       {14, &Workload::AskVbus},
                                                       {3, &Workload::AskCycle},
                                                       {10, &Workload::AskData},
                                                       {3, &Workload::AskStop},
                                                       {1, &Workload::AskShortLease}}};
      auto drawn = static_cast<int>(random_.Below(100));
      for (const Kind& kind : kKinds) {
        drawn -= kind.weight;
        if (drawn >= 0) continue;
        (this->*kind.act)(slot);
        break;
      }
    }
  }
  // `steps`: the pin words that this command brings.
  void Command(int slot,
               decltype(link::Command::call) call,
               std::vector<uint8_t> steps,
               bool may_be_cancelled = false) {
    const std::string what = fmt::format("command {}", asked);
    const Status sent = line_.board.Send(
        std::move(call),
        what,
        [this, slot, may_be_cancelled](const Outcome& outcome, Now) {
          --open_;
          --At(slot).open;
          unknown += outcome.unknown ? 1 : 0;
          if (!outcome.status.ok() && !outcome.unknown && !may_be_cancelled) Wrong(outcome.status.message());
        },
        line_.now());
    if (!sent.ok()) return;  // a line that is down takes none, and says so
    ++asked;
    ++open_;
    SlotWork& work = At(slot);
    ++work.open;
    for (const uint8_t step : steps) {
      if (step == work.planned) continue;
      if (((step ^ work.planned) & kRelay) != 0) relay_order_.push_back(slot);
      work.expected.push_back(step);
      work.planned = step;
    }
  }
  void AskPing(int slot) { Command(slot, link::Ping{Number(slot)}, {}); }
  void GiveLease(int slot, uint32_t epoch, uint32_t duration_ms) {
    Command(slot, link::SetLease{.slot = Number(slot), .epoch = epoch, .duration_ms = duration_ms}, {});
  }
  void AskRenewal(int slot) { GiveLease(slot, Epoch(slot), FakeBadLine::kLong); }
  void HandOver(int slot, uint32_t duration_ms) {
    const uint32_t epoch = ++line_.epochs.at(static_cast<size_t>(slot) - 1);
    At(slot).epochs.push_back(epoch);
    GiveLease(slot, epoch, duration_ms);
  }
  void AskHandOver(int slot) { HandOver(slot, FakeBadLine::kLong); }
  void AskShield(int slot) {
    const uint8_t to = At(slot).planned ^ kRelay;
    Command(slot, link::SetShield{Number(slot), Epoch(slot), (to & kRelay) != 0}, {to});
  }
  // Back to back in the same window: sent again together, they would move the relay four times.
  void AskShieldTwice(int slot) {
    for (int i = 0; i < 2; ++i) {
      const uint8_t to = At(slot).planned ^ kRelay;
      Command(slot, link::SetShield{Number(slot), Epoch(slot), (to & kRelay) != 0}, {to}, i == 0);
    }
  }
  static uint8_t WithoutVbus(uint8_t word) {
    return Word((word & kEnable) != 0 ? word & ~(kVbus | kData) : word & ~kVbus);
  }
  void AskVbus(int slot) {
    const uint8_t from = At(slot).planned;
    const bool on = (from & kVbus) == 0;
    Command(slot, link::SetVbus{Number(slot), Epoch(slot), on}, {on ? Word(from | kVbus) : WithoutVbus(from)});
  }
  void AskCycle(int slot) {
    const uint8_t from = At(slot).planned;
    if ((from & kVbus) == 0) return;
    const uint8_t off = WithoutVbus(from);
    const auto off_ms = static_cast<uint32_t>(random_.Between(500, 900));
    Command(slot, link::CycleVbus{Number(slot), Epoch(slot), off_ms}, {off, Word(off | kVbus), from});
  }
  void AskData(int slot) {
    struct Choice {
      link::DataPath path;
      uint32_t host;
      int bits;
    };
    static constexpr std::array<Choice, 4> kChoices = {{{link::DataPath::kOpen, 0, 0},
                                                        {link::DataPath::kCharge, 0, kCharge},
                                                        {link::DataPath::kHost, 0, kEnable},
                                                        {link::DataPath::kHost, 1, kEnable | kSelect}}};
    const uint8_t from = At(slot).planned;
    const Choice& choice = kChoices[random_.Below((from & kVbus) != 0 ? 4 : 2)];
    const uint8_t open = Word(from & ~kData);
    const uint8_t to = Word(open | choice.bits);
    if (to == from) return;
    const link::SetData call{Number(slot), Epoch(slot), choice.path, choice.host};
    Command(slot, call, {open, to});
  }
  void AskStop(int slot) {
    Command(slot, link::StopSlot{Number(slot)}, {0});
    Command(slot, link::ClearTrip{Number(slot)}, {});
  }
  // A lease that runs out in the firmware: the safe state (off), one event, then the next holder.
  void AskShortLease(int slot) {
    if ((At(slot).planned & kRelay) != 0) return;
    HandOver(slot, 1'200);
    SlotWork& work = At(slot);
    work.waits_for_end = true;
    if (work.planned != 0) work.expected.push_back(0);
    work.planned = 0;
  }

  // ---- seeing ----
  void Observe() {
    for (int slot = 1; slot <= FakeBadLine::kSlots; ++slot) {
      SlotWork& work = At(slot);
      const uint8_t now = Normal(line_.Pins(slot));
      if (now == work.seen) continue;
      if (((now ^ work.seen) & kRelay) != 0) ObserveRelay(slot);
      if (work.expected.empty() || work.expected.front() != now) {
        Wrong(fmt::format("slot {}: pins went from {:#x} to {:#x}, {} was due",
                          slot,
                          work.seen,
                          now,
                          work.expected.empty() ? "nothing" : fmt::format("{:#x}", work.expected.front())));
        work.expected.clear();
        work.planned = now;
      } else {
        work.expected.pop_front();
      }
      work.seen = now;
    }
  }
  // The relay moves when its command is executed: over all slots, in the order asked.
  void ObserveRelay(int slot) {
    if (!relay_order_.empty() && relay_order_.front() == slot) return relay_order_.pop_front();
    if (relay_order_.empty()) return;  // told as a pin that nobody asked for
    Wrong(
        fmt::format("slot {}: relay moved before that of slot {}, which was asked first", slot, relay_order_.front()));
    relay_order_.clear();
  }
  void ObserveEpochs() {
    for (int slot = 1; slot <= FakeBadLine::kSlots; ++slot) {
      SlotWork& work = At(slot);
      const uint32_t now = line_.StoredEpoch(slot);
      if (now == work.epoch_seen) continue;
      if (work.epochs.empty() || work.epochs.front() != now)
        Wrong(fmt::format("slot {}: epoch {} in memory was not due", slot, now));
      else
        work.epochs.pop_front();
      work.epoch_seen = now;
    }
  }
  void OnEvent(const link::Event& event) {
    if (std::holds_alternative<link::InputChanged>(event.kind)) ++inputs_told_;
    const auto* ended = std::get_if<link::LeaseEnded>(&event.kind);
    if (ended == nullptr) return;
    SlotWork& work = At(static_cast<int>(ended->slot));
    if (!work.waits_for_end || ended->epoch != Epoch(static_cast<int>(ended->slot)))
      return Wrong(fmt::format("slot {}: the end of a lease that was not short", ended->slot));
    work.waits_for_end = false;
    HandOver(static_cast<int>(ended->slot), FakeBadLine::kLong);
  }
  void CheckEvents() {
    uint32_t next = 1;
    for (const auto& [id, times] : line_.deliveries) {
      if (id != next) Wrong(fmt::format("events {} to {} were lost", next, id - 1));
      if (times != 1) Wrong(fmt::format("event {} was delivered {} times", id, times));
      next = id + 1;
    }
    if (inputs_told_ != toggles_) Wrong(fmt::format("the input moved {} times, {} were told", toggles_, inputs_told_));
    if (line_.board.telemetry().event_backlog != 0) Wrong("events are left on the board");
  }

  FakeBadLine& line_;
  sim::SeededRandom random_;
  const int wanted_;
  std::array<SlotWork, FakeBadLine::kSlots> slots_{};
  std::deque<int> relay_order_;
  int open_ = 0;
  bool ending_ = false;
  bool input_ = false;
  int toggles_ = 0;
  int inputs_told_ = 0;
};

// ---- planted faults ----

Bytes Encode(const link::FrameHeader& header, std::span<const uint8_t> payload) {
  Bytes wire(link::kMaxWire);
  wire.resize(*link::EncodeFrame(header, payload, wire));
  return wire;
}
template <typename Message>
Bytes EncodeMessage(const link::FrameHeader& header, const Message& message) {
  Bytes payload(link::kMaxPayload);
  payload.resize(*link::EncodeMessage(message, payload));
  return Encode(header, payload);
}
// Each whole frame of `bytes` in the place of itself as `change` gives it.
template <typename Change>
void Rewrite(link::FrameDecoder& decoder, Bytes& bytes, Change change) {
  Bytes out;
  for (const uint8_t byte : bytes) {
    if (decoder.Feed(byte) != link::FrameDecoder::Outcome::kFrame) continue;
    const Bytes frame = change(decoder.frame());
    out.insert(out.end(), frame.begin(), frame.end());
  }
  bytes = std::move(out);
}

// A firmware whose replay of stored answers is switched off: a command that comes again gets a new number.
class WithoutReplay {
 public:
  explicit WithoutReplay(FakeBadLine& line) {
    line.spoil_to_board = [this](Bytes& bytes) {
      Rewrite(to_board_, bytes, [this](const link::FrameView& frame) { return Renumber(frame); });
    };
    line.spoil_to_host = [this](Bytes& bytes) {
      Rewrite(to_host_, bytes, [this](const link::FrameView& frame) { return NumberBack(frame); });
    };
  }
  int executed_again = 0;

 private:
  Bytes Renumber(const link::FrameView& frame) {
    link::FrameHeader header = frame.header;
    if (header.channel == link::Channel::kCommand) {
      const bool again = header.seq < due_;
      executed_again += again ? 1 : 0;
      if (again || header.seq == due_) {
        if (!again) ++due_;
        numbers_[++last_] = header.seq;
        header.seq = last_;
      } else {
        header.seq = static_cast<uint16_t>(last_ + 1 + header.seq - due_);
      }
    }
    return Encode(header, frame.payload);
  }
  Bytes NumberBack(const link::FrameView& frame) {
    link::FrameHeader header = frame.header;
    if (header.channel == link::Channel::kReply) header.seq = numbers_[header.seq];
    if (header.channel != link::Channel::kRefusal) return Encode(header, frame.payload);
    link::Refusal refusal = *link::DecodeMessage<link::Refusal>(frame.payload);
    refusal.expected_seq = due_;
    return EncodeMessage(header, refusal);
  }
  link::FrameDecoder to_board_;
  link::FrameDecoder to_host_;
  uint16_t due_ = 1;
  uint16_t last_ = 0;
  std::map<uint16_t, uint16_t> numbers_;
};

// Somebody on the line who makes whole frames with a right CRC, out of what he hears: another turn of some relay.
class Forger {
 public:
  enum class Makes { kWrongSession, kOlderTerm, kOldNumber, kOldEpoch, kAllRight };
  Forger(FakeBadLine& line, std::vector<Makes> makes) : line_(line), makes_(std::move(makes)) {
    line.spoil_to_board = [this](Bytes& bytes) { Spoil(bytes); };
  }
  int forged = 0;

 private:
  void Spoil(Bytes& bytes) {
    for (const uint8_t byte : bytes) {
      if (decoder_.Feed(byte) != link::FrameDecoder::Outcome::kFrame) continue;
      if (decoder_.frame().header.channel == link::Channel::kCommand) heard_ = decoder_.frame().header;
    }
    // Between two frames, so that no other is spoilt.
    if (heard_.seq < 100 || line_.now_ms % 40 != 0 || (!bytes.empty() && bytes.back() != 0)) return;
    const Bytes frame = Forge(makes_[static_cast<size_t>(forged) % makes_.size()]);
    bytes.insert(bytes.end(), frame.begin(), frame.end());
    ++forged;
  }
  Bytes Forge(Makes what) const {
    link::FrameHeader header = heard_;
    const auto slot = static_cast<uint32_t>(1 + forged % FakeBadLine::kSlots);
    uint32_t epoch = line_.epochs[slot - 1];
    header.seq = static_cast<uint16_t>(heard_.seq + 1);
    if (what == Makes::kWrongSession) header.session ^= 1;
    if (what == Makes::kOlderTerm) header.term -= 1;
    if (what == Makes::kOldNumber) header.seq = static_cast<uint16_t>(heard_.seq - 50);
    if (what == Makes::kOldEpoch) epoch -= 1;
    const bool couple = (line_.Pins(static_cast<int>(slot)) & kRelay) == 0;
    return EncodeMessage(header, link::Command{.id = 4'000'000, .call = link::SetShield{slot, epoch, couple}});
  }
  FakeBadLine& line_;
  std::vector<Makes> makes_;
  link::FrameDecoder decoder_;
  link::FrameHeader heard_{};
};

// ---- the tests ----

constexpr uint32_t kFivePercent = 50'000;

class DamagedLineTest : public testing::TestWithParam<uint64_t> {};

TEST_P(DamagedLineTest, EachCommandActsOnceInOrderAndNothingElseMoves) {
  const uint64_t seed = GetParam() + static_cast<uint64_t>(FromEnvironment("FARADAY_LINE_SEED", 0));
  FakeBadLine line(DamageRates::Mixed(kFivePercent), seed);
  ASSERT_TRUE(line.Connect());
  Workload work(line, seed, CommandsWanted());
  work.Run();
  EXPECT_THAT(work.wrong, IsEmpty());
  EXPECT_GE(work.asked, CommandsWanted());
  EXPECT_EQ(work.unknown, 0);
  EXPECT_THAT(line.downs, IsEmpty()) << "no session was lost";
  EXPECT_LE(line.longest_blind_ms, 1000u);
  EXPECT_EQ(line.superseded, "");
  // The line was as bad as it should be.
  for (const sim::Way way : sim::kWays) {
    const sim::DamageCounts& counts = line.damager.counts(way);
    EXPECT_GE(counts.damaged() * 100, counts.frames * 4) << Describe(counts);
    EXPECT_LE(counts.damaged() * 100, counts.frames * 9) << Describe(counts);
  }
  EXPECT_GT(line.session.counters().resends, static_cast<uint32_t>(CommandsWanted()) / 50);
  RecordProperty("virtual_ms", std::to_string(line.now_ms));
  fmt::print("seed {}: {} commands in {} s of the rack's time, {} resent; to board {}; to host {}\n",
             seed,
             work.asked,
             line.now_ms / 1000,
             line.session.counters().resends,
             Describe(line.damager.counts(sim::Way::kToBoard)),
             Describe(line.damager.counts(sim::Way::kToHost)));
}

INSTANTIATE_TEST_SUITE_P(Seeds, DamagedLineTest, testing::Values(1, 2, 3));

TEST(DamagedLine, FirmwareWithoutReplay_IsFoundOut) {
  FakeBadLine line(DamageRates::Mixed(kFivePercent), 1);
  WithoutReplay planted(line);
  ASSERT_TRUE(line.Connect());
  Workload work(line, 1, 2'000);
  work.Run(3);
  EXPECT_GT(planted.executed_again, 0);
  EXPECT_GE(work.wrong.size(), 3u);
  EXPECT_THAT(work.wrong, testing::Contains(HasSubstr("nothing was due"))) << "a relay moved once more than asked";
}

TEST(DamagedLine, ForgedFramesOfOtherSessionsTermsNumbersOrEpochs_MoveNothing) {
  FakeBadLine line(DamageRates::Mixed(kFivePercent), 5);
  using Makes = Forger::Makes;
  Forger forger(line, {Makes::kWrongSession, Makes::kOlderTerm, Makes::kOldNumber});
  ASSERT_TRUE(line.Connect());
  Workload work(line, 5, 1'000);
  work.Run();
  EXPECT_GT(forger.forged, 100);
  EXPECT_THAT(work.wrong, IsEmpty());
  EXPECT_THAT(line.downs, IsEmpty());
}

TEST(DamagedLine, ForgedFrameOfAnOldEpoch_MovesNothing) {
  FakeBadLine line({}, 5);
  ASSERT_TRUE(line.Connect());
  Forger forger(line, {Forger::Makes::kOldEpoch});
  Workload work(line, 5, 300);
  work.Run(1);
  EXPECT_GT(forger.forged, 0);
  // Its number was due, so that the command of that number was taken for a repetition and did not act: not one pin
  // moved that was not asked for, and what is missing is seen.
  for (const std::string& wrong : work.wrong) EXPECT_THAT(wrong, testing::Not(HasSubstr("nothing was due")));
}

TEST(DamagedLine, ForgedFrameThatIsRightInEverything_IsFoundOut) {
  FakeBadLine line({}, 5);
  ASSERT_TRUE(line.Connect());
  Forger forger(line, {Forger::Makes::kAllRight});
  Workload work(line, 5, 500);
  work.Run(1);
  EXPECT_GT(forger.forged, 0);
  EXPECT_THAT(work.wrong, testing::Not(IsEmpty()));
}

// ---- resets, silence, absence ----

struct LineAndOutcome : testing::Test {
  void Ask(decltype(link::Command::call) call) {
    ASSERT_TRUE(line.board
                    .Send(
                        std::move(call),
                        "r01/03: test",
                        [this](const Outcome& ended, Now) {
                          ++answers;
                          outcome = ended;
                        },
                        line.now())
                    .ok());
  }
  FakeBadLine line{DamageRates::Mixed(kFivePercent), 9};
  int answers = 0;
  Outcome outcome;
};

TEST_F(LineAndOutcome, McuResetInACycle_IsUnknownMeasuredAfreshAndNotRepeated) {
  ASSERT_TRUE(line.Connect());
  Ask(link::SetVbus{3, 1, true});
  ASSERT_TRUE(line.RunUntil(5'000, [this] { return answers == 1; }));
  Ask(link::CycleVbus{3, 1, 1'000});
  line.Run(600);
  ASSERT_EQ(answers, 1);
  line.sim_board->McuReset(link::BootReason::kWatchdog);
  ASSERT_TRUE(line.RunUntil(3'000, [this] { return answers == 2; }));
  EXPECT_TRUE(outcome.unknown);
  EXPECT_EQ(outcome.status.code(), Code::kUnknown);
  EXPECT_EQ(outcome.status.message(), "r01/03: test: outcome unknown: the board has reset");
  ASSERT_TRUE(line.RunUntil(2'000, [this] { return line.board.ready(); }));
  EXPECT_LE(line.longest_down_ms, 1000u);
  for (int i = 0; i < 5'000; ++i) {
    line.Pass();
    ASSERT_EQ(line.Pins(3), 0) << "never repeated by anybody";
  }
  EXPECT_TRUE(line.board.measured(3).bits.vbus_measured_off);
  EXPECT_EQ(answers, 2);
}

TEST_F(LineAndOutcome, McuResetWhileVbusWaitsForItsProof_IsUnknown) {
  ASSERT_TRUE(line.Connect());
  Ask(link::SetVbus{3, 1, true});
  ASSERT_TRUE(line.RunUntil(1'000, [this] { return (line.Pins(3) & kVbus) != 0; }));
  line.sim_board->McuReset(link::BootReason::kBrownOut);
  ASSERT_TRUE(line.RunUntil(3'000, [this] { return answers == 1; }));
  EXPECT_TRUE(outcome.unknown);
  line.Run(3'000);
  EXPECT_TRUE(line.board.ready());
  EXPECT_EQ(line.Pins(3), 0);
}

TEST_F(LineAndOutcome, AnswersThatNeverCome_EndAfterTenTriesAndAreNotRepeatedInTheNextTerm) {
  ASSERT_TRUE(line.Connect());
  link::FrameDecoder decoder;
  int tries = 0;
  link::FrameDecoder sent;
  line.spoil_to_board = [&](Bytes& bytes) {
    for (const uint8_t byte : bytes) {
      if (sent.Feed(byte) != link::FrameDecoder::Outcome::kFrame) continue;
      tries += sent.frame().header.channel == link::Channel::kCommand ? 1 : 0;
    }
  };
  line.damager.Set({}, {});
  line.spoil_to_host = [&](Bytes& bytes) {
    Rewrite(decoder, bytes, [](const link::FrameView& frame) {
      return frame.header.channel == link::Channel::kReply ? Bytes{} : Encode(frame.header, frame.payload);
    });
  };
  Ask(link::Ping{5});
  Ask(link::SetShield{3, 1, true});
  ASSERT_TRUE(line.RunUntil(30'000, [this] { return answers == 2; }));
  EXPECT_EQ(tries, 20) << "two commands, ten times each";
  EXPECT_TRUE(outcome.unknown);
  EXPECT_THAT(outcome.status.message(), HasSubstr("did not answer a command sent 10 times"));
  line.spoil_to_host = nullptr;
  ASSERT_TRUE(line.RunUntil(10'000, [this] { return line.board.ready(); }));
  tries = 0;
  line.Run(5'000);
  EXPECT_EQ(tries, 0);
  EXPECT_EQ(line.sim_board->plant().slot(2).relay_moves(), 1);
  EXPECT_EQ(line.ups, 2);
}

struct AbsenceTest : LineAndOutcome {
  // The host is gone for 30 s; how often the board reported silence, and what a leased slot's VBUS did meanwhile.
  void BeAway(bool announced) {
    ASSERT_TRUE(line.Connect());
    Ask(link::SetVbus{3, 1, true});
    ASSERT_TRUE(line.RunUntil(5'000, [this] { return answers == 1; }));
    line.damager.Set(DamageRates::Mixed(300'000), {});
    if (announced) line.session.SendAway(Milliseconds(60'000), line.now());
    line.Run(200);
    line.host_runs = false;
    line.Run(30'000);
    EXPECT_NE(line.Pins(3) & kVbus, 0) << "leased slots go on";
    line.host_runs = true;
    line.damager.Set({}, {});
    line.session.Stop("restarted", line.now());
    ASSERT_TRUE(line.Connect());
    line.Run(1'000);
  }
};

TEST_F(AbsenceTest, NotAnnounced_IsReportedAsSilence) {
  BeAway(false);
  EXPECT_EQ(line.silences, 1);
}

TEST_F(AbsenceTest, AnnouncedOverABadLine_IsNotReported) {
  BeAway(true);
  EXPECT_EQ(line.silences, 0);
}

}  // namespace
}  // namespace faraday::controller
