#include "cli/program.h"

#include "cli/text.h"
#include "cli/verbs.h"

namespace faraday::cli {

int RunProgram(std::vector<std::string> args, Surroundings surroundings) {
  const std::vector<Verb> verbs = AllVerbs();
  const ParsedLine line = ParseLine(verbs, AllGroups(), std::move(args));
  if (line.verb == nullptr) {
    const std::string text = PrintableLines(line.text) + (line.text.ends_with('\n') ? "" : "\n");
    std::fputs(text.c_str(), line.exit_code == kExitOk ? surroundings.out : surroundings.err);
    return line.exit_code;
  }
  std::FILE* err = surroundings.err;
  const auto session = Session::Create(line.options, std::move(surroundings));
  if (!session.ok()) {
    std::fputs(("faraday: " + PrintableLines(session.status().message()) + "\n").c_str(), err);
    return ExitOf(session.status());
  }
  return line.verb->run(**session, line.invocation);
}

}  // namespace faraday::cli
