#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>

#include "access/credential.h"
#include "cli/text.h"
#include "rackconfig/yaml_reader.h"

namespace faraday::cli {
namespace {

constexpr char kVersion[] = "faraday " FARADAY_VERSION;

// "-l,--selector" -> "selector".
std::string LongName(const std::string& names) {
  const size_t at = names.rfind("--");
  return at == std::string::npos ? names : names.substr(at + 2);
}

struct Bound {
  const Verb* verb;
  CLI::App* app;
};

void AddArgument(CLI::App* app, const Argument& argument, Invocation* into) {
  const std::string name = LongName(argument.names);
  CLI::Option* option = nullptr;
  if (argument.kind == Argument::Kind::kFlag) {
    option = app->add_flag_callback(
        argument.names, [into, name] { into->values[name].push_back("true"); }, argument.doc);
  } else {
    // One value an occurrence, so that "-l a -l b" is two and a following word stays a word.
    const std::string names = argument.kind == Argument::Kind::kPositional ? name : argument.names;
    option = app->add_option_function<std::vector<std::string>>(
        names, [into, name](const std::vector<std::string>& values) { into->values[name] = values; }, argument.doc);
    option->type_name(argument.value)->expected(1);
    if (argument.kind == Argument::Kind::kRepeated) option->take_all();
    if (argument.kind == Argument::Kind::kPositional) option->allow_extra_args(false);
    if (argument.kind == Argument::Kind::kOption) option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
  option->required(argument.required);
}

void AddGlobals(CLI::App* app, GlobalOptions* options) {
  app->add_flag("--json", options->json, "answers as JSON, with the field names of the .proto files");
  app->add_option("--lab", options->lab, "the lab, default $FARADAY_LAB, else tcp://127.0.0.1:7710")
      ->type_name("ENDPOINT");
  app->add_option(
         "--controller", options->controller, "a rack's controller without the lab, default $FARADAY_CONTROLLER")
      ->type_name("ENDPOINT");
  app->add_option("--user", options->user, "whom your key must belong to, default $FARADAY_USER")->type_name("NAME");
  app->add_option("--role", options->role, "in which of your roles, default $FARADAY_ROLE, else the least that may")
      ->type_name("ROLE");
  app->add_option("--key", options->key, "your key, default: the one that faraday login made for the server")
      ->type_name("FILE");
  app->add_option("--server-key", options->server_key, "with --key: the server's public key")->type_name("HEX");
  app->add_flag("--plain", options->plain, "no keys: a server on this machine that is set to plain text");
}

constexpr char kGlobalFooter[] =
    "Every verb also takes --json, --lab ENDPOINT, --controller ENDPOINT, --role ROLE and others (faraday --help).";

constexpr char kTopFooter[] = R"(Begin with:
  faraday login tcp://lab:7710                     once: makes your key; an admin gives you the code
  faraday status                                   all slots of all racks
  faraday reserve -l model=pixel-8 --for 1h        a phone for you
  faraday power on r01/07                          switch its VBUS on, and see what is measured
  faraday run -l 'os>=14' -- ./smoke-test.sh       a test on any phone with Android 14 or newer

faraday VERB --help shows each verb with examples. Servers are found by --lab and --controller, else $FARADAY_LAB and
$FARADAY_CONTROLLER, else lab: and controller: in ~/.config/faraday/config.yaml, else tcp://127.0.0.1:7710.
Your key is the one that faraday login made; CI sets FARADAY_TOKEN_FILE (or FARADAY_TOKEN) to a token instead.
Exit codes: 0 done, 1 refused or failed, 2 usage, 3 no answer (try again); `run` has more, see faraday run --help.)";

CLI::App* GroupApp(CLI::App* top,
                   const std::string& word,
                   const std::vector<Group>& groups,
                   std::map<std::string, CLI::App*>* made) {
  CLI::App*& app = (*made)[word];
  if (app != nullptr) return app;
  const auto found = std::find_if(groups.begin(), groups.end(), [&](const Group& group) { return group.word == word; });
  app = top->add_subcommand(word, found == groups.end() ? "" : found->summary);
  app->require_subcommand(1);
  app->footer("Try: faraday " + word + " VERB --help");
  return app;
}

std::vector<Bound> AddVerbs(CLI::App* top,
                            const std::vector<Verb>& verbs,
                            const std::vector<Group>& groups,
                            Invocation* into) {
  std::vector<Bound> bound;
  std::map<std::string, CLI::App*> made;
  for (const Verb& verb : verbs) {
    CLI::App* parent = verb.path.size() > 1 ? GroupApp(top, verb.path[0], groups, &made) : top;
    CLI::App* app = parent->add_subcommand(verb.path.back(), verb.summary);
    for (const Argument& argument : verb.arguments) AddArgument(app, argument, into);
    app->footer("Examples:\n" + verb.examples + "\n\n" + kGlobalFooter);
    bound.push_back({&verb, app});
  }
  return bound;
}

// "faraday power on", or less when the line broke before a verb was found.
std::string CommandName(const CLI::App* app) {
  std::string name = "faraday";
  while (true) {
    const auto chosen = app->get_subcommands();
    if (chosen.empty()) return name;
    app = chosen.front();
    name += " " + app->get_name();
  }
}

const Verb* NamedVerb(const std::vector<Verb>& verbs, const std::string& command) {
  for (const Verb& verb : verbs) {
    std::string name = "faraday";
    for (const std::string& word : verb.path) name += " " + word;
    if (name == command) return &verb;
  }
  return nullptr;
}

std::string HelpText(const CLI::App& top, const std::vector<Verb>& verbs) {
  std::string text = top.help();
  const Verb* verb = NamedVerb(verbs, CommandName(&top));
  const size_t end_of_usage = text.find('\n', text.find("Usage: "));
  if (verb != nullptr && verb->takes_command && end_of_usage != std::string::npos)
    text.insert(end_of_usage, " -- CMD...");
  return text;
}

// "power needs one of: on, off, cycle".
std::string WhichVerb(const std::string& command, const std::vector<Verb>& verbs) {
  const std::string group = command == "faraday" ? "" : command.substr(8);
  std::string words;
  std::string last;
  for (const Verb& verb : verbs) {
    const bool here = group.empty() || (verb.path.size() > 1 && verb.path[0] == group);
    const std::string& word = group.empty() ? verb.path[0] : verb.path.back();
    if (!here || word == last) continue;
    words += (words.empty() ? "" : ", ") + word;
    last = word;
  }
  return (group.empty() ? "do what? one of: " : group + " what? one of: ") + words;
}

std::vector<std::string> TopWords(const std::vector<Verb>& verbs) {
  std::vector<std::string> words;
  for (const Verb& verb : verbs) words.push_back(verb.path[0]);
  return words;
}

std::string UsageText(const CLI::App& top,
                      const CLI::Error& error,
                      const std::vector<Verb>& verbs,
                      const std::string& first_word) {
  const std::string command = CommandName(&top);
  std::string what = error.what();
  if (what == "A subcommand is required") what = WhichVerb(command, verbs);
  if (command == "faraday" && !first_word.empty() && first_word[0] != '-') {
    what = "'" + first_word + "' is no verb" + rackconfig::DidYouMean(first_word, TopWords(verbs));
  }
  // A code that was typed in the wrong place is not repeated.
  return "faraday: " + access::HideCredentials(what) + "\nSee: " + command + " --help\n";
}

void TakeVerb(const std::vector<Bound>& bound, ParsedLine* line) {
  for (const Bound& one : bound) {
    if (one.app->parsed()) line->verb = one.verb;
  }
}

void CheckRest(ParsedLine* line, bool had_mark) {
  if (line->verb == nullptr) return;
  const std::string command =
      line->verb->path.size() > 1 ? line->verb->path[0] + " " + line->verb->path[1] : line->verb->path[0];
  std::string problem;
  if (line->verb->takes_command && line->invocation.rest.empty()) {
    problem = had_mark ? "nothing follows the --: name the command to run"
                       : "no command to run: put it after --, as in -- sh -c 'adb devices'";
  } else if (!line->verb->takes_command && had_mark) {
    problem = "this verb takes no command after --";
  }
  if (problem.empty()) return;
  line->verb = nullptr;
  line->exit_code = kExitUsage;
  line->text = "faraday: " + problem + "\nSee: faraday " + command + " --help\n";
}

// Servers cannot read a request with other text. The problem, or nothing.
std::string NotUtf8(const std::vector<std::string>& args) {
  for (size_t i = 0; i < args.size(); ++i) {
    if (IsUtf8(args[i])) continue;
    return "faraday: argument " + std::to_string(i + 1) + " ('" + Printable(access::HideCredentials(args[i])) +
           "') is not UTF-8: write it in UTF-8, or give such bytes to the job in a file\n";
  }
  return "";
}

}  // namespace

std::string Invocation::Get(const std::string& name, const std::string& fallback) const {
  const auto found = values.find(name);
  return found == values.end() || found->second.empty() ? fallback : found->second.back();
}

std::vector<std::string> Invocation::All(const std::string& name) const {
  const auto found = values.find(name);
  return found == values.end() ? std::vector<std::string>{} : found->second;
}

Result<int64_t> Invocation::DurationMs(const std::string& name,
                                       int64_t fallback,
                                       int64_t min_ms,
                                       int64_t max_ms) const {
  if (!Has(name)) return fallback;
  const std::string text = Get(name);
  const std::optional<int64_t> value = rackconfig::ParseDuration(text);
  const std::string allowed = rackconfig::FormatDuration(min_ms) + " to " + rackconfig::FormatDuration(max_ms);
  if (!value) {
    return Status(Code::kInvalidArgument,
                  "--" + name + ": '" + text + "' is no time: write 500ms, 2s, 30m or 8h, allowed " + allowed);
  }
  if (*value < min_ms || *value > max_ms) {
    return Status(Code::kInvalidArgument, "--" + name + ": " + text + " is out of range, allowed " + allowed);
  }
  return *value;
}

Result<uint32_t> Invocation::Number(const std::string& name, uint32_t fallback, uint32_t min, uint32_t max) const {
  if (!Has(name)) return fallback;
  const std::string text = Get(name);
  uint32_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size() && value >= min && value <= max) return value;
  return Status(
      Code::kInvalidArgument,
      "--" + name + ": '" + text + "' is out of range, allowed " + std::to_string(min) + " to " + std::to_string(max));
}

