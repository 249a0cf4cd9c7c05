#include "cli/log_stream.h"

#include "cli/job_files.h"

namespace faraday::cli {

void LogStream::Begin(const std::string& attempt) {
  if (attempt == attempt_) return;
  attempt_ = attempt;
  offset_ = 0;
  complete_ = false;
}

void LogStream::Show(const std::string& data) {
  if (file_ != nullptr) std::fwrite(data.data(), 1, data.size(), file_);
  if (session_.json()) {
    session_.Err(data);
  } else if (session_.OutIsTerminal()) {
    session_.Out(filter_.Feed(data));
  } else {
    session_.Out(data);
  }
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
  return OkStatus();
}

}  // namespace faraday::cli
