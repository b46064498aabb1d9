#include "tests/connectors/store_contract.hpp"

// What the guard holds, until an operator decides.

namespace leadsync::store_contract {
namespace {

using namespace std::chrono_literals;
using store::Approval;
using store::HoldKind;
using store::Work;
using sync::LeadId;

class GuardContract : public StoreContract {
protected:
    void hold_backlog(HoldKind kind) {
        store_->run([&](Transaction& transaction) { transaction.queue.hold_backlog(kind, "too many at once"); });
    }
    std::vector<LeadId> held(HoldKind kind, const std::vector<LeadId>& ids) {
        return store_->run([&](Transaction& transaction) { return transaction.queue.held(kind, ids); });
    }
    /// One lead of which an edit made here is held, and then one made there.
    std::vector<HeldLine> held_on_both_sides() {
        synced({1});
        edit(1, "Ada");
        hold_backlog(HoldKind::change);
        hold(HoldKind::remote_change, {lead_id(1)});
        const auto lines = store_->held();
        EXPECT_EQ(lines.size(), 2);
        return lines;
    }
};

TEST_P(GuardContract, CountsWhatWaitsByKind) {
    synced({1, 2, 3, 4});
    new_row("new@acme.io");
    edit(1, "Ada");
    edit(2, "Grace");
    store_->erase(lead_id(3));
    store_->run([](Transaction& transaction) { transaction.queue.enqueue({lead_id(4)}); });
    EXPECT_EQ(backlog(HoldKind::create), 1);
    EXPECT_EQ(backlog(HoldKind::change), 2) << "only what a user edited";
    EXPECT_EQ(backlog(HoldKind::remove), 1);
    EXPECT_EQ(backlog(HoldKind::change, 1), 1);
    claim();
    EXPECT_EQ(backlog(HoldKind::change), 0) << "in hand";
    store_->advance(61s);
    EXPECT_EQ(backlog(HoldKind::change), 2);
}

TEST_P(GuardContract, ClaimsNothingWhereMoreMayWaitThanAllowed) {
    synced({1, 2});
    edit(1, "Ada");
    edit(2, "Grace");
    const auto claim_within = [&](const store::Allowed& allowed) {
        return store_->run([&](Transaction& transaction) {
            const auto claims = transaction.queue.claim_within(allowed, 1, 1min, true, std::nullopt);
            return claims ? std::optional{claims->size()} : std::nullopt;
        });
    };
    EXPECT_EQ(claim_within({{HoldKind::create, 0}, {HoldKind::change, 1}}), std::nullopt);
    EXPECT_EQ(backlog(HoldKind::change), 2) << "none is in hand";
    EXPECT_EQ(claim_within({{HoldKind::create, 0}, {HoldKind::change, 2}}), 1U);
    EXPECT_EQ(claim_within({}), 1U) << "nothing is watched";
    EXPECT_EQ(claim_within({{HoldKind::create, 0}}), 0U);
}

TEST_P(GuardContract, TellsOfWhichMoreWaitThanAllowed) {
    using Kinds = std::vector<HoldKind>;
    synced({1, 2, 3});
    edit(1, "Ada");
    edit(2, "Grace");
    store_->erase(lead_id(3));
    EXPECT_EQ(exceeded({{HoldKind::create, 0}, {HoldKind::change, 1}, {HoldKind::remove, 0}}),
              (Kinds{HoldKind::change, HoldKind::remove}));
    EXPECT_EQ(exceeded({{HoldKind::change, 2}, {HoldKind::remove, 1}}), Kinds{});
    EXPECT_EQ(exceeded({}), Kinds{});
    const auto claims = claim();
    EXPECT_EQ(exceeded({{HoldKind::change, 0}}), Kinds{}) << "in hand";
    store_->run([&](Transaction& transaction) { transaction.queue.defer(claims, 0ms); });
    EXPECT_EQ(exceeded({{HoldKind::change, 1}}), Kinds{HoldKind::change});
    hold_backlog(HoldKind::change);
    EXPECT_EQ(exceeded({{HoldKind::change, 0}}), Kinds{});
}

TEST_P(GuardContract, HoldsABacklogUntilAnOperatorDecides) {
    synced({1, 2, 3});
    edit(1, "Ada");
    edit(2, "Grace");
    store_->erase(lead_id(3));
    hold_backlog(HoldKind::change);
    EXPECT_EQ(store_->row(lead_id(1))->status, sync::SyncStatus::held);
    EXPECT_EQ(store_->row(lead_id(1))->error, "too many at once");
    EXPECT_EQ(claim_one().work, Work::remove) << "only changes are held";
    EXPECT_EQ(pending(), 1);
    EXPECT_EQ(backlog(HoldKind::change), 0);
    const auto lines = store_->held();
    ASSERT_EQ(lines.size(), 2);
    EXPECT_EQ(lines[0].lead, lead_id(1));
    EXPECT_EQ(lines[0].kind, HoldKind::change);
    EXPECT_EQ(lines[0].reason, "too many at once");

    store_->decide(lines[0].id, true);
    const auto approved = claim_one();
    EXPECT_EQ(approved.id, lead_id(1));
    EXPECT_EQ(approved.approval, Approval::approved);
    EXPECT_EQ(approved.approval_of, HoldKind::change);
    store_->decide(lines[1].id, false);
    const auto rejected = claim_one();
    EXPECT_EQ(rejected.id, lead_id(2));
    EXPECT_EQ(rejected.approval, Approval::rejected);
    EXPECT_THROW(store_->decide(lines[1].id, true), std::invalid_argument);
}

TEST_P(GuardContract, DoesNotHoldAgainWhatWasDecided) {
    new_row("new@acme.io");
    hold_backlog(HoldKind::create);
    EXPECT_TRUE(claim().empty());
    store_->decide(store_->held().front().id, true);
    EXPECT_EQ(backlog(HoldKind::create), 0);
    hold_backlog(HoldKind::create);
    EXPECT_EQ(claim_one().approval_of, HoldKind::create);
    EXPECT_EQ(store_->held().size(), 1);
}

TEST_P(GuardContract, HoldsAnEditOnTopOfAHeldOneToo) {
    synced({1});
    edit(1, "Ada");
    hold_backlog(HoldKind::change);
    edit(1, "Grace");
    EXPECT_EQ(store_->row(lead_id(1))->status, sync::SyncStatus::held);
    EXPECT_TRUE(claim().empty());
    store_->decide(store_->held().front().id, true);
    const auto approved = claim_one();
    EXPECT_EQ(approved.approval, Approval::approved);
    store_->run([&](Transaction& transaction) { transaction.queue.defer({approved}, 0ms); });
    edit(1, "Joan");
    const auto later = claim_one();
    EXPECT_EQ(later.approval, Approval::none) << "the word was about other edits";
    EXPECT_EQ(later.approval_of, std::nullopt);
}

TEST_P(GuardContract, TakesADeletionOfAHeldRowForANewWish) {
    const auto row = new_row("new@acme.io");
    hold_backlog(HoldKind::create);
    store_->erase(row);
    EXPECT_TRUE(store_->held().empty());
    EXPECT_EQ(claim_one().work, Work::nothing);
}

TEST_P(GuardContract, HoldsWhatHappenedOnInstantly) {
    synced({1, 2, 3});
    hold(HoldKind::remote_change, {lead_id(1), lead_id(2)}, "first");
    EXPECT_EQ(store_->row(lead_id(1))->status, sync::SyncStatus::held);
    EXPECT_EQ(store_->row(lead_id(1))->error, "first");
    hold(HoldKind::remote_change, {lead_id(1)}, "second");
    EXPECT_EQ(store_->row(lead_id(1))->error, "first") << "it stays as it is";
    hold(HoldKind::remote_deletion, {lead_id(1)}, "third");
    EXPECT_EQ(store_->held().size(), 3);
    EXPECT_EQ(held(HoldKind::remote_change, {lead_id(1), lead_id(2), lead_id(3)}).size(), 2);
    EXPECT_EQ(held(HoldKind::remote_deletion, {lead_id(1), lead_id(2), lead_id(3)}), std::vector{lead_id(1)});
    EXPECT_TRUE(held(HoldKind::change, {lead_id(1)}).empty());
    EXPECT_EQ(pending(), 0);
}

TEST_P(GuardContract, CarriesADecisionToALeadThatWasNotQueued) {
    synced({1});
    hold(HoldKind::remote_change, {lead_id(1)});
    store_->decide(store_->held().front().id, false);
    EXPECT_TRUE(held(HoldKind::remote_change, {lead_id(1)}).empty());
    const auto claimed = claim_one();
    EXPECT_EQ(claimed.approval, Approval::rejected);
    EXPECT_EQ(claimed.approval_of, HoldKind::remote_change);
    EXPECT_EQ(backlog(HoldKind::change), 0);
    complete({claimed});
    hold(HoldKind::remote_change, {lead_id(1)});
    EXPECT_EQ(held(HoldKind::remote_change, {lead_id(1)}).size(), 1) << "it can be held again";
}

TEST_P(GuardContract, HoldsALeadUntilEverythingOfItIsDecided) {
    const auto lines = held_on_both_sides();
    store_->decide(lines[0].id, true);
    EXPECT_TRUE(claim().empty()) << "the edit made on Instantly still waits";
    store_->decide(lines[1].id, true);
    EXPECT_EQ(claim().size(), 1);
}

TEST_P(GuardContract, CarriesOutARejectionThatIsFollowedByAnApproval) {
    const auto lines = held_on_both_sides();
    store_->decide(lines[0].id, false);
    store_->decide(lines[1].id, true);
    const auto claimed = claim_one();
    EXPECT_EQ(claimed.approval, Approval::rejected);
    EXPECT_EQ(claimed.approval_of, lines[0].kind);
}

INSTANTIATE_TEST_SUITE_P(Stores, GuardContract, candidates, name_of);

}  // namespace
}  // namespace leadsync::store_contract
