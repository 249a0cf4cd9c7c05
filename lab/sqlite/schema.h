// The lab's tables. A migration is never changed once released; a new one is added at the end.
#pragma once

#include <string>
#include <vector>

namespace faraday::lab {

inline const std::vector<std::string>& LabMigrations() {
  static const std::vector<std::string> migrations = {
      // 1: the first schema. Blobs hold faraday.v1 messages, which only ever grow.
      R"sql(
      CREATE TABLE reservations (
        number INTEGER PRIMARY KEY, arrival INTEGER NOT NULL, user TEXT NOT NULL, role TEXT NOT NULL, team TEXT NOT NULL,
        selector TEXT NOT NULL, duration_s INTEGER NOT NULL, wait_s INTEGER NOT NULL, note TEXT NOT NULL,
        state INTEGER NOT NULL, reason TEXT NOT NULL, lease BLOB NOT NULL, cancel_asked INTEGER NOT NULL,
        created_utc_ms INTEGER NOT NULL) STRICT;
      CREATE INDEX reservations_active ON reservations (state) WHERE state IN (1, 2);
      CREATE TABLE jobs (
        number INTEGER PRIMARY KEY, arrival INTEGER NOT NULL, user TEXT NOT NULL, role TEXT NOT NULL, team TEXT NOT NULL,
        spec BLOB NOT NULL, state INTEGER NOT NULL, outcome INTEGER NOT NULL, reason TEXT NOT NULL,
        cancel_asked INTEGER NOT NULL, cancel_reason TEXT NOT NULL, created_utc_ms INTEGER NOT NULL,
        finished_utc_ms INTEGER NOT NULL, change INTEGER NOT NULL) STRICT;
      CREATE INDEX jobs_unfinished ON jobs (state) WHERE state IN (1, 2);
      CREATE INDEX jobs_by_user ON jobs (user, number);
      CREATE TABLE attempts (
        job INTEGER NOT NULL REFERENCES jobs (number), position INTEGER NOT NULL, id TEXT NOT NULL UNIQUE,
        slot TEXT NOT NULL, state INTEGER NOT NULL, outcome INTEGER NOT NULL, record BLOB NOT NULL,
        PRIMARY KEY (job, position)) STRICT;
      CREATE TABLE idempotency (
        user TEXT NOT NULL, key TEXT NOT NULL, request_hash TEXT NOT NULL, result TEXT NOT NULL,
        created_utc_ms INTEGER NOT NULL, PRIMARY KEY (user, key)) STRICT;
      CREATE TABLE slot_use (slot TEXT PRIMARY KEY, sequence INTEGER NOT NULL) STRICT;
      CREATE TABLE files (
        attempt TEXT NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL,
        PRIMARY KEY (attempt, name)) STRICT;
      )sql",
      // 2: which call made a reservation or job.
      R"sql(
      ALTER TABLE reservations ADD COLUMN trace TEXT NOT NULL DEFAULT '';
      ALTER TABLE jobs ADD COLUMN trace TEXT NOT NULL DEFAULT '';
      )sql",
  };
  return migrations;
}

}  // namespace faraday::lab
