// A phone's private folder: what its shell and its file transfers see as the phone's file system.
//
//   <folder>/root/   sdcard/ data/local/tmp/ (writable areas), system/bin/ (getprop, dumpsys, sh), etc/, mount points
//   <folder>/state/  props, battery: written by the phone, shown to commands as /dev/__properties__
//
// Every path given here is the phone's ("/sdcard/x"). It is resolved inside root/ by the kernel (openat2), so neither
// ".." nor a symbolic link made by a command leads out. Errors are errno values, because that is what adb reports.
// Not the shell: that is command_box.h. One thread; when the process is root, files are touched as the phone's user.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sim/phone/owned_fd.h"

namespace faraday::sim {

class PhoneFiles {
 public:
  // Makes what is missing under `folder`; keeps what is there in the writable areas. `uid`/`gid` own those areas when
  // the process is root and has such a user. Returns: kFailedPrecondition naming the path and the cause.
  static Result<std::unique_ptr<PhoneFiles>> Create(const std::filesystem::path& folder, uid_t uid, gid_t gid);

  std::filesystem::path root() const { return folder_ / "root"; }
  std::filesystem::path state() const { return folder_ / "state"; }
  // The process is root and acts for the phone as uid(), gid(). False for a "root" of a user namespace that lacks them.
  bool drops() const { return drops_; }
  uid_t uid() const { return uid_; }
  gid_t gid() const { return gid_; }
  // Whom commands find themselves to be: never root.
  uid_t command_uid() const;
  gid_t command_gid() const;

  // Replaces state/<name> at once. Returns: kUnavailable with the cause (disk full ...).
  Status WriteState(const std::string& name, std::string_view content);

  // 0 or errno; a last symbolic link is followed when `follow`.
  int Stat(const std::string& path, bool follow, struct stat* out) const;
  struct Entry {
    std::string name;
    struct stat status;
  };
  // Entries without "." and "..", in no order. 0 or errno.
  int List(const std::string& path, std::vector<Entry>* out) const;
  // A regular file for reading, or errno.
  struct Opened {
    OwnedFd fd;
    int error = 0;
  };
  Opened OpenForRead(const std::string& path) const;
  // A new empty file in place of what was there, parents made as needed; EROFS outside the writable areas.
  // `mode` holds the permission bits.
  Opened CreateFile(const std::string& path, mode_t mode) const;
  // A symbolic link in place of what was there. 0 or errno.
  int CreateLink(const std::string& path, const std::string& target) const;

 private:
  struct Place {  // a name in an opened directory of a writable area
    OwnedFd parent;
    std::string name;
    int error = 0;
  };
  PhoneFiles(std::filesystem::path folder, uid_t uid, gid_t gid);
  Status Build();
  OwnedFd OpenInRoot(const std::string& path, int flags) const;
  Place PlaceFor(const std::string& path) const;

  std::filesystem::path folder_;
  uid_t uid_;
  gid_t gid_;
  bool drops_;
  OwnedFd root_fd_;
};

}  // namespace faraday::sim
