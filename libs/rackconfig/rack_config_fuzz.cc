// libFuzzer: no text may crash the YAML reader or the rack loader, hang it, or pass the checks and break their
// promises.
#include <cstdlib>
#include <string_view>

#include "rackconfig/yaml_rack_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto environment = [](const std::string& name) -> std::optional<std::string> {
    return name == "FARADAY_RUN" ? std::optional<std::string>("/tmp/run") : std::nullopt;
  };
  const auto loaded = faraday::rackconfig::ParseRackConfig(text, "fuzz.yaml", environment);
  if (loaded.ok() != faraday::rackconfig::Usable(loaded.mistakes)) std::abort();
  if (!loaded.ok()) return 0;
  for (size_t i = 0; i < loaded.config->slots.size(); ++i) {
    const auto& slot = loaded.config->slots[i];
    const bool sound = slot.number == static_cast<int>(i) + 1 && slot.board_slot >= 1 && slot.board_slot <= 32 &&
                       slot.current_limit.count >= 100 && slot.current_limit.count <= 3000;
    if (!sound) std::abort();
  }
  return 0;
}
