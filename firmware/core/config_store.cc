#include "firmware/core/config_store.h"

#include <algorithm>

#include "link/frame.h"

namespace faraday::firmware {
namespace {

constexpr uint32_t kFirstAt = 0x400;
constexpr uint32_t kCopySize = 0x400;
constexpr size_t kCheckedBytes = 16;

void Put32(std::span<uint8_t> out, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) out[i] = static_cast<uint8_t>(value >> (8 * i));
}
uint32_t Get32(std::span<const uint8_t> in) {
  return uint32_t{in[0]} | uint32_t{in[1]} << 8 | uint32_t{in[2]} << 16 | uint32_t{in[3]} << 24;
}
constexpr uint32_t AddressOf(size_t copy) { return kFirstAt + static_cast<uint32_t>(copy) * kCopySize; }

}  // namespace

ConfigStore::Header ConfigStore::HeaderOf(const Kept& kept) const {
  Header header{};
  const std::span<uint8_t> out(header);
  Put32(out, kept.number);
  Put32(out.subspan(4), kept.length);
  Put32(out.subspan(8), kept.crc);
  Put32(out.subspan(12), Crc32(store_.rack()));
  Put32(out.subspan(16), link::Crc32(std::span<const uint8_t>(header).first(kCheckedBytes)));
  return header;
}

ConfigStore::Kept ConfigStore::LoadHeader(size_t copy) {
  Header header{};
  if (!store_.Read(AddressOf(copy), header)) return {};
  const std::span<const uint8_t> in(header);
  const Kept kept = {.number = Get32(in), .length = Get32(in.subspan(4)), .crc = Get32(in.subspan(8))};
  return header == HeaderOf(kept) && kept.length <= kMostBytes ? kept : Kept{};
}

size_t ConfigStore::Load(std::span<uint8_t> room) {
  const std::array<Kept, kCopies> kept = {LoadHeader(0), LoadHeader(1)};
  const size_t newest = kept[1].number > kept[0].number ? 1 : 0;
  number_ = kept[newest].number;
  for (const size_t copy : {newest, 1 - newest}) {
    const uint32_t length = kept[copy].length;
    if (kept[copy].number == 0 || length > room.size()) continue;
    const std::span<uint8_t> bytes = room.first(length);
    const bool read = store_.Read(AddressOf(copy) + sizeof(Header), bytes);
    if (!read || link::Crc32(bytes) != kept[copy].crc) continue;
    number_ = kept[copy].number;
    return length;
  }
  return 0;
}

// A copy's place follows from its number, so the one that counts is never the one written.
bool ConfigStore::Save(std::span<const uint8_t> bytes) {
  const Kept next = {.number = number_ + 1, .length = static_cast<uint32_t>(bytes.size()), .crc = link::Crc32(bytes)};
  const uint32_t at = AddressOf(next.number % kCopies);
  if (!store_.Write(at + sizeof(Header), bytes) || !store_.Write(at, HeaderOf(next))) return false;
  number_ = next.number;
  return true;
}

}  // namespace faraday::firmware
