#include "rackconfig/yaml_rack_slots.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "model/slot_id.h"

namespace faraday::rackconfig {
namespace {

// 100 mA is what any phone may draw unasked (USB 2.0 section 7.2.1); 3000 mA is the most the slot's connector and
// switch carry (the board's compiled-in ceiling).
const Range kCurrentLimit{100, 3000, "mA"};
const Range kSoftLimit{0, 3000, "mA"};  // 0: none
constexpr size_t kMaxSlots = 1024;      // chosen: 32 boards of 32
const Range kSlotNumber{1, kMaxSlots};

// The whole number at the front of `text`, taken off.
std::optional<int> TakeNumber(std::string_view* text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{} || value < kSlotNumber.min || value > kSlotNumber.max) return std::nullopt;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  return value;
}

void SkipSpaces(std::string_view* text) {
  while (!text->empty() && text->front() == ' ') text->remove_prefix(1);
}

// "7", "1-8", "1-4, 9, 12-14".
std::optional<std::vector<int>> ParseSlotNumbers(std::string_view text) {
  std::vector<int> numbers;
  while (true) {
    SkipSpaces(&text);
    const std::optional<int> first = TakeNumber(&text);
    if (!first) return std::nullopt;
    std::optional<int> last = first;
    SkipSpaces(&text);
    if (!text.empty() && text.front() == '-') {
      text.remove_prefix(1);
      SkipSpaces(&text);
      last = TakeNumber(&text);
      SkipSpaces(&text);
    }
    if (!last || *last < *first || numbers.size() > kMaxSlots) return std::nullopt;
    for (int number = *first; number <= *last; ++number) numbers.push_back(number);
    if (text.empty()) return numbers;
    if (text.front() != ',') return std::nullopt;
    text.remove_prefix(1);
  }
}

Setter SlotNumbers(std::vector<int>* target) {
  return [target](std::string_view key, const YamlNode& node, Report& report) {
    const auto numbers = node.kind == YamlNode::Kind::kScalar ? ParseSlotNumbers(node.text) : std::nullopt;
    if (numbers) {
      target->insert(target->end(), numbers->begin(), numbers->end());
    } else {
      report.Add(node.line,
                 fmt::format("{}: \"{}\" names no slots: write 7, 1-8 or \"1-4, 9\", numbers 1 to {}",
                             key,
                             node.text,
                             kSlotNumber.max));
    }
  };
}

}  // namespace

Table SlotHostTable(SlotHost* host) {
  return {
      {"host", Need::kRequired, Text(&host->host), "name of one of `hosts`"},
      {"adb", Need::kOptional, Text(&host->adb), "TCP address of the phone's adb daemon, \"127.0.0.1:56{slot:02}\""},
      {"usb", Need::kOptional, Text(&host->usb), "bus and ports of the slot's cable on that host, \"1-1.4\""},
  };
}

namespace {

Setter SlotHosts(SlotWords* words) {
  return [words](std::string_view key, const YamlNode& node, Report& report) {
    words->hosts.emplace();
    ListOf<SlotHost>(&*words->hosts, "host", [](SlotHost& host) { return SlotHostTable(&host); })(key, node, report);
  };
}

// Keys of `slots.defaults`, of an entry of `slots.list`, and of one of `slots.overrides`.
Table SlotTable(SlotWords* words) {
  SlotLines& lines = words->lines;
  return {
      {"board",
       Need::kOptional,
       NotingLine(&lines.board, Integer(&words->board, Range{0, 31, ""})),
       "index into boards, from 0"},
      {"rail", Need::kOptional, NotingLine(&lines.rail, Text(&words->rail)), "name of a rail of that board"},
      {"current_limit_ma",
       Need::kOptional,
       NotingLine(&lines.current_limit, Integer(&words->current_limit_ma, kCurrentLimit)),
       "the slot is tripped above this"},
      {"soft_limit_ma",
       Need::kOptional,
       NotingLine(&lines.soft_limit, Integer(&words->soft_limit_ma, kSoftLimit)),
       "above this it trips in inverse time; 0: only at current_limit_ma"},
      {"safe_state",
       Need::kOptional,
       Choice(&words->safe_state,
              std::vector<std::pair<std::string, SafeState>>{
                  {"charge", SafeState::kCharge}, {"hold", SafeState::kHold}, {"off", SafeState::kOff}}),
       "where the slot goes when nobody is in charge"},
      {"vbus_source",
       Need::kOptional,
       Choice(&words->vbus_source,
              std::vector<std::pair<std::string, VbusSource>>{{"rack", VbusSource::kRack}, {"hub", VbusSource::kHub}}),
       "who feeds VBUS"},
      {"hosts", Need::kOptional, NotingLine(&lines.hosts, SlotHosts(words)), "computers its data path can reach"},
      {"expected_phone", Need::kOptional, Text(&words->expected_phone), "model that should be here, pixel-8"},
      {"labels", Need::kOptional, TextMap(&words->labels), "words for selectors"},
  };
}

Table SlotEntryTable(SlotWords* words) {
  Table table = SlotTable(words);
  table.push_back({"slots", Need::kOptional, SlotNumbers(&words->numbers), "7, 1-8 or \"1-4, 9\""});
  table.push_back({"slot", Need::kOptional, SlotNumbers(&words->numbers), "the same, reads better for one"});
  return table;
}

}  // namespace

