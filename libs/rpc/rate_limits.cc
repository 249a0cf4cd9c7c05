#include "rpc/rate_limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

namespace faraday::rpc {
namespace {

// Full buckets are looked for at most this often (chosen: a look costs about 1 ms at 10,000 buckets).
constexpr Milliseconds kSweep{1000};
constexpr std::string_view kAgainIn = "; again in ";

double Filled(double tokens, BootTime since, const Rate& rate, BootTime now) {
  const auto passed = static_cast<double>(std::max<int64_t>(0, (now - since).count())) / 1000;
  return std::min(rate.burst, tokens + passed * rate.per_second);
}

}  // namespace

const Rate& RateLimits::RateOf(RateClass of) const {
  const Rate* const rates[] = {&table_.people, &table_.machines, &table_.code};
  return *rates[static_cast<size_t>(of)];
}

Status RateLimits::Take(const std::string& identity, const std::string& name, RateClass of, BootTime now) {
  const Rate& rate = RateOf(of);
  Bucket& bucket = BucketOf({of, identity}, rate, now);
  bucket.tokens = Filled(bucket.tokens, bucket.filled, rate, now);
  bucket.filled = std::max(bucket.filled, now);
  if (bucket.tokens >= 1) {
    bucket.tokens -= 1;
    return OkStatus();
  }
  const auto wait = std::max(1.0, std::ceil((1 - bucket.tokens) / rate.per_second * 1000));
  return {Code::kResourceExhausted,
          fmt::format("{} made more than {} calls a second{}{} ms", name, rate.per_second, kAgainIn, wait)};
}

std::optional<Milliseconds> AskedToWait(const Status& status) {
  if (status.code() != Code::kResourceExhausted) return std::nullopt;
  const std::string& text = status.message();
  const auto at = text.rfind(kAgainIn);
  int64_t wait = 0;
  if (at == std::string::npos) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data() + at + kAgainIn.size(), text.data() + text.size(), wait);
  if (error != std::errc() || std::string_view(end) != " ms" || wait < 0) return std::nullopt;
  return Milliseconds(wait);
}

RateLimits::Bucket& RateLimits::BucketOf(Key key, const Rate& rate, BootTime now) {
  if (const auto found = buckets_.find(key); found != buckets_.end()) return found->second;
  if (buckets_.size() >= table_.most) ForgetFull(now);
  if (buckets_.size() >= table_.most) key.second.clear();  // all the others together
  return buckets_.try_emplace(std::move(key), Bucket{rate.burst, now}).first->second;
}

// A full bucket knows nothing: making it anew is the same.
void RateLimits::ForgetFull(BootTime now) {
  if (swept_ && now - *swept_ < kSweep) return;
  swept_ = now;
  std::erase_if(buckets_, [&](const auto& entry) {
    const Rate& rate = RateOf(entry.first.first);
    return Filled(entry.second.tokens, entry.second.filled, rate, now) >= rate.burst;
  });
}

}  // namespace faraday::rpc
