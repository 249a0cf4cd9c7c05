// Timing in slices, and their medians with spread.
#pragma once

#include <functional>
#include <vector>

namespace faraday::hil {

// Microseconds.
struct Spread {
  double p10 = 0;
  double median = 0;
  double p90 = 0;
};

// The quantiles of `values`. REQUIRES: not empty.
Spread SpreadOf(std::vector<double> values);

// One call, timed.
double MicrosecondsOf(const std::function<void()>& action);

// Calls each of `actions` `calls` times a slice, slices in turn (A B A B ...), and returns for each action the spread
// of its slice medians. One untimed slice first.
std::vector<Spread> Alternate(const std::vector<std::function<void()>>& actions, int slices, int calls);

// The same, and every call's time kept: for quantiles of single calls.
std::vector<std::vector<double>> AlternateAll(const std::vector<std::function<void()>>& actions, int slices, int calls);
// 0.5: the median. REQUIRES: not empty.
double QuantileOf(std::vector<double> values, double quantile);

}  // namespace faraday::hil
