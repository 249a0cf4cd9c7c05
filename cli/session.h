// One run of the program: who asks, with which key, which servers, where the words go, and calls with the retries that
// waits need. One thread.
//
// Sockets are CURVE unless --plain or FARADAY_PLAIN=1 says otherwise; keys are looked for at the first call. On CURVE
// the server knows the caller by its key; user, role and team are sent only where they were asked for.
#pragma once

#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <zmq.hpp>

#include "base/clock.h"
#include "base/result.h"
#include "cli/arguments.h"
#include "cli/keyring.h"
#include "cli/verb.h"
#include "rackconfig/yaml_reader.h"
#include "rpc/client.h"

namespace google::protobuf {
class Message;
}

namespace faraday::cli {

// What the program takes from its surroundings; tests give their own.
struct Surroundings {
  std::function<std::optional<std::string>(const std::string& name)> environment;
  std::FILE* in = stdin;
  std::FILE* out = stdout;
  std::FILE* err = stderr;
  // How often Ctrl-C or SIGTERM came so far; waits end soon after each.
  std::function<int()> interrupts = [] { return 0; };
};

class Session {
 public:
  // Finds caller and servers: `options`, else the environment, else ~/.config/faraday/config.yaml, else the default.
  // Errors: kInvalidArgument with every mistake of the config file.
  static Result<std::unique_ptr<Session>> Create(const GlobalOptions& options, Surroundings surroundings);
  ~Session();

  // Who asks. On CURVE whose key it is, where need be by asking the server; empty when it does not say.
  const std::string& user();
  // The role asked for; on CURVE mostly empty: the server chooses one that may.
  const std::string& role() const { return caller_.role(); }
  bool json() const { return json_; }
  // No keys: loopback and ipc only.
  bool plain() const { return plain_; }
  // A controller was named: no lab is asked.
  bool direct() const { return !controller_.empty(); }
  const std::string& controller() const { return controller_; }
  const std::string& lab() const { return lab_; }
  // The server that the program was told to speak to: the controller, or the lab.
  const std::string& target() const { return direct() ? controller_ : lab_; }
  // Of this run: 16 hex digits in every request, log and audit record that it causes.
  const std::string& trace() const { return trace_; }
  const Keyring& keyring() const { return keyring_; }
  // The file that `lab:` and `controller:` are read from.
  std::string ConfigPath() const { return keyring_.folder() + "/config.yaml"; }
  std::FILE* in() const { return surroundings_.in; }
  std::FILE* err() const { return surroundings_.err; }
  const rackconfig::Environment& environment() const { return surroundings_.environment; }
  zmq::context_t& context();
  // Ctrl-C came, and nobody has answered it yet.
  bool interrupted() const { return surroundings_.interrupts() > answered_interrupts_; }
  // From here on only a further Ctrl-C counts.
  void AnswerInterrupt() { answered_interrupts_ = surroundings_.interrupts(); }

  // ---- words ----
  void Out(const std::string& text);  // as it is, to stdout
  void OutBytes(const char* data, size_t size);
  // As it is, to stderr.
  void Err(const std::string& text);
  // "faraday: text" to stderr, harmless whoever wrote it.
  void Say(const std::string& text);
  // A progress line to stderr; with the time of day when stderr is no terminal.
  void Progress(const std::string& text);
  bool OutIsTerminal() const;
  bool ErrIsTerminal() const;
  // Characters a line, of the terminal or $COLUMNS, else 120.
  size_t Width() const;
  // The message as JSON, field names as in the .proto: indented, or one line. Harmless on a terminal.
  void Json(const google::protobuf::Message& message, bool one_line = false);
  // Says why, and gives the exit code: 2 for kInvalidArgument, 3 when a server does not answer, else 1.
  int Fail(const Status& status);

  // ---- calls ----
  // What to present at a server and its events. Errors: kUnauthenticated when no key is known, with what to do;
  // kInvalidArgument for plain text beyond loopback; those of the key files.
  Result<rpc::Credentials> CredentialsOf(const std::string& endpoint);
  // With which key at target(). Errors: those of Keyring::At. REQUIRES: not plain().
  Result<Standing> Home();
  // One call. A server that is not there fails at once with kUnavailable, one that hangs after `timeout`. A failed call
  // that changes something says its trace id.
  Result<v1::Reply> Call(const std::string& endpoint, v1::Request request, Milliseconds timeout = Milliseconds(10'000));
  Result<v1::Reply> CallLab(v1::Request request, Milliseconds timeout = Milliseconds(10'000));
  // The same to target().
  Result<v1::Reply> CallTarget(v1::Request request, Milliseconds timeout = Milliseconds(10'000));
  // The same until `give_up` for calls that may be repeated (reads, waits, calls with an idempotency key): a server
  // that is away is asked again, and that is said once. Ends early with kCancelled when interrupted.
  Result<v1::Reply> CallUntil(const std::string& endpoint,
                              const v1::Request& request,
                              Milliseconds timeout,
                              BootTime give_up);
  // The controller of a rack ("r01"), a slot or a lease: the named one, else the lab's answer. Kept.
  Result<std::string> ControllerOf(const std::string& rack);
  // Before a controller's endpoint is dialled that came from elsewhere (ListRacks): its key, from the lab. A failure
  // shows at the call.
  void LearnKey(const std::string& rack);
  // The same with the endpoint of its events, empty when not known.
  Result<v1::LocateResult> Locate(const std::string& rack);

  // A fresh key for calls that act once.
  static std::string NewKey();

 private:
  Session(GlobalOptions options, Surroundings surroundings);
  Status FindServers(const GlobalOptions& options);
  Result<access::PublicKey> ServerKey(const Standing& home, const std::string& endpoint) const;
  Status ProbeGuess(const std::string& endpoint) const;
  Status Explain(const std::string& endpoint, const Status& status);
  std::string FromEnvironment(const std::string& name) const;

  Surroundings surroundings_;
  v1::Caller caller_;
  std::string user_;  // of user()
  bool json_ = false;
  bool plain_ = false;
  Keyring keyring_;
  std::string trace_;
  std::optional<Standing> home_;
  std::map<std::string, access::PublicKey> located_keys_;  // endpoint -> what the lab says
  int answered_interrupts_ = 0;
  std::string lab_;
  bool guessed_ = false;  // lab_ is the default: nobody named a server
  std::string controller_;
  std::unique_ptr<zmq::context_t> context_;
  std::map<std::string, std::unique_ptr<rpc::BlockingClient>> clients_;
  std::map<std::string, v1::LocateResult> located_;
};

// How a status ends the program.
int ExitOf(const Status& status);

}  // namespace faraday::cli
