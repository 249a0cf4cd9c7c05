// Text of phones and jobs may hold any bytes; a message's strings must be UTF-8, or the receiver drops all of it.
#pragma once

#include <string>
#include <string_view>

namespace faraday::agent {

// The same text with every byte that is not part of a well-formed character replaced by '?'.
std::string CleanUtf8(std::string_view text);

}  // namespace faraday::agent
