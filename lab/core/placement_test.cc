#include "lab/core/placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "lab/core/fake_rack.h"
#include "lab/core/mismatch.h"

namespace faraday::lab {
namespace {

using ::testing::HasSubstr;

Wish WishFor(const std::string& selector, uint64_t arrival = 1) {
  return {arrival, std::move(model::Selector::Parse(selector)).value(), true, false};
}

// 14:20 on some day.
constexpr UtcTime kTwentyPastTwo{std::chrono::minutes(14 * 60 + 20)};

class Placement : public ::testing::Test {
 protected:
  SlotFacts& Slot(int number) { return rack_.slots[static_cast<size_t>(number - 1)]; }
  std::vector<Candidate> Candidates() const {
    std::vector<Candidate> candidates;
    for (const SlotFacts& slot : rack_.slots) {
      const auto used = used_.find(slot.slot.number);
      candidates.push_back({slot.slot,
                            AttributesOf(slot),
                            &slot,
                            HoldOf(rack_, slot),
                            HasPhone(slot),
                            used == used_.end() ? 0 : used->second});
    }
    return candidates;
  }
  Verdict JudgeOne(const std::string& selector) const { return Judge(WishFor(selector), Candidates(), unseen_); }
  std::string WaitReason(const std::string& selector) const {
    const Verdict verdict = JudgeOne(selector);
    EXPECT_EQ(verdict.kind, Verdict::Kind::kWait) << verdict.reason;
    return verdict.reason;
  }
  std::string NeverReason(const std::string& selector) const {
    const Verdict verdict = JudgeOne(selector);
    EXPECT_EQ(verdict.kind, Verdict::Kind::kNever) << verdict.reason;
    return verdict.reason;
  }

