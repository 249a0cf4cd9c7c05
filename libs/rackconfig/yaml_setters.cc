// The setters: one value of one type into its place, or a mistake that says the allowed range with its unit.
#include <charconv>
#include <cmath>
#include <filesystem>

#include <fmt/format.h>

#include "rackconfig/yaml_reader.h"

namespace faraday::rackconfig {
namespace {

using Kind = YamlNode::Kind;

std::string Given(const YamlNode& node) {
  switch (node.kind) {
    case Kind::kNull:
      return "nothing";
    case Kind::kList:
      return "a list";
    case Kind::kMap:
      return "a map";
    case Kind::kScalar:
      return node.text.size() > 60 ? "\"" + node.text.substr(0, 60) + "...\"" : "\"" + node.text + "\"";
  }
  return "";
}

void AddWrongType(std::string_view key, const YamlNode& node, const std::string& wanted, Report& report) {
  report.Add(node.line, fmt::format("{}: must be {}, not {}", key, wanted, Given(node)));
}

std::string WithUnit(int64_t value, const std::string& unit) {
  return unit.empty() ? fmt::format("{}", value) : fmt::format("{} {}", value, unit);
}

std::string Allowed(const Range& range) {
  const bool has_min = range.min != INT64_MIN;
  const bool has_max = range.max != INT64_MAX;
  if (has_min && has_max) return fmt::format("{} to {}", range.min, WithUnit(range.max, range.unit));
  if (has_min) return "at least " + WithUnit(range.min, range.unit);
  if (has_max) return "at most " + WithUnit(range.max, range.unit);
  return range.unit.empty() ? "any" : "any, in " + range.unit;
}

std::string AllowedDuration(const Range& range) {
  if (range.max == INT64_MAX) return "at least " + FormatDuration(std::max<int64_t>(range.min, 0));
  return fmt::format("{} to {}", FormatDuration(std::max<int64_t>(range.min, 0)), FormatDuration(range.max));
}

std::optional<int64_t> ParseInteger(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  const std::string_view digits = text.substr(text[0] == '-' ? 1 : 0);
  if (digits.size() > 1 && digits[0] == '0') return std::nullopt;  // 010 is 8 to some YAML readers, 10 to others
  return value;
}

struct Unit {
  std::string_view name;
  int64_t milliseconds;
};
// Longer names first: "ms" before "m".
constexpr Unit kUnits[] = {{"ms", 1}, {"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}};
constexpr double kLongest = 366.0 * 86'400'000;  // a year, chosen: nothing here lasts longer

// Takes "1.5h" off the front of `text` as milliseconds; nullopt when there is none.
std::optional<double> TakeAmount(std::string_view* text) {
  if (text->empty() || (*text)[0] < '0' || (*text)[0] > '9') return std::nullopt;
  double amount = 0;
  const auto [end, error] =
      std::from_chars(text->data(), text->data() + text->size(), amount, std::chars_format::fixed);
  if (error != std::errc{}) return std::nullopt;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  for (const Unit& unit : kUnits) {
    if (text->substr(0, unit.name.size()) != unit.name) continue;
    text->remove_prefix(unit.name.size());
    return amount * static_cast<double>(unit.milliseconds);
  }
  return std::nullopt;
}

bool HasControlBytes(const std::string& text) {
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f) return true;
  }
  return false;
}

// 127.a.b.c, localhost or [::1].
bool IsLoopbackHost(std::string_view host) {
  if (host == "localhost" || host == "[::1]") return true;
  if (host.substr(0, 4) != "127.") return false;
  int parts = 0;
  const char* at = host.data();
  const char* end = host.data() + host.size();
  while (parts < 4) {
    unsigned value = 256;
    const auto result = std::from_chars(at, end, value);
    if (result.ec != std::errc{} || value > 255) return false;
    at = result.ptr;
    ++parts;
    if (at == end) break;
    if (*at++ != '.') return false;
  }
  return parts == 4 && at == end;
}

// Why `text` is no usable endpoint; empty when it is one.
std::string EndpointProblem(std::string_view text, bool allow_port_0) {
  if (text.substr(0, 6) == "ipc://") return text.size() > 6 ? "" : "names no path: write ipc:///run/faraday/NAME";
  if (text.substr(0, 6) != "tcp://") return "is no endpoint: write tcp://127.0.0.1:PORT or ipc:///PATH";
  const std::string_view address = text.substr(6);
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return "has no port: write tcp://127.0.0.1:PORT";
  const std::optional<int64_t> port = ParseInteger(address.substr(colon + 1).empty() ? "x" : address.substr(colon + 1));
  const int64_t least = allow_port_0 ? 0 : 1;
  if (!port || *port < least || *port > 65535) {
    return fmt::format("has no valid port, allowed {} to 65535", least);
  }
  const std::string_view host = address.substr(0, colon);
  if (host.empty() || host.find_first_of(" /") != std::string_view::npos) {
    return "names no host: write tcp://127.0.0.1:PORT or tcp://HOST:PORT";
  }
  if (host == "*" && !allow_port_0) return "names no host to connect to: write tcp://HOST:PORT";
  return "";
}

}  // namespace

std::optional<int64_t> ParseDuration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  double total = 0;
  while (!text.empty()) {
    const std::optional<double> amount = TakeAmount(&text);
    if (!amount) return std::nullopt;
    total += *amount;
    if (!(total <= kLongest)) return std::nullopt;
  }
  return std::llround(total);
}

