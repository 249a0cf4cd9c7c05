#include "cli/log_stream.h"

#include "cli/job_files.h"

namespace faraday::cli {

void LogStream::Begin(const std::string& attempt) {
  if (attempt == attempt_) return;
  attempt_ = attempt;
  offset_ = 0;
  complete_ = false;
}

LogStream::~LogStream() { Write(filter_.End()); }

void LogStream::Write(const std::string& text) {
  if (session_.json()) {
    session_.Err(text);
  } else {
    session_.Out(text);
  }
}

// A pipe or a file gets the bytes as they are; whoever sits at a terminal must not be steered by a phone.
void LogStream::Show(const std::string& data) {
  if (file_ != nullptr) std::fwrite(data.data(), 1, data.size(), file_);
  const bool terminal = session_.json() ? session_.ErrIsTerminal() : session_.OutIsTerminal();
  Write(terminal ? filter_.Feed(data) : data);
}

Result<bool> LogStream::Read(Milliseconds wait, BootTime give_up) {
  if (attempt_.empty()) return false;
  auto chunk = ReadChunk(session_, attempt_, "log", offset_, wait, give_up);
  // Not begun; or the lab lost its unsynced end in a crash and the agent will send it again.
  const Code code = chunk.status().code();
  if (code == Code::kNotFound || code == Code::kOutOfRange) return false;
  FARADAY_TRY(chunk.status());
  Show(chunk->data);
  offset_ += chunk->data.size();
  complete_ = chunk->complete && offset_ >= chunk->size;
  return !chunk->data.empty();
}

Status LogStream::Drain(BootTime give_up) {
  while (!complete_) {
    FARADAY_TRY_ASSIGN(const bool more, Read(Milliseconds(0), give_up));
    if (!more) break;
  }
  Write(filter_.End());
  return OkStatus();
}

}  // namespace faraday::cli
