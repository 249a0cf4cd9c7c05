// Why a selector can never match: the term that excludes everything, and the nearest thing that exists.
#pragma once

#include <string>
#include <vector>

#include "lab/core/placement.h"

namespace faraday::lab {

// REQUIRES: no candidate matches `selector`. One sentence or two, e.g.
// "no known slot has model=pixel-88; the nearest that exists is model=pixel-8 (4 slots)".
std::string ExplainMismatch(const model::Selector& selector, const std::vector<Candidate>& candidates);

// How many letters must change to make one text of the other (Levenshtein).
size_t EditDistance(const std::string& a, const std::string& b);

}  // namespace faraday::lab
