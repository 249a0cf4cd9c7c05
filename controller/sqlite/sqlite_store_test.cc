#include "controller/sqlite/sqlite_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <stdlib.h>

#include <filesystem>

#include "controller/sqlite/migrations.h"

namespace faraday::controller {
namespace {

using testing::HasSubstr;

class SqliteStoreTest : public testing::Test {
 protected:
  SqliteStoreTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "faraday-store-XXXXXX").string();
    folder = mkdtemp(pattern.data());
    path = folder + "/controller.db";
  }
  ~SqliteStoreTest() override { std::filesystem::remove_all(folder); }

  std::unique_ptr<SqliteStore> Open() {
    auto store = SqliteStore::Open(path, "r01");
    EXPECT_TRUE(store.ok()) << store.status().message();
    return store.ok() ? std::move(*store) : nullptr;
  }
  void Run(const std::string& sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    sqlite3_close(db);
  }
  static Tenure Leased(int slot) {
    Tenure t;
    t.slot = slot;
    t.epoch = 4'000'000'000;
    t.phase = Phase::kLeased;
    t.purpose = Purpose::kJob;
    t.holder = "ana";
    t.team = "modem";
    t.granted_by = "lab";
    t.end = {"boot-1", BootTime(Milliseconds(123)), UtcTime{Milliseconds(1'760'000'000'123)}, Milliseconds(60'000)};
    t.total = Milliseconds(80'000);
    t.agent = "h01";
    t.reservation = "job-1.1";
    t.note = "it's a \"note\"";
    t.clearing_epoch = 3;
    t.health = Health::kQuarantined;
    t.health_reason = "relay stuck";
    t.wanted = {true, true, link::DataPath::kHost, 7, 0xFFFF'FFFFU};
    return t;
  }

  std::string folder;
  std::string path;
};

TEST_F(SqliteStoreTest, WhatIsCommitted_IsThereAfterReopening) {
  ASSERT_TRUE(Open()->Commit({{Leased(1), Leased(2)}, std::nullopt, {}}).ok());
  const auto loaded = Open()->Load();
  ASSERT_TRUE(loaded.ok());
  ASSERT_EQ(loaded->size(), 2u);
  EXPECT_EQ(loaded->at(0), Leased(1));
  EXPECT_EQ(loaded->at(1), Leased(2));
}

TEST_F(SqliteStoreTest, AFailedTransaction_LeavesNothing) {
  const auto store = Open();
  Run("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no room'); END;");
  const Status status = store->Commit({{Leased(1)}, OnceRecord{"ana", "k", "h", "r", {}}, {AuditLine{}}});
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("no room"));
  EXPECT_TRUE(store->Load()->empty());
  EXPECT_FALSE(store->FindOnce("ana", "k", {})->has_value());
  Run("DROP TRIGGER full;");
  EXPECT_TRUE(store->Commit({{Leased(1)}, std::nullopt, {AuditLine{}}}).ok()) << "usable again";
}

TEST_F(SqliteStoreTest, OnceKeys_AreScopedByUserAndAge) {
  const auto store = Open();
  const UtcTime then{Milliseconds(1'000'000)};
  ASSERT_TRUE(store->Commit({{}, OnceRecord{"ana", "k", "hash", std::string("re\0ply", 6), then}, {}}).ok());
  const auto found = store->FindOnce("ana", "k", then);
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->reply, std::string("re\0ply", 6));
  EXPECT_FALSE(store->FindOnce("bo", "k", then)->has_value());
  const UtcTime later{then.since_epoch + kOnceKept + Milliseconds(1)};
  EXPECT_FALSE(store->FindOnce("ana", "k", later)->has_value());
}

TEST_F(SqliteStoreTest, OnceKeys_AreBoundedAUserAndAgedOut) {
  const auto store = Open();
  Run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) "
      "INSERT INTO once SELECT 'ana', 'k' || i, 'h', 'r', 1000 FROM n;");
  const UtcTime soon{Milliseconds(2'000)};
  const Status status = store->Commit({{Leased(1)}, OnceRecord{"ana", "one more", "h", "r", soon}, {}});
  EXPECT_EQ(status.code(), Code::kResourceExhausted);
  EXPECT_TRUE(store->Load()->empty());
  EXPECT_TRUE(store->Commit({{}, OnceRecord{"ana", "k7", "h", "r", soon}, {}}).ok()) << "a known key takes no room";
  EXPECT_TRUE(store->Commit({{}, OnceRecord{"bo", "k", "h", "r", soon}, {}}).ok());
  const UtcTime next_day{Milliseconds(1'001) + kOnceKept};
  EXPECT_TRUE(store->Commit({{}, OnceRecord{"ana", "one more", "h", "r", next_day}, {}}).ok());
}

TEST_F(SqliteStoreTest, AStoreOfAnEarlierVersion_IsMigratedWithItsLeases) {
  for (int version = 1; version < kSchemaVersion; ++version) {
    std::filesystem::remove(path);
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
    ASSERT_TRUE(Migrate(db, version).ok());
    sqlite3_close(db);
    const std::string more = version >= 3 ? ", 1, 77" : "";
    Run("INSERT INTO rack VALUES ('r01');"
        "INSERT INTO tenure VALUES (7, 42, 2, 1, 'ana', '', 'ana', 'b', 5, 6, 7, 8, 'h01', '', '', 0, 1, ''" +
        more + ");");
    const auto store = Open();
    const auto loaded = store->Load();
    ASSERT_TRUE(loaded.ok());
    ASSERT_EQ(loaded->size(), 1u) << "from version " << version;
    EXPECT_EQ(loaded->at(0).epoch, 42u);
    EXPECT_EQ(loaded->at(0).holder, "ana");
    EXPECT_EQ(loaded->at(0).wanted.Nothing(), version < 3) << "nobody knows what an older controller's holder wants";
    EXPECT_FALSE(*store->LoadStop());
    EXPECT_TRUE(store->Commit({{}, OnceRecord{"ana", "k", "h", "r", {}}, {}}).ok()) << "version 2's table is there";
  }
}

TEST_F(SqliteStoreTest, TheRacksStop_IsKeptUntilItIsOver) {
  const StopRecord stop{UtcTime{Milliseconds(1'760'000'000'123)}, "tina", "smoke"};
  Change change;
  change.stop = stop;
  ASSERT_TRUE(Open()->Commit(change).ok());
  EXPECT_EQ(*Open()->LoadStop(), stop);
  ASSERT_TRUE(Open()->Commit({}).ok());
  EXPECT_EQ(*Open()->LoadStop(), stop) << "another change leaves it";
  change.stop = StopRecord{};
  ASSERT_TRUE(Open()->Commit(change).ok());
  EXPECT_FALSE(*Open()->LoadStop());
}

TEST_F(SqliteStoreTest, ANewerStore_IsRefused) {
  Open();
  Run("PRAGMA user_version = 99;");
  const auto store = SqliteStore::Open(path, "r01");
  EXPECT_EQ(store.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(store.status().message(), HasSubstr("has schema 99, this controller knows up to 4"));
}

TEST_F(SqliteStoreTest, AnotherRacksStore_IsRefused) {
  Open();
  const auto store = SqliteStore::Open(path, "r02");
  EXPECT_EQ(store.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(store.status().message(), HasSubstr("belongs to rack r01, the config says r02"));
}

TEST_F(SqliteStoreTest, NoSuchFolder_SaysWhatToCheck) {
  const auto store = SqliteStore::Open(folder + "/missing/controller.db", "r01");
  EXPECT_EQ(store.status().code(), Code::kUnavailable);
  EXPECT_THAT(store.status().message(), HasSubstr("check the folder and its owner"));
}

}  // namespace
}  // namespace faraday::controller
