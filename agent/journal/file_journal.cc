#include "agent/journal/file_journal.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <sstream>

#include "agent/runner/folder.h"
#include "agent/zmq/wire.h"
#include "base/log.h"

namespace faraday::agent {
namespace fs = std::filesystem;

FileJournal::FileJournal(evloop::Loop& loop, std::string state_dir)
    : state_dir_(std::move(state_dir)), trash_(loop, state_dir_ + "/trash") {
  std::error_code error;
  fs::create_directories(state_dir_ + "/attempts", error);
}

void FileJournal::Keep(const AttemptRecord& record) {
  const std::string folder = FolderOf(record.wish.attempt);
  std::error_code error;
  Status status = OkStatus();
  if (!fs::exists(folder + "/wish", error)) {
    fs::create_directories(folder, error);
    status = folder::Replace(folder + "/wish", ToWire(record.wish).SerializeAsString());
  }
  const std::string text = fmt::format("{}\n", static_cast<int>(record.phase)) + ToWire(record, "").SerializeAsString();
  if (status.ok()) status = folder::Replace(folder + "/record", text);
  if (!status.ok()) log::Error("attempt {}: the journal cannot be written: {}", record.wish.attempt, status.message());
}

void FileJournal::Forget(const std::string& attempt) {
  const std::string folder = FolderOf(attempt);
  std::error_code error;
  fs::permissions(folder, fs::perms::owner_all, fs::perm_options::add, error);  // the job may have taken them away
  // The record first: what is left after a death in between is told as trash.
  fs::remove(folder + "/record", error);
  fs::remove(folder + "/wish", error);
  const Status status = trash_.Take(folder);
  if (!status.ok()) log::Error("attempt {}: its folder cannot be removed: {}", attempt, status.message());
}

void FileJournal::KeepEpochs(const std::map<std::string, uint32_t>& epochs) {
  std::string text;
  for (const auto& [slot, epoch] : epochs) text += fmt::format("{} {}\n", slot, epoch);
  const Status status = folder::Replace(state_dir_ + "/epochs", text);
  if (!status.ok()) log::Error("the epochs cannot be kept: {}", status.message());
}

std::map<std::string, uint32_t> FileJournal::LoadEpochs() {
  std::map<std::string, uint32_t> epochs;
  const auto text = folder::Read(state_dir_ + "/epochs");
  if (!text.ok()) return epochs;
  std::istringstream lines(*text);
  std::string slot;
  uint32_t epoch = 0;
  while (lines >> slot >> epoch) epochs[slot] = epoch;
  return epochs;
}

Result<AttemptRecord> FileJournal::LoadAttempt(const std::string& attempt) {
  const std::string folder = FolderOf(attempt);
  FARADAY_TRY_ASSIGN(const std::string wish_text, folder::Read(folder + "/wish"));
  FARADAY_TRY_ASSIGN(const std::string record_text, folder::Read(folder + "/record"));
  const size_t line_end = record_text.find('\n');
  v1::SyncResult::Attempt wish;
  v1::Attempt kept;
  int phase = -1;
  std::from_chars(record_text.data(), record_text.data() + std::min(line_end, record_text.size()), phase);
  if (phase < 0 || phase > static_cast<int>(Phase::kGone) || line_end == std::string::npos ||
      !wish.ParseFromString(wish_text) || !kept.ParseFromString(record_text.substr(line_end + 1))) {
    return Status(Code::kDataLoss, folder + ": damaged record");
  }
  AttemptRecord record = FromWire(kept);
  FARADAY_TRY_ASSIGN(record.wish, FromWire(wish));
  record.phase = static_cast<Phase>(phase);
  return record;
}

std::vector<AttemptRecord> FileJournal::LoadAttempts() {
  std::vector<AttemptRecord> records;
  std::vector<fs::path> folders;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(state_dir_ + "/attempts", error)) folders.push_back(entry.path());
  for (const fs::path& path : folders) {
    if (path.extension() == ".damaged") continue;
    if (!fs::exists(path / "record", error)) {
      const Status status = trash_.Take(path);
      if (!status.ok()) log::Error("{} cannot be removed: {}", path.string(), status.message());
      continue;
    }
    auto record = LoadAttempt(path.filename().string());
    if (record.ok()) {
      records.push_back(std::move(*record));
      continue;
    }
    log::Error("attempt {}: {}; moved aside", path.filename().string(), record.status().message());
    fs::rename(path, path.string() + ".damaged", error);
  }
  trash_.Empty();
  return records;
}

}  // namespace faraday::agent
