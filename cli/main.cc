// faraday: the command line. Parses, finds servers, runs one verb.
#include <csignal>
#include <cstdio>

#include "cli/program.h"
#include "rackconfig/yaml_reader.h"

namespace {

volatile std::sig_atomic_t interrupts = 0;

void OnInterrupt(int) { interrupts = interrupts + 1; }

// Without SA_RESTART: a wait in a call ends at once.
void CatchInterrupts() {
  struct sigaction action {};
  action.sa_handler = OnInterrupt;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_DFL);
}

}  // namespace

int main(int argc, char** argv) {
  CatchInterrupts();
  faraday::cli::Surroundings surroundings;
  surroundings.environment = faraday::rackconfig::ProcessEnvironment();
  surroundings.interrupts = [] { return static_cast<int>(interrupts); };
  return faraday::cli::RunProgram({argv + 1, argv + argc}, std::move(surroundings));
}
