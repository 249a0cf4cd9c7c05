// One board's line: a transport, the session on it, and the loop. Opens the port in a thread of its own, opens it
// anew when it is lost (100 ms, doubling to 2 s), and tells the core why there is no line meanwhile. Once another
// controller has taken over the board the port is closed for good.
// Belongs to the loop's thread; the opening thread speaks to it by Loop::Post only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "controller/core/rack_line.h"
#include "controller/mcu_line/capture.h"
#include "controller/mcu_line/line_session.h"
#include "controller/mcu_line/transport.h"
#include "evloop/loop.h"

namespace faraday::controller {

inline constexpr Milliseconds kReopenMin{100};  // chosen, doubling
inline constexpr Milliseconds kReopenMax{2'000};
inline constexpr Milliseconds kLineTick{25};        // half of the shortest retransmission time
inline constexpr size_t kMaxUnwritten = 64 * 1024;  // bytes a line that takes nothing may pile up; chosen

class McuLine final : public RackLine {
 public:
  using Opener = std::function<Result<std::unique_ptr<Transport>>()>;
  struct Options {
    std::string rack;
    std::string version;
    uint32_t seed = 0;
    Opener open;                                             // may block
    std::unique_ptr<Capture> capture;                        // or none
    std::function<void(const std::string& why)> superseded;  // once, when the port is closed
  };
  // Begins to open at once. `loop` and `events` must outlive the line.
  McuLine(evloop::Loop& loop, Options options, LineEvents& events);
  ~McuLine() override;

  Status Send(const link::Command& command, Now now) override;
  void SendStop() override { session_.SendStop(); }
  uint32_t ConfigureCrc(const link::Configure& configure) const override;
  LineCounters counters() const override { return session_.counters(); }
  // Before the controller ends by intent: announced again each tick until the line's end, and nothing else sent.
  void AnnounceAbsence(Milliseconds away);

 private:
  // Outlives the line while its opening thread runs.
  struct Gate {
    McuLine* line;
  };
  Now Time() const;
  void BeginOpening();
  void OnOpened(Result<std::unique_ptr<Transport>> opened);
  void Close(const std::string& reason);
  void Leave();
  void Reopen();
  void OnReady(short events);
  void ReadAll();
  void Write(std::span<const uint8_t> wire);
  void Flush();
  void OnTick();

  evloop::Loop& loop_;
  Options options_;
  LineSession session_;
  std::unique_ptr<Transport> transport_;
  std::string superseded_;  // why
  std::vector<uint8_t> unwritten_;
  Milliseconds backoff_ = kReopenMin;
  evloop::Handle watch_ = 0;
  evloop::Handle ticker_ = 0;
  evloop::Handle reopen_ = 0;
  std::thread opening_;
  std::shared_ptr<Gate> gate_;
};

}  // namespace faraday::controller
