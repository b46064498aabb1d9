#include "tests/connectors/store_contract.hpp"

namespace leadsync::store_contract {
namespace {

using namespace std::chrono_literals;
using sync::LeadId;
using sync::RemoteDeletes;
using sync::SyncStatus;

const sync::Instant requested_at{std::chrono::sys_days{std::chrono::year{2026} / 1 / 2}};

/// Deletions on Instantly: the evidence, and what is done on it.
class DeletionsContract : public StoreContract {
protected:
    void note_absent(const std::optional<std::string>& after, const std::optional<std::string>& last,
                     const std::vector<sync::InstantlyId>& present = {}) {
        store_->run(
            [&](Transaction& transaction) { transaction.leads.note_absent(after, last, present, requested_at); });
    }
    std::vector<LeadId> absent(int limit = 100, store::Absence by = store::Absence::sweep) {
        std::vector<LeadId> ids;
        for (const auto& [id, instantly_id] :
             store_->run([&](Transaction& transaction) { return transaction.leads.absent(by, limit); }))
            ids.push_back(id);
        return ids;
    }
    void looked_into(const std::vector<LeadId>& ids, const std::unordered_set<std::string>& confirmed) {
        store_->run([&](Transaction& transaction) { transaction.leads.looked_into(ids, confirmed, requested_at); });
    }
    std::vector<LeadId> confirmed() {
        return store_->run([](Transaction& transaction) { return transaction.leads.confirmed_absent(); });
    }
    std::string told_gone(int number) {
        return lead_id(number).text + " lead " + email_of(number) + " -> none remote deleted GET /leads/{id}: 404";
    }
};

constexpr auto unsent_told =
    "deleted on Instantly before this edit was sent: to have it there again, insert it as a new lead; otherwise "
    "delete this row";

TEST_P(DeletionsContract, NotesWhatAPageOfASweepDidNotShow) {
    synced({1, 2, 3, 4, 5});
    note_absent(instantly_id(1).text, instantly_id(4).text, {instantly_id(3), instantly_id(9)});
    EXPECT_EQ(absent(), (std::vector{lead_id(2), lead_id(4)})) << "behind the cursor, up to the last one";
    EXPECT_EQ(absent(1), std::vector{lead_id(2)});
    note_absent(std::nullopt, instantly_id(1).text);
    EXPECT_EQ(absent(), (std::vector{lead_id(1), lead_id(2), lead_id(4)}));
    note_absent(instantly_id(4).text, std::nullopt);
    EXPECT_EQ(absent().size(), 4);
}

TEST_P(DeletionsContract, KeepsWhatALookDidNotShowApartFromWhatASweepDidNot) {
    synced({1, 2, 3, 4, 5});
    store_->erase(lead_id(5));
    const auto look = [&](const std::vector<sync::InstantlyId>& asked, const std::vector<sync::InstantlyId>& shown,
                          sync::Instant at) {
        store_->run([&](Transaction& transaction) { transaction.leads.note_absent(asked, shown, at); });
    };
    store_->run([](Transaction& transaction) { transaction.leads.wrote({lead_id(4)}, requested_at); });
    const std::vector asked{instantly_id(1), instantly_id(2), instantly_id(4), instantly_id(5), instantly_id(9)};
    look(asked, {instantly_id(1)}, requested_at);
    EXPECT_EQ(absent(100, store::Absence::look), std::vector{lead_id(2)})
        << "not 1, which it showed, nor 4, written since, nor 5, deleted here, nor 3 and 9, not asked for or not "
           "known";
    EXPECT_TRUE(absent().empty());
    note_absent(instantly_id(1).text, instantly_id(3).text);
    EXPECT_EQ(absent(), std::vector{lead_id(3)}) << "2 is noted already";
    EXPECT_EQ(absent(100, store::Absence::look), std::vector{lead_id(2)});
    looked_into({lead_id(2)}, {lead_id(2).text});
    EXPECT_EQ(confirmed(), std::vector{lead_id(2)});
    look({instantly_id(2)}, {instantly_id(2)}, requested_at);
    EXPECT_TRUE(confirmed().empty()) << "it is there after all";
}

TEST_P(DeletionsContract, DoesNotNoteWhatIsDeletedGoneOrWrittenSince) {
    synced({1, 2, 3, 4});
    store_->erase(lead_id(1));
    mark_gone(2, RemoteDeletes::mark);
    store_->run([](Transaction& transaction) {
        transaction.leads.wrote({lead_id(3)}, requested_at);
        transaction.leads.wrote({lead_id(4)}, requested_at - 1ms);
    });
    note_absent(std::nullopt, std::nullopt);
    EXPECT_EQ(absent(), std::vector{lead_id(4)});
}

TEST_P(DeletionsContract, WaitsForTheGuardWithWhatWasConfirmedAndForgetsTheRest) {
    synced({1, 2, 3});
    note_absent(std::nullopt, std::nullopt);
    looked_into({lead_id(1), lead_id(2)}, {lead_id(1).text});
    EXPECT_EQ(absent(), std::vector{lead_id(3)});
    EXPECT_EQ(confirmed(), std::vector{lead_id(1)});
    note_absent(std::nullopt, std::nullopt);
    EXPECT_EQ(confirmed(), std::vector{lead_id(1)}) << "noted again, it is confirmed still";
    EXPECT_EQ(absent(), (std::vector{lead_id(2), lead_id(3)}));
}

TEST_P(DeletionsContract, TakesNothingThatWasAskedForBeforeTheAbsenceWasConfirmed) {
    synced({1, 2});
    note_absent(std::nullopt, std::nullopt);
    looked_into({lead_id(1), lead_id(2)}, {lead_id(1).text});
    EXPECT_EQ(load(1)->observed_at, requested_at);
    EXPECT_NE(load(2)->observed_at, requested_at);
    store_->run([](Transaction& transaction) {
        transaction.leads.looked_into({lead_id(1)}, {lead_id(1).text}, requested_at - 1h);
    });
    EXPECT_EQ(load(1)->observed_at, requested_at) << "and never again earlier";
}

TEST_P(DeletionsContract, LeavesALeadThatIsBeingMergedToWhoeverMergesIt) {
    synced({1, 2, 3});
    note_absent(std::nullopt, std::nullopt, {instantly_id(3)});
    store_->merge_leads(lead_id(1), lead_id(3));
    EXPECT_EQ(absent(), std::vector{lead_id(2)}) << "noted before the merge was asked for";
    mark_gone(1, RemoteDeletes::mark);
    EXPECT_NO_THROW(store_->merge_leads(lead_id(3), lead_id(2))) << "no merge of a lead that is gone is left behind";
}

TEST_P(DeletionsContract, MarksARowWhoseLeadIsGone) {
    synced({1});
    note_absent(std::nullopt, std::nullopt);
    looked_into({lead_id(1)}, {lead_id(1).text});
    mark_gone(1, RemoteDeletes::mark);
    const auto row = store_->row(lead_id(1));
    EXPECT_EQ(row->status, SyncStatus::deleted);
    EXPECT_EQ(row->error, std::nullopt);
    EXPECT_TRUE(row->deleted);
    EXPECT_TRUE(look_up(1)->gone);
    EXPECT_EQ(look_up(1)->content_hash, 0) << "when it shows again it is merged";
    EXPECT_TRUE(confirmed().empty());
    EXPECT_EQ(history_lines(), std::vector{told_gone(1)});
}

TEST_P(DeletionsContract, RemovesARowWhoseLeadIsGone) {
    synced({1});
    mark_gone(1, RemoteDeletes::remove);
    EXPECT_FALSE(store_->row(lead_id(1)));
    EXPECT_FALSE(look_up(1));
    EXPECT_EQ(history_lines(), std::vector{told_gone(1)});
    EXPECT_EQ(pending(), 0);
}

TEST_P(DeletionsContract, LeavesARowAsItIsWhenDeletionsAreIgnored) {
    synced({1});
    mark_gone(1, RemoteDeletes::ignore);
    EXPECT_EQ(store_->row(lead_id(1))->status, SyncStatus::synced);
    EXPECT_FALSE(store_->row(lead_id(1))->deleted);
    EXPECT_TRUE(look_up(1)->gone);
}

TEST_P(DeletionsContract, KeepsARowWithAnUnsentEditWhateverThePolicy) {
    int number = 0;
    for (const auto policy : {RemoteDeletes::mark, RemoteDeletes::remove, RemoteDeletes::ignore}) {
        synced({++number});
        edit(number, "Ada");
        const auto claimed = claim_one();
        mark_gone(number, policy);
        const auto row = store_->row(lead_id(number));
        ASSERT_TRUE(row);
        EXPECT_EQ(row->status, SyncStatus::error);
        EXPECT_EQ(row->error, unsent_told);
        EXPECT_EQ(row->content[sync::Field::first_name], "Ada");
        EXPECT_TRUE(row->deleted);
        EXPECT_TRUE(look_up(number)->gone);
        EXPECT_EQ(pending(), 0) << "given up on";
        EXPECT_EQ(history_lines().back(), told_gone(number));
        complete({claimed});
        edit(number, "Grace");
        const auto revived = claim_one();
        EXPECT_EQ(revived.generation, 2) << "what had it in hand has no say any more, and an edit revives it";
        complete({revived});
    }
}

TEST_P(DeletionsContract, TakesAnOpenConflictForAnUnsentEdit) {
    synced({1});
    store_->run([](Transaction& transaction) {
        transaction.leads.add_conflicts({{lead_id(1), {"phone", "0", "1", "2", sync::Rule::manual, {}}}});
        transaction.leads.set_status({lead_id(1)}, SyncStatus::conflict, std::nullopt);
    });
    hold(store::HoldKind::remote_deletion, {lead_id(1)});
    mark_gone(1, RemoteDeletes::remove);
    ASSERT_TRUE(store_->row(lead_id(1)));
    EXPECT_EQ(store_->row(lead_id(1))->error, unsent_told);
}

TEST_P(DeletionsContract, FinishesTheWorkOfALeadThatIsGone) {
    synced({1});
    store_->run([](Transaction& transaction) { transaction.queue.enqueue({lead_id(1)}); });
    mark_gone(1, RemoteDeletes::mark);
    EXPECT_EQ(pending(), 0);
    EXPECT_EQ(store_->row(lead_id(1))->status, SyncStatus::deleted);
}

TEST_P(DeletionsContract, CarriesOutADeletionThatWasHeldAndApproved) {
    synced({1, 2});
    hold(store::HoldKind::remote_deletion, {lead_id(1), lead_id(2)});
    store_->decide(store_->held().front().id, true);
    EXPECT_EQ(claim_one().approval_of, store::HoldKind::remote_deletion);
    mark_gone(1, RemoteDeletes::remove);
    EXPECT_FALSE(store_->row(lead_id(1))) << "held is not the same as edited";
    mark_gone(2, RemoteDeletes::mark);
    EXPECT_EQ(store_->row(lead_id(2))->status, SyncStatus::deleted);
    ASSERT_EQ(store_->held().size(), 1) << "nothing waits for an operator's word any more";
    EXPECT_EQ(store_->held().front().decision, store::Approval::approved);
}

TEST_P(DeletionsContract, TellsWhatWasDecidedOnADeletionBesideAnEditThatWasRejected) {
    synced({1, 2, 3});
    const auto decided = [&] {
        return store_->run([](Transaction& transaction) {
            return transaction.queue.deletions_decided({lead_id(1), lead_id(2), lead_id(3)});
        });
    };
    const auto decide_all = [&](bool approve) {
        for (const auto& held : store_->held())
            if (held.decision == store::Approval::none) store_->decide(held.id, approve);
    };
    hold(store::HoldKind::remote_deletion, {lead_id(3)});
    decide_all(true);
    EXPECT_TRUE(decided().empty()) << "no evidence of an absence";
    store_->advance(1ms);
    note_absent(std::nullopt, std::nullopt);
    looked_into({lead_id(1), lead_id(2), lead_id(3)}, {lead_id(1).text, lead_id(2).text, lead_id(3).text});
    EXPECT_TRUE(decided().empty()) << "the evidence is newer than the word";

    hold(store::HoldKind::remote_change, {lead_id(1)});
    decide_all(false);
    hold(store::HoldKind::remote_deletion, {lead_id(2)});
    EXPECT_TRUE(decided().empty()) << "nobody has said a word";
    decide_all(false);
    // The queue's row of the first still carries the rejection of the edit, and is given up on.
    const auto claims = claim(10);
    store_->run([&](Transaction& transaction) {
        for (const auto& claim : claims)
            if (claim.id == lead_id(1)) transaction.queue.dead_letter({{claim, "gone", {}, 0ms}});
    });
    hold(store::HoldKind::remote_deletion, {lead_id(1)});
    decide_all(true);
    EXPECT_EQ(decided(), (std::map<LeadId, store::Approval>{{lead_id(1), store::Approval::approved},
                                                            {lead_id(2), store::Approval::rejected}}));
    note_absent(std::nullopt, std::nullopt, {instantly_id(2)});
    EXPECT_FALSE(decided().contains(lead_id(2))) << "it is there after all";
}

TEST_P(DeletionsContract, LeavesATombstoneATombstone) {
    synced({1});
    note_absent(std::nullopt, std::nullopt);
    store_->erase(lead_id(1));
    mark_gone(1, RemoteDeletes::mark);
    EXPECT_TRUE(look_up(1)->tombstone);
    EXPECT_TRUE(look_up(1)->gone);
    EXPECT_TRUE(absent().empty());
    EXPECT_TRUE(history_lines().empty());
    EXPECT_EQ(claim_one().work, store::Work::remove);
}

TEST_P(DeletionsContract, ForgetsTombstonesOfLeadsThatNoSweepHasShownSinceTheyWereDeleted) {
    const auto forget = [&](std::int64_t limit) {
        return store_->run(
            [&](Transaction& transaction) { return transaction.leads.forget_old_tombstones(1h, limit); });
    };
    const auto begin_sweep = [&] {
        store_->run([](Transaction& transaction) { transaction.progress.open_sweep(1000, 4); });
    };
    const auto finish_sweep = [&] {
        store_->run([](Transaction& transaction) { transaction.progress.finish_sweep(); });
    };
    synced({1, 2, 3, 4, 5});
    for (const int number : {1, 2, 3, 4}) store_->erase(lead_id(number));
    complete(claim());
    store_->advance(2h);
    begin_sweep();
    store_->advance(1ms);
    store_->run([](Transaction& transaction) {
        transaction.leads.expect_absence({lead_id(1), lead_id(2), lead_id(3)}, 30s);
    });
    EXPECT_EQ(forget(10), 0) << "there was no sweep";
    finish_sweep();
    EXPECT_EQ(forget(10), 0) << "the sweep had begun before";
    store_->advance(30min);
    begin_sweep();
    finish_sweep();
    EXPECT_EQ(forget(10), 0) << "what a list hides for a while may still show";
    store_->advance(2h);
    EXPECT_EQ(forget(10), 0) << "nobody has looked since";
    begin_sweep();
    store_->run([](Transaction& transaction) { transaction.queue.enqueue({lead_id(3)}); });
    EXPECT_EQ(forget(10), 0) << "the sweep is not complete";
    finish_sweep();
    EXPECT_EQ(forget(1), 1) << "a little at a time";
    EXPECT_EQ(forget(10), 1);
    EXPECT_EQ(forget(10), 0);
    EXPECT_FALSE(look_up(1));
    EXPECT_FALSE(look_up(2));
    EXPECT_TRUE(look_up(3)->tombstone) << "a page has shown it, so that it is deleted again";
    EXPECT_TRUE(look_up(4)->tombstone) << "it was only deleted here";
    EXPECT_TRUE(look_up(5));
    store_->run([](Transaction& transaction) { transaction.leads.expect_absence({lead_id(3)}, 30s); });
    complete(claim());
    EXPECT_EQ(forget(10), 0) << "from then on it has not been looked for long enough";
    EXPECT_NO_THROW(store_->insert(content({{"email", email_of(1)}, {"campaign", campaign_id}}), lead_id(1)));
    EXPECT_EQ(claim_one().work, store::Work::create);
}

TEST_P(DeletionsContract, BringsBackARowWhoseDeletionWasRejected) {
    synced({1});
    store_->erase(lead_id(1));
    complete({claim_one()});
    store_->run([](Transaction& transaction) { transaction.leads.bring_back({lead_id(1)}); });
    EXPECT_FALSE(look_up(1)->tombstone);
    EXPECT_EQ(look_up(1)->content_hash, 0);
    EXPECT_FALSE(load(1)) << "the row comes with the next look";
    synced({1});
    EXPECT_TRUE(load(1));
}

TEST_P(DeletionsContract, KeepsARowWhoseDeletionThereWasRejected) {
    synced({1});
    note_absent(std::nullopt, std::nullopt);
    looked_into({lead_id(1)}, {lead_id(1).text});
    store_->run([](Transaction& transaction) { transaction.leads.keep_gone({lead_id(1)}); });
    EXPECT_EQ(store_->row(lead_id(1))->status, SyncStatus::error);
    EXPECT_EQ(store_->row(lead_id(1))->error, "gone on Instantly; its deletion here was rejected");
    EXPECT_FALSE(store_->row(lead_id(1))->deleted);
    EXPECT_TRUE(look_up(1)->gone);
    EXPECT_TRUE(confirmed().empty());
}

INSTANTIATE_TEST_SUITE_P(Stores, DeletionsContract, candidates, name_of);

}  // namespace
}  // namespace leadsync::store_contract
