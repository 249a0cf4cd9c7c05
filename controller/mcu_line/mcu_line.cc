#include "controller/mcu_line/mcu_line.h"

#include <array>
#include <utility>

#include "base/log.h"

namespace faraday::controller {

McuLine::McuLine(evloop::Loop& loop, Options options, LineEvents& events)
    : loop_(loop),
      options_(std::move(options)),
      session_(options_.rack,
               options_.version,
               options_.seed,
               events,
               {[this](std::span<const uint8_t> wire) { Write(wire); },
                [this](const std::string& why) { superseded_ = why; },
                [this](std::span<const uint8_t> wire) {
                  if (options_.capture) options_.capture->Received(wire, BootClock::now());
                }}),
      gate_(std::make_shared<Gate>(Gate{this})) {
  ticker_ = loop_.AddPeriodic("line tick", kLineTick, [this] { OnTick(); });
  BeginOpening();
}

McuLine::~McuLine() {
  gate_->line = nullptr;
  loop_.Remove(watch_);
  loop_.Remove(ticker_);
  loop_.Remove(reopen_);
  if (opening_.joinable()) opening_.join();
}

Now McuLine::Time() const { return {BootClock::now(), UtcNow()}; }

// ---- opening ------------------------------------------------------------------------------------------------------

void McuLine::BeginOpening() {
  reopen_ = 0;
  if (opening_.joinable()) opening_.join();
  opening_ = std::thread([&loop = loop_, open = options_.open, gate = gate_] {
    auto opened = std::make_shared<Result<std::unique_ptr<Transport>>>(open());
    loop.Post([gate, opened] {
      if (gate->line != nullptr) gate->line->OnOpened(std::move(*opened));
    });
  });
}

void McuLine::OnOpened(Result<std::unique_ptr<Transport>> opened) {
  if (!opened.ok()) {
    session_.Stop(opened.status().message(), Time());
    return Reopen();
  }
  transport_ = std::move(opened).value();
  unwritten_.clear();
  watch_ = loop_.AddFd("board line", transport_->fd(), POLLIN, [this](short events) { OnReady(events); });
  session_.Start(Time());
}

void McuLine::Reopen() {
  reopen_ = loop_.AddTimer("open line", BootClock::now() + backoff_, [this] { BeginOpening(); });
  backoff_ = std::min(backoff_ * 2, kReopenMax);
}

void McuLine::Close(const std::string& reason) {
  if (!transport_) return;
  loop_.Remove(watch_);
  watch_ = 0;
  transport_.reset();
  session_.Stop(reason, Time());
  Reopen();
}

// The bytes on this port are another controller's now.
void McuLine::Leave() {
  loop_.Remove(watch_);
  watch_ = 0;
  transport_.reset();
  options_.superseded(superseded_);
}

// ---- bytes --------------------------------------------------------------------------------------------------------

void McuLine::OnReady(short events) {
  if ((events & POLLOUT) != 0) Flush();
  if (transport_ && (events & (POLLIN | POLLERR | POLLHUP)) != 0) ReadAll();
}

void McuLine::ReadAll() {
  std::array<uint8_t, 4096> bytes{};
  // A bound, so that a line that never stops talking does not hold up the loop.
  for (int round = 0; round < 16 && transport_; ++round) {
    const auto count = transport_->Read(bytes);
    if (!count.ok()) return Close("the line was lost: " + count.status().message());
    if (*count == 0) return;
    session_.OnBytes(std::span(bytes).first(*count), Time());
    if (!superseded_.empty()) return Leave();
    if (session_.up()) backoff_ = kReopenMin;
  }
}

void McuLine::Write(std::span<const uint8_t> wire) {
  if (options_.capture) options_.capture->Sent(wire, BootClock::now());
  // What does not fit is dropped whole: commands are sent again, the next Hello or keepalive comes.
  if (!transport_ || unwritten_.size() + wire.size() > kMaxUnwritten) return;
  unwritten_.insert(unwritten_.end(), wire.begin(), wire.end());
  Flush();
}

// A write error is left to the tick or the next read: closing here would end the session under its own feet.
void McuLine::Flush() {
  while (transport_ && !unwritten_.empty()) {
    const auto count = transport_->Write(unwritten_);
    if (!count.ok() || *count == 0) break;
    unwritten_.erase(unwritten_.begin(), unwritten_.begin() + static_cast<std::ptrdiff_t>(*count));
  }
  if (transport_) loop_.SetFdEvents(watch_, unwritten_.empty() ? POLLIN : POLLIN | POLLOUT);
}

void McuLine::OnTick() {
  session_.OnTime(Time());
  if (const std::string why = session_.broken(); !why.empty()) Close(why);
}

Status McuLine::Send(const link::Command& command, Now now) { return session_.Send(command, now); }

uint32_t McuLine::ConfigureCrc(const link::Configure& configure) const {
  std::array<uint8_t, link::kMaxPayload> bytes{};
  const auto size = link::EncodeMessage(configure, bytes);
  return size.ok() ? link::Crc32(std::span(bytes).first(*size)) : 0;
}

void McuLine::AnnounceAbsence(Milliseconds away) { session_.SendAway(away, Time()); }

}  // namespace faraday::controller