Table SlotListTable(SlotWords* words) {
  Table table = SlotEntryTable(words);
  table.push_back({"board_slot",
                   Need::kOptional,
                   NotingLine(&words->lines.board_slot, Integer(&words->board_slot, Range{1, 32, ""})),
                   "number on its board of the entry's first slot; the others count on"});
  return table;
}

namespace {

std::string Named(const std::string& rack, int number) {
  return model::ToString(model::SlotId{.rack = rack, .number = number});
}

// "slots 1-8" as the entry gives them, for messages inside it.
std::string EntryName(const YamlNode& item) {
  for (const char* key : {"slots", "slot"}) {
    if (item.kind != YamlNode::Kind::kMap) break;
    const YamlNode* numbers = item.Find(key);
    if (numbers != nullptr && numbers->kind == YamlNode::Kind::kScalar) return fmt::format("{} {}", key, numbers->text);
  }
  return "slots entry";
}

using TableOfWords = Table (*)(SlotWords*);

Setter SlotEntryList(std::vector<SlotWords>* target, TableOfWords make_table) {
  return [target, make_table](std::string_view key, const YamlNode& node, Report& report) {
    if (node.kind != YamlNode::Kind::kList) {
      report.Add(node.line, fmt::format("{}: must be a list of entries, each beginning with \"- slots: 1-8\"", key));
      return;
    }
    for (const YamlNode& item : node.list) {
      const Report::Scope scope(report, EntryName(item));
      SlotWords words;
      words.line = item.line;
      const size_t before = report.errors();
      ReadMap(item, make_table(&words), report);
      if (words.numbers.empty() && report.errors() == before) {
        report.Add(item.line, "says nothing of which slots it is about: add slots: 1-8 or slot: 7");
      }
      target->push_back(std::move(words));
    }
  };
}

}  // namespace

Table SlotsTable(SlotEntries* entries) {
  return {
      {"defaults", Need::kOptional, MapOf(SlotTable(&entries->defaults), "slot defaults"), "what holds for every slot"},
      {"list", Need::kRequired, SlotEntryList(&entries->list, SlotListTable), "the slots, each exactly once"},
      {"overrides",
       Need::kOptional,
       SlotEntryList(&entries->overrides, SlotEntryTable),
       "what differs for some of them"},
  };
}

Setter Slots(SlotEntries* entries) {
  return [entries](std::string_view key, const YamlNode& node, Report& report) {
    if (node.kind == YamlNode::Kind::kList) {
      SlotEntryList(&entries->list, SlotListTable)(key, node, report);
    } else {
      ReadMap(node, SlotsTable(entries), report);
    }
  };
}

namespace {

void TakeLine(int* target, int line) {
  if (line > 0) *target = line;
}

// Lays the words of one entry over what a slot has so far. `nth` counts the entry's slots from 0.
void Apply(const SlotWords& words, int nth, SlotDraft* draft) {
  SlotConfig& slot = draft->config;
  if (words.board) slot.board = *words.board;
  if (words.board_slot) slot.board_slot = *words.board_slot + nth;
  if (words.rail) draft->rail = *words.rail;
  if (words.current_limit_ma) slot.current_limit = Milliamps(*words.current_limit_ma);
  if (words.soft_limit_ma) slot.soft_limit = Milliamps(*words.soft_limit_ma);
  if (words.safe_state) slot.safe_state = *words.safe_state;
  if (words.vbus_source) slot.vbus_source = *words.vbus_source;
  if (words.hosts) slot.hosts = *words.hosts;
  if (words.expected_phone) slot.expected_phone = *words.expected_phone;
  for (const auto& [name, value] : words.labels) slot.labels[name] = value;
  TakeLine(&draft->lines.board, words.lines.board);
  TakeLine(&draft->lines.board_slot, words.lines.board_slot);
  TakeLine(&draft->lines.rail, words.lines.rail);
  TakeLine(&draft->lines.current_limit, words.lines.current_limit);
  TakeLine(&draft->lines.soft_limit, words.lines.soft_limit);
  TakeLine(&draft->lines.hosts, words.lines.hosts);
}

SlotDraft* FindSlot(std::vector<SlotDraft>* drafts, int number) {
  const auto found = std::find_if(
      drafts->begin(), drafts->end(), [&](const SlotDraft& draft) { return draft.config.number == number; });
  return found == drafts->end() ? nullptr : &*found;
}

void LayOutEntry(const SlotEntries& entries,
                 const SlotWords& words,
                 const std::string& rack,
                 std::vector<SlotDraft>* drafts,
                 Report& report) {
  for (size_t nth = 0; nth < words.numbers.size(); ++nth) {
    const int number = words.numbers[nth];
    if (const SlotDraft* first = FindSlot(drafts, number)) {
      report.AddAt(words.line,
                   "slot " + Named(rack, number),
                   fmt::format("is laid out twice, first in line {}: keep one, or move what differs to slots.overrides",
                               first->lines.entry));
      continue;
    }
    SlotDraft draft;
    draft.config.number = number;
    draft.lines.entry = words.line;
    Apply(entries.defaults, 0, &draft);
    Apply(words, static_cast<int>(nth), &draft);
    drafts->push_back(std::move(draft));
  }
}

void ApplyOverride(const SlotWords& words, const std::string& rack, std::vector<SlotDraft>* drafts, Report& report) {
  for (int number : words.numbers) {
    if (SlotDraft* draft = FindSlot(drafts, number)) {
      Apply(words, 0, draft);
    } else {
      report.AddAt(words.line, "slot " + Named(rack, number), "is no slot of this rack: add it to slots.list first");
    }
  }
}

// Slots that do not say their board_slot take the next free number of their board, in order.
void NumberOnBoards(std::vector<SlotDraft>* drafts) {
  std::map<int, int> last;
  for (SlotDraft& draft : *drafts) {
    int& board_last = last[draft.config.board];
    if (draft.config.board_slot == 0) draft.config.board_slot = board_last + 1;
    board_last = draft.config.board_slot;
  }
}

}  // namespace

