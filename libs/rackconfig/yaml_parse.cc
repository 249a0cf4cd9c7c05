// Text to YamlNode, by yaml-cpp's events: unlike its node tree they show doubled keys, every line, and let the bounds
// on size and depth hold while reading.
#include <sys/stat.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>

#include <fmt/format.h>

#include "rackconfig/yaml_reader.h"

namespace faraday::rackconfig {
namespace {

// Chosen: a rack of 64 slots written out in full needs 30 KiB, 1500 nodes and 6 levels.
constexpr size_t kMaxBytes = size_t{4} << 20;
constexpr size_t kMaxNodes = 200'000;
constexpr size_t kMaxDepth = 32;

bool IsNameStart(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; }
bool IsNameChar(char c) { return IsNameStart(c) || (c >= '0' && c <= '9'); }

bool IsVariableName(std::string_view name) {
  if (name.empty() || !IsNameStart(name[0])) return false;
  for (char c : name) {
    if (!IsNameChar(c)) return false;
  }
  return true;
}

// One "NAME" or "NAME:-default", without its braces.
std::string ExpandOne(std::string_view inside, int line, const Environment& environment, Report& report) {
  const size_t split = inside.find(":-");
  const std::string name{inside.substr(0, split)};
  if (!IsVariableName(name)) {
    report.Add(line,
               fmt::format("\"${{{}}}\" names no environment variable: write ${{NAME}} or ${{NAME:-default}}, "
                           "and $${{ for a plain ${{",
                           inside));
    return "";
  }
  const std::optional<std::string> value = environment(name);
  if (value && !value->empty()) return *value;
  if (split != std::string_view::npos) return std::string(inside.substr(split + 2));
  report.Add(line,
             fmt::format("the environment variable {0} is not set: set it, or give a default as ${{{0}:-...}}", name));
  return "";
}

std::string Expand(const std::string& text, int line, const Environment& environment, Report& report) {
  std::string out;
  size_t at = 0;
  while (true) {
    const size_t dollar = text.find("${", at);
    if (dollar == std::string::npos) return out + text.substr(at);
    if (dollar > at && text[dollar - 1] == '$') {  // "$${" stands for "${"
      out += text.substr(at, dollar - 1 - at) + "${";
      at = dollar + 2;
      continue;
    }
    const size_t end = text.find('}', dollar);
    if (end == std::string::npos) {
      report.Add(line, fmt::format("\"{}\" has a ${{ without its }}: write ${{NAME}}", text));
      return out + text.substr(at);
    }
    out += text.substr(at, dollar - at);
    out += ExpandOne(std::string_view(text).substr(dollar + 2, end - dollar - 2), line, environment, report);
    at = end + 1;
  }
}

YamlNode MakeNode(YamlNode::Kind kind, int line) {
  YamlNode node;
  node.kind = kind;
  node.line = line;
  return node;
}

struct TooMuch : std::runtime_error {
  TooMuch(int at, const std::string& what) : std::runtime_error(what), line(at) {}
  int line;
};

// Builds the tree from the parser's events. Throws TooMuch at a bound; ParseYaml catches.
class Builder : public YAML::EventHandler {
 public:
  Builder(const Environment& environment, Report& report) : environment_(environment), report_(report) {}

  YamlNode TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Take(MakeNode(YamlNode::Kind::kNull, Line(mark)), anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw TooMuch(Line(mark), "an alias (*name) stands inside its own anchor (&name)");
    Count(found->second, Line(mark));
    Take(found->second, 0);
  }
  void OnScalar(const YAML::Mark& mark,
                const std::string& tag,
                YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode node = MakeNode(YamlNode::Kind::kScalar, Line(mark));
    node.quoted = tag == "!";
    const bool is_key = !open_.empty() && open_.back().node.kind == YamlNode::Kind::kMap && !open_.back().key;
    node.text = is_key ? value : Expand(value, node.line, environment_, report_);
    Take(std::move(node), anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark,
                       const std::string&,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kList, mark, anchor);
  }
  void OnSequenceEnd() override { CloseTop(); }
  void OnMapStart(const YAML::Mark& mark,
                  const std::string&,
                  YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kMap, mark, anchor);
  }
  void OnMapEnd() override { CloseTop(); }

 private:
  struct OpenNode {
    YamlNode node;
    YAML::anchor_t anchor = 0;
    std::optional<YamlNode> key;       // of a map, while its value is awaited
    std::map<std::string, int> lines;  // of a map: where each key stood first
  };

  static int Line(const YAML::Mark& mark) { return mark.line + 1; }

  void Open(YamlNode::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (open_.size() >= kMaxDepth) throw TooMuch(Line(mark), fmt::format("nested deeper than {} levels", kMaxDepth));
    open_.push_back({.node = MakeNode(kind, Line(mark)), .anchor = anchor, .key = {}, .lines = {}});
  }

