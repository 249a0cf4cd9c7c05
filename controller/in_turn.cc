#include "controller/in_turn.h"

#include <utility>

namespace faraday::controller {

InTurn::InTurn(evloop::Loop& loop, Steps steps) : loop_(loop), steps_(std::move(steps)) {
  asking_ = loop_.AddPeriodic("in turn", kAsk, [this] { Ask(); });
  BeginNext();
}

InTurn::~InTurn() { End(); }

void InTurn::End() {
  next_ = steps_.count;
  loop_.Remove(asking_);
}

void InTurn::BeginNext() {
  begun_ = BootClock::now();
  if (next_ < steps_.count) steps_.begin(next_++);
  if (next_ >= steps_.count) End();
}

void InTurn::Ask() {
  if (steps_.done(next_ - 1) || BootClock::now() - begun_ >= steps_.longest) BeginNext();
}

}  // namespace faraday::controller
