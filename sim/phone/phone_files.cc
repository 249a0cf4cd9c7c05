#include "sim/phone/phone_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>
#include <utility>

namespace faraday::sim {
namespace fs = std::filesystem;
namespace {

constexpr char kGetprop[] = R"sh(#!/bin/sh
# getprop [NAME [DEFAULT]]: the properties the phone has now.
props="${PHONE_STATE:-/dev/__properties__}/props"
if [ $# -eq 0 ]; then
  while IFS='=' read -r name value; do printf '[%s]: [%s]\n' "$name" "$value"; done <"$props"
  exit 0
fi
while IFS= read -r line; do
  case "$line" in "$1="*) printf '%s\n' "${line#*=}"; exit 0 ;; esac
done <"$props"
printf '%s\n' "${2-}"
)sh";

constexpr char kDumpsys[] = R"sh(#!/bin/sh
# dumpsys battery: the only service this phone has.
case "${1-}" in
  '') printf 'Currently running services:\n  battery\n' ;;
  battery) cat "${PHONE_STATE:-/dev/__properties__}/battery" ;;
  *) printf "Can't find service: %s\n" "$1" >&2; exit 1 ;;
esac
)sh";

// What a phone's command may write, and the other names it has.
struct Area {
  std::string_view path;
  const char* folder;
};
constexpr Area kAreas[] = {
    {"/sdcard", "sdcard"}, {"/storage/emulated/0", "sdcard"}, {"/data/local/tmp", "data/local/tmp"}};

constexpr const char* kFolders[] = {"sdcard",
                                    "data",
                                    "data/local",
                                    "data/local/tmp",
                                    "storage",
                                    "storage/emulated",
                                    "system",
                                    "system/bin",
                                    "etc",
                                    "etc/alternatives",
                                    "usr",
                                    "dev",
                                    "proc"};

// Touches files as the phone's user while it lives; nothing when the process is that user itself.
class ActAs {
 public:
  explicit ActAs(const PhoneFiles& files) {
    if (!files.drops()) return;
    setfsgid(files.gid());
    setfsuid(files.uid());
    active_ = true;
  }
  ~ActAs() {
    if (!active_) return;
    const int saved = errno;
    setfsuid(geteuid());
    setfsgid(getegid());
    errno = saved;
  }
  ActAs(const ActAs&) = delete;
  ActAs& operator=(const ActAs&) = delete;

 private:
  bool active_ = false;
};

// openat2 below `dir`; a race with a rename inside the tree gives EAGAIN and is tried again.
OwnedFd OpenAt2(int dir, const char* path, int flags, uint64_t resolve, mode_t mode = 0) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  how.mode = mode;
  how.resolve = resolve | RESOLVE_NO_MAGICLINKS;
  long fd = -1;
  for (int tries = 0; tries < 8; ++tries) {
    fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));
    if (fd >= 0 || errno != EAGAIN) break;
  }
  return OwnedFd(static_cast<int>(fd));
}

// "/a/./b/../c" -> {"a", "c"}: ".." is taken by name and stops at the phone's root.
std::vector<std::string> Components(const std::string& path) {
  std::vector<std::string> parts;
  std::stringstream stream(path);
  for (std::string part; std::getline(stream, part, '/');) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  return parts;
}

// The area that `parts` lies in and what remains below it; remains is empty when there is none.
std::pair<const char*, std::vector<std::string>> AreaOf(const std::vector<std::string>& parts) {
  for (const Area& area : kAreas) {
    const auto prefix = Components(std::string(area.path));
    if (parts.size() <= prefix.size() || !std::equal(prefix.begin(), prefix.end(), parts.begin())) continue;
    return {area.folder, {parts.begin() + static_cast<std::ptrdiff_t>(prefix.size()), parts.end()}};
  }
  return {nullptr, {}};
}

// Whether this user namespace knows the id; its map has lines "inside outside count".
bool HasId(const char* map, uint64_t id) {
  std::ifstream lines(map);
  for (uint64_t inside = 0, outside = 0, count = 0; lines >> inside >> outside >> count;) {
    if (id >= inside && id - inside < count) return true;
  }
  return false;
}

