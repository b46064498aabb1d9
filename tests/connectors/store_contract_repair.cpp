#include "tests/connectors/store_contract.hpp"

// What capture missed: rows that went, came or changed while no trigger watched.

namespace leadsync::store_contract {
namespace {

using namespace std::chrono_literals;
using sync::Field;
using sync::LeadId;
using sync::SyncStatus;

class RepairContract : public StoreContract {
protected:
    store::Repaired repair(const std::optional<LeadId>& after = std::nullopt, int limit = 100) {
        return store_->run([&](Transaction& transaction) { return transaction.leads.repair(after, limit); });
    }
    std::int64_t queue_unborn(int limit) {
        return store_->run([&](Transaction& transaction) { return transaction.leads.queue_unborn(limit); });
    }
    void edit_unseen(int number, const std::string& first_name) {
        store_->update_unseen(lead_id(number), [&](sync::Content& row) { row[Field::first_name] = first_name; });
    }
    void set_variables(int number, const sync::CustomVariables& variables) {
        store_->update_unseen(lead_id(number), [&](sync::Content& row) { row.custom_variables = variables; });
    }
};

TEST_P(RepairContract, MergesALeadWhoseRowIsGoneWithWhateverItShowsNext) {
    synced({1, 2, 3, 4});
    store_->lose_row(lead_id(2));
    store_->erase(lead_id(3));
    mark_gone(4, sync::RemoteDeletes::mark);
    store_->lose_row(lead_id(4));
    const auto before = pending();
    const auto repaired = repair();
    EXPECT_EQ(repaired.shown_anew, 1);
    EXPECT_EQ(repaired.edited, 0);
    EXPECT_EQ(repaired.last, std::nullopt);
    EXPECT_EQ(look_up(1)->content_hash, 1);
    EXPECT_EQ(look_up(2)->content_hash, 0);
    EXPECT_TRUE(look_up(3)->tombstone) << "deleted by a user: that is no loss";
    EXPECT_EQ(pending(), before);
    EXPECT_EQ(repair().shown_anew, 0) << "it waits for its page";
}

TEST_P(RepairContract, TakesARowThatWasPutBackForItsLeadAgain) {
    synced({1, 2});
    const auto before = store_->row(lead_id(1)).value();
    store_->erase(lead_id(1));
    store_->put_back(lead_id(1), before);
    EXPECT_EQ(repair().shown_anew, 1);
    EXPECT_FALSE(look_up(1)->tombstone);
    EXPECT_EQ(look_up(1)->content_hash, 0);
    EXPECT_EQ(repair().shown_anew, 0);
}

TEST_P(RepairContract, QueuesEditsThatNobodyHasToldOf) {
    synced({1, 2, 3});
    edit_unseen(1, "Ada");
    set_variables(2, {{"tier", "gold"}});
    EXPECT_TRUE(is_idle());
    EXPECT_EQ(repair().edited, 2);
    EXPECT_EQ(store_->row(lead_id(1))->status, SyncStatus::pending);
    EXPECT_EQ(store_->row(lead_id(3))->status, SyncStatus::synced);
    EXPECT_EQ(backlog(store::HoldKind::change), 2) << "the guard counts them";
    EXPECT_EQ(repair().edited, 0) << "they are on their way";
    const auto claims = claim();
    ASSERT_EQ(claims.size(), 2);
    EXPECT_EQ(claims[0].id, lead_id(1));
    EXPECT_EQ(claims[0].work, store::Work::reconcile);
    EXPECT_TRUE(claims[0].unsent);
    EXPECT_TRUE(load(1)->edited_at);
}

TEST_P(RepairContract, QueuesRowsThatSayTheyWaitAndWaitForNothing) {
    synced({1, 2, 3});
    store_->run([](Transaction& transaction) {
        transaction.leads.set_status({lead_id(1)}, SyncStatus::pending, std::nullopt);
        transaction.leads.set_status({lead_id(2)}, SyncStatus::verifying, std::nullopt);
    });
    EXPECT_EQ(repair().edited, 2);
    EXPECT_EQ(backlog(store::HoldKind::change), 2);
    EXPECT_EQ(repair().edited, 0);
}

TEST_P(RepairContract, TakesARowOfAnotherTimeThanItsBaseForOneThatIsGone) {
    synced({1, 2});
    store_->update_unseen(lead_id(1),
                          [](sync::Content& row) { row[Field::timestamp_updated] = "2020-01-01T00:00:00.000Z"; });
    EXPECT_EQ(repair().shown_anew, 1);
    EXPECT_EQ(look_up(1)->content_hash, 0);
    EXPECT_NE(look_up(2)->content_hash, 0);
    EXPECT_EQ(repair().shown_anew, 0);
}

TEST_P(RepairContract, QueuesRowsToBeCreatedThatNobodyHasToldOf) {
    synced({1});
    const auto told = store_->insert(content({{"email", "told@acme.io"}, {"campaign", campaign_id}}));
    const auto untold = store_->insert(content({{"email", "untold@acme.io"}, {"campaign", campaign_id}}));
    const auto other = store_->insert(content({{"email", "other@acme.io"}, {"campaign", campaign_id}}));
    const auto nowhere = store_->insert(content({{"email", "nowhere@acme.io"}}));
    for (const auto& id : {untold, other, nowhere}) store_->lose_queued(id);
    EXPECT_EQ(backlog(store::HoldKind::create), 1);
    EXPECT_EQ(queue_unborn(1), 1);
    EXPECT_EQ(queue_unborn(10), 1);
    EXPECT_EQ(queue_unborn(10), 0);
    EXPECT_EQ(backlog(store::HoldKind::create), 3) << "the guard counts them, and nothing that has no place";
    EXPECT_EQ(store_->row(untold)->status, SyncStatus::pending);
    for (const auto& claim : claim()) EXPECT_EQ(claim.work, store::Work::create);
}

TEST_P(RepairContract, LeavesDifferencesThatAreNoEditsOrAreSeenToAlready) {
    sync::CustomVariables variables{{"score", "42"}, {"empty", ""}};
    store_->run([&](Transaction& transaction) {
        transaction.leads.insert(std::vector{agreed_lead(1, content({{"phone", ""}}, variables))});
    });
    set_variables(1, {{"score", 42}, {"nothing", nullptr}});
    synced({2, 3, 4, 5});
    for (const int number : {2, 3, 4, 5}) edit_unseen(number, "Ada");
    store_->run([&](Transaction& transaction) {
        transaction.leads.set_status({lead_id(2)}, SyncStatus::error, "refused");
        transaction.leads.set_status({lead_id(3)}, SyncStatus::conflict, std::nullopt);
        transaction.leads.expect({{lead_id(4), {{"first_name", "Ada"}}}}, 1min);
        transaction.queue.look_again({lead_id(5)}, 1h);
    });
    EXPECT_EQ(repair().edited, 0);
    EXPECT_EQ(store_->row(lead_id(5))->status, SyncStatus::synced);
}

TEST_P(RepairContract, GoesOnBehindTheLastLeadThatItCompared) {
    synced({1, 2, 3, 4, 5});
    for (const int number : {2, 3, 5}) store_->lose_row(lead_id(number));
    auto repaired = repair(std::nullopt, 2);
    EXPECT_EQ(repaired.shown_anew, 1);
    EXPECT_EQ(repaired.last, lead_id(2));
    repaired = repair(repaired.last, 2);
    EXPECT_EQ(repaired.shown_anew, 1);
    EXPECT_EQ(repaired.last, lead_id(4));
    repaired = repair(repaired.last, 2);
    EXPECT_EQ(repaired.shown_anew, 1);
    EXPECT_EQ(repaired.last, std::nullopt);
}

INSTANTIATE_TEST_SUITE_P(Stores, RepairContract, candidates, name_of);

}  // namespace
}  // namespace leadsync::store_contract
