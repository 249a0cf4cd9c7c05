// A capture of a board's line, or bytes of one as hex, to the line's human form. Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "link/frame.h"
#include "link/human.h"

namespace faraday::cli {

// One thing found in a capture.
struct CapturedFrame {
  std::string at_ms;  // as the capture gives it; empty with bare hex
  link::Direction direction = link::Direction::kToMcu;
  bool good = false;
  std::string text;  // the human form, or how the bytes are damaged, or why the text line cannot be read
};

// Takes a capture's text lines: "<ms> -> <hex>", "<ms> <- <hex>", or hex alone (the direction then follows from the
// channel), "wire: <hex>" as in the vectors. Blank lines, "#...", and the vectors' other lines are passed over.
// A frame may go over several text lines.
class CaptureReader {
 public:
  explicit CaptureReader(std::function<void(const CapturedFrame&)> found) : found_(std::move(found)) {}
  void Line(std::string_view line);
  // Frames that were damaged, and lines that are no capture.
  size_t bad() const { return bad_; }
  size_t good() const { return good_; }

 private:
  struct Stream {
    link::FrameDecoder decoder;
  };
  void Bytes(std::string_view hex, const std::string& at_ms, Stream* stream, const link::Direction* known);
  void Found(CapturedFrame frame);

  std::function<void(const CapturedFrame&)> found_;
  Stream to_mcu_, to_host_, bare_;
  size_t good_ = 0;
  size_t bad_ = 0;
  size_t number_ = 0;  // of the text line
};

}  // namespace faraday::cli
