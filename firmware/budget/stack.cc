#include "firmware/budget/stack.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "firmware/budget/text.h"

namespace faraday::firmware::budget {
namespace {

// One function with everything that is known of it.
struct Node {
  const Function* function = nullptr;
  std::string name;  // readable
  uint32_t frame = 0;
  std::set<uint32_t> callees;
  bool reached_by_pointer = false;  // a rule names it
  enum { kNew, kOpen, kDone } state = kNew;
  uint32_t depth = 0;
  uint32_t deepest = 0;  // the callee on the deepest path, 0: none
};

class Adder {
 public:
  Adder(const Image& image, const CallGraph& graph, const Rules& rules, std::vector<std::string>& problems)
      : image_(image), graph_(graph), rules_(rules), problems_(problems) {}

  StackNeed Run() {
    MakeNodes();
    for (const IndirectRule& rule : rules_.indirect) Apply(rule);
    CheckIndirect();
    CheckAddressesTaken();
    FindEntries();
    Total();
    return need_;
  }

 private:
  bool Fits(const std::string& pattern, const Node& node) const {
    return Matches(pattern, node.name) || Matches(pattern, node.function->name);
  }
  bool HasOwnStack(const Node& node) const {
    return std::any_of(rules_.own_stack.begin(), rules_.own_stack.end(), [&](const NamedRule& rule) {
      return Fits(rule.pattern, node);
    });
  }

  void MakeNodes() {
    for (const auto& [address, function] : image_.functions) {
      Node& node = nodes_[address];
      node.function = &function;
      node.name = Readable(function.name);
      node.callees = function.calls;
      need_.indirect_calls += function.indirect_calls;
      SetFrame(node);
      AddNamedCalls(node);
    }
    need_.functions = static_cast<uint32_t>(nodes_.size());
  }

  // GCC's figure or what the instructions take, the larger: inline assembler pushes behind GCC's back.
  void SetFrame(Node& node) {
    const auto frame = graph_.frames.find(node.function->name);
    const bool known = frame != graph_.frames.end();
    node.frame = std::max(node.function->pushed, known ? frame->second.bytes : 0);
    const bool moves = node.function->moves_stack && !HasOwnStack(node);
    if ((known && frame->second.dynamic) || moves)
      problems_.push_back(fmt::format("{}: its stack frame has no fixed size", node.name));
  }

  void AddNamedCalls(Node& node) {
    const auto calls = graph_.calls.find(node.function->name);
    if (calls == graph_.calls.end()) return;
    for (const std::string& name : calls->second) {
      const auto symbol = image_.symbols.find(name);  // none: inlined or dropped by the linker
      if (symbol != image_.symbols.end() && image_.functions.contains(symbol->second))
        node.callees.insert(symbol->second);
    }
  }

  void Apply(const IndirectRule& rule) {
    std::vector<Node*> callers;
    for (auto& [address, node] : nodes_) {
      if (Fits(rule.caller, node) && HasIndirect(node)) callers.push_back(&node);
    }
    if (callers.empty())
      problems_.push_back(
          fmt::format("budget file, line {}: no function '{}' with an indirect call is in the image; delete the rule",
                      rule.line,
                      rule.caller));
    for (Node* caller : callers) ApplyTo(*caller, rule);
  }

  void ApplyTo(Node& caller, const IndirectRule& rule) {
    listed_.insert(caller.function->address);
    if (caller.function->indirect_calls != rule.calls)
      problems_.push_back(fmt::format("budget file, line {}: {} makes {} indirect calls, the rule says {}",
                                      rule.line,
                                      caller.name,
                                      caller.function->indirect_calls,
                                      rule.calls));
    for (const NamedRule& callee : rule.callees) AddCallees(caller, callee);
  }

  void AddCallees(Node& caller, const NamedRule& callee) {
    bool any = false;
    for (auto& [address, node] : nodes_) {
      if (!Fits(callee.pattern, node)) continue;
      any = true;
      node.reached_by_pointer = true;
      caller.callees.insert(address);
    }
    if (!any)
      problems_.push_back(fmt::format(
          "budget file, line {}: no function '{}' is in the image; delete the line", callee.line, callee.pattern));
  }

