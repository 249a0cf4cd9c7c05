// A JSON answer as field=value facts, and how a scenario's patterns match them. Pure text work.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace faraday::hil {

// "vbus.measured_on" -> "TRI_STATE_YES". Items of a list have their list's name, so that "conditions" may be there
// several times. Empty when it is no JSON.
using Facts = std::multimap<std::string, std::string>;
Facts FactsOf(const std::string& json);

// pattern: "low..high" a number in between, both ends included; else a text in which * stands for any text.
bool Matches(const std::string& pattern, const std::string& value);
// The pattern somewhere in the text.
bool Says(const std::string& text, const std::string& pattern);
// Those of `wanted` that no fact meets; a field that is not there, false, 0 or empty: "none".
std::vector<std::string> Unmet(const std::map<std::string, std::string>& wanted, const Facts& facts);
// Those that a fact meets though none should.
std::vector<std::string> Met(const std::map<std::string, std::string>& unwanted, const Facts& facts);
// As a shell does: at spaces, 'quoted text' stays together.
std::vector<std::string> SplitCommand(std::string_view text);

}  // namespace faraday::hil
