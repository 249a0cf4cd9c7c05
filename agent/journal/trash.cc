#include "agent/journal/trash.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/log.h"

namespace faraday::agent {
namespace {

namespace fs = std::filesystem;

// One entry after the other, so that a stubborn one delays no other.
constexpr const char* kEmpty = R"(for one in "$1"/*; do chmod -R u+rwX -- "$one"; rm -rf -- "$one"; done)";

bool IsEmpty(const std::string& folder) {
  std::error_code error;
  return fs::is_empty(folder, error) || error;
}

}  // namespace

Trash::Trash(evloop::Loop& loop, std::string folder) : loop_(loop), folder_(std::move(folder)) {}

Status Trash::Take(const std::string& path) {
  std::error_code error;
  fs::create_directories(folder_, error);
  const std::string name = folder_ + "/" + fs::path(path).filename().string();
  std::string free = name;
  for (int i = 1; fs::exists(fs::symlink_status(free, error)); ++i) free = fmt::format("{}.{}", name, i);
  fs::rename(path, free, error);
  if (error) return {Code::kInternal, fmt::format("cannot move {} to {}: {}", path, free, error.message())};
  Empty();
  return OkStatus();
}

void Trash::Empty() {
  again_ = child_ != nullptr && child_->running();
  if (again_ || IsEmpty(folder_)) return;
  const ChildOrder order{{"/bin/sh", "-c", kEmpty, "empty-trash", folder_}, {"PATH=/usr/bin:/bin"}, "/", "/dev/null"};
  auto child = Child::Spawn(loop_, order, [this] { OnEmptied(); });
  if (!child.ok()) return log::Error("{} cannot be emptied: {}", folder_, child.status().message());
  child_ = std::move(*child);
}

void Trash::OnEmptied() {
  if (again_) return Empty();
  if (!IsEmpty(folder_)) log::Error("{} cannot be emptied: remove it by hand", folder_);
}

}  // namespace faraday::agent