  bool HasIndirect(const Node& node) const {
    return node.function->indirect_calls > 0 || graph_.indirect.contains(node.function->name);
  }

  void CheckIndirect() {
    for (const auto& [address, node] : nodes_) {
      if (HasIndirect(node) && !listed_.contains(address))
        problems_.push_back(fmt::format("{}: an indirect call that the budget file does not list ({} in the code)",
                                        node.name,
                                        node.function->indirect_calls));
    }
  }

  void CheckAddressesTaken() {
    for (const uint32_t address : image_.addresses_taken) {
      const Node& node = nodes_.at(address);
      if (!node.reached_by_pointer)
        problems_.push_back(
            fmt::format("{}: its address is taken, but no `indirect` rule says who calls it", node.name));
    }
  }

  // The vector table: first the reset handler, then exceptions and interrupts.
  void FindEntries() {
    if (image_.vectors.empty()) problems_.push_back("section .vectors names no function; linked with --emit-relocs?");
    std::set<uint32_t> seen;
    for (const uint32_t address : image_.vectors) {
      if (seen.insert(address).second) need_.entries.push_back(EntryAt(address, seen.size() == 1));
    }
    for (const NamedRule& rule : rules_.own_stack) {
      if (std::none_of(nodes_.begin(), nodes_.end(), [&](const auto& node) { return Fits(rule.pattern, node.second); }))
        problems_.push_back(
            fmt::format("budget file, line {}: no function '{}' is in the image", rule.line, rule.pattern));
    }
  }

  Entry EntryAt(uint32_t address, bool reset) {
    const Node& node = nodes_.at(address);
    Entry entry{.name = node.name, .kind = EntryKind::kInterrupt, .bytes = Depth(address), .path = {}};
    if (reset) entry.kind = EntryKind::kReset;
    if (!reset && HasOwnStack(node)) entry.kind = EntryKind::kOwnStack;
    for (uint32_t at = address; at != 0; at = nodes_.at(at).deepest)
      entry.path.push_back({nodes_.at(at).name, nodes_.at(at).frame});
    return entry;
  }

  uint32_t Depth(uint32_t address) {
    Node& node = nodes_.at(address);
    if (node.state == Node::kDone) return node.depth;
    if (node.state == Node::kOpen) {
      ComplainOfRecursion(address);
      return 0;
    }
    node.state = Node::kOpen;
    open_.push_back(address);
    uint32_t most = 0;
    for (const uint32_t callee : node.callees) {
      const uint32_t depth = Depth(callee);
      if (depth < most || (depth == most && node.deepest != 0)) continue;
      most = depth;
      if (nodes_.at(callee).state == Node::kDone) node.deepest = callee;
    }
    open_.pop_back();
    node.state = Node::kDone;
    return node.depth = node.frame + most;
  }

  void ComplainOfRecursion(uint32_t address) {
    std::vector<std::string> names;
    for (auto at = std::find(open_.begin(), open_.end(), address); at != open_.end(); ++at)
      names.push_back(nodes_.at(*at).name);
    names.push_back(nodes_.at(address).name);
    problems_.push_back(fmt::format("recursion: {}", fmt::join(names, " -> ")));
  }

  void Total() {
    uint32_t own_stack = 0;
    need_.worst = kExceptionFrame;
    for (const Entry& entry : need_.entries) {
      if (entry.kind == EntryKind::kOwnStack)
        own_stack = std::max(own_stack, entry.bytes);
      else
        need_.worst += entry.bytes + (entry.kind == EntryKind::kInterrupt ? kExceptionFrame : 0);
    }
    need_.worst = std::max(need_.worst, own_stack + kExceptionFrame);
  }

  const Image& image_;
  const CallGraph& graph_;
  const Rules& rules_;
  std::vector<std::string>& problems_;
  std::map<uint32_t, Node> nodes_;
  std::set<uint32_t> listed_;  // callers that a rule names
  std::vector<uint32_t> open_;
  StackNeed need_;
};

}  // namespace

StackNeed AddUpStack(const Image& image,
                     const CallGraph& graph,
                     const Rules& rules,
                     std::vector<std::string>& problems) {
  return Adder(image, graph, rules, problems).Run();
}

}  // namespace faraday::firmware::budget