Status CannotMake(const fs::path& path, const std::string& why) {
  return {Code::kFailedPrecondition,
          "phone folder: cannot make " + path.string() + ": " + why +
              "; give the phone a folder that the simulator may write"};
}

Status WriteWhole(const fs::path& path, std::string_view content, mode_t mode) {
  const fs::path fresh = path.string() + ".new";
  OwnedFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd) return CannotMake(fresh, std::strerror(errno));
  const auto written = ::write(fd.get(), content.data(), content.size());
  if (written != static_cast<ssize_t>(content.size()) || ::fchmod(fd.get(), mode) != 0) {
    return CannotMake(fresh, written < 0 ? std::strerror(errno) : "the disk is full");
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) return CannotMake(path, std::strerror(errno));
  return OkStatus();
}

Status MakeFolder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return CannotMake(path, error.message());
  fs::permissions(path, fs::perms(0755), error);
  if (error) return CannotMake(path, error.message());
  return OkStatus();
}

Status MakeLink(const fs::path& path, const fs::path& target) {
  std::error_code error;
  fs::remove(path, error);
  fs::create_symlink(target, path, error);
  if (error) return CannotMake(path, error.message());
  return OkStatus();
}

// The host's program folders appear in the phone as on the host: a folder to mount on, or the same link into usr/.
Status MirrorProgramFolders(const fs::path& root) {
  for (const char* name : {"bin", "sbin", "lib", "lib32", "lib64", "libx32"}) {
    const fs::path host = fs::path("/") / name;
    std::error_code error;
    if (fs::is_symlink(host, error)) {
      FARADAY_TRY(MakeLink(root / name, fs::read_symlink(host, error)));
    } else if (fs::is_directory(host, error)) {
      FARADAY_TRY(MakeFolder(root / name));
    }
  }
  return OkStatus();
}

}  // namespace

PhoneFiles::PhoneFiles(fs::path folder, uid_t uid, gid_t gid)
    : folder_(std::move(folder)),
      uid_(uid),
      gid_(gid),
      drops_(geteuid() == 0 && HasId("/proc/self/uid_map", uid) && HasId("/proc/self/gid_map", gid)) {}

Result<std::unique_ptr<PhoneFiles>> PhoneFiles::Create(const fs::path& folder, uid_t uid, gid_t gid) {
  std::error_code error;
  const fs::path whole = fs::absolute(folder, error);
  if (error) return CannotMake(folder, error.message());
  std::unique_ptr<PhoneFiles> files(new PhoneFiles(whole, uid, gid));
  FARADAY_TRY(files->Build());
  return files;
}

uid_t PhoneFiles::command_uid() const { return geteuid() == 0 ? uid_ : geteuid(); }
gid_t PhoneFiles::command_gid() const { return geteuid() == 0 ? gid_ : getegid(); }

