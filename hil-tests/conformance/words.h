// The words that scripts expect and boards say: "code=ok slot=7 vbus_mv=5020 leased". Pure text work and the two bit
// sets of the link as words; knows no line and no file.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "link/messages.h"

namespace faraday::hil {

using Words = std::vector<std::string>;

// At spaces; "quoted text" and [lists] stay one word.
Words SplitWords(std::string_view text);
std::string JoinWords(const Words& words);

// The value of "key=value", nullopt when there is none.
std::optional<std::string> ValueOf(const Words& words, std::string_view key);
// "12", "0x1f", "-3"; nullopt otherwise.
std::optional<int64_t> NumberOf(std::string_view text);

// Which of `wanted` do not hold among `seen`; empty: all hold.
//   word          the word is there          !word         it is not
//   key=value     that value                 key=low..high a number in between, both ends included
Words Unmet(const Words& wanted, const Words& seen);

// Replaces each "@N" value by base + N ("epoch=@2"), so that scripts do not depend on what the board's memory holds.
std::string PutEpochs(std::string_view text, uint32_t base);

// One slot's state bits: flags that are set, and the fields data_measured=, relay_sense= ... (docs: README.md).
Words StateWords(uint32_t state);
// A telemetry's board conditions: fault flags, inputs=, frames_bad=, event_backlog=, config=yes|no.
Words BoardWords(const link::Telemetry& telemetry);

// What a message says, fit for comparing two boards: without times, random and board-dependent words; epochs as @N;
// state bits as words.
Words Content(std::string_view described, uint32_t epoch_base);

}  // namespace faraday::hil