std::string FormatDuration(int64_t milliseconds) {
  if (milliseconds == 0) return "0s";
  std::string out;
  for (const Unit& unit : {Unit{"h", 3'600'000}, Unit{"m", 60'000}, Unit{"s", 1000}, Unit{"ms", 1}}) {
    if (milliseconds < unit.milliseconds) continue;
    out += fmt::format("{}{}", milliseconds / unit.milliseconds, unit.name);
    milliseconds %= unit.milliseconds;
  }
  return out;
}

Setter Integer(Range range, std::function<void(int64_t)> set) {
  return [range = std::move(range), set = std::move(set)](std::string_view key, const YamlNode& node, Report& report) {
    const std::optional<int64_t> value =
        node.kind == Kind::kScalar && !node.text.empty() ? ParseInteger(node.text) : std::nullopt;
    if (!value) {
      AddWrongType(key, node, fmt::format("a whole number, {}", Allowed(range)), report);
    } else if (*value < range.min || *value > range.max) {
      report.Add(node.line,
                 fmt::format("{}: {} is out of range, allowed {}", key, WithUnit(*value, range.unit), Allowed(range)));
    } else {
      set(*value);
    }
  };
}

Setter Number(double min, double max, std::string unit, std::function<void(double)> set) {
  return [min, max, unit = unit.empty() ? unit : " " + unit, set = std::move(set)](
             std::string_view key, const YamlNode& node, Report& report) {
    double value = 0;
    const char* end = node.text.data() + node.text.size();
    const auto parsed = std::from_chars(node.text.data(), end, value);
    if (node.kind != Kind::kScalar || parsed.ec != std::errc{} || parsed.ptr != end || !std::isfinite(value)) {
      AddWrongType(key, node, fmt::format("a number, {} to {}{}", min, max, unit), report);
    } else if (value < min || value > max) {
      report.Add(node.line,
                 fmt::format("{}: {}{} is out of range, allowed {} to {}{}", key, value, unit, min, max, unit));
    } else {
      set(value);
    }
  };
}

Setter Text(std::function<void(std::string)> set) {
  return [set = std::move(set)](std::string_view key, const YamlNode& node, Report& report) {
    if (node.kind != Kind::kScalar) {
      AddWrongType(key, node, "a text", report);
    } else if (HasControlBytes(node.text)) {
      report.Add(node.line, fmt::format("{}: holds control characters: remove them", key));
    } else {
      set(node.text);
    }
  };
}

Setter Duration(Range range, std::function<void(int64_t)> set) {
  return [range, set = std::move(set)](std::string_view key, const YamlNode& node, Report& report) {
    if (node.kind == Kind::kScalar && !node.text.empty() && ParseInteger(node.text)) {
      report.Add(node.line,
                 fmt::format("{}: {} has no unit: write {}ms, {}s, {}m or {}h, allowed {}",
                             key,
                             node.text,
                             node.text,
                             node.text,
                             node.text,
                             node.text,
                             AllowedDuration(range)));
      return;
    }
    const std::optional<int64_t> value = node.kind == Kind::kScalar ? ParseDuration(node.text) : std::nullopt;
    if (!value) {
      AddWrongType(
          key, node, fmt::format("a time such as 500ms, 2s, 30m or 8h, allowed {}", AllowedDuration(range)), report);
    } else if (*value < range.min || *value > range.max) {
      report.Add(node.line, fmt::format("{}: {} is out of range, allowed {}", key, node.text, AllowedDuration(range)));
    } else {
      set(*value);
    }
  };
}

Setter Boolean(std::function<void(bool)> set) {
  return [set = std::move(set)](std::string_view key, const YamlNode& node, Report& report) {
    if (node.kind == Kind::kScalar && (node.text == "true" || node.text == "false")) {
      set(node.text == "true");
    } else {
      AddWrongType(key, node, "true or false", report);
    }
  };
}

Setter Path(std::string* target) {
  return [target](std::string_view key, const YamlNode& node, Report& report) {
    Text([&](std::string value) {
      if (value.empty()) {
        report.Add(node.line, fmt::format("{}: is empty: name a file or folder", key));
        return;
      }
      namespace fs = std::filesystem;
      std::error_code error;
      const fs::path folder = fs::absolute(fs::path(report.file()), error).parent_path();
      *target = (folder / value).lexically_normal().string();
    })(key, node, report);
  };
}

Setter Endpoint(std::string* target, bool allow_port_0) {
  return [target, allow_port_0](std::string_view key, const YamlNode& node, Report& report) {
    Text([&](std::string value) {
      const std::string problem = EndpointProblem(value, allow_port_0);
      if (problem.empty()) {
        *target = std::move(value);
      } else {
        report.Add(node.line, fmt::format("{}: {} {}", key, Given(node), problem));
      }
    })(key, node, report);
  };
}

namespace {

// A list whose items are all read by one setter.
Setter ListOfScalars(size_t min_count, std::function<Setter()> make_item) {
  return [min_count, make_item](std::string_view key, const YamlNode& node, Report& report) {
    if (node.kind != Kind::kList) {
      AddWrongType(key, node, "a list ([one, two] or lines beginning with \"- \")", report);
      return;
    }
    if (node.list.size() < min_count) {
      report.Add(node.line, fmt::format("{}: has {} entries, at least {} needed", key, node.list.size(), min_count));
    }
    for (const YamlNode& item : node.list) make_item()(key, item, report);
  };
}

}  // namespace

Setter TextList(std::vector<std::string>* target, size_t min_count) {
  return ListOfScalars(min_count, [target] {
    return Text(std::function<void(std::string)>([target](std::string value) { target->push_back(std::move(value)); }));
  });
}

Setter EndpointList(std::vector<std::string>* target, size_t min_count) {
  return ListOfScalars(min_count, [target]() -> Setter {
    return [target](std::string_view key, const YamlNode& node, Report& report) {
      std::string endpoint;
      Endpoint (&endpoint)(key, node, report);
      if (!endpoint.empty()) target->push_back(std::move(endpoint));
    };
  });
}

Setter ChoiceIndex(std::vector<std::string> names, std::function<void(size_t)> set) {
  return [names = std::move(names), set = std::move(set)](std::string_view key, const YamlNode& node, Report& report) {
    for (size_t i = 0; i < names.size(); ++i) {
      if (node.kind == Kind::kScalar && node.text == names[i]) return set(i);
    }
    report.Add(node.line,
               fmt::format("{}: {} is not one of {}{}",
                           key,
                           Given(node),
                           fmt::join(names, ", "),
                           node.kind == Kind::kScalar ? DidYouMean(node.text, names) : ""));
  };
}

Setter MapOf(Table table, std::string where) {
  return
      [table = std::move(table), where = std::move(where)](std::string_view key, const YamlNode& node, Report& report) {
        const Report::Scope scope(report, where.empty() ? std::string(key) : where);
        ReadMap(node, table, report);
      };
}

Setter ListOfMaps(std::string where, std::function<void(const YamlNode& item, Report& report)> read) {
  return
      [where = std::move(where), read = std::move(read)](std::string_view key, const YamlNode& node, Report& report) {
        if (node.kind != Kind::kList) {
          AddWrongType(key, node, "a list (lines beginning with \"- \")", report);
          return;
        }
        for (size_t i = 0; i < node.list.size(); ++i) {
          const Report::Scope scope(report, fmt::format("{} {}", where, i));
          read(node.list[i], report);
        }
      };
}

Setter NotingLine(int* line, Setter setter) {
  return [line, setter = std::move(setter)](std::string_view key, const YamlNode& node, Report& report) {
    *line = node.line;
    setter(key, node, report);
  };
}

Row SecurityRow(Security* security) {
  return {
      "security",
      Need::kOptional,
      Choice(security,
             std::vector<std::pair<std::string, Security>>{{"curve", Security::kCurve}, {"plain", Security::kPlain}}),
      "curve: encrypted, keys on both sides; plain: for loopback and ipc only"};
}

Table AuditTable(AuditConfig* audit) {
  return {
      {"keep_days", Need::kOptional, Integer(&audit->keep_days, Range{1, 3650, "days"}), "older records go"},
      {"max_mb",
       Need::kOptional,
       Integer(&audit->max_mb, Range{32, 1'000'000, "MiB"}),
       "the oldest records go beyond it"},
  };
}

void CheckPlain(Security security,
                const std::vector<NamedEndpoint>& endpoints,
                const std::string& where,
                Report& report) {
  if (security != Security::kPlain) return;
  for (const NamedEndpoint& named : endpoints) {
    const std::string_view text = named.endpoint;
    if (!text.starts_with("tcp://")) continue;
    const std::string_view address = text.substr(6);
    if (IsLoopbackHost(address.substr(0, address.rfind(':')))) continue;
    report.AddAt(named.line,
                 where,
                 fmt::format("{}: \"{}\" is not a loopback address, and security: plain is for loopback (127.0.0.0/8, "
                             "localhost, [::1]) and ipc only: leave security out",
                             named.key,
                             named.endpoint));
  }
}

}  // namespace faraday::rackconfig
