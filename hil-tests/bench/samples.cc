#include "hil-tests/bench/samples.h"

#include <algorithm>
#include <chrono>

namespace faraday::hil {
namespace {

double MedianOf(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

double SliceMedian(const std::function<void()>& action, int calls) {
  std::vector<double> microseconds;
  for (int i = 0; i < calls; ++i) microseconds.push_back(MicrosecondsOf(action));
  return MedianOf(std::move(microseconds));
}

}  // namespace

double MicrosecondsOf(const std::function<void()>& action) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  action();
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

Spread SpreadOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double quantile) {
    return values[static_cast<size_t>(quantile * static_cast<double>(values.size() - 1))];
  };
  return {at(0.1), at(0.5), at(0.9)};
}

std::vector<Spread> Alternate(const std::vector<std::function<void()>>& actions, int slices, int calls) {
  for (const auto& action : actions) SliceMedian(action, calls);
  std::vector<std::vector<double>> medians(actions.size());
  for (int slice = 0; slice < slices; ++slice) {
    for (size_t i = 0; i < actions.size(); ++i) medians[i].push_back(SliceMedian(actions[i], calls));
  }
  std::vector<Spread> spreads;
  for (auto& values : medians) spreads.push_back(SpreadOf(std::move(values)));
  return spreads;
}

std::vector<std::vector<double>> AlternateAll(const std::vector<std::function<void()>>& actions,
                                              int slices,
                                              int calls) {
  std::vector<std::vector<double>> all(actions.size());
  for (const auto& action : actions) SliceMedian(action, calls);
  for (int slice = 0; slice < slices; ++slice) {
    for (size_t i = 0; i < actions.size(); ++i) {
      for (int n = 0; n < calls; ++n) all[i].push_back(MicrosecondsOf(actions[i]));
    }
  }
  return all;
}

double QuantileOf(std::vector<double> values, double quantile) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(quantile * static_cast<double>(values.size() - 1))];
}

}  // namespace faraday::hil
