// A Store in memory that can be told to fail: the world where the disk is full. It keeps what was committed, so a new
// Lab on the same store is a restart after kill -9.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "lab/core/store.h"

namespace faraday::lab {

class FakeStore : public Store {
 public:
  // Every commit fails with this until it is OK again.
  void Break(Status status) { broken_ = std::move(status); }
  int commits() const { return commits_; }

  Status Commit(const Changes& changes) override {
    FARADAY_TRY(broken_);
    ++commits_;
    for (const auto& reservation : changes.reservations) reservations_[reservation.number] = reservation;
    for (const auto& job : changes.jobs) jobs_[job.number] = job;
    if (changes.idempotency) keys_[{changes.idempotency->user, changes.idempotency->key}] = *changes.idempotency;
    if (changes.used) slot_use_[changes.used->slot] = changes.used->sequence;
    return OkStatus();
  }

  Result<Loaded> Load() override {
    Loaded loaded;
    for (const auto& [number, reservation] : reservations_) {
      if (reservation.active()) loaded.reservations.push_back(reservation);
      loaded.last_reservation = number;
      loaded.last_arrival = std::max(loaded.last_arrival, reservation.arrival);
    }
    for (const auto& [number, job] : jobs_) {
      if (job.state != JobState::kFinished) loaded.jobs.push_back(job);
      loaded.last_job = number;
      loaded.last_arrival = std::max(loaded.last_arrival, job.arrival);
    }
    loaded.slot_use = slot_use_;
    return loaded;
  }

  Result<Job> FindJob(uint64_t number) override {
    if (const auto found = jobs_.find(number); found != jobs_.end()) return found->second;
    return Status(Code::kNotFound, "no such job");
  }
  Result<Reservation> FindReservation(uint64_t number) override {
    if (const auto found = reservations_.find(number); found != reservations_.end()) return found->second;
    return Status(Code::kNotFound, "no such reservation");
  }
  Result<std::vector<Job>> ListJobs(size_t limit, uint64_t before, const std::string& user) override {
    std::vector<Job> jobs;
    for (auto job = jobs_.rbegin(); job != jobs_.rend() && jobs.size() < limit; ++job) {
      if ((before == 0 || job->first < before) && (user.empty() || job->second.person.user == user)) {
        jobs.push_back(job->second);
      }
    }
    return jobs;
  }
  Result<std::optional<Idempotency>> FindIdempotency(const std::string& user, const std::string& key) override {
    const auto found = keys_.find({user, key});
    return found == keys_.end() ? std::optional<Idempotency>{} : std::optional<Idempotency>{found->second};
  }
  Result<size_t> CountIdempotency(const std::string& user, UtcTime oldest) override {
    std::erase_if(keys_, [&](const auto& entry) { return entry.second.created < oldest; });
    return static_cast<size_t>(
        std::ranges::count_if(keys_, [&](const auto& entry) { return entry.first.first == user; }));
  }

 private:
  Status broken_;
  int commits_ = 0;
  std::map<uint64_t, Reservation> reservations_;
  std::map<uint64_t, Job> jobs_;
  std::map<std::pair<std::string, std::string>, Idempotency> keys_;
  std::map<std::string, uint64_t> slot_use_;
};

}  // namespace faraday::lab
