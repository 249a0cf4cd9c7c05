#include "firmware/budget/image.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>

#include "firmware/budget/text.h"

namespace faraday::firmware::budget {
namespace {

constexpr std::string_view kVectorSection = ".vectors";

// ---- objdump -h -t -r ----

// "  1 .text         00006b00  00000240  00000240  00001240  2**6", its flags in the next line.
std::optional<Section> SectionOf(std::string_view line, std::string_view flags) {
  const auto words = Words(line);
  if (words.size() != 7 || !Number(words[0], 10) || !words[6].starts_with("2**")) return std::nullopt;
  const auto size = Number(words[2], 16);
  const auto address = Number(words[3], 16);
  const auto load_address = Number(words[4], 16);
  if (!size || !address || !load_address) return std::nullopt;
  return Section{.name = std::string(words[1]),
                 .address = *address,
                 .load_address = *load_address,
                 .size = *size,
                 .allocated = flags.find("ALLOC") != std::string_view::npos,
                 .loaded = flags.find("LOAD") != std::string_view::npos};
}

// "000057fc g     F .text\t000000fe memmove": address, seven flags, section, size, name.
void ReadSymbol(std::string_view line, Image& image) {
  if (line.size() < 18 || line[8] != ' ' || line.find('\t') == std::string_view::npos) return;
  const auto address = Number(line.substr(0, 8), 16);
  const auto words = Words(line.substr(line.find('\t')));
  if (!address || words.size() < 2) return;
  const std::string name(words.back());
  image.symbols.emplace(name, *address);
  const bool is_function = line.substr(9, 7).find('F') != std::string_view::npos;
  if (!is_function) return;
  Function& function = image.functions[*address];
  if (function.name.empty()) function.name = name;
  function.address = *address;
  function.size = std::max(function.size, Number(words[0], 16).value_or(0));
}

bool IsCallRelocation(std::string_view type) {
  return type == "R_ARM_THM_CALL" || type.starts_with("R_ARM_THM_JUMP") || type == "R_ARM_CALL";
}

bool IsDebug(std::string_view section) { return section.starts_with(".debug") || section.starts_with(".ARM"); }

struct Relocation {
  std::string section;
  std::string type;
  std::string symbol;
};

void ReadRelocation(const Relocation& relocation, Image& image) {
  const auto symbol = image.symbols.find(relocation.symbol);
  if (symbol == image.symbols.end() || !image.functions.contains(symbol->second)) return;
  if (IsDebug(relocation.section) || IsCallRelocation(relocation.type)) return;
  if (relocation.section == kVectorSection)
    image.vectors.push_back(symbol->second);
  else
    image.addresses_taken.insert(symbol->second);
}

// "RELOCATION RECORDS FOR [.text]:"
std::optional<std::string> RelocatedSection(std::string_view line) {
  if (!line.starts_with("RELOCATION RECORDS FOR [")) return std::nullopt;
  const size_t begin = line.find('[') + 1;
  return std::string(line.substr(begin, line.find(']') - begin));
}

// ---- objdump -d ----

struct Instruction {
  std::string_view mnemonic;
  std::string_view operands;
  std::optional<uint32_t> target;  // of a branch
};

// "11f0 <name>" or "r0, 11f0 <name+0x4>"
std::optional<uint32_t> TargetOf(std::string_view operands) {
  const size_t name = operands.find(" <");
  if (name == std::string_view::npos) return std::nullopt;
  const auto words = Words(operands.substr(0, name));
  return words.empty() ? std::nullopt : Number(words.back(), 16);
}

// "     25e:\tbl\t11f0 <name>\t@ comment"
std::optional<Instruction> InstructionOf(std::string_view line) {
  const size_t colon = line.find(":\t");
  if (colon == std::string_view::npos || !Number(Trim(line.substr(0, colon)), 16)) return std::nullopt;
  std::string_view rest = line.substr(colon + 2);
  rest = rest.substr(0, rest.find_first_of("@;"));
  const size_t tab = rest.find('\t');
  Instruction instruction{.mnemonic = Trim(rest.substr(0, tab)), .operands = {}, .target = {}};
  if (tab != std::string_view::npos) instruction.operands = Trim(rest.substr(tab + 1));
  if (instruction.mnemonic.starts_with('b') || instruction.mnemonic.starts_with("cb"))
    instruction.target = TargetOf(instruction.operands);
  return instruction;
}

// "blx.w" -> "blx"
std::string_view Base(std::string_view mnemonic) { return mnemonic.substr(0, mnemonic.find('.')); }

bool LoadsPc(const Instruction& i) {
  const bool from_stack = i.operands.find("sp") != std::string_view::npos;
  if (i.mnemonic.starts_with("ldm")) return !from_stack && i.operands.find("pc") != std::string_view::npos;
  if (i.mnemonic.starts_with("ldr")) return !from_stack && i.operands.starts_with("pc,");
  return (i.mnemonic.starts_with("mov") || i.mnemonic.starts_with("add")) && i.operands.starts_with("pc") &&
         i.operands.find("lr") == std::string_view::npos;
}

bool IsIndirect(const Instruction& i) {
  const std::string_view base = Base(i.mnemonic);
  if (base == "blx") return !i.target;
  if (base.starts_with("bx")) return i.operands != "lr";
  return LoadsPc(i);
}

uint32_t ListedRegisters(std::string_view operands) {
  const size_t open = operands.find('{');
  if (open == std::string_view::npos) return 0;
  return static_cast<uint32_t>(std::count(operands.begin() + static_cast<ptrdiff_t>(open), operands.end(), ',')) + 1;
}

// The number behind `mark`, e.g. "#24" or "#-8".
uint32_t NumberBehind(std::string_view operands, std::string_view mark) {
  const size_t at = operands.find(mark);
  if (at == std::string_view::npos) return 0;
  const std::string_view digits = operands.substr(at + mark.size());
  return Number(digits.substr(0, digits.find_first_not_of("0123456789")), 10).value_or(0);
}

// Bytes that the instruction takes from the stack.
uint32_t Pushed(const Instruction& i) {
  if (i.mnemonic.starts_with("push")) return 4 * ListedRegisters(i.operands);
  if (i.mnemonic.starts_with("stmdb") && i.operands.starts_with("sp!")) return 4 * ListedRegisters(i.operands);
  if (i.mnemonic.starts_with("sub") && i.operands.starts_with("sp,")) return NumberBehind(i.operands, "#");
  if (i.mnemonic.starts_with("str") && i.operands.ends_with("]!")) return NumberBehind(i.operands, "[sp, #-");
  return 0;
}

bool MovesStack(const Instruction& i) {
  if (i.mnemonic.starts_with("msr")) return i.operands.find("SP") != std::string_view::npos;
  if (!i.operands.starts_with("sp,")) return false;
  if (i.mnemonic.starts_with("mov") || i.mnemonic.starts_with("ldr")) return true;
  const bool adds = i.mnemonic.starts_with("sub") || i.mnemonic.starts_with("add");
  return adds && i.operands.find('#') == std::string_view::npos;
}

void AddBranch(const Image& image, Function& function, const Instruction& i) {
  const Function* target = image.Containing(*i.target);
  if (target == nullptr) return;
  const bool calls = Base(i.mnemonic) == "bl" || Base(i.mnemonic) == "blx";
  if (calls || target->address != function.address) function.calls.insert(target->address);
}

void AddInstruction(const Image& image, Function& function, const Instruction& i) {
  if (i.target) AddBranch(image, function, i);
  if (IsIndirect(i)) ++function.indirect_calls;
  function.pushed += Pushed(i);
  function.moves_stack = function.moves_stack || MovesStack(i);
}

// "00000240 <name>:"
std::optional<uint32_t> LabelOf(std::string_view line) {
  if (line.size() < 12 || !line.ends_with(">:") || line.substr(8, 2) != " <") return std::nullopt;
  return Number(line.substr(0, 8), 16);
}

}  // namespace

const Function* Image::Containing(uint32_t address) const {
  auto after = functions.upper_bound(address);
  if (after == functions.begin()) return nullptr;
  const Function& function = std::prev(after)->second;
  // Assembler sources may give no size: then up to the next function.
  return function.size == 0 || address - function.address < function.size ? &function : nullptr;
}

void ReadHeaders(std::string_view text, Image& image) {
  std::string relocated;
  while (!text.empty()) {
    const std::string_view line = TakeLine(text);
    if (const auto section = SectionOf(line, text.substr(0, text.find('\n')))) image.sections.push_back(*section);
    if (const auto name = RelocatedSection(line)) relocated = *name;
    if (relocated.empty()) {
      ReadSymbol(line, image);
    } else if (const auto words = Words(line); words.size() == 3 && words[1].starts_with("R_")) {
      ReadRelocation({relocated, std::string(words[1]), std::string(words[2].substr(0, words[2].find('+')))}, image);
    }
  }
}

void ReadDisassembly(std::string_view text, Image& image) {
  Function* current = nullptr;
  while (!text.empty()) {
    const std::string_view line = TakeLine(text);
    if (const auto label = LabelOf(line)) {
      const Function* function = image.Containing(*label);
      current = function == nullptr ? nullptr : &image.functions.at(function->address);
    } else if (const auto instruction = InstructionOf(line); instruction && current != nullptr) {
      AddInstruction(image, *current, *instruction);
    }
  }
}

std::string Readable(const std::string& name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status),
                                                    std::free);
  return status == 0 ? text.get() : name;
}

}  // namespace faraday::firmware::budget
