// The board's AT24C64 EEPROM (8 KiB, 32-byte pages, two address bytes): the non-volatile bytes. Main loop only.
//
// A write is believed when it reads back: a protected or worn part acknowledges and keeps its old bytes.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "firmware/boards/ast1030/gpio.h"
#include "firmware/boards/ast1030/timer.h"

namespace faraday::firmware::ast1030 {

class Eeprom {
 public:
  static constexpr uint32_t kBytes = 8192;

  explicit Eeprom(Gpio& gpio) : gpio_(gpio) {}

  // Errors: kOutOfRange beyond the part's end, kUnavailable no answer, kDeadlineExceeded or kAborted as the bus.
  Status Read(uint32_t at, std::span<uint8_t> in) const;
  // Page by page, unprotected meanwhile; each page takes the part up to 5 ms (data sheet, tWR), in which `idle` is
  // called again and again. A power cut leaves whole pages, old or new, apart from the one being written.
  // Errors: as Read; kUnavailable also: the bytes were not taken, or the part does not come back within 10 ms.
  template <typename Idle>
  Status Write(uint32_t at, std::span<const uint8_t> out, Idle idle) const {
    FARADAY_TRY(CheckRange(at, out.size()));
    while (!out.empty()) {
      const size_t count = std::min<size_t>(out.size(), kPage - at % kPage);
      FARADAY_TRY(WritePage(at, out.first(count), idle));
      at += static_cast<uint32_t>(count);
      out = out.subspan(count);
    }
    return OkStatus();
  }

 private:
  static constexpr size_t kPage = 32;
  static constexpr uint32_t kWriteLimitUs = 10'000;  // twice the data sheet's 5 ms

  class Unprotected {
   public:
    explicit Unprotected(Gpio& gpio) : gpio_(gpio) { gpio_.SetWriteProtect(false); }
    ~Unprotected() { gpio_.SetWriteProtect(true); }
    Unprotected(const Unprotected&) = delete;
    Unprotected& operator=(const Unprotected&) = delete;

   private:
    Gpio& gpio_;
  };

  static Status CheckRange(uint32_t at, size_t size);
  static Status SendPage(uint32_t at, std::span<const uint8_t> bytes);
  // OK: the part acknowledges its address, which it does not while it writes.
  static Status Ask();
  Status CheckPage(uint32_t at, std::span<const uint8_t> bytes) const;

  template <typename Idle>
  Status WritePage(uint32_t at, std::span<const uint8_t> bytes, Idle& idle) const {
    const Unprotected open(gpio_);
    FARADAY_TRY(SendPage(at, bytes));
    const uint32_t started_us = Timer::Micros();
    while (true) {
      const bool late = Timer::Micros() - started_us > kWriteLimitUs;
      const Status answer = Ask();
      if (answer.ok()) return CheckPage(at, bytes);
      if (late || answer.code() != Code::kUnavailable) return answer;
      idle();
    }
  }

  Gpio& gpio_;
};

}  // namespace faraday::firmware::ast1030
