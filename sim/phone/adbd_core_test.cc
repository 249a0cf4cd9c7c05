// The packet engine against literal bytes, with services that answer in the test's own words.
#include "sim/phone/adbd_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <vector>

namespace faraday::sim {
namespace {

using ::testing::HasSubstr;
using std::string_literals::operator""s;

// Records what it is given; says what the test queued.
struct FakeService : Service {
  FakeService(Stream& s, bool* gone_flag) : stream(s), gone(gone_flag) {}
  ~FakeService() override { *gone = true; }
  void Deliver(std::string_view bytes) override {
    received.emplace_back(bytes);
    if (consume_at_once) stream.Consumed();
  }
  std::string Pull(size_t max) override {
    if (to_say.empty()) return {};
    std::string out = to_say.front().substr(0, max);
    to_say.pop_front();
    return out;
  }
  bool Ended() const override { return ended; }

  Stream& stream;
  bool* gone;
  std::vector<std::string> received;
  std::deque<std::string> to_say;
  bool consume_at_once = true;
  bool ended = false;
};

struct FakeOpener : ServiceOpener {
  std::unique_ptr<Service> Open(std::string_view name, Stream& stream) override {
    names.emplace_back(name);
    if (name == "nothing:") return nullptr;
    auto service = std::make_unique<FakeService>(stream, &gone);
    gone = false;
    last = service.get();
    return service;
  }
  std::vector<std::string> names;
  FakeService* last = nullptr;
  bool gone = false;
};

constexpr char kBanner[] = "device::ro.product.name=x;features=shell_v2";

class AdbdCoreTest : public ::testing::Test {
 protected:
  Status Give(uint32_t command, uint32_t arg0, uint32_t arg1, std::string data = {}) {
    return core_.Feed(EncodeAdbPacket({command, arg0, arg1, std::move(data)}, true));
  }
  std::string Take() {
    std::string out(core_.output());
    core_.Sent(out.size());
    return out;
  }
  static std::string Bytes(uint32_t command, uint32_t arg0, uint32_t arg1, std::string data = {}) {
    return EncodeAdbPacket({command, arg0, arg1, std::move(data)}, false);
  }
  void Connect(uint32_t version = kAdbVersionUnchecked) {
    ASSERT_TRUE(Give(kCnxn, version, kAdbMaxData, "host::features=shell_v2").ok());
    Take();
  }
  // A stream with the host's id 7; ours is 1 on a fresh core.
  void OpenStream() {
    ASSERT_TRUE(Give(kOpen, 7, 0, "shell:ls\0"s).ok());
    ASSERT_EQ(Take(), Bytes(kOkay, 1, 7));
  }

