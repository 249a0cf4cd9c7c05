#include "hil-tests/conformance/player.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "link/human.h"

namespace faraday::hil {
namespace {

constexpr const char* kRack = "r01";
constexpr uint32_t kStragglersMs =
    400;  // after the last step: for events that nobody expects, and our last acknowledgement
constexpr uint32_t kSettleMs = 2000;  // off is proven after at most 1.5 s, and acknowledged
constexpr uint32_t kEpochStep = 100;  // a script's epochs lie above those that the board has seen

// LEDs follow lease and trouble, and blink; a script is about what switches.
std::string WithoutLed(std::string answer) {
  for (const auto& [from, to] : {std::pair{"outputs=led ", "outputs=none "}, std::pair{",led ", " "}}) {
    if (const size_t at = answer.find(from); at != std::string::npos) answer.replace(at, std::strlen(from), to);
  }
  return answer;
}

// Conditions come when the board has seen them often enough; only a script that is about them counts them.
void ForgetConditions(std::deque<link::Event>& events) {
  std::erase_if(events,
                [](const link::Event& event) { return std::holds_alternative<link::ConditionChanged>(event.kind); });
}

Status Wrong(std::string message) { return {Code::kFailedPrecondition, std::move(message)}; }

Result<link::HumanFrame> CommandFrame(uint32_t id, const std::string& sentence) {
  return link::ParseHuman(fmt::format("-> command id={} {}", id, sentence));
}

uint32_t EpochBase(const link::HelloReply& hello) {
  uint32_t highest = 0;
  for (const uint32_t epoch : hello.epochs) highest = std::max(highest, epoch);
  return (highest / kEpochStep + 1) * kEpochStep;
}

// Those commands that carry an epoch.
bool Fenced(const Words& words) {
  constexpr std::array<std::string_view, 4> kFencedCalls = {"set_vbus", "cycle_vbus", "set_data", "set_shield"};
  return !words.empty() && std::find(kFencedCalls.begin(), kFencedCalls.end(), words[0]) != kFencedCalls.end();
}

// Bits that say how long ago a part was last scanned as much as what it does: in a record only where a script asks.
Words Comparable(const Words& content, const std::string& wanted) {
  constexpr std::array<std::string_view, 5> kOfTheScan = {
      "read_back_mismatch", "data_measured", "monitor_fresh", "temperature_fresh", "pending"};
  Words comparable;
  for (const std::string& word : content) {
    const std::string key = word.substr(0, word.find('='));
    const bool scanned = std::find(kOfTheScan.begin(), kOfTheScan.end(), key) != kOfTheScan.end();
    if (!scanned || wanted.find(key) != wanted.npos) comparable.push_back(word);
  }
  return comparable;
}

// The words of `seen` that `wanted` asks about, so that a record holds no more than the script looks at.
std::string Asked(const Words& wanted, const Words& seen) {
  Words asked;
  for (const std::string& word : wanted) {
    const std::string key = word.substr(0, word.find('='));
    const auto value = ValueOf(seen, key);
    asked.push_back(value ? key + "=" + *value : word);
  }
  return JoinWords(asked);
}

// "fault 7 short on" is mended by "fault 7 short off".
std::string MendOf(const std::string& command) {
  Words words = SplitWords(command);
  const auto is = [&](size_t at, std::string_view word) { return at < words.size() && words[at] == word; };
  if (is(0, "fault") && is(3, "on"))
    words[3] = "off";
  else if (is(0, "input") && is(2, "active"))
    words[2] = "inactive";
  else if (is(0, "line") && is(2, "cut"))
    words[2] = "restore";
  else if (is(0, "line") && is(2, "damage"))
    words = {"line", words[1], "damage", "0"};
  else if (is(0, "bus") && is(3, "stuck"))
    words[3] = "ok";
  else if (is(0, "bus") && is(3, "stretch"))
    words = {"bus", words[1], words[2], "stretch", "0"};
  else if (is(0, "phone") && is(2, "absent"))
    words[2] = "ok";
  else
    return {};
  return JoinWords(words);
}

}  // namespace

Status SeedMemory(BoardLine& line) {
  FARADAY_TRY_ASSIGN(const BoardLine::Greeting greeting, line.Hello(kRack));
  if (!greeting.reply) return Wrong("Hello was refused: " + link::DescribeMessage(*greeting.refusal));
  FARADAY_TRY_ASSIGN(const std::string configure, ConfigureSentence(""));
  std::vector<std::string> sentences = {configure, "clear_trip slot=0"};
  for (uint32_t slot = 1; slot <= greeting.reply->slots; ++slot) {
    sentences.push_back(fmt::format("clear_trip slot={}", slot));
    sentences.push_back(
        fmt::format("set_lease slot={} epoch={} to_safe_state=true", slot, greeting.reply->epochs[slot - 1] + 1));
  }
  uint32_t id = 0;
  for (const std::string& sentence : sentences) {
    FARADAY_TRY_ASSIGN(const link::HumanFrame frame, CommandFrame(++id, sentence));
    FARADAY_TRY_ASSIGN(const BoardLine::Answer answer, line.Command(id, frame.payload, {}));
    if (answer.reply && answer.reply->verdict == link::Verdict::kOk) continue;
    return Wrong(fmt::format("the board refuses to be prepared: {}", sentence));
  }
  FARADAY_TRY(line.Wait(kSettleMs));
  line.events().clear();  // the ends of what was going on before
  return OkStatus();
}

Status ClearLatches(BoardLine& line) {
  FARADAY_TRY_ASSIGN(const BoardLine::Greeting greeting, line.Hello(kRack));
  if (!greeting.reply) return Wrong("Hello was refused: " + link::DescribeMessage(*greeting.refusal));
  for (uint32_t slot = 0; slot <= greeting.reply->slots; ++slot) {
    const std::string sentence = fmt::format("clear_trip slot={}", slot);
    FARADAY_TRY_ASSIGN(const link::HumanFrame frame, CommandFrame(slot + 1, sentence));
    FARADAY_TRY_ASSIGN(const BoardLine::Answer answer, line.Command(slot + 1, frame.payload, {}));
    if (answer.reply && answer.reply->verdict == link::Verdict::kOk) continue;
    return Wrong(fmt::format("a latch of the last script is not cleared: {}", sentence));
  }
  return OkStatus();
}

Player::Player(const Script& script, BoardLine& line, SimRig* rig, Record& record)
    : script_(script), line_(line), rig_(rig), record_(record) {
  record_.script = script.name;
  record_.tolerance = script.tolerance;
}

Verdict Player::Failed(const Step& step, const Status& status) const {
  std::string text = fmt::format("{}:{}: {}\n  the line's last frames:", script_.file, step.line, status.message());
  for (const std::string& frame : line_.trace()) text += "\n    " + frame;
  return {Verdict::Kind::kFailed, text};
}

Verdict Player::Play() {
  Verdict verdict;
  for (const Step& step : script_.steps) {
    if (step.action == Action::kCtl && rig_ == nullptr) {
      verdict = {Verdict::Kind::kSkipped,
                 fmt::format("{}:{}: needs a bench: skipped from here", script_.file, step.line)};
      break;
    }
    if (const Status status = PlayStep(step); !status.ok()) {
      verdict = Failed(step, status);
      break;
    }
  }
  if (verdict.kind == Verdict::Kind::kPassed) {
    if (const Status left = NothingLeft(); !left.ok()) verdict = Failed(script_.steps.back(), left);
  }
  const Status mended = Mend();
  if (!mended.ok() && verdict.kind == Verdict::Kind::kPassed) verdict = Failed(script_.steps.back(), mended);
  record_.passed = verdict.kind == Verdict::Kind::kPassed;
  return verdict;
}

Status Player::PlayStep(const Step& step) {
  constexpr std::array<Handler, 17> kHandlers = {&Player::OnHello,
                                                 &Player::OnConfigure,
                                                 &Player::OnDo,
                                                 &Player::OnAgain,
                                                 &Player::OnDamaged,
                                                 &Player::OnStop,
                                                 &Player::OnEvent,
                                                 &Player::OnRefusal,
                                                 &Player::OnState,
                                                 &Player::OnBoard,
                                                 &Player::OnTruth,
                                                 &Player::OnCtl,
                                                 &Player::OnQuiet,
                                                 &Player::OnAway,
                                                 &Player::OnWait,
                                                 &Player::OnReading,
                                                 &Player::OnConnect};  // Action's order
  return (this->*kHandlers[static_cast<size_t>(step.action)])(step);
}

// ---- what the board says ----

Status Player::Expect(const Step& step,
                      std::string_view what,
                      const std::string& wanted,
                      const std::string& described) {
  const Words content = Content(described, epoch_base_);
  Note(step, fmt::format("{} {}", what, JoinWords(Comparable(content, wanted))));
  Words seen = content;  // first: its epochs are the script's
  for (const std::string& word : SplitWords(described)) seen.push_back(word);
  const Words unmet = Unmet(SplitWords(wanted), seen);
  if (unmet.empty()) return OkStatus();
  return Wrong(
      fmt::format("{}: expected {}; not so: {}; it said: {}", what, wanted, JoinWords(unmet), JoinWords(content)));
}

Status Player::ExpectEvent(const Step& step, const std::string& wanted) {
  auto& events = line_.events();
  const auto came_one = [&] {
    if (!wanted.starts_with("condition_changed")) ForgetConditions(events);
    return !events.empty();
  };
  if (const Status came = line_.Until(came_one); !came.ok()) {
    return Wrong(fmt::format("expected the event {}: {}", wanted, came.message()));
  }
  const link::Event event = events.front();
  events.pop_front();
  return Expect(step, "event", wanted, link::DescribeMessage(event));
}

Status Player::OnEvent(const Step& step) {
  FARADAY_TRY(ExpectEvent(step, step.text));
  return TooEarly(step);
}

Status Player::OnRefusal(const Step& step) {
  auto& refusals = line_.refusals();
  if (const Status came = line_.Until([&] { return !refusals.empty(); }); !came.ok()) {
    return Wrong(fmt::format("expected the refusal {}: {}", step.text, came.message()));
  }
  const link::Refusal refusal = refusals.front();
  refusals.pop_front();
  return Expect(step, "refusal", step.text, link::DescribeMessage(refusal));
}

Status Player::NothingLeft() {
  FARADAY_TRY(line_.Wait(kStragglersMs));
  ForgetConditions(line_.events());
  if (line_.events().empty()) return OkStatus();
  Words left;
  for (const link::Event& event : line_.events())
    left.push_back(JoinWords(Content(link::DescribeMessage(event), epoch_base_)));
  return Wrong(fmt::format("the script ended, but the board says more: {}", fmt::join(left, "; ")));
}

Status Player::OnHello(const Step& step) {
  FARADAY_TRY_ASSIGN(const BoardLine::Greeting greeting, line_.Hello(step.as.empty() ? kRack : step.as));
  if (step.refused) {
    if (!greeting.refusal) return Wrong("Hello was answered, a refusal was expected");
    return Expect(step, "refusal", *step.refused, link::DescribeMessage(*greeting.refusal));
  }
  if (greeting.refusal) return Wrong("Hello was refused: " + link::DescribeMessage(*greeting.refusal));
  if (!greeted_) epoch_base_ = EpochBase(*greeting.reply);
  greeted_ = true;
  record_.board = std::string(greeting.reply->board.view());
  const bool words_hold = rig_ != nullptr;  // they tell of the reset that a bench gives
  return Expect(step, "hello", words_hold ? step.text : "", link::DescribeMessage(*greeting.reply));
}

// ---- commands ----

// A lease's epoch is the slot's from then on; other commands that name none take it.
std::string Player::WithEpochs(const std::string& sentence) {
  const Words words = SplitWords(sentence);
  const std::string slot = ValueOf(words, "slot").value_or("");
  const auto epoch = ValueOf(words, "epoch");
  if (words[0] == "set_lease" && epoch) epochs_[slot] = *epoch;
  std::string full = sentence;
  if (Fenced(words) && !epoch) full += " epoch=" + (epochs_.contains(slot) ? epochs_[slot] : "@1");
  return PutEpochs(full, epoch_base_);
}

Status Player::SendCommand(const Step& step, const std::string& sentence) {
  FARADAY_TRY_ASSIGN(const link::HumanFrame frame, CommandFrame(next_id_, WithEpochs(sentence)));
  const BoardLine::Sender sender = {.ahead = static_cast<uint16_t>(step.from == From::kAhead ? 3 : 0),
                                    .term_back = step.from == From::kOldTerm ? 1U : 0U,
                                    .other_session = step.from == From::kOtherSession ? 0x5A5AU : 0U};
  FARADAY_TRY_ASSIGN(const BoardLine::Answer answer, line_.Command(next_id_++, frame.payload, sender));
  return Judge(step, answer);
}

Status Player::Judge(const Step& step, const BoardLine::Answer& answer) {
  if (answer.refusal) {
    const std::string described = link::DescribeMessage(*answer.refusal);
    if (!step.refused) return Wrong("refused: " + described);
    return Expect(step, "refusal", *step.refused, described);
  }
  if (step.refused) return Wrong("taken, a refusal was expected: " + link::DescribeMessage(*answer.reply));
  const link::Verdict verdict = answer.reply->verdict;
  const bool good = verdict == link::Verdict::kOk || verdict == link::Verdict::kAccepted;
  FARADAY_TRY(Expect(step, "reply", step.reply.value_or(""), link::DescribeMessage(*answer.reply)));
  if (!step.reply && !good) return Wrong("expected ok or accepted: " + link::DescribeMessage(*answer.reply));
  return OkStatus();
}

Status Player::OnConfigure(const Step& step) {
  FARADAY_TRY_ASSIGN(const std::string sentence, ConfigureSentence(step.text));
  return SendCommand(step, sentence);
}

Status Player::OnDo(const Step& step) {
  const uint32_t id = next_id_;
  FARADAY_TRY(SendCommand(step, step.text));
  if (!step.done) return OkStatus();
  return ExpectEvent(step, fmt::format("command_done command_id={} {}", id, *step.done));
}

Status Player::OnAgain(const Step& step) {
  FARADAY_TRY_ASSIGN(const BoardLine::Answer answer, line_.Again());
  return Judge(step, answer);
}

Status Player::OnDamaged(const Step& step) {
  FARADAY_TRY_ASSIGN(const link::HumanFrame frame, CommandFrame(next_id_, WithEpochs(step.text)));
  return line_.Damaged(frame.payload);
}

Status Player::OnStop(const Step&) { return line_.Stop(); }

// ---- states ----

Status Player::TooEarly(const Step& step) const {
  const auto passed = std::chrono::duration_cast<Milliseconds>(BootClock::now() - line_.sent_at());
  if (passed >= Milliseconds(step.at_least_ms)) return OkStatus();
  return Wrong(fmt::format("came after {} ms, at least {} ms were expected", passed.count(), step.at_least_ms));
}

Status Player::AwaitWords(const Step& step, const Words& wanted, const std::function<Result<Words>()>& look) {
  const BootTime deadline = BootClock::now() + kPatience;
  Words seen;
  while (true) {
    FARADAY_TRY_ASSIGN(seen, look());
    const Words unmet = Unmet(wanted, seen);
    if (unmet.empty()) break;
    if (BootClock::now() < deadline) continue;
    return Wrong(
        fmt::format("not so within {} s: {}; it is: {}", kPatience.count() / 1000, JoinWords(unmet), JoinWords(seen)));
  }
  Note(step, "so " + Asked(wanted, seen));
  FARADAY_TRY(TooEarly(step));
  const BootTime end = BootClock::now() + Milliseconds(step.hold_ms);
  while (BootClock::now() < end) {
    FARADAY_TRY_ASSIGN(seen, look());
    const Words unmet = Unmet(wanted, seen);
    if (!unmet.empty()) return Wrong(fmt::format("does not stay so: {}; it is: {}", JoinWords(unmet), JoinWords(seen)));
  }
  return OkStatus();
}

Status Player::AwaitTelemetry(const Step& step,
                              const Words& wanted,
                              const std::function<Words(const link::Telemetry&)>& words) {
  return AwaitWords(step, wanted, [&]() -> Result<Words> {
    line_.ForgetTelemetry();
    FARADAY_TRY(line_.Until([this] { return line_.telemetry().has_value(); }));
    return words(*line_.telemetry());
  });
}

Status Player::OnState(const Step& step) {
  Words wanted = SplitWords(step.text);
  const auto slot = NumberOf(*ValueOf(wanted, "slot"));
  if (!slot || *slot < 1 || *slot > static_cast<int64_t>(link::kMaxSlots)) return Wrong("no such slot");
  const auto index = static_cast<size_t>(*slot) - 1;
  return AwaitTelemetry(step, wanted, [index](const link::Telemetry& telemetry) {
    Words words = index < telemetry.state.size() ? StateWords(telemetry.state[index]) : Words{};
    const auto add = [&](std::string_view name, auto value) { words.push_back(fmt::format("{}={}", name, value)); };
    add("slot", index + 1);
    if (index < telemetry.vbus_mv.size()) add("vbus_mv", telemetry.vbus_mv[index]);
    if (index < telemetry.vbus_ma.size()) add("vbus_ma", telemetry.vbus_ma[index]);
    if (index < telemetry.tray_deci_c.size()) add("tray_deci_c", telemetry.tray_deci_c[index]);
    return words;
  });
}

Status Player::OnBoard(const Step& step) {
  return AwaitTelemetry(step, SplitWords(step.text), [this](const link::Telemetry& telemetry) {
    Words words = BoardWords(telemetry);
    if (line_.telemetry_gap()) words.emplace_back("telemetry_gap");
    return words;
  });
}

Status Player::OnTruth(const Step& step) {
  if (rig_ == nullptr) return OkStatus();  // nobody can see it
  const Words wanted = SplitWords(step.text);
  const auto board = ValueOf(wanted, "board");
  const auto slot = NumberOf(ValueOf(wanted, "slot").value_or("0"));
  const std::string query = board ? "state " + *board : fmt::format("state {}/{:02}", kRack, slot.value_or(0));
  return AwaitWords(step, wanted, [&]() -> Result<Words> {
    FARADAY_TRY(line_.Wait(20));
    FARADAY_TRY_ASSIGN(const std::string answer, rig_->Ctl(query));
    Words words = SplitWords(WithoutLed(answer));
    if (!board) words.push_back(fmt::format("slot={}", *slot));
    return words;
  });
}

// ---- the bench ----

void Player::RememberToMend(const std::string& command) {
  std::string mend = MendOf(command);
  if (!mend.empty()) to_mend_.push_back(std::move(mend));
}

Status Player::OnCtl(const Step& step) {
  const auto answer = rig_->Ctl(step.text);
  if (!step.refused) {
    if (!answer.ok()) return Wrong(fmt::format("the bench refuses \"{}\": {}", step.text, answer.status().message()));
    RememberToMend(step.text);
    return OkStatus();
  }
  if (answer.ok()) return Wrong(fmt::format("the bench does \"{}\", a refusal was expected", step.text));
  if (answer.status().message().find(*step.refused) != std::string::npos) return OkStatus();
  return Wrong(
      fmt::format("the bench refuses with \"{}\", expected was \"{}\"", answer.status().message(), *step.refused));
}

Status Player::Mend() {
  Status status;
  for (; !to_mend_.empty(); to_mend_.pop_back()) {
    if (const auto answer = rig_->Ctl(to_mend_.back()); !answer.ok()) status = answer.status();
  }
  return status;
}

// ---- time and the line itself ----

Status Player::OnQuiet(const Step& step) { return line_.Quiet(static_cast<uint32_t>(step.ms)); }
Status Player::OnAway(const Step& step) { return line_.Away(static_cast<uint32_t>(step.ms)); }
Status Player::OnWait(const Step& step) { return line_.Wait(static_cast<uint32_t>(step.ms)); }

Status Player::OnReading(const Step& step) {
  if (step.text == "off") return line_.StopReading();
  line_.ReadAgain();
  return OkStatus();
}

Status Player::OnConnect(const Step&) { return line_.Open(); }

}  // namespace faraday::hil
