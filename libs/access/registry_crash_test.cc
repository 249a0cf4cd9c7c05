// The registry when the disk fails, and when its process ends at any moment. fsync and rename of this program are our
// own: they count, fail, or end the process; what they let through goes to the kernel.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <random>
#include <thread>

#include "access/registry.h"
#include "access/temp_folder.h"

namespace {

enum class Act { kPass, kFail, kCrash };
struct Disk {
  int steps = 0;
  int act_at = -1;  // which step, from 0
  Act act = Act::kPass;
  std::vector<std::string> done;
};
Disk disk;

std::string NameOf(const std::string& path) { return std::filesystem::path(path).filename().string(); }

// Whether the step may be done.
bool Step(const std::string& what) {
  const bool here = disk.steps++ == disk.act_at;
  if (here && disk.act == Act::kCrash) ::_exit(3);
  if (here && disk.act == Act::kFail) {
    errno = EIO;
    return false;
  }
  disk.done.push_back(what);
  return true;
}

}  // namespace

extern "C" int fsync(int fd) {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), error);
  if (!Step("fsync " + (std::filesystem::is_directory(path, error) ? "folder" : NameOf(path.string())))) return -1;
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

extern "C" int rename(const char* from, const char* to) noexcept {
  if (!Step("rename " + NameOf(from) + " " + NameOf(to))) return -1;
  return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

namespace faraday::access {
namespace {

using testing::ElementsAre;

constexpr UtcTime kNow{Milliseconds(1'800'000'000'000)};

class RegistryCrash : public testing::Test {
 protected:
  RegistryCrash() { disk = Disk(); }
  ~RegistryCrash() override { disk = Disk(); }

  std::unique_ptr<Registry> Open() const {
    Registry::Options options;
    options.state_dir = folder_.path();
    options.keeper = "lab";
    options.server_key = key_;
    auto opened = Registry::Open(options, kNow);
    EXPECT_TRUE(opened.ok()) << opened.status().message();
    return opened.ok() ? std::move(*opened) : nullptr;
  }
  static Result<Change> Add(Registry& registry, const std::string& name) {
    NewUser user;
    user.name = name;
    user.roles = {Role::kUser};
    return registry.AddUser(user, kNow);
  }
  static void At(int step, Act act) {
    disk = Disk();
    disk.act_at = step;
    disk.act = act;
  }

  TempFolder folder_;
  PublicKey key_ = NewKeyPair().public_key;
};

TEST_F(RegistryCrash, AChangeIsOnDiskBeforeItIsAnswered) {
  const auto registry = Open();
  disk = Disk();
  ASSERT_TRUE(Add(*registry, "ana").ok());
  EXPECT_THAT(disk.done, ElementsAre("fsync users.new", "rename users.new users", "fsync folder"));
}

TEST_F(RegistryCrash, WhatTheDiskRefusesHasNotHappened) {
  const auto registry = Open();
  ASSERT_TRUE(Add(*registry, "ana").ok());
  bool told = false;
  registry->OnChange([&told] { told = true; });
  for (const int step : {0, 1}) {
    At(step, Act::kFail);
    const auto refused = Add(*registry, "bob");
    disk = Disk();
    EXPECT_EQ(refused.status().code(), Code::kUnavailable);
    EXPECT_EQ(registry->FindUser("bob"), nullptr);
    EXPECT_EQ(registry->number(), 2U);
    EXPECT_EQ(Open()->FindUser("bob"), nullptr) << "on disk neither";
    EXPECT_FALSE(std::filesystem::exists(folder_ / "users.new"));
  }
  EXPECT_FALSE(told);
  const auto added = Add(*registry, "bob");
  ASSERT_TRUE(added.ok());
  EXPECT_GT(added->roster, 2U);
}

// The new file is there, but a power cut may undo it: the outcome is unknown, and its number is not used again.
TEST_F(RegistryCrash, AnUnknownOutcomeTakesItsNumberAlong) {
  const auto registry = Open();
  At(2, Act::kFail);
  EXPECT_EQ(Add(*registry, "ana").status().code(), Code::kUnknown);
  disk = Disk();
  EXPECT_EQ(Open()->number(), 2U);
  const auto added = Add(*registry, "bob");
  ASSERT_TRUE(added.ok());
  EXPECT_EQ(added->roster, 3U);
}

TEST_F(RegistryCrash, OnAFullDiskNothingChanges) {
  const auto registry = Open();
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit tight{100, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  const auto full = Add(*registry, "ana");
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(full.status().code(), Code::kUnavailable);
  EXPECT_THAT(full.status().message(), testing::HasSubstr("nothing was changed"));
  EXPECT_EQ(Open()->number(), 1U);
  EXPECT_TRUE(Add(*registry, "ana").ok());
}

class RegistryStep : public RegistryCrash {
 protected:
  // Ends a child at each step of `work` in turn; `check` then looks, and is told whether the child came to the end.
  template <typename Work, typename Check>
  void EndAtEachStep(Work work, Check check) {
    for (int step = 0; step < 60; ++step) {
      const pid_t child = ::fork();
      if (child == 0) {
        At(step, Act::kCrash);
        work();
        ::_exit(0);
      }
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      ASSERT_TRUE(WIFEXITED(status));
      const bool finished = WEXITSTATUS(status) == 0;
      check(finished);
      if (finished) return;
      ASSERT_EQ(WEXITSTATUS(status), 3);
    }
    FAIL() << "it never came to the end";
  }
};

TEST_F(RegistryStep, TheFirstStartMayEndAnywhere) {
  EndAtEachStep([this] { (void)Open(); },
                [this](bool) {
                  const auto registry = Open();
                  ASSERT_NE(registry, nullptr);
                  EXPECT_EQ(registry->number(), 1U);
                  ASSERT_TRUE(Add(*registry, "ana").ok());
                  std::filesystem::remove(folder_ / "users");
                  std::filesystem::remove_all(folder_ / "keys");
                });
}

TEST_F(RegistryStep, AChangeMayEndAnywhere) {
  Open();
  uint64_t before = 1;
  EndAtEachStep(
      [this] {
        const auto registry = Open();
        if (!Add(*registry, "u" + std::to_string(registry->number())).ok()) ::_exit(4);
      },
      [&](bool finished) {
        const auto registry = Open();
        ASSERT_NE(registry, nullptr);
        EXPECT_GE(registry->number(), before);
        EXPECT_EQ(registry->Users().size(), registry->number() - 1) << "all of a change or nothing";
        if (finished) {
          EXPECT_GT(registry->number(), before);
        }
        before = registry->number();
      });
}

TEST_F(RegistryStep, AReplacementOfTheSignerMayEndAnywhere) {
  Open();
  EndAtEachStep(
      [this] {
        const auto registry = Open();
        if (!registry->RotateSigner(kNow).ok()) ::_exit(4);
        if (!Add(*registry, "u" + std::to_string(registry->number())).ok()) ::_exit(4);
      },
      [this](bool) {
        const auto registry = Open();
        ASSERT_NE(registry, nullptr);
        const std::string introduced = registry->signed_roster();
        RosterFile receiver = *RosterFile::Load(folder_ / "receiver");
        if (receiver.number() == 0) {
          ASSERT_TRUE(receiver.Adopt(introduced).ok());
        }
        ASSERT_TRUE(Add(*registry, "v" + std::to_string(registry->number())).ok());
        while (!registry->RosterAfter(receiver.number()).empty()) {
          const Status taken = receiver.Accept(registry->RosterAfter(receiver.number()));
          ASSERT_TRUE(taken.ok()) << taken.message();
        }
        EXPECT_EQ(receiver.number(), registry->number());
      });
}

// A receiver takes a roster of a new signer: whatever it has on disk, it opens, and can be led on.
TEST_F(RegistryStep, AReceiverMayEndAnywhere) {
  const auto registry = Open();
  const std::string path = folder_ / "receiver/roster";
  ASSERT_TRUE(RosterFile::Load(path)->Adopt(registry->signed_roster()).ok());
  ASSERT_TRUE(registry->RotateSigner(kNow).ok());
  ASSERT_TRUE(Add(*registry, "ana").ok());
  uint64_t before = 1;
  EndAtEachStep(
      [&] {
        RosterFile file = *RosterFile::Load(path);
        while (!registry->RosterAfter(file.number()).empty()) {
          if (!file.Accept(registry->RosterAfter(file.number())).ok()) ::_exit(4);
        }
      },
      [&](bool finished) {
        const auto file = RosterFile::Load(path);
        ASSERT_TRUE(file.ok()) << file.status().message();
        EXPECT_EQ(file->note(), "");
        EXPECT_GE(file->number(), before);
        if (finished) {
          EXPECT_EQ(file->number(), registry->number());
        }
        before = file->number();
      });
}

// Real SIGKILLs while a child changes as fast as it can: whatever it was told is there, and no number comes twice.
TEST_F(RegistryCrash, NothingThatWasAnsweredIsLostToKill9) {
  constexpr int kRounds = 12;
  std::minstd_rand random(4);
  Open();
  uint64_t acknowledged = 1;
  for (int round = 0; round < kRounds; ++round) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      const auto registry = Open();
      for (;;) {
        const auto added = Add(*registry, "u" + std::to_string(registry->number() + 1));
        if (!added.ok() || ::write(pipe[1], &added->roster, sizeof added->roster) < 0) ::_exit(4);
      }
    }
    ::close(pipe[1]);
    uint64_t number = 0;
    const auto answers = 1 + random() % 8;
    for (unsigned i = 0; i < answers; ++i) {
      ASSERT_EQ(::read(pipe[0], &number, sizeof number), static_cast<ssize_t>(sizeof number));
      EXPECT_GT(number, acknowledged) << "used twice";
      acknowledged = number;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));  // at any moment of a change
    ::kill(child, SIGKILL);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    while (::read(pipe[0], &number, sizeof number) > 0) acknowledged = number;
    ::close(pipe[0]);
    const auto registry = Open();
    ASSERT_NE(registry, nullptr);
    EXPECT_GE(registry->number(), acknowledged);
    EXPECT_EQ(registry->Users().size(), registry->number() - 1) << "each change is there once";
    acknowledged = registry->number();
  }
}

}  // namespace
}  // namespace faraday::access