  RackFacts rack_ = FakeRack("r01", 4);
  std::map<int, uint64_t> used_;
  std::vector<std::string> unseen_;
};

TEST_F(Placement, LeastRecentlyUsedFirst_ThenLowestSlot) {
  EXPECT_EQ(JudgeOne("").slot.number, 1);
  used_ = {{1, 5}, {2, 3}, {3, 4}, {4, 9}};
  EXPECT_EQ(JudgeOne("").slot.number, 2);
  used_ = {{1, 5}, {2, 3}};
  EXPECT_EQ(JudgeOne("").slot.number, 3);
}

TEST_F(Placement, SeenPhoneBeforeOneOnlyExpected) {
  Slot(1).device = {};
  Slot(1).device.expected = "pixel-8";
  used_ = {{2, 1}, {3, 2}, {4, 3}};
  EXPECT_EQ(JudgeOne("model=pixel-8").slot.number, 2);
}

TEST_F(Placement, EarlierWishesFirst_LaterPassesOnlyWhenTheEarlierMatchesNothingFree) {
  Slot(1).device.model = "galaxy-s24";
  const Wish any = WishFor("", 1);
  const Wish busy = WishFor("slot=r01/02", 2);
  const Wish galaxy = WishFor("model=galaxy-s24", 3);
  Lease(&Slot(2), "res-9", Purpose::kPerson, kTwentyPastTwo);
  const auto verdicts = Place({&any, &busy, &galaxy}, Candidates(), {});
  EXPECT_EQ(verdicts[0].slot.number, 1) << "the first takes what it wants, though it leaves nothing for the third";
  EXPECT_EQ(verdicts[1].kind, Verdict::Kind::kWait);
  EXPECT_EQ(verdicts[2].kind, Verdict::Kind::kWait);
}

// The same slots in any order, and equal wishes in any order of arrival, give the same slots to the same places.
TEST_F(Placement, EveryOrderOfEqualInputs_GivesTheSamePlaces) {
  used_ = {{1, 4}, {2, 2}, {3, 3}, {4, 1}};
  std::vector<size_t> order = {0, 1, 2, 3};
  do {
    std::vector<Candidate> candidates;
    for (const size_t index : order) candidates.push_back(Candidates()[index]);
    const Wish first = WishFor("", 1), second = WishFor("model=pixel-8", 2), third = WishFor("os>=14", 3);
    const auto verdicts = Place({&first, &second, &third}, candidates, {});
    EXPECT_EQ(verdicts[0].slot.number, 4);
    EXPECT_EQ(verdicts[1].slot.number, 2);
    EXPECT_EQ(verdicts[2].slot.number, 3);
  } while (std::ranges::next_permutation(order).found);
}

// Wishes that exclude one another get their slot whoever comes first.
TEST_F(Placement, EveryArrivalOrderOfDisjointWishes_GivesTheSamePlaces) {
  std::vector<int> numbers = {1, 2, 3, 4};
  do {
    std::vector<Wish> wishes;
    for (const int number : numbers) {
      wishes.push_back(WishFor("slot=" + model::ToString(model::SlotId{"r01", number}), wishes.size() + 1));
    }
    const auto verdicts = Place({&wishes[0], &wishes[1], &wishes[2], &wishes[3]}, Candidates(), {});
    for (size_t i = 0; i < wishes.size(); ++i) EXPECT_EQ(verdicts[i].slot.number, numbers[i]);
  } while (std::ranges::next_permutation(numbers).found);
}

TEST_F(Placement, NoSlotIsGivenTwice) {
  std::vector<Wish> wishes;
  for (uint64_t i = 1; i <= 6; ++i) wishes.push_back(WishFor("", i));
  std::vector<const Wish*> pointers;
  for (const Wish& wish : wishes) pointers.push_back(&wish);
  std::set<int> given;
  int placed = 0;
  for (const Verdict& verdict : Place(pointers, Candidates(), {})) {
    if (verdict.kind != Verdict::Kind::kPlace) continue;
    ++placed;
    given.insert(verdict.slot.number);
  }
  EXPECT_EQ(placed, 4);
  EXPECT_EQ(given.size(), 4u);
}

TEST_F(Placement, WaitReason_CountsInPlainWords) {
  Lease(&Slot(1), "res-1", Purpose::kPerson, kTwentyPastTwo);
  Lease(&Slot(2), "res-2", Purpose::kPerson, {kTwentyPastTwo.since_epoch + std::chrono::minutes(5)});
  Slot(3).health = Health::kQuarantined;
  Slot(3).health_reason = "relay stuck";
  Lease(&Slot(4), "job-1.1", Purpose::kJob, kTwentyPastTwo);
  EXPECT_EQ(WaitReason("model=pixel-8"),
            "4 match: 2 leased, the first until 14:20 UTC, 1 quarantined: relay stuck, 1 running a job");
  EXPECT_EQ(WaitReason("slot=r01/01"), "1 matches: 1 leased until 14:20 UTC");
}

TEST_F(Placement, HeldSlots_AreNotPlacedOn) {
  const std::vector<std::pair<const char*, std::function<void(SlotFacts*)>>> cases = {
      {"suspect: agent lost",
       [](auto* s) {
         s->health = Health::kSuspect;
         s->health_reason = "agent lost";
       }},
      {"in maintenance", [](auto* s) { s->health = Health::kMaintenance; }},
      {"tripped: over-current", [](auto* s) { s->trip = "over-current"; }},
      {"being cleaned", [](auto* s) { s->allocation = Allocation::kCleaning; }},
      {"not answering: board 0 offline",
       [](auto* s) {
         s->measured_age = Milliseconds(6000);
         s->reason = "board 0 offline";
       }},
      {"without a phone", [](auto* s) { s->device.adb_state = "absent"; }},
      {"not yet seen by an agent",
       [](auto* s) {
         s->device = {};
         s->device.platform = "android";
       }},
      {"of unknown health", [](auto* s) { s->health = Health::kUnknown; }},
  };
  for (const auto& [text, change] : cases) {
    rack_ = FakeRack("r01", 1);
    change(&Slot(1));
    EXPECT_THAT(WaitReason("platform=android"), HasSubstr(text));
  }
}

TEST_F(Placement, UnreachableRack_IsWaitedFor) {
  rack_.reachable = false;
  EXPECT_EQ(WaitReason(""), "4 match: 4 on rack r01 that does not answer");
}

TEST_F(Placement, AbsentPhoneIsPlacedOnlyForWishesThatNeedNone) {
  rack_ = FakeRack("r01", 1);
  Slot(1).device.adb_state = "absent";
  Wish wish = WishFor("slot=r01/01");
  wish.needs_phone = false;
  EXPECT_EQ(Judge(wish, Candidates(), {}).kind, Verdict::Kind::kPlace);
}

TEST_F(Placement, JobNeedsAHost) {
  rack_ = FakeRack("r01", 1);
  Slot(1).hosts.clear();
  Wish wish = WishFor("");
  wish.needs_host = true;
  EXPECT_EQ(Judge(wish, Candidates(), {}).reason, "1 matches: 1 connected to no host computer");
}

TEST_F(Placement, Never_NamesTheExcludingTermAndTheNearestValue) {
  Slot(4).device.os_version = "13";
  EXPECT_EQ(NeverReason("platform=android,os>=15"),
            "no known slot has os>=15; the nearest that exists is os=14 (3 slots)");
  EXPECT_EQ(NeverReason("os<13"), "no known slot has os<13; the nearest that exists is os=13 (1 slot)");
  EXPECT_EQ(NeverReason("model=pixle-8"),
            "no known slot has model=pixle-8; the nearest that exists is model=pixel-8 (4 slots)");
  EXPECT_EQ(NeverReason("modle=pixel-8"),
            "no known slot has the attribute 'modle' (term modle=pixel-8); the nearest that exists is 'model'");
  EXPECT_THAT(NeverReason("platform!=android"), HasSubstr("excluded by platform!=android"));
  EXPECT_THAT(NeverReason("!serial"), HasSubstr("excluded by !serial"));
}

TEST_F(Placement, PhoneThatCallsItselfOtherwise_IsFoundByWhatTheConfigExpects) {
  Slot(3).device.expected = "galaxy-s23";
  Slot(3).device.model = "sm-s911b";
  EXPECT_EQ(JudgeOne("expected=galaxy-s23").slot.number, 3);
  EXPECT_THAT(
      NeverReason("model=galaxy-s23"),
      HasSubstr("r01/03 should hold a galaxy-s23, its phone says model=sm-s911b: expected=galaxy-s23 finds it"));
}

TEST_F(Placement, NeverByCombination_ShowsTheSlotThatMeetsMost) {
  Slot(2).device.model = "galaxy-s24";
  Slot(2).device.os_version = "15";
  const std::string reason = NeverReason("model=pixel-8,os>=15");
  EXPECT_THAT(reason, HasSubstr("no known slot meets all terms at once"));
  EXPECT_THAT(reason, HasSubstr("meets all but"));
}

TEST_F(Placement, NothingIsNever_WhileARackHasNotAnswered) {
  unseen_ = {"r02"};
  EXPECT_EQ(WaitReason("model=iphone-15"), "nothing known matches; rack r02 has not answered yet");
}

TEST_F(Placement, WhatMayStillChange_IsWaitedFor) {
  EXPECT_THAT(WaitReason("battery>=90"), HasSubstr("4 may once an agent has reported"));
  Slot(1).device = {};
  Slot(1).device.expected = "pixel-8";
  EXPECT_THAT(WaitReason("model=pixel-8,os>=15"), HasSubstr("1 may once an agent has reported"));
  EXPECT_THAT(NeverReason("model=pixel-9"), HasSubstr("nearest that exists is model=pixel-8"));
}

TEST_F(Placement, NoSlotsAtAll_SaysSo) {
  rack_.slots.clear();
  EXPECT_THAT(NeverReason(""), HasSubstr("no slot is known"));
}

TEST(Attributes, LastSeenElseExpected_LabelsUnderTheirOwnKeys) {
  SlotFacts slot = FakeSlot("r01", 7);
  slot.labels = {{"rooted", "yes"}, {"model", "lies"}, {"team.example/sim", "esim"}};
  auto attributes = AttributesOf(slot);
  EXPECT_EQ(attributes["rack"], "r01");
  EXPECT_EQ(attributes["slot"], "r01/07");
  EXPECT_EQ(attributes["model"], "pixel-8");
  EXPECT_EQ(attributes["battery"], "80");
  EXPECT_EQ(attributes["team.example/sim"], "esim");
  slot.device = {};
  slot.device.expected = "iphone-15";
  attributes = AttributesOf(slot);
  EXPECT_EQ(attributes["model"], "iphone-15");
  EXPECT_EQ(attributes["platform"], "ios");
  EXPECT_FALSE(attributes.contains("os"));
  EXPECT_FALSE(attributes.contains("battery"));
}

TEST(EditDistance, CountsLetters) {
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
  EXPECT_EQ(EditDistance("same", "same"), 0u);
}

}  // namespace
}  // namespace faraday::lab
