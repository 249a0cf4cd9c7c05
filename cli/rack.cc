// `faraday rack`: stop a whole rack and end the stop, read what a board remembers. `faraday locate`: find a slot in the
// room by its LED.
#include <fmt/format.h>

#include <algorithm>

#include "cli/session.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "model/slot_id.h"
#include "rackconfig/yaml_reader.h"

namespace faraday::cli {
namespace {

constexpr uint32_t kPage = 200;        // records in one answer at most, as the call says
constexpr uint32_t kMostShown = 5000;  // more than a board's log holds (chosen)
constexpr Milliseconds kStopTimeout{20'000};

// The named rack and its controller.
Result<std::string> ControllerOfRack(Session& session, const std::string& rack) {
  if (!model::IsRackName(rack)) {
    return Status(Code::kInvalidArgument, fmt::format("'{}' is not a rack; write its name, for example r01", rack));
  }
  return session.ControllerOf(rack);
}

std::string StopWords(const std::string& rack, const v1::RackStopResult& result) {
  std::string text = fmt::format("rack {} is stopped: {} measured off", rack, Counted(result.slots_off(), "slot"));
  if (result.slots_on() > 0) {
    text += fmt::format(", {} NOT: see faraday status {}, and cut the rails' supply by hand where VBUS does not fall",
                        result.slots_on(),
                        rack);
  }
  return text + "\n";
}

std::string ResumeWords(const std::string& rack, const v1::RackStopResult& result) {
  return fmt::format(
      "rack {} is no longer stopped; free slots may charge from now on, leased ones stay off; {} measured off\n",
      rack,
      Counted(result.slots_off(), "slot"));
}

// Prints the answer of stop_rack or resume_rack. A slot that is not off after a stop is a failure.
int Stopped(Session& session, const std::string& rack, const v1::RackStopResult& result, bool stop) {
  if (session.json()) {
    session.Json(result);
  } else {
    session.Out(stop ? StopWords(rack, result) : ResumeWords(rack, result));
  }
  return stop && result.slots_on() > 0 ? kExitRefused : kExitOk;
}

int StopOrResume(Session& session, const Invocation& invocation, bool stop) {
  const std::string rack = invocation.Get("rack");
  const auto controller = ControllerOfRack(session, rack);
  if (!controller.ok()) return session.Fail(controller.status());
  v1::Request request;
  if (stop) {
    request.mutable_stop_rack()->set_reason(invocation.Get("reason"));
  } else {
    request.mutable_resume_rack()->set_reason(invocation.Get("reason"));
  }
  const auto reply = session.Call(*controller, std::move(request), kStopTimeout);
  if (!reply.ok()) return session.Fail(reply.status());
  return Stopped(session, rack, reply->rack_stop(), stop);
}

int Stop(Session& session, const Invocation& invocation) { return StopOrResume(session, invocation, true); }
int Resume(Session& session, const Invocation& invocation) { return StopOrResume(session, invocation, false); }

// When: the time that the controller worked out, else the board's own. "~" where it may be off by a second or more.
std::string When(const v1::BoardLogRecord& record, int64_t now_utc_ms) {
  if (record.utc_ms() == 0) {
    return fmt::format("boot {} +{}.{:03} s", record.boot(), record.uptime_ms() / 1000, record.uptime_ms() % 1000);
  }
  return (record.utc_error_ms() >= 1000 ? "~" : "") + FormatMoment(record.utc_ms(), now_utc_ms);
}

// The newest `limit` records before `before`, newest first.
Result<v1::ReadBoardLogResult> ReadLog(
    Session& session, const std::string& controller, uint32_t board, uint32_t before, uint32_t limit) {
  v1::ReadBoardLogResult all;
  while (!session.interrupted()) {
    v1::Request request;
    auto& call = *request.mutable_read_board_log();
    call.set_board(board);
    call.set_before(before);
    call.set_limit(std::min(kPage, limit - static_cast<uint32_t>(all.records_size())));
    FARADAY_TRY_ASSIGN(v1::Reply reply, session.Call(controller, std::move(request)));
    const v1::ReadBoardLogResult& page = reply.read_board_log();
    all.set_oldest(page.oldest());
    all.set_next(std::max(all.next(), page.next()));
    for (const auto& record : page.records()) *all.add_records() = record;
    const bool at_end = page.records().empty() || page.records().rbegin()->number() <= page.oldest();
    if (at_end || static_cast<uint32_t>(all.records_size()) >= limit) return all;
    const uint32_t last = page.records().rbegin()->number();
    if (before != 0 && last >= before) return all;  // a server that goes in circles
    before = last;
  }
  return Status(Code::kCancelled, "interrupted");
}

void PrintLog(Session& session, const v1::ReadBoardLogResult& log) {
  const int64_t now = UtcNow().since_epoch.count();
  std::vector<std::vector<std::string>> rows;
  for (auto record = log.records().rbegin(); record != log.records().rend(); ++record) {
    rows.push_back({fmt::format("{}", record->number()),
                    When(*record, now),
                    record->slot().empty() ? "-" : Printable(record->slot()),
                    Printable(record->kind()),
                    Printable(record->text())});
  }
  if (rows.empty()) return session.Out("the board's log is empty\n");
  session.Out(RenderTable({{"NUMBER", true}, {"WHEN"}, {"SLOT"}, {"KIND"}, {"WHAT"}}, rows));
}

int Log(Session& session, const Invocation& invocation) {
  const std::string rack = invocation.Get("rack");
  const auto board = invocation.Number("board", 0, 0, 31);
  if (!board.ok()) return session.Fail(board.status());
  const auto limit = invocation.Number("limit", 50, 1, kMostShown);
  if (!limit.ok()) return session.Fail(limit.status());
  const auto before = invocation.Number("before", 0, 1, UINT32_MAX);
  if (!before.ok()) return session.Fail(before.status());
  const auto controller = ControllerOfRack(session, rack);
  if (!controller.ok()) return session.Fail(controller.status());
  const auto log = ReadLog(session, *controller, *board, *before, *limit);
  if (!log.ok()) return session.Fail(log.status());
  if (session.json()) {
    session.Json(*log);
  } else {
    PrintLog(session, *log);
  }
  return kExitOk;
}

// A slot's full name or a rack's. Errors: kInvalidArgument.
Result<std::string> SlotOrRack(const std::string& text, std::string* rack) {
  if (text.find('/') == std::string::npos && model::IsRackName(text)) {
    *rack = text;
    return text;
  }
  const auto slot = model::ParseSlotId(text);
  if (!slot.ok()) {
    return Status(Code::kInvalidArgument, fmt::format("'{}' is neither a rack (r01) nor a slot (r01/07)", text));
  }
  *rack = slot->rack;
  return model::ToString(*slot);
}

int Locate(Session& session, const Invocation& invocation) {
  std::string rack;
  const auto name = SlotOrRack(invocation.Get("what"), &rack);
  if (!name.ok()) return session.Fail(name.status());
  const auto time = invocation.DurationMs("for", 60'000, 1000, 3'600'000);
  if (!time.ok()) return session.Fail(time.status());
  const bool off = invocation.Has("off");
  if (off && invocation.Has("for"))
    return session.Fail({Code::kInvalidArgument, "--for and --off exclude each other; give one"});
  const auto controller = session.ControllerOf(rack);
  if (!controller.ok()) return session.Fail(controller.status());
  v1::Request request;
  request.mutable_blink()->set_slot(*name);
  request.mutable_blink()->set_duration_ms(off ? 0 : static_cast<uint32_t>(*time));
  const auto reply = session.Call(*controller, std::move(request));
  if (!reply.ok()) return session.Fail(reply.status());
  const uint32_t left = reply->blink().duration_ms();
  if (session.json()) {
    session.Json(reply->blink());
  } else if (off) {
    session.Out(fmt::format("{} no longer blinks\n", *name));
  } else {
    session.Out(fmt::format("{}: {} fast for {}; end it with: faraday locate {} --off\n",
                            *name,
                            *name == rack ? "every slot's LED blinks" : "the slot's LED blinks",
                            rackconfig::FormatDuration(left),
                            *name));
  }
  return kExitOk;
}

using Kind = Argument::Kind;

}  // namespace

std::vector<Verb> RackVerbs() {
  const Argument rack{Kind::kPositional, "rack", "RACK", "r01", true};
  const Argument reason{Kind::kOption, "--reason", "TEXT", "why; it is recorded", true};
  return {
      {.path = {"rack", "stop"},
       .summary = "Every slot off at once, latched: VBUS off, data open, isolated; ends every lease (tech, admin)",
       .arguments = {rack, reason},
       .examples = "  faraday rack stop r01 --reason 'smoke in the room'\n"
                   "\n"
                   "Answers when it has measured. Exit 1: not every slot is measured off. Phones run on from their\n"
                   "batteries: a burning cell is not stopped by this, nor by anything else in the rack.",
       .run = Stop},
      {.path = {"rack", "resume"},
       .summary = "End a rack's stop after the cause is mended; free slots may charge at once (tech, admin)",
       .arguments = {rack, reason},
       .examples = "  faraday rack resume r01 --reason 'false alarm, checked on site'\n"
                   "\n"
                   "Slots that were tripped or stopped one by one stay so: faraday slot clear. Refused while the stop\n"
                   "button is pressed or an input that stops the rack is active.",
       .run = Resume},
      {.path = {"rack", "log"},
       .summary = "What a board remembers through resets: trips, conditions, stops, boots (tech, admin)",
       .arguments = {rack,
                     {Kind::kOption, "--board", "N", "index of the board, default 0"},
                     {Kind::kOption, "--limit", "N", "the newest N, 1 to 5000, default 50"},
                     {Kind::kOption, "--before", "NUMBER", "only records older than this one"}},
       .examples =
           "  faraday rack log r01\n"
           "  faraday rack log r64 --board 1 --limit 200\n"
           "  faraday rack log r01 --limit 5000 --json | jq -r '.records[] | select(.slot == \"r01/07\") | .text'\n"
           "\n"
           "Oldest first; with --json newest first. '~' before a time: it may be off by a second or more.\n"
           "'boot 12 +3.400 s': no controller spoke with the board in that boot, so nobody knows the hour.",
       .run = Log},
      {.path = {"locate"},
       .summary = "Blink a slot's LED, or every LED of a rack, so that somebody finds it (its holder, tech, admin)",
       .arguments = {{Kind::kPositional, "what", "SLOT|RACK", "r01/07 or r01", true},
                     {Kind::kOption, "--for", "TIME", "1s to 1h, default 60s"},
                     {Kind::kFlag, "--off", "", "no longer"}},
       .examples = "  faraday locate r01/07\n  faraday locate r01 --for 10m\n  faraday locate r01/07 --off",
       .run = Locate},
  };
}

}  // namespace faraday::cli