ParsedLine ParseLine(const std::vector<Verb>& verbs, const std::vector<Group>& groups, std::vector<std::string> args) {
  ParsedLine line;
  line.text = NotUtf8(args);
  if (!line.text.empty()) {
    line.exit_code = kExitUsage;
    return line;
  }
  const auto mark = std::find(args.begin(), args.end(), "--");
  const bool had_mark = mark != args.end();
  if (had_mark) line.invocation.rest.assign(mark + 1, args.end());
  args.erase(mark, args.end());
  const std::string first_word = args.empty() ? "" : args.front();

  CLI::App top("Faraday rack: real phones for testing, switched, reserved and tested.", "faraday");
  try {
    top.fallthrough();
    top.require_subcommand(1);
    top.footer(kTopFooter);
    top.get_formatter()->label("SUBCOMMAND", "VERB");
    top.get_formatter()->label("Subcommands", "Verbs");
    top.set_version_flag("--version", kVersion);
    AddGlobals(&top, &line.options);
    const std::vector<Bound> bound = AddVerbs(&top, verbs, groups, &line.invocation);
    std::reverse(args.begin(), args.end());  // CLI11 takes them from the back
    try {
      top.parse(std::move(args));
      TakeVerb(bound, &line);
      CheckRest(&line, had_mark);
    } catch (const CLI::CallForHelp&) {
      line.text = HelpText(top, verbs);
    } catch (const CLI::CallForAllHelp&) {
      line.text = top.help("", CLI::AppFormatMode::All);
    } catch (const CLI::CallForVersion&) {
      line.text = std::string(kVersion) + "\n";
    } catch (const CLI::ParseError& error) {
      line.text = UsageText(top, error, verbs, first_word);
      line.exit_code = kExitUsage;
    }
  } catch (const std::exception& error) {
    line.text = std::string("faraday: ") + error.what() + "\n";
    line.exit_code = kExitUsage;
  }
  return line;
}

}  // namespace faraday::cli
