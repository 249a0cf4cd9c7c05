#include "firmware/boards/native/image.h"

#include "firmware/drivers/rack_app.h"

namespace faraday::firmware {

struct NativeImage::App {
  explicit App(NativeBoard& board) : rack(board) {}
  RackApp<NativeBoard> rack;
};

NativeImage::NativeImage(NativeBoard& board) : app_(std::make_unique<App>(board)) { app_->rack.Boot(); }

NativeImage::~NativeImage() = default;
NativeImage::NativeImage(NativeImage&&) noexcept = default;
NativeImage& NativeImage::operator=(NativeImage&&) noexcept = default;

void NativeImage::Pass() { app_->rack.Pass(); }

}  // namespace faraday::firmware
