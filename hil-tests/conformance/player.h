// Plays one script against one board: says its steps on the line, asks the bench, compares what comes with what the
// script expects, and records it. One thread; a script at a time.
#pragma once

#include <functional>
#include <string>

#include "hil-tests/conformance/board_line.h"
#include "hil-tests/conformance/record.h"
#include "hil-tests/conformance/rig.h"
#include "hil-tests/conformance/script.h"
#include "hil-tests/conformance/words.h"

namespace faraday::hil {

struct Verdict {
  enum class Kind { kPassed, kFailed, kSkipped };
  Kind kind = Kind::kPassed;
  std::string message;  // why it failed or what was skipped, with file:line
};

// Where scripts begin: the board bound to their rack, trips cleared, every slot with an epoch, in care and off.
Status SeedMemory(BoardLine& line);
// Ends what outlives a reset: the stop and every slot's trip. Errors: a latch that stays (its cause is still there).
Status ClearLatches(BoardLine& line);

class Player {
 public:
  // `rig` may be null: a board without a bench. All outlive the player.
  Player(const Script& script, BoardLine& line, SimRig* rig, Record& record);

  // Plays all steps; what a step broke at the bench is mended afterwards.
  Verdict Play();

 private:
  using Handler = Status (Player::*)(const Step&);

  Status PlayStep(const Step& step);
  Status OnHello(const Step& step);
  Status OnConfigure(const Step& step);
  Status OnDo(const Step& step);
  Status OnAgain(const Step& step);
  Status OnDamaged(const Step& step);
  Status OnStop(const Step& step);
  Status OnEvent(const Step& step);
  Status OnRefusal(const Step& step);
  Status OnState(const Step& step);
  Status OnBoard(const Step& step);
  Status OnTruth(const Step& step);
  Status OnCtl(const Step& step);
  Status OnQuiet(const Step& step);
  Status OnAway(const Step& step);
  Status OnWait(const Step& step);
  Status OnReading(const Step& step);
  Status OnConnect(const Step& step);

  Status SendCommand(const Step& step, const std::string& sentence);
  Status Judge(const Step& step, const BoardLine::Answer& answer);
  Status ExpectEvent(const Step& step, const std::string& wanted);
  Status Expect(const Step& step, std::string_view what, const std::string& wanted, const std::string& described);
  // Waits until `look()` shows `wanted`, and for as long as the step says.
  Status AwaitWords(const Step& step, const Words& wanted, const std::function<Result<Words>()>& look);
  Status AwaitTelemetry(const Step& step,
                        const Words& wanted,
                        const std::function<Words(const link::Telemetry&)>& words);
  Status TooEarly(const Step& step) const;
  std::string WithEpochs(const std::string& sentence);
  void Note(const Step& step, const std::string& text) { record_.rows.push_back({step.line, text}); }
  Status NothingLeft();
  void RememberToMend(const std::string& command);
  Status Mend();
  Verdict Failed(const Step& step, const Status& status) const;

  const Script& script_;
  BoardLine& line_;
  SimRig* rig_;
  Record& record_;
  uint32_t next_id_ = 1;
  uint32_t epoch_base_ = 0;
  bool greeted_ = false;
  std::map<std::string, std::string> epochs_;  // slot -> its current "@N", for commands that name none
  std::vector<std::string> to_mend_;
};

}  // namespace faraday::hil
