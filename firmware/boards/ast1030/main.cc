// The image's parts: the board and the rack application on it.
#include "firmware/boards/ast1030/board.h"
#include "firmware/boards/ast1030/start.h"
#include "firmware/drivers/rack_app.h"

namespace {

using faraday::firmware::RackApp;
using faraday::firmware::ast1030::Ast1030;

static_assert(faraday::firmware::Board<Ast1030>);

constinit Ast1030 board;

}  // namespace

extern "C" void UartHandler() { board.OnUartInterrupt(); }
extern "C" void GpioHandler() { board.OnGpioInterrupt(); }

extern "C" [[noreturn]] void FirmwareMain() {
  board.Start();
  static RackApp<Ast1030> app(board);
  app.Boot();
  while (true) {
    app.Pass();
    board.Sleep();
  }
}
