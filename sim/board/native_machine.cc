#include "sim/board/native_machine.h"

#include <fmt/core.h>

#include <cstdio>
#include <fstream>

#include "base/log.h"

namespace faraday::sim {
namespace {

constexpr int kTickMs = 1;  // chosen: the firmware's own fastest schedule

// A memory's file.
struct Image {
  std::shared_ptr<std::FILE> file;
  std::vector<uint8_t> bytes;
};

Result<Image> OpenImage(const std::filesystem::path& path, size_t size) {
  Image image{std::shared_ptr<std::FILE>(std::fopen(path.c_str(), "r+be"),
                                         [](std::FILE* f) {
                                           if (f != nullptr) std::fclose(f);
                                         }),
              std::vector<uint8_t>(size)};
  if (image.file && std::fread(image.bytes.data(), 1, size, image.file.get()) == size) return image;
  return Status(Code::kFailedPrecondition,
                fmt::format("{} is no {} image of {} bytes that can be written: remove it for a blank one",
                            path.string(),
                            size == At24::kSize ? "EEPROM" : "flash",
                            size));
}

void Store(std::FILE* file, const std::vector<uint8_t>& bytes, size_t at, size_t size) {
  std::fseek(file, static_cast<long>(at), SEEK_SET);
  std::fwrite(bytes.data() + at, 1, size, file);
  std::fflush(file);
}

}  // namespace

Result<std::unique_ptr<Machine>> NativeMachine::Make(MachineOrder order) {
  return std::unique_ptr<Machine>(std::make_unique<NativeMachine>(std::move(order)));
}

NativeMachine::NativeMachine(MachineOrder order)
    : eeprom_path_(std::move(order.eeprom)),
      start_faults_(std::move(order.faults)),
      line_(std::move(order.line)),
      clock_(FreeRunningMs()),
      slot_rails_(order.slot_rails),
      board_(order.slot_rails, *line_, [this] { return clock_.now_ms(); }) {}

Status NativeMachine::Start() {
  FARADAY_TRY(KeepEeprom());
  FARADAY_TRY(KeepFlash());
  for (const StartFault& fault : start_faults_) FARADAY_TRY(Apply(fault));
  board_.Boot();
  return OkStatus();
}

// The board's memories outlive the simulator, as on a real board.
Status NativeMachine::KeepEeprom() {
  if (eeprom_path_.empty()) return OkStatus();
  FARADAY_TRY(MakeBlankEeprom(eeprom_path_));
  At24& eeprom = board_.board().eeprom();
  FARADAY_TRY_ASSIGN(const Image image, OpenImage(eeprom_path_, At24::kSize));
  eeprom.LoadContents(image.bytes);
  eeprom.OnChange(
      [file = image.file, &eeprom](size_t page_at) { Store(file.get(), eeprom.contents(), page_at, At24::kPage); });
  return OkStatus();
}

// The log's flash beside it, "board0.flash".
Status NativeMachine::KeepFlash() {
  if (eeprom_path_.empty()) return OkStatus();
  const std::filesystem::path path = std::filesystem::path(eeprom_path_).replace_extension(".flash");
  if (!std::filesystem::exists(path)) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << std::string(NorFlash::kSize, '\xFF');
  }
  NorFlash& flash = board_.board().flash();
  FARADAY_TRY_ASSIGN(const Image image, OpenImage(path, NorFlash::kSize));
  flash.LoadContents(image.bytes);
  flash.OnChange(
      [file = image.file, &flash](size_t at, size_t size) { Store(file.get(), flash.contents(), at, size); });
  return OkStatus();
}

Status NativeMachine::Apply(const StartFault& fault) {
  switch (fault.kind) {
    case StartFault::Kind::kExpanderMissing:
      return SetFault(fault.slot_index, "expander-missing", true);
    case StartFault::Kind::kMonitorMissing:
      return SetFault(fault.slot_index, "monitor-missing", true);
    case StartFault::Kind::kSensorMissing:
      return SetFault(fault.slot_index, "sensor-missing", true);
    case StartFault::Kind::kEepromMissing:
      board_.SetEepromMissing(true);
      break;
    case StartFault::Kind::kEepromReadOnly:
      board_.SetEepromReadOnly(true);
      break;
  }
  return OkStatus();
}

// ALERT# is the board's own affair.
void NativeMachine::DriveSignals() {
  board_.board().SetSignals({.stop_button = stop_pressed_, .psu_ok = PsuOk(board_.plant(), slot_rails_)});
}

Status NativeMachine::PressStopButton(bool pressed) {
  stop_pressed_ = pressed;
  DriveSignals();
  return OkStatus();
}

void NativeMachine::Pass() {
  clock_.Follow(FreeRunningMs());
  DriveSignals();
  board_.Pass();
}

int NativeMachine::Watch(std::vector<pollfd>& watch) {
  line_->Connected();
  watch.push_back({line_->poll_fd(), POLLIN, 0});
  return kTickMs;
}

BoardFacts NativeMachine::facts() {
  BoardFacts facts;
  facts.boots = board_.boots();
  facts.stopped = board_.board().stopped();
  facts.slipped_ms = clock_.slipped_ms();
  facts.mcu = board_.hung() ? "hung" : "alive";
  facts.watchdog_bites = board_.watchdog_bites();
  return facts;
}

Status NativeMachine::McuReset(link::BootReason cause) {
  board_.McuReset(cause);
  return OkStatus();
}

Status NativeMachine::SetFault(size_t slot_index, std::string_view name, bool on) {
  return board_.SetFault(slot_index, name, on);
}

Status NativeMachine::McuHang() {
  board_.Hang();
  return OkStatus();
}

Status NativeMachine::ResetExpander(size_t slot_index) {
  board_.ResetExpander(slot_index);
  return OkStatus();
}

Status NativeMachine::SetBusStuck(int bus, bool stuck) { return board_.SetBusStuck(bus, stuck); }
Status NativeMachine::SetBusStretch(int bus, int ms) { return board_.SetBusStretch(bus, ms); }
Status NativeMachine::SetBoardFault(std::string_view name, bool on) { return board_.SetBoardFault(name, on); }
Status NativeMachine::WearEepromPage(int page) { return board_.WearEepromPage(page); }

}  // namespace faraday::sim
