#include "sim/phone/shell_service.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/log.h"

namespace faraday::sim {
namespace {

constexpr char kStdin = 0;
constexpr char kStdout = 1;
constexpr char kStderr = 2;
constexpr char kExit = 3;
constexpr char kCloseStdin = 4;
constexpr char kWindowSize = 5;
constexpr size_t kFrameHeader = 5;
constexpr size_t kMaxWindowText = 64;  // "24x80,0x0" and then some

std::string Frame(char id, std::string_view data) {
  std::string out(1, id);
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(data.size() >> shift);
  return out.append(data);
}

uint32_t FrameLength(std::string_view header) {
  uint32_t value = 0;
  for (size_t i = 1; i < kFrameHeader; ++i) {
    value |= uint32_t{static_cast<unsigned char>(header[i])} << (8 * (i - 1));
  }
  return value;
}

bool TakeArgument(std::string_view argument, ShellRequest* request) {
  if (argument == "v2") {
    request->framed = true;
  } else if (argument == "pty") {
    request->pty = true;
  } else if (argument.starts_with("TERM=")) {
    request->term = argument.substr(5);
  } else if (!argument.empty() && argument != "raw") {
    return false;
  }
  return true;
}

}  // namespace

std::optional<ShellRequest> ParseShellService(std::string_view name) {
  ShellRequest request;
  const size_t colon = name.find(':');
  if (colon == std::string_view::npos || name.find('\0') != std::string_view::npos) return std::nullopt;
  std::string_view head = name.substr(0, colon);
  request.line = name.substr(colon + 1);
  request.finishes = head == "exec";
  if (request.finishes) return request;
  if (!head.starts_with("shell")) return std::nullopt;
  head.remove_prefix(5);
  if (!head.empty() && head.front() != ',') return std::nullopt;
  while (!head.empty()) {
    head.remove_prefix(1);
    const size_t end = std::min(head.find(','), head.size());
    if (!TakeArgument(head.substr(0, end), &request)) return std::nullopt;
    head.remove_prefix(end);
  }
  return request;
}

void Leftovers::Take(std::unique_ptr<Command> command) {
  const uint64_t id = next_++;
  Leftover& leftover = commands_[id];
  leftover.command = std::move(command);
  leftover.deadline = loop_.AddTimer("phone exec", BootClock::now() + kFinishWithin, [this, id] { End(id); });
  leftover.command->OnEvent([this, id] {
    if (commands_[id].command->has_ended()) End(id);
  });
  leftover.command->LetFinish();
}

void Leftovers::End(uint64_t id) {
  loop_.Remove(commands_[id].deadline);
  commands_.erase(id);
}

void Leftovers::EndAll() {
  while (!commands_.empty()) End(commands_.begin()->first);
}

ShellService::~ShellService() {
  if (finishes_ && command_ && !command_->has_ended()) leftovers_.Take(std::move(command_));
}

std::unique_ptr<Service> ShellService::Open(
    evloop::Loop& loop, CommandBox& box, Leftovers& leftovers, Stream& stream, const ShellRequest& request) {
  std::unique_ptr<ShellService> service(new ShellService(leftovers, stream, request));
  const CommandLine line{.text = request.line, .term = request.term, .terminal = request.pty, .merge = !request.framed};
  auto command = Command::Start(loop, box, line, [raw = service.get()] { raw->OnEvent(); });
  if (!command.ok()) {
    log::Warn("{}", command.status().message());
    return nullptr;
  }
  service->command_ = std::move(*command);
  return service;
}

void ShellService::OnEvent() {
  if (command_->input_taken()) SayConsumed();
  stream_.Wake();
}

void ShellService::SayConsumed() {
  if (std::exchange(owes_, false)) stream_.Consumed();
}

void ShellService::Deliver(std::string_view bytes) {
  owes_ = true;
  if (framed_) {
    TakeFrames(bytes);
  } else {
    command_->Write(bytes);
  }
  if (command_->input_taken()) SayConsumed();
}

// Frames may be cut anywhere between two writes of the host.
void ShellService::TakeFrames(std::string_view bytes) {
  while (!bytes.empty()) {
    if (header_.size() < kFrameHeader) {
      const size_t take = std::min(kFrameHeader - header_.size(), bytes.size());
      header_ += bytes.substr(0, take);
      bytes.remove_prefix(take);
      if (header_.size() < kFrameHeader) return;
      frame_left_ = FrameLength(header_);
      if (header_[0] == kCloseStdin) command_->CloseInput();
    }
    const size_t take = std::min<size_t>(frame_left_, bytes.size());
    if (header_[0] == kStdin) command_->Write(bytes.substr(0, take));
    if (header_[0] == kWindowSize && window_.size() + take <= kMaxWindowText) window_ += bytes.substr(0, take);
    bytes.remove_prefix(take);
    frame_left_ -= static_cast<uint32_t>(take);
    if (frame_left_ > 0) continue;
    if (header_[0] == kWindowSize) TakeWindow();
    header_.clear();
  }
}

// "ROWSxCOLUMNS,XxY"; anything else is no size and changes nothing.
void ShellService::TakeWindow() {
  unsigned rows = 0;
  unsigned columns = 0;
  if (std::sscanf(window_.c_str(), "%5ux%5u", &rows, &columns) == 2) {
    command_->SetWindow(static_cast<uint16_t>(rows), static_cast<uint16_t>(columns));
  }
  window_.clear();
}

std::string ShellService::Pull(size_t max) {
  if (ended_) return {};
  const size_t room = framed_ ? max - kFrameHeader : max;
  if (std::string out = command_->ReadOut(room); !out.empty()) return framed_ ? Frame(kStdout, out) : out;
  if (std::string err = command_->ReadErr(room); !err.empty()) return framed_ ? Frame(kStderr, err) : err;
  const auto code = command_->exit_code();
  if (!code) return {};
  ended_ = true;
  return framed_ ? Frame(kExit, std::string(1, static_cast<char>(*code))) : std::string();
}

}  // namespace faraday::sim
