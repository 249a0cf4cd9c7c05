#include "rpc/connection_table.h"

#include <algorithm>

namespace faraday::rpc {
namespace {

// What an answer takes beside its bytes: libzmq's message and pipe slot, CURVE's and TCP's framing (estimated).
constexpr uint64_t kMessageOverhead = 128;
constexpr size_t kSmallAnswer = 16 * 1024;  // chosen
constexpr Milliseconds kRefusalWindow{10'000};

}  // namespace

std::vector<int> ConnectionTable::Opened(int fd, const std::string& address) {
  Closed(fd);  // its end was not told
  Entry& entry = entries_[fd];
  entry.address = address;
  auto& queue = unclaimed_[address];
  entry.place = queue.insert(queue.end(), fd);
  ++unclaimed_count_;
  if (open() <= bounds_.open && unclaimed_count_ <= bounds_.unclaimed) return {};
  const int victim = OldestUnclaimed().value_or(fd);
  Cut(victim);
  return {victim};
}

std::optional<int> ConnectionTable::OldestUnclaimed() const {
  const auto longest = std::max_element(unclaimed_.begin(), unclaimed_.end(), [](const auto& a, const auto& b) {
    return a.second.size() < b.second.size();
  });
  if (longest == unclaimed_.end()) return std::nullopt;
  return longest->second.front();
}

void ConnectionTable::LeaveQueue(Entry& entry) {
  const auto queue = unclaimed_.find(entry.address);
  queue->second.erase(entry.place);
  if (queue->second.empty()) unclaimed_.erase(queue);
  --unclaimed_count_;
}

ConnectionTable::Entry* ConnectionTable::Find(int fd) {
  const auto found = entries_.find(fd);
  return found == entries_.end() || found->second.cut ? nullptr : &found->second;
}

void ConnectionTable::Cut(int fd) {
  Entry* entry = Find(fd);
  if (entry == nullptr) return;
  if (entry->caller.empty()) {
    LeaveQueue(*entry);
  } else if (const auto caller = callers_.find(entry->caller); --caller->second == 0) {
    callers_.erase(caller);
  }
  entry->cut = true;
  ++cut_count_;
}

void ConnectionTable::Closed(int fd) {
  const auto found = entries_.find(fd);
  if (found == entries_.end()) return;
  Cut(fd);
  --cut_count_;
  unread_ -= found->second.unread;
  entries_.erase(found);
}

bool ConnectionTable::Claim(int fd, const std::string& caller) {
  Entry* entry = Find(fd);
  if (entry == nullptr || !entry->caller.empty()) return true;
  const auto count = callers_.find(caller);
  if (count != callers_.end() && count->second >= bounds_.per_caller) return false;
  LeaveQueue(*entry);
  entry->caller = caller;
  ++callers_[caller];
  return true;
}

// What the peer's kernel has taken is off our hands.
void ConnectionTable::Refresh(int fd, Entry& entry) {
  const uint64_t now = counters_(fd).acknowledged;
  const uint64_t taken = std::min(entry.unread, now - std::min(now, entry.acknowledged));
  entry.acknowledged = now;
  entry.unread -= taken;
  unread_ -= taken;
}

std::vector<int> ConnectionTable::Sending(int fd, size_t bytes) {
  Entry* entry = Find(fd);
  if (entry == nullptr) return {};
  entry->unread += bytes + kMessageOverhead;
  unread_ += bytes + kMessageOverhead;
  if (entry->unread > bounds_.unread_of_one) {
    Refresh(fd, *entry);
    if (entry->unread > bounds_.unread_of_one) {
      Cut(fd);
      return {fd};
    }
  }
  if (unread_ <= bounds_.unread_of_all) return {};
  uint64_t held = 0;  // by those that are not cut off yet
  for (auto& [other, its] : entries_) {
    if (its.cut) continue;
    Refresh(other, its);
    held += its.unread;
  }
  return CutLargest(&Entry::unread, held, bounds_.unread_of_all);
}

bool ConnectionTable::MaySend(int fd, size_t bytes) const {
  const auto found = entries_.find(fd);
  if (found == entries_.end()) return true;
  return !found->second.cut && (bytes <= kSmallAnswer || unread_ + bytes <= bounds_.unread_of_all);
}

void ConnectionTable::Heard(int fd) {
  if (Entry* entry = Find(fd)) entry->heard = true;
}

// A whole message has all that came before it behind it.
std::vector<int> ConnectionTable::Sweep() {
  std::vector<int> victims;
  uint64_t total = 0;
  for (auto& [fd, entry] : entries_) {
    if (entry.cut) continue;
    const uint64_t received = counters_(fd).received;
    const uint64_t fresh = received - std::min(received, entry.received);
    entry.unfinished = (entry.heard ? 0 : entry.unfinished) + fresh;
    entry.received = received;
    entry.heard = false;
    total += entry.unfinished;
    if (entry.unfinished > bounds_.unfinished_of_one) victims.push_back(fd);
  }
  if (victims.empty()) return CutLargest(&Entry::unfinished, total, bounds_.unfinished_of_all);
  for (const int fd : victims) Cut(fd);
  return victims;
}

std::vector<int> ConnectionTable::Refused(int fd, uint32_t weight, BootTime now) {
  Entry* entry = Find(fd);
  if (entry == nullptr) return {};
  if (now - entry->counted_from > kRefusalWindow) {
    entry->refusals = 0;
    entry->counted_from = now;
  }
  entry->refusals += weight;
  if (entry->refusals <= bounds_.refusals) return {};
  Cut(fd);
  return {fd};
}

std::vector<int> ConnectionTable::Subscribed(int fd, int64_t bytes) {
  Entry* entry = Find(fd);
  if (entry == nullptr) return {};
  entry->topic_bytes = std::max<int64_t>(0, entry->topic_bytes + bytes);
  if (entry->topic_bytes <= bounds_.topic_bytes) return {};
  Cut(fd);
  return {fd};
}

std::vector<int> ConnectionTable::CutLargest(uint64_t Entry::*amount, uint64_t total, uint64_t most) {
  std::vector<int> victims;
  if (total <= most) return victims;
  std::vector<std::pair<uint64_t, int>> by_size;
  for (const auto& [fd, entry] : entries_) {
    if (!entry.cut) by_size.emplace_back(entry.*amount, fd);
  }
  std::sort(by_size.rbegin(), by_size.rend());
  for (const auto& [size, fd] : by_size) {
    if (total <= most / 4 * 3) break;
    total -= size;
    Cut(fd);
    victims.push_back(fd);
  }
  return victims;
}

}  // namespace faraday::rpc