  void CloseTop() {
    OpenNode top = std::move(open_.back());
    open_.pop_back();
    Take(std::move(top.node), top.anchor);
  }

  // An alias costs as many nodes as what it stands for, so that a few lines cannot grow to gigabytes.
  void Count(const YamlNode& node, int line) {
    CountOne(line);
    for (const YamlNode& item : node.list) Count(item, line);
    for (const YamlNode::Entry& entry : node.map) Count(entry.value, line);
  }
  void CountOne(int line) {
    if (++nodes_ > kMaxNodes) throw TooMuch(line, fmt::format("more than {} values (aliases counted)", kMaxNodes));
  }

  void Take(YamlNode node, YAML::anchor_t anchor) {
    CountOne(node.line);
    if (anchor != 0) anchors_[anchor] = node;
    if (open_.empty()) {
      root_ = std::move(node);
    } else if (open_.back().node.kind == YamlNode::Kind::kList) {
      open_.back().node.list.push_back(std::move(node));
    } else {
      TakeInMap(open_.back(), std::move(node));
    }
  }

  void TakeInMap(OpenNode& map, YamlNode node) {
    if (!map.key) {
      map.key = std::move(node);
      return;
    }
    YamlNode key = std::move(*map.key);
    map.key.reset();
    if (key.kind != YamlNode::Kind::kScalar) {
      report_.Add(key.line, "a key must be one word, not a list, a map or nothing");
      return;
    }
    const auto [first, fresh] = map.lines.emplace(key.text, key.line);
    if (!fresh) {
      report_.Add(key.line,
                  fmt::format("key \"{}\" stands twice, first in line {}: keep one", key.text, first->second));
      return;
    }
    if (node.kind == YamlNode::Kind::kNull) node.line = key.line;  // yaml-cpp says where the next word stands
    map.node.map.push_back({.key = std::move(key.text), .line = key.line, .value = std::move(node)});
  }

  const Environment& environment_;
  Report& report_;
  YamlNode root_;
  std::vector<OpenNode> open_;
  std::map<YAML::anchor_t, YamlNode> anchors_;
  size_t nodes_ = 0;
};

std::optional<YamlNode> ParseOrThrow(std::string_view text, Report& report, const Environment& environment) {
  std::istringstream stream{std::string(text)};
  YAML::Parser parser(stream);
  Builder builder(environment, report);
  if (!parser.HandleNextDocument(builder)) return MakeNode(YamlNode::Kind::kMap, 1);
  YamlNode root = builder.TakeRoot();
  Builder second(environment, report);
  if (parser.HandleNextDocument(second)) {
    report.Add(second.TakeRoot().line, "a second document begins (---): one file holds one");
    return std::nullopt;
  }
  return root;
}

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

// The whole file, at most one byte more than the bound; nullopt leaves errno.
std::optional<std::string> ReadWhole(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;
  if (S_ISDIR(info.st_mode)) {
    errno = EISDIR;
    return std::nullopt;
  }
  File file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) return std::nullopt;
  std::string text;
  char buffer[16384];
  size_t got = 0;
  while (text.size() <= kMaxBytes && (got = std::fread(buffer, 1, sizeof(buffer), file.get())) > 0) {
    text.append(buffer, got);
  }
  if (std::ferror(file.get()) != 0) return std::nullopt;
  return text;
}

}  // namespace

Environment ProcessEnvironment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
}

std::optional<YamlNode> ParseYaml(std::string_view text, Report& report, const Environment& environment) {
  if (text.size() > kMaxBytes) {
    report.Add(0, fmt::format("is larger than {} MiB: is this the right file?", kMaxBytes >> 20));
    return std::nullopt;
  }
  try {
    return ParseOrThrow(text, report, environment);
  } catch (const YAML::Exception& e) {
    report.Add(e.mark.is_null() ? 0 : e.mark.line + 1,
               fmt::format("YAML syntax, column {}: {}: look at indentation, brackets and quotes here and just above",
                           e.mark.column + 1,
                           e.msg));
  } catch (const TooMuch& e) {
    report.Add(e.line, e.what());
  } catch (const std::exception& e) {
    report.Add(0, fmt::format("cannot be read as YAML: {}", e.what()));
  }
  return std::nullopt;
}

std::optional<YamlNode> LoadYaml(Report& report, const Environment& environment) {
  const std::optional<std::string> text = ReadWhole(report.file());
  if (!text) {
    report.Add(0,
               fmt::format("cannot be read: {}: check the path and its permissions (rack-configs/ has examples of "
                           "every kind of file)",
                           std::strerror(errno)));
    return std::nullopt;
  }
  return ParseYaml(*text, report, environment);
}

}  // namespace faraday::rackconfig