  FakeOpener opener_;
  AdbdCore core_{{.banner = kBanner}, opener_};
};

TEST_F(AdbdCoreTest, AnswersTheOpeningExchangeByteForByte) {
  // CNXN, version 0x01000001, maxdata 0x00100000, 6 bytes, their sum 0x232, magic; as adb 29 begins.
  const std::string hello =
      "CNXN\x01\x00\x00\x01\x00\x00\x10\x00\x06\x00\x00\x00\x32\x02\x00\x00\xbc\xb1\xa7\xb1host::"s;
  ASSERT_TRUE(core_.Feed(hello).ok());
  const std::string answer = Take();
  EXPECT_EQ(answer.substr(0, 12), "CNXN\x01\x00\x00\x01\x00\x00\x10\x00"s);
  EXPECT_EQ(answer.substr(20, 4), "\xbc\xb1\xa7\xb1"s);
  EXPECT_EQ(answer.substr(24), kBanner);
  EXPECT_TRUE(core_.connected());
}

TEST_F(AdbdCoreTest, TakesBytesOneByOne) {
  const std::string packet = EncodeAdbPacket({kCnxn, kAdbVersionUnchecked, kAdbMaxData, "host::"}, true);
  for (char byte : packet) ASSERT_TRUE(core_.Feed(std::string(1, byte)).ok());
  EXPECT_TRUE(core_.connected());
}

TEST_F(AdbdCoreTest, OpensNamesWithoutTheirNul) {
  Connect();
  OpenStream();
  EXPECT_THAT(opener_.names, ::testing::ElementsAre("shell:ls"));
}

TEST_F(AdbdCoreTest, RefusesUnknownServices) {
  Connect();
  ASSERT_TRUE(Give(kOpen, 9, 0, "nothing:\0"s).ok());
  EXPECT_EQ(Take(), Bytes(kClse, 0, 9));
  EXPECT_EQ(core_.stream_count(), 0u);
}

TEST_F(AdbdCoreTest, KeepsOneWriteOutPerStream) {
  Connect();
  OpenStream();
  opener_.last->to_say = {"one", "two"};
  opener_.last->stream.Wake();
  EXPECT_EQ(Take(), Bytes(kWrte, 1, 7, "one"));
  opener_.last->stream.Wake();
  EXPECT_EQ(Take(), "");
  ASSERT_TRUE(Give(kOkay, 7, 1).ok());
  EXPECT_EQ(Take(), Bytes(kWrte, 1, 7, "two"));
}

TEST_F(AdbdCoreTest, AnswersOkayOnlyWhenTheServiceHasUsedTheWrite) {
  Connect();
  OpenStream();
  opener_.last->consume_at_once = false;
  ASSERT_TRUE(Give(kWrte, 7, 1, "hello").ok());
  EXPECT_EQ(Take(), "");
  opener_.last->stream.Consumed();
  EXPECT_EQ(Take(), Bytes(kOkay, 1, 7));
  opener_.last->stream.Consumed();
  EXPECT_EQ(Take(), "") << "one OKAY a write";
}

TEST_F(AdbdCoreTest, ClosesAStreamWhoseHostWritesAhead) {
  Connect();
  OpenStream();
  opener_.last->consume_at_once = false;
  ASSERT_TRUE(Give(kWrte, 7, 1, "one").ok());
  ASSERT_TRUE(Give(kWrte, 7, 1, "two").ok());
  EXPECT_EQ(Take(), Bytes(kClse, 1, 7));
  EXPECT_TRUE(opener_.gone);
}

TEST_F(AdbdCoreTest, ClosesAfterTheLastBytesOfAnEndedService) {
  Connect();
  OpenStream();
  opener_.last->to_say = {"bye"};
  opener_.last->ended = true;
  opener_.last->stream.Wake();
  EXPECT_EQ(Take(), Bytes(kWrte, 1, 7, "bye"));
  ASSERT_TRUE(Give(kOkay, 7, 1).ok());
  EXPECT_EQ(Take(), Bytes(kClse, 1, 7));
  EXPECT_TRUE(opener_.gone);
}

TEST_F(AdbdCoreTest, EndsTheServiceWhenTheHostCloses) {
  Connect();
  OpenStream();
  ASSERT_TRUE(Give(kClse, 7, 1).ok());
  EXPECT_TRUE(opener_.gone);
  EXPECT_EQ(core_.stream_count(), 0u);
  ASSERT_TRUE(Give(kClse, 7, 1).ok()) << "a second one names no stream and is ignored";
}

TEST_F(AdbdCoreTest, IgnoresPacketsOfAnotherStreamsId) {
  Connect();
  OpenStream();
  ASSERT_TRUE(Give(kWrte, 8, 1, "not yours").ok());
  ASSERT_TRUE(Give(kClse, 8, 1).ok());
  EXPECT_EQ(opener_.last->received.size(), 0u);
  EXPECT_EQ(core_.stream_count(), 1u);
}

TEST_F(AdbdCoreTest, IgnoresEverythingBeforeTheOpeningExchange) {
  ASSERT_TRUE(Give(kOpen, 7, 0, "shell:ls").ok());
  EXPECT_EQ(Take(), "");
  EXPECT_TRUE(opener_.names.empty());
}

TEST_F(AdbdCoreTest, StartsAnewOnASecondCnxn) {
  Connect();
  OpenStream();
  Connect();
  EXPECT_TRUE(opener_.gone);
  EXPECT_EQ(core_.stream_count(), 0u);
}

TEST_F(AdbdCoreTest, DropsTheLinkOnABadMagic) {
  std::string packet = EncodeAdbPacket({kCnxn, 0, 0, {}}, true);
  packet[20] = static_cast<char>(packet[20] ^ 1);
  const Status status = core_.Feed(packet);
  EXPECT_EQ(status.code(), Code::kDataLoss);
  EXPECT_THAT(status.message(), HasSubstr("magic"));
}

TEST_F(AdbdCoreTest, DropsTheLinkOnALengthBeyondMaxdataBeforeReadingIt) {
  Connect();
  std::string packet = EncodeAdbPacket({kWrte, 7, 1, {}}, false);
  packet[14] = 0x11;  // 0x110000 bytes
  EXPECT_EQ(core_.Feed(packet).code(), Code::kDataLoss);
}

TEST_F(AdbdCoreTest, ChecksTheSumOnlyInTheOldVersion) {
  Connect(kAdbVersionChecked);
  ASSERT_TRUE(Give(kOpen, 7, 0, "shell:ls").ok());
  EXPECT_EQ(Take(), EncodeAdbPacket({kOkay, 1, 7, {}}, true));
  EXPECT_EQ(core_.Feed(EncodeAdbPacket({kWrte, 7, 1, "x"}, false)).code(), Code::kDataLoss);
}

TEST_F(AdbdCoreTest, ToleratesAnyChecksumInTheNewVersion) {
  Connect();
  OpenStream();
  std::string packet = EncodeAdbPacket({kWrte, 7, 1, "x"}, false);
  packet[16] = 0x55;
  ASSERT_TRUE(core_.Feed(packet).ok());
  EXPECT_THAT(opener_.last->received, ::testing::ElementsAre("x"));
}

TEST_F(AdbdCoreTest, SplitsByTheHostsMaxdata) {
  ASSERT_TRUE(Give(kCnxn, kAdbVersionUnchecked, 4096, "host::").ok());
  Take();
  OpenStream();
  opener_.last->to_say = {std::string(10'000, 'a')};
  opener_.last->stream.Wake();
  EXPECT_EQ(Take().size(), kAdbHeaderBytes + 4096);
}

TEST_F(AdbdCoreTest, RefusesMoreStreamsThanItsBound) {
  Connect();
  for (uint32_t id = 1; id <= 256; ++id) ASSERT_TRUE(Give(kOpen, id, 0, "shell:").ok());
  Take();
  ASSERT_TRUE(Give(kOpen, 300, 0, "shell:").ok());
  EXPECT_EQ(Take(), Bytes(kClse, 0, 300));
}

TEST_F(AdbdCoreTest, AServiceMayWakeAndEndFromInsideDeliver) {
  struct Eager : Service {
    explicit Eager(Stream& s) : stream(s) {}
    void Deliver(std::string_view) override {
      ended = true;
      stream.Consumed();
      stream.Wake();
      touched_after = true;
    }
    std::string Pull(size_t) override { return {}; }
    bool Ended() const override { return ended; }
    Stream& stream;
    bool ended = false;
    bool touched_after = false;
  };
  struct EagerOpener : ServiceOpener {
    std::unique_ptr<Service> Open(std::string_view, Stream& stream) override { return std::make_unique<Eager>(stream); }
  } opener;
  AdbdCore core({.banner = kBanner}, opener);
  ASSERT_TRUE(core.Feed(EncodeAdbPacket({kCnxn, kAdbVersionUnchecked, 4096, "host::"}, true)).ok());
  core.Sent(core.output().size());
  ASSERT_TRUE(core.Feed(Bytes(kOpen, 7, 0, "x:") + Bytes(kWrte, 7, 1, "go")).ok());
  EXPECT_EQ(core.output(), Bytes(kOkay, 1, 7) + Bytes(kOkay, 1, 7) + Bytes(kClse, 1, 7));
}

// Property: no bytes crash it, and every answer is a whole, well-formed packet.
TEST_F(AdbdCoreTest, SurvivesRandomAndMutatedBytes) {
  std::mt19937 random(20260401);
  const auto pick = [&random](size_t below) { return std::uniform_int_distribution<size_t>(0, below - 1)(random); };
  for (int round = 0; round < 3000; ++round) {
    FakeOpener opener;
    AdbdCore core({.banner = kBanner}, opener);
    std::string bytes;
    for (size_t i = 0, n = 1 + pick(12); i < n; ++i) {
      const uint32_t commands[] = {kCnxn, kOpen, kOkay, kWrte, kClse, 0x12345678};
      bytes += EncodeAdbPacket({commands[pick(6)],
                                static_cast<uint32_t>(pick(4)),
                                static_cast<uint32_t>(pick(4)),
                                std::string(pick(40), 'x')},
                               pick(2) == 0);
    }
    bytes.insert(0, EncodeAdbPacket({kCnxn, kAdbVersionUnchecked, 4096, "host::"}, true));
    for (size_t flips = pick(4); flips > 0; --flips) bytes[pick(bytes.size())] = static_cast<char>(pick(256));
    Status status;
    for (size_t at = 0; at < bytes.size() && status.ok();) {
      const size_t take = std::min(1 + pick(100), bytes.size() - at);
      status = core.Feed(std::string_view(bytes).substr(at, take));
      at += take;
    }
    AdbdCore reader({.banner = kBanner}, opener);
    ASSERT_TRUE(reader.Feed(EncodeAdbPacket({kCnxn, kAdbVersionUnchecked, kAdbMaxData, "host::"}, true)).ok());
    if (core.connected()) {
      EXPECT_TRUE(reader.Feed(std::string(core.output())).ok());
    }
  }
}

}  // namespace
}  // namespace faraday::sim
