// The firmware of one native board: what an MCU's flash holds. Built at each reset and destroyed by the next, so
// nothing but the board's EEPROM survives. Same thread as the board.
#pragma once

#include <memory>

#include "firmware/boards/native/board.h"

namespace faraday::firmware {

class NativeImage {
 public:
  // Boots at once. The board outlives the image.
  explicit NativeImage(NativeBoard& board);
  ~NativeImage();
  NativeImage(NativeImage&&) noexcept;
  NativeImage& operator=(NativeImage&&) noexcept;
  // One turn of the main loop.
  void Pass();

 private:
  struct App;
  std::unique_ptr<App> app_;
};

}  // namespace faraday::firmware