Status PhoneFiles::Build() {
  for (const char* name : kFolders) FARADAY_TRY(MakeFolder(root() / name));
  FARADAY_TRY(MakeFolder(state()));
  FARADAY_TRY(MirrorProgramFolders(root()));
  FARADAY_TRY(MakeLink(root() / "storage/emulated/0", "/sdcard"));
  FARADAY_TRY(MakeLink(root() / "system/bin/sh", "/bin/sh"));
  FARADAY_TRY(WriteWhole(root() / "system/bin/getprop", kGetprop, 0755));
  FARADAY_TRY(WriteWhole(root() / "system/bin/dumpsys", kDumpsys, 0755));
  const std::string user = std::to_string(command_uid());
  const std::string group = std::to_string(command_gid());
  FARADAY_TRY(WriteWhole(root() / "etc/passwd", "shell:x:" + user + ":" + group + "::/data/local/tmp:/bin/sh\n", 0644));
  FARADAY_TRY(WriteWhole(root() / "etc/group", "shell:x:" + group + ":\n", 0644));
  for (const Area& area : kAreas) {
    const fs::path path = root() / area.folder;
    if (drops_ && ::chown(path.c_str(), uid_, gid_) != 0) return CannotMake(path, std::strerror(errno));
  }
  root_fd_.Reset(::open(root().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root_fd_) return CannotMake(root(), std::strerror(errno));
  return OkStatus();
}

Status PhoneFiles::WriteState(const std::string& name, std::string_view content) {
  const Status status = WriteWhole(state() / name, content, 0644);
  return status.ok() ? status : Status{Code::kUnavailable, status.message()};
}

OwnedFd PhoneFiles::OpenInRoot(const std::string& path, int flags) const {
  return OpenAt2(root_fd_.get(), path.empty() ? "/" : path.c_str(), flags, RESOLVE_IN_ROOT);
}

int PhoneFiles::Stat(const std::string& path, bool follow, struct stat* out) const {
  const ActAs user(*this);
  const OwnedFd fd = OpenInRoot(path, O_PATH | (follow ? 0 : O_NOFOLLOW));
  return fd && ::fstat(fd.get(), out) == 0 ? 0 : errno;
}

int PhoneFiles::List(const std::string& path, std::vector<Entry>* out) const {
  const ActAs user(*this);
  OwnedFd fd = OpenInRoot(path, O_RDONLY | O_DIRECTORY);
  if (!fd) return errno;
  const int raw = ::dup(fd.get());
  DIR* folder = raw < 0 ? nullptr : ::fdopendir(raw);
  if (folder == nullptr) {
    const int error = errno;
    if (raw >= 0) ::close(raw);
    return error;
  }
  while (const dirent* entry = ::readdir(folder)) {
    const std::string name = entry->d_name;
    Entry found{name, {}};
    if (name == "." || name == "..") continue;
    if (::fstatat(fd.get(), entry->d_name, &found.status, AT_SYMLINK_NOFOLLOW) == 0) out->push_back(found);
  }
  ::closedir(folder);
  return 0;
}

PhoneFiles::Opened PhoneFiles::OpenForRead(const std::string& path) const {
  const ActAs user(*this);
  // O_NONBLOCK: a command may have made a FIFO of that name, which must not hold up the whole bench.
  OwnedFd fd = OpenInRoot(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!fd) return {OwnedFd(), errno};
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return {OwnedFd(), errno};
  if (S_ISDIR(status.st_mode)) return {OwnedFd(), EISDIR};
  if (!S_ISREG(status.st_mode)) return {OwnedFd(), EACCES};
  return {std::move(fd), 0};
}

PhoneFiles::Place PhoneFiles::PlaceFor(const std::string& path) const {
  auto [folder, rest] = AreaOf(Components(path));
  if (folder == nullptr) return {OwnedFd(), "", EROFS};
  OwnedFd at = OpenAt2(root_fd_.get(), folder, O_PATH | O_DIRECTORY, RESOLVE_BENEATH);
  for (size_t i = 0; at && i + 1 < rest.size(); ++i) {
    OwnedFd next = OpenAt2(at.get(), rest[i].c_str(), O_PATH | O_DIRECTORY, RESOLVE_BENEATH);
    if (!next && errno == ENOENT && ::mkdirat(at.get(), rest[i].c_str(), 0775) == 0) {
      next = OpenAt2(at.get(), rest[i].c_str(), O_PATH | O_DIRECTORY, RESOLVE_BENEATH);
    }
    at = std::move(next);
  }
  if (!at) return {OwnedFd(), "", errno};
  return {std::move(at), rest.back(), 0};
}

PhoneFiles::Opened PhoneFiles::CreateFile(const std::string& path, mode_t mode) const {
  const ActAs user(*this);
  const Place place = PlaceFor(path);
  if (place.error != 0) return {OwnedFd(), place.error};
  ::unlinkat(place.parent.get(), place.name.c_str(), 0);
  OwnedFd fd(
      ::openat(place.parent.get(), place.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd || ::fchmod(fd.get(), mode & 0777) != 0) return {OwnedFd(), errno};
  return {std::move(fd), 0};
}

int PhoneFiles::CreateLink(const std::string& path, const std::string& target) const {
  const ActAs user(*this);
  const Place place = PlaceFor(path);
  if (place.error != 0) return place.error;
  ::unlinkat(place.parent.get(), place.name.c_str(), 0);
  return ::symlinkat(target.c_str(), place.parent.get(), place.name.c_str()) == 0 ? 0 : errno;
}

}  // namespace faraday::sim
