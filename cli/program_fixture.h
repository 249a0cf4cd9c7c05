// For tests of the whole program: servers of this process on loopback port 0, and one run with its own surroundings.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <termios.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cli/program.h"
#include "evloop/loop.h"
#include "rpc/publisher.h"
#include "rpc/server.h"

namespace faraday::cli {

namespace fs = std::filesystem;

// A server in a thread of its own. Handlers run in that thread; what they share with the test is guarded by the test.
class FakeServer {
 public:
  explicit FakeServer(rpc::HandlerTable table,
                      bool publishes = false,
                      const std::string& endpoint = "tcp://127.0.0.1:0") {
    std::promise<std::string> bound;
    thread_ = std::thread([this, table = std::move(table), publishes, endpoint, &bound] {
      evloop::Loop loop;
      auto server = rpc::Server::Bind(loop, context_, endpoint, table, rpc::Plain());
      ASSERT_TRUE(server.ok()) << server.status().message();
      std::unique_ptr<rpc::Publisher> publisher;
      if (publishes) {
        auto made = rpc::Publisher::Bind(loop, context_, "tcp://127.0.0.1:0", rpc::Plain());
        ASSERT_TRUE(made.ok());
        publisher = std::move(*made);
        publisher_ = publisher.get();
      }
      loop_ = &loop;
      bound.set_value((*server)->endpoint());
      loop.Run();
      publisher_ = nullptr;
    });
    endpoint_ = bound.get_future().get();
  }
  ~FakeServer() {
    loop_->Post([this] { loop_->Stop(); });
    thread_.join();
  }
  const std::string& endpoint() const { return endpoint_; }
  // In the server's thread only.
  rpc::Publisher* publisher() { return publisher_; }
  evloop::Loop& loop() { return *loop_; }

 private:
  zmq::context_t context_;
  std::thread thread_;
  evloop::Loop* loop_ = nullptr;
  rpc::Publisher* publisher_ = nullptr;
  std::string endpoint_;
};

inline rpc::Handler Answers(v1::Reply reply) {
  return [reply](const rpc::CallPtr& call) { call->Answer(reply); };
}
inline rpc::Handler Refuses(Code code, const std::string& message) {
  return [=](const rpc::CallPtr& call) { call->Fail(Status(code, message)); };
}

// The ends of a terminal: what is written to `slave` is read at `master`.
class Terminal {
 public:
  // `raw`: bytes come as they were written, and nothing is echoed.
  explicit Terminal(bool raw = true) : master_(posix_openpt(O_RDWR | O_NOCTTY)) {
    EXPECT_EQ(grantpt(master_), 0);
    EXPECT_EQ(unlockpt(master_), 0);
    // Never the test's own controlling terminal: its end would end the test.
    slave_ = fdopen(open(ptsname(master_), O_RDWR | O_NOCTTY), "r+");
    EXPECT_NE(slave_, nullptr);
    termios mode{};
    tcgetattr(fileno(slave_), &mode);
    if (raw) cfmakeraw(&mode);
    tcsetattr(fileno(slave_), TCSANOW, &mode);
  }
  ~Terminal() {
    std::fclose(slave_);
    close(master_);
  }
  std::FILE* slave() const { return slave_; }
  void Type(const std::string& text) const {
    EXPECT_EQ(write(master_, text.data(), text.size()), ssize_t(text.size()));
  }
  std::string Read() const {
    std::string text(65536, '\0');
    fcntl(master_, F_SETFL, O_NONBLOCK);
    const ssize_t got = read(master_, text.data(), text.size());
    text.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return text;
  }

 private:
  int master_;
  std::FILE* slave_ = nullptr;
};

struct Outcome {
  int exit = -1;
  std::string out;
  std::string err;
};

// What was written so far; the file stays at its end.
inline std::string Whole(std::FILE* file) {
  std::string text;
  char buffer[4096];
  ssize_t got = 0;
  while ((got = pread(fileno(file), buffer, sizeof(buffer), static_cast<off_t>(text.size()))) > 0) {
    text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

class ProgramTest : public ::testing::Test {
 protected:
  ProgramTest() {
    std::string form = (fs::temp_directory_path() / "faraday-cli-XXXXXX").string();
    EXPECT_NE(mkdtemp(form.data()), nullptr);
    folder_ = form;
    environment_ = {{"FARADAY_USER", "ana"}, {"FARADAY_PLAIN", "1"}, {"HOME", folder_}, {"COLUMNS", "120"}};
  }
  ~ProgramTest() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  Outcome Faraday(
      std::vector<std::string> args, std::function<int()> interrupts = [] { return 0; }) {
    std::FILE* out = std::tmpfile();
    std::FILE* err = std::tmpfile();
    out_ = out;
    Surroundings surroundings;
    surroundings.in = in_;
    surroundings.out = terminal_ != nullptr ? terminal_ : out;
    surroundings.err = err;
    surroundings.interrupts = std::move(interrupts);
    surroundings.environment = [this](const std::string& name) -> std::optional<std::string> {
      const auto found = environment_.find(name);
      return found == environment_.end() ? std::nullopt : std::optional<std::string>(found->second);
    };
    Outcome outcome;
    outcome.exit = RunProgram(std::move(args), std::move(surroundings));
    std::fflush(out);
    std::fflush(err);
    outcome.out = Whole(out);
    outcome.err = Whole(err);
    std::fclose(out);
    std::fclose(err);
    return outcome;
  }

  std::string folder_;
  std::map<std::string, std::string> environment_;
  std::FILE* out_ = nullptr;       // while Faraday() runs
  std::FILE* in_ = stdin;          // the program's stdin
  std::FILE* terminal_ = nullptr;  // the program's stdout instead of a file
};

inline v1::SlotState SlotOf(const std::string& name, const std::string& holder) {
  v1::SlotState slot;
  slot.set_slot(name);
  slot.set_health(v1::HEALTH_GOOD);
  slot.set_allocation(holder == "care" ? v1::ALLOCATION_FREE : v1::ALLOCATION_LEASED);
  slot.mutable_lease()->set_id("r01-07-42");
  slot.mutable_lease()->set_slot(name);
  slot.mutable_lease()->set_holder(holder);
  slot.mutable_lease()->set_purpose(holder == "care" ? v1::PURPOSE_CARE : v1::PURPOSE_PERSON);
  slot.mutable_lease()->set_epoch(42);
  slot.mutable_vbus()->set_measured_on(v1::TRI_STATE_YES);
  slot.mutable_vbus()->set_measured_mv(5021);
  slot.mutable_device()->set_agent("h01");
  return slot;
}

inline v1::Reply RackReply(const v1::SlotState& slot) {
  v1::Reply reply;
  reply.mutable_get_rack()->mutable_rack()->set_rack("r01");
  *reply.mutable_get_rack()->mutable_rack()->add_slots() = slot;
  return reply;
}

inline v1::Reply LocateReply(const std::string& controller) {
  v1::Reply reply;
  reply.mutable_locate()->set_rack("r01");
  reply.mutable_locate()->set_controller(controller);
  return reply;
}

}  // namespace faraday::cli