std::vector<SlotDraft> LayOutSlots(const SlotEntries& entries, const std::string& rack, Report& report) {
  std::vector<SlotDraft> drafts;
  for (const SlotWords& words : entries.list) {
    LayOutEntry(entries, words, rack, &drafts, report);
    if (drafts.size() > kMaxSlots) {
      report.AddAt(words.line, "slots", fmt::format("are more than {}: split the rack", kMaxSlots));
      return drafts;
    }
  }
  for (const SlotWords& words : entries.overrides) ApplyOverride(words, rack, &drafts, report);
  std::stable_sort(drafts.begin(), drafts.end(), [](const SlotDraft& a, const SlotDraft& b) {
    return a.config.number < b.config.number;
  });
  NumberOnBoards(&drafts);
  return drafts;
}

namespace {

// "slot", "slot:02", "board", "board_slot", "rack": the text it stands for; nullopt when it is none of them.
std::optional<std::string> Placeholder(std::string_view inside, const SlotConfig& slot, const std::string& rack) {
  const size_t colon = inside.find(':');
  const std::string_view name = inside.substr(0, colon);
  const std::string_view form = colon == std::string_view::npos ? "" : inside.substr(colon + 1);
  if (name == "rack" && form.empty()) return rack;
  int value = 0;
  if (name == "slot")
    value = slot.number;
  else if (name == "board")
    value = slot.board;
  else if (name == "board_slot")
    value = slot.board_slot;
  else
    return std::nullopt;
  if (form.empty() && colon == std::string_view::npos) return fmt::format("{}", value);
  if (form == "02") return fmt::format("{:02}", value);
  if (form == "03") return fmt::format("{:03}", value);
  if (form == "04") return fmt::format("{:04}", value);
  return std::nullopt;
}

// Puts the slot's numbers into "127.0.0.1:56{slot:02}".
std::string FillIn(const std::string& text, const SlotConfig& slot, const std::string& rack, std::string* problem) {
  std::string out;
  size_t at = 0;
  while (true) {
    const size_t open = text.find('{', at);
    if (open == std::string::npos) return out + text.substr(at);
    const size_t close = text.find('}', open);
    const auto value = close == std::string::npos
                           ? std::nullopt
                           : Placeholder(std::string_view(text).substr(open + 1, close - open - 1), slot, rack);
    if (!value) {
      *problem = fmt::format(
          "\"{}\" has an unknown {{...}}: valid are {{slot}}, {{slot:02}}, {{board}}, {{board_slot}} "
          "and {{rack}}",
          text);
      return "";
    }
    out += text.substr(at, open - at) + *value;
    at = close + 1;
  }
}

}  // namespace

void FillInSlot(const std::string& rack, SlotDraft* draft, Report& report) {
  SlotConfig& slot = draft->config;
  std::string problem;
  for (SlotHost& host : slot.hosts) {
    host.adb = FillIn(host.adb, slot, rack, &problem);
    host.usb = FillIn(host.usb, slot, rack, &problem);
  }
  if (!problem.empty()) slot.hosts.clear();  // reported below; an empty address would be reported again
  for (auto& label : slot.labels) label.second = FillIn(label.second, slot, rack, &problem);
  if (!problem.empty()) {
    report.AddAt(
        draft->lines.hosts > 0 ? draft->lines.hosts : draft->lines.entry, "slot " + Named(rack, slot.number), problem);
  }
}

}  // namespace faraday::rackconfig
