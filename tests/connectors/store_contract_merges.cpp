#include "tests/connectors/store_contract.hpp"

// Two leads that become one.

namespace leadsync::store_contract {
namespace {

using namespace std::chrono_literals;
using store::Work;

class MergeContract : public StoreContract {
protected:
    void ended(int number, bool merged) {
        store_->run([&](Transaction& transaction) { transaction.queue.merge_ended(lead_id(number), merged); });
    }
};

TEST_P(MergeContract, TellsTheClaimOfTheMerge) {
    synced({1, 2});
    store_->merge_leads(lead_id(1), lead_id(2));
    EXPECT_EQ(store_->row(lead_id(1))->status, sync::SyncStatus::pending);
    EXPECT_EQ(store_->row(lead_id(2))->status, sync::SyncStatus::synced);
    const auto first = claim_one();
    EXPECT_EQ(first.id, lead_id(1));
    EXPECT_EQ(first.work, Work::reconcile);
    EXPECT_EQ(first.merge_into, lead_id(2));
    EXPECT_EQ(first.merge_destination, instantly_id(2));
    EXPECT_FALSE(first.merge_sent_ago);
    store_->run([&](Transaction& transaction) {
        transaction.queue.merge_leaves(lead_id(1));
        transaction.queue.defer({first}, 0ms);
    });
    EXPECT_TRUE(claim_one().merge_sent_ago);
}

TEST_P(MergeContract, TakesTheSourceAwayWhenItIsMerged) {
    synced({1, 2});
    store_->merge_leads(lead_id(1), lead_id(2));
    const auto claimed = claim_one();
    ended(1, true);
    EXPECT_FALSE(store_->row(lead_id(1)));
    EXPECT_FALSE(look_up(1));
    EXPECT_TRUE(store_->row(lead_id(2)));
    EXPECT_EQ(history_lines(), std::vector{lead_id(1).text + " lead " + email_of(1) + " -> " + email_of(2)
                                           + " local merged POST /leads/merge"});
    complete({claimed});
    EXPECT_EQ(pending(), 0);
}

TEST_P(MergeContract, LeavesNothingHeldOfALeadThatIsMerged) {
    synced({1, 2});
    store_->merge_leads(lead_id(1), lead_id(2));
    const auto claimed = claim_one();
    hold(store::HoldKind::remote_deletion, {lead_id(1)});
    ended(1, true);
    complete({claimed});
    const auto left = claim_one();
    EXPECT_EQ(left.work, Work::nothing);
    complete({left});
    EXPECT_EQ(pending(), 0);
    EXPECT_TRUE(store_->held().empty());
}

TEST_P(MergeContract, LeavesBothWhenTheMergeIsRefused) {
    synced({1, 2});
    store_->merge_leads(lead_id(1), lead_id(2));
    const auto claimed = claim_one();
    ended(1, false);
    store_->run([&](Transaction& transaction) { transaction.queue.defer({claimed}, 0ms); });
    EXPECT_EQ(claim_one().merge_into, std::nullopt);
    EXPECT_TRUE(store_->row(lead_id(1)));
    EXPECT_NO_THROW(store_->merge_leads(lead_id(1), lead_id(2))) << "it can be asked for again";
}

TEST_P(MergeContract, RefusesWhatCannotBeMerged) {
    synced({1, 2, 3, 4});
    const auto row = new_row("new@acme.io");
    EXPECT_THROW(store_->merge_leads(lead_id(1), lead_id(1)), std::invalid_argument);
    EXPECT_THROW(store_->merge_leads(lead_id(1), lead_id(9)), std::invalid_argument);
    EXPECT_THROW(store_->merge_leads(row, lead_id(1)), std::invalid_argument);
    EXPECT_THROW(store_->merge_leads(lead_id(1), row), std::invalid_argument);
    mark_gone(4, sync::RemoteDeletes::mark);
    EXPECT_THROW(store_->merge_leads(lead_id(1), lead_id(4)), std::invalid_argument);
    store_->merge_leads(lead_id(1), lead_id(2));
    EXPECT_THROW(store_->merge_leads(lead_id(1), lead_id(3)), std::invalid_argument) << "on its way already";
    EXPECT_THROW(store_->merge_leads(lead_id(3), lead_id(1)), std::invalid_argument) << "it will not be there";
    EXPECT_THROW(store_->merge_leads(lead_id(2), lead_id(3)), std::invalid_argument) << "another goes into it";
    EXPECT_NO_THROW(store_->merge_leads(lead_id(3), lead_id(2)));
}

TEST_P(MergeContract, ForgetsAMergeWithTheDeletionOfEitherLead) {
    synced({1, 2, 3, 4});
    store_->merge_leads(lead_id(1), lead_id(2));
    store_->merge_leads(lead_id(3), lead_id(4));
    store_->erase(lead_id(1));
    store_->erase(lead_id(4));
    for (const auto& claimed : claim()) EXPECT_EQ(claimed.merge_into, std::nullopt) << claimed.id.text;
    EXPECT_NO_THROW(store_->merge_leads(lead_id(3), lead_id(2)));
}

TEST_P(MergeContract, HasNoDestinationOnceThatIsGone) {
    synced({1, 2});
    store_->merge_leads(lead_id(1), lead_id(2));
    mark_gone(2, sync::RemoteDeletes::mark);
    const auto claimed = claim_one();
    EXPECT_EQ(claimed.merge_into, lead_id(2));
    EXPECT_EQ(claimed.merge_destination.text, "");
}

INSTANTIATE_TEST_SUITE_P(Stores, MergeContract, candidates, name_of);

}  // namespace
}  // namespace leadsync::store_contract
