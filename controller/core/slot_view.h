// What people and programs see of slots and boards: commanded beside measured, with reasons in plain words. Plain
// structs; the wire's form is made of them in zmq/render.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controller/core/care.h"
#include "controller/core/conditions.h"
#include "controller/core/rack_parts.h"
#include "controller/core/relay_wear.h"

namespace faraday::controller {

// Numbers equal faraday.v1.Allocation.
enum class Allocation : uint8_t { kFree = 1, kLeased = 2, kCleaning = 3 };

struct LeaseView {
  std::string id;
  std::string slot;
  Tenure tenure;
  Milliseconds left{0};
  UtcTime end;  // for display; 0 for care
};

struct HealthView {
  Health health = Health::kGood;
  std::string reason;
};

struct SlotView {
  std::string name;
  HealthView health;
  Allocation allocation = Allocation::kFree;
  LeaseView lease;
  Measured measured;
  bool fresh = false;  // else nothing measured is known
  bool commanded_known = false;
  Milliseconds measured_age{0};
  std::string commanded_host;
  std::string measured_host;
  const rackconfig::SlotConfig* config = nullptr;
  std::optional<DeviceFacts> device;
  std::string reason;
  std::vector<std::string> conditions;        // names
  std::vector<ConditionView> condition_list;  // the trip first
  RelayWear::Count relay;
};

struct BoardView {
  const Board* board = nullptr;
  std::string port;
  std::vector<std::string> faults;
  std::vector<ConditionView> conditions;
  bool alarm = false;
  bool stopped = false;
};

class SlotViews {
 public:
  SlotViews(const RackParts& parts, const Care& care, const Conditions& conditions, const RelayWear& wear)
      : parts_(parts), care_(care), conditions_(conditions), wear_(wear) {}

  SlotView Of(int slot, Now now) const;
  LeaseView LeaseOf(int slot, Now now) const;
  // A lease that is over, or about to begin: `held` with `left` of its time.
  LeaseView LeaseOf(const Tenure& held, Milliseconds left, Now now) const;
  // Stored health, else what conditions, trips and agents say.
  HealthView HealthOf(int slot, Now now) const;
  BoardView BoardOf(int board) const;

 private:
  bool FreshOf(int slot, Now now) const;
  std::string HostName(int slot, uint8_t index) const;
  std::string ReasonOf(int slot, const HealthView& health, Now now) const;

  const RackParts& parts_;
  const Care& care_;
  const Conditions& conditions_;
  const RelayWear& wear_;
};

// "/dev/ttyACM0", "USB serial ABC", "socket /run/x".
std::string PortText(const rackconfig::PortConfig& port);

}  // namespace faraday::controller
