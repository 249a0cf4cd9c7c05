// A LinePort with a LineDamager in it: what `faraday-sim ctl line BOARD damage` acts on. Without rates it passes bytes
// as they come. On real time; belongs to the thread that uses the line.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "sim/board/line_port.h"
#include "sim/line_proxy/line_damager.h"

namespace faraday::sim {

class DamagedLine : public LinePort {
 public:
  // `clock`: free-running milliseconds that never go back; empty: CLOCK_BOOTTIME.
  explicit DamagedLine(std::unique_ptr<LinePort> line, std::function<uint64_t()> clock = {});

  // Damages from now on, numbers from `seed`; rates of zero: no damage, what is under way still comes.
  void SetDamage(const DamageRates& rates, uint64_t seed) { damager_.Set(rates, seed); }
  // "line damage 5 %, to board: 1042 frames, ...; to host: ...".
  std::string DescribeDamage() const;
  const LineDamager& damager() const { return damager_; }

  Status Plug() override { return line_->Plug(); }
  void Unplug() override;
  bool plugged() const override { return line_->plugged(); }
  bool Connected() override;
  int poll_fd() const override { return line_->poll_fd(); }
  std::string Describe() const override { return line_->Describe(); }
  size_t Read(std::span<uint8_t> in) override;
  size_t Write(std::span<const uint8_t> out) override;

 private:
  bool passes(const std::vector<uint8_t>& waiting) const { return damager_.rates().none() && waiting.empty(); }
  void Forget();
  void Flush();

  std::unique_ptr<LinePort> line_;
  std::function<uint64_t()> clock_;
  LineDamager damager_{{}, 0};
  bool connected_ = false;
  std::vector<uint8_t> to_board_;  // came through, not read yet
  std::vector<uint8_t> to_host_;   // came through, not written yet
};

}  // namespace faraday::sim
