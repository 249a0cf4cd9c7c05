// `faraday link decode|encode|ping`: a board's serial line in its human form.
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>

#include "cli/link_capture.h"
#include "cli/session.h"
#include "cli/text.h"
#include "cli/verbs.h"

namespace faraday::cli {
namespace {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

File OpenInput(const std::string& path) {
  if (path == "-") return File(stdin, [](std::FILE*) { return 0; });
  return File(std::fopen(path.c_str(), "rb"), &std::fclose);
}

// Text in double quotes; what is printed here holds no control bytes.
std::string Quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

void PrintFrame(Session& session, const CapturedFrame& frame) {
  const std::string text = Printable(frame.text);
  if (session.json()) {
    session.Out(fmt::format("{{\"at_ms\": {}, \"direction\": \"{}\", \"good\": {}, \"text\": {}}}\n",
                            Quoted(Printable(frame.at_ms)),
                            frame.direction == link::Direction::kToMcu ? "to_mcu" : "to_host",
                            frame.good,
                            Quoted(text)));
  } else {
    session.Out(frame.at_ms.empty() ? text + "\n" : fmt::format("{:>10} {}\n", Printable(frame.at_ms), text));
  }
}

// Calls `take` with each line's number, from 1, and text without its end.
void ForEachLine(std::FILE* file, const std::function<void(size_t, std::string_view)>& take) {
  char* line = nullptr;
  size_t capacity = 0;
  size_t number = 0;
  for (ssize_t length = 0; (length = getline(&line, &capacity, file)) >= 0;) {
    std::string_view text(line, static_cast<size_t>(length));
    if (text.ends_with('\n')) text.remove_suffix(1);
    take(++number, text);
  }
  std::free(line);
}

int Decode(Session& session, const Invocation& invocation) {
  const std::string path = invocation.Get("file");
  const File file = OpenInput(path);
  if (!file) return session.Fail({Code::kNotFound, fmt::format("{}: {}", path, std::strerror(errno))});
  CaptureReader reader([&](const CapturedFrame& frame) { PrintFrame(session, frame); });
  ForEachLine(file.get(), [&](size_t, std::string_view line) {
    if (!session.interrupted()) reader.Line(line);
  });
  if (std::ferror(file.get()) != 0) return session.Fail({Code::kInternal, fmt::format("{}: cannot be read", path)});
  if (reader.good() + reader.bad() == 0)
    session.Say(path + " holds no frames; write lines like: 120 -> 00 03 01 02 ... 00");
  if (reader.bad() > 0)
    session.Say(fmt::format("{} decoded, {} damaged or no capture", Counted(reader.good(), "frame"), reader.bad()));
  return reader.bad() > 0 || reader.good() == 0 ? kExitRefused : kExitOk;
}

// One sentence's wire bytes. Errors: kInvalidArgument naming the word.
Result<std::string> WireOf(std::string_view sentence) {
  FARADAY_TRY_ASSIGN(const link::HumanFrame frame, link::ParseHuman(sentence));
  std::array<uint8_t, link::kMaxWire> wire{};
  FARADAY_TRY_ASSIGN(const size_t size, link::EncodeFrame(frame.header, frame.payload, wire));
  return link::ToHex(std::span<const uint8_t>(wire).first(size));
}

// Sentences to wire bytes, a line each; blank lines and comments stay out.
int Encode(Session& session, const Invocation& invocation) {
  const std::string path = invocation.Get("file");
  const File file = OpenInput(path);
  if (!file) return session.Fail({Code::kNotFound, fmt::format("{}: {}", path, std::strerror(errno))});
  size_t bad = 0;
  ForEachLine(file.get(), [&](size_t number, std::string_view line) {
    if (line.empty() || line.front() == '#' || session.interrupted()) return;
    const auto wire = WireOf(line);
    if (wire.ok()) return session.Out(*wire + "\n");
    ++bad;
    session.Say(fmt::format("{}:{}: {}", path, number, wire.status().message()));
  });
  return bad > 0 ? kExitRefused : kExitOk;
}

int Ping(Session& session, const Invocation& invocation) {
  const std::string rack = invocation.Get("rack");
  const auto board = invocation.Number("board", 0, 0, 31);
  if (!board.ok()) return session.Fail(board.status());
  const auto count = invocation.Number("count", 1, 1, 10'000);
  if (!count.ok()) return session.Fail(count.status());
  const auto controller = session.ControllerOf(rack);
  if (!controller.ok()) return session.Fail(controller.status());
  for (uint32_t i = 0; i < *count && !session.interrupted(); ++i) {
    v1::Request request;
    request.mutable_ping()->set_board(*board);
    request.mutable_ping()->set_through_mcu(true);
    const auto reply = session.Call(*controller, std::move(request));
    if (!reply.ok()) return session.Fail(reply.status());
    if (session.json()) {
      session.Json(reply->ping(), true);
    } else {
      session.Out(fmt::format("board {} of {}: MCU answered in {} us\n",
                              *board,
                              rack.empty() ? "the rack" : rack,
                              reply->ping().mcu_round_trip_us()));
    }
  }
  return kExitOk;
}

}  // namespace

std::vector<Verb> LinkVerbs() {
  using Kind = Argument::Kind;
  return {
      {.path = {"link", "decode"},
       .summary = "Print a capture of a board's line in words",
       .arguments = {{Kind::kPositional,
                      "file",
                      "FILE|-",
                      "lines '<ms> -> <hex>', '<ms> <- <hex>', or bare hex; -: stdin",
                      true}},
       .examples = "  faraday-controller --config rack.yaml --capture line.txt      makes one\n"
                   "  faraday link decode line.txt\n"
                   "  faraday link decode - <libs/link/vectors/commands.txt\n"
                   "\n"
                   "-> goes to the board, <- comes from it. A damaged frame is named, and the exit code is then 1.",
       .run = Decode},
      {.path = {"link", "encode"},
       .summary = "Make wire bytes of sentences, for a bench without a controller",
       .arguments = {{Kind::kPositional, "file", "FILE|-", "a sentence a line, as decode prints them; -: stdin", true}},
       .examples = "  echo '-> hello protocol=1 rack=\"r01\" nonce=7' | faraday link encode -\n"
                   "  stty -F /dev/ttyUSB0 460800 raw -echo\n"
                   "  echo '-> stop' | faraday link encode - | xxd -r -p >/dev/ttyUSB0\n"
                   "\n"
                   "A sentence that cannot be read is named, and the exit code is then 1.",
       .run = Encode},
      {.path = {"link", "ping"},
       .summary = "Ask a board's firmware for a sign of life, through its line",
       .arguments = {{Kind::kOption, "--rack", "RACK", "r01; not needed with --controller"},
                     {Kind::kOption, "--board", "N", "index of the board, default 0"},
                     {Kind::kOption, "--count", "N", "how often, default 1"}},
       .examples = "  faraday link ping --rack r01\n  faraday link ping --rack r64 --board 1 --count 10",
       .run = Ping},
  };
}

}  // namespace faraday::cli
