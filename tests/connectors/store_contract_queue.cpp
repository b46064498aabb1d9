#include <numeric>

#include "tests/connectors/store_contract.hpp"

namespace leadsync::store_contract {
namespace {

using namespace std::chrono_literals;
using store::Claim;
using store::Work;
using sync::LeadId;

class QueueContract : public StoreContract {
protected:
    void enqueue(const std::vector<LeadId>& ids) {
        store_->run([&](Transaction& transaction) { transaction.queue.enqueue(ids); });
    }
    void look_again(const std::vector<LeadId>& ids, std::chrono::milliseconds delay) {
        store_->run([&](Transaction& transaction) { transaction.queue.look_again(ids, delay); });
    }
    void defer(const Claim& claim, std::chrono::milliseconds delay) {
        store_->run([&](Transaction& transaction) { transaction.queue.defer({claim}, delay); });
    }
    void retry(const Claim& claim, std::chrono::milliseconds delay) {
        store_->run([&](Transaction& transaction) { transaction.queue.retry({failed(claim, delay)}); });
    }
    void resent(const Claim& claim, std::chrono::milliseconds delay) {
        store_->run([&](Transaction& transaction) { transaction.queue.resent({failed(claim, delay)}); });
    }
    bool dead_letter(const Claim& claim) {
        const auto dead = store_->run(
            [&](Transaction& transaction) { return transaction.queue.dead_letter({failed(claim, 0ms)}); });
        return dead == std::vector{claim.id};
    }

private:
    static store::FailedClaim failed(const Claim& claim, std::chrono::milliseconds delay) {
        return {.claim = claim, .error = "refused", .exchange = {}, .delay = delay};
    }
};

std::vector<LeadId> ids_of(const std::vector<Claim>& claims) {
    std::vector<LeadId> ids;
    for (const auto& claim : claims) ids.push_back(claim.id);
    return ids;
}

TEST_P(QueueContract, LeasesTheLongestDueFirst) {
    synced({1, 2, 3});
    for (const int number : {2, 3, 1}) {
        edit(number, "Ada");
        store_->advance(1s);
    }
    EXPECT_EQ(ids_of(claim(2)), (std::vector{lead_id(2), lead_id(3)}));
    EXPECT_EQ(ids_of(claim(2)), std::vector{lead_id(1)});
    EXPECT_TRUE(claim().empty());
}

/// Whoever is edited again and again would never have its turn while more waits than is pushed meanwhile.
TEST_P(QueueContract, AnEditOfAWaitingLeadKeepsItsPlace) {
    synced({1, 2, 3, 4, 5});
    const auto edit_all = [&](const std::vector<int>& numbers, const std::string& name) {
        for (const int number : numbers) {
            edit(number, name);
            store_->advance(1s);
        }
    };
    edit_all({1}, "Ada");
    const auto in_hand = claim_one();
    edit_all({4}, "Ada");
    dead_letter(claim_one());
    edit_all({5}, "Ada");
    defer(claim_one(), 1h);
    edit_all({2, 3}, "Ada");
    edit_all({2, 1, 4, 5}, "Grace");  // waiting, in hand, given up on, to be tried later
    complete({in_hand});
    EXPECT_EQ(ids_of(claim(1)), std::vector{lead_id(2)});
    EXPECT_EQ(ids_of(claim(1)), std::vector{lead_id(3)});
    EXPECT_EQ(ids_of(claim(3)), (std::vector{lead_id(1), lead_id(4), lead_id(5)})) << "at once, behind what waits";
}

TEST_P(QueueContract, LeasesALeadAgainWhenItsLeaseEnds) {
    synced({1});
    edit(1, "Ada");
    const auto first = claim_one();
    store_->advance(59s);
    EXPECT_TRUE(claim().empty());
    store_->advance(2s);
    const auto second = claim_one();
    EXPECT_GT(second.lease_token, first.lease_token);
    EXPECT_EQ(second.generation, first.generation);
}

TEST_P(QueueContract, GivesWhoeverLostTheLeaseNoSay) {
    synced({1});
    edit(1, "Ada");
    const auto lost = claim_one();
    store_->advance(61s);
    const auto mine = claim_one();
    complete({lost});
    defer(lost, 0ms);
    retry(lost, 0ms);
    resent(lost, 0ms);
    EXPECT_FALSE(dead_letter(lost));
    EXPECT_EQ(pending(), 1);
    EXPECT_TRUE(claim().empty()) << "it is leased still";
    defer(mine, 0ms);
    const auto again = claim_one();
    EXPECT_EQ(again.attempts, 0);
    EXPECT_EQ(again.resends, 0);
    EXPECT_TRUE(store_->attempts(lead_id(1)).empty());
}

TEST_P(QueueContract, LetsALeaseThatEndedAndWasNotTakenOverStillCount) {
    synced({1});
    edit(1, "Ada");
    const auto late = claim_one();
    store_->advance(61s);
    complete({late});
    EXPECT_EQ(pending(), 0);
}

TEST_P(QueueContract, KeepsALeadThatWasEditedWhileItWasInHand) {
    synced({1, 2});
    edit(1, "Ada");
    edit(2, "Grace");
    const auto claims = claim();
    edit(1, "Augusta");
    complete(claims);
    const auto again = claim_one();
    EXPECT_EQ(again.id, lead_id(1));
    EXPECT_EQ(again.generation, 2);
    complete({again});
    EXPECT_EQ(pending(), 0);
}

TEST_P(QueueContract, DefersWithoutBurningAnAttempt) {
    synced({1});
    edit(1, "Ada");
    defer(claim_one(), 10s);
    EXPECT_TRUE(claim().empty());
    store_->advance(11s);
    const auto claimed = claim_one();
    EXPECT_EQ(claimed.attempts, 0);
    edit(1, "Grace");
    defer(claimed, 10s);
    EXPECT_EQ(claim_one().generation, 2) << "edited meanwhile: at once";
}

TEST_P(QueueContract, BringsTogetherWhatIsDeferredOneByOne) {
    synced({1, 2});
    edit(1, "Ada");
    edit(2, "Grace");
    for (const auto& claimed : claim())
        store_->run([&](Transaction& transaction) { transaction.queue.defer_together({claimed}, 1h); });
    const auto due = store_->run([](Transaction& transaction) { return transaction.queue.next_due(true); }).value();
    EXPECT_GT(due, 59min);
    EXPECT_LE(due, 90min);
    store_->advance(due);
    const auto claimed = claim();
    EXPECT_EQ(claimed.size(), 2U) << "by one look-up";
    edit(1, "Joan");
    for (const auto& lead : claimed)
        store_->run([&](Transaction& transaction) { transaction.queue.defer_together({lead}, 1h); });
    EXPECT_EQ(claim_one().id, lead_id(1)) << "edited meanwhile: at once";
}

TEST_P(QueueContract, CountsFailedAttemptsUntilTheNextEdit) {
    synced({1});
    edit(1, "Ada");
    retry(claim_one(), 10s);
    EXPECT_TRUE(claim().empty());
    store_->advance(11s);
    const auto claimed = claim_one();
    EXPECT_EQ(claimed.attempts, 1);
    edit(1, "Grace");
    retry(claimed, 10s);
    EXPECT_EQ(claim_one().attempts, 0) << "what failed was an older edit";
}

TEST_P(QueueContract, CountsWritesThatWereSentAgain) {
    synced({1});
    edit(1, "Ada");
    resent(claim_one(), 10s);
    EXPECT_TRUE(claim().empty());
    store_->advance(11s);
    const auto claimed = claim_one();
    EXPECT_EQ(claimed.resends, 1);
    EXPECT_EQ(claimed.attempts, 0);
    defer(claimed, 0ms);
    edit(1, "Grace");
    const auto edited = claim_one();
    EXPECT_EQ(edited.resends, 0);
    edit(1, "Mary");
    resent(edited, 10s);
    EXPECT_EQ(claim_one().resends, 0) << "what was sent again was an older edit";
}

TEST_P(QueueContract, GivesUpUntilTheNextEdit) {
    synced({1});
    edit(1, "Ada");
    EXPECT_TRUE(dead_letter(claim_one()));
    store_->advance(1h);
    EXPECT_TRUE(claim().empty());
    EXPECT_EQ(pending(), 0);
    EXPECT_EQ(next_due(), std::nullopt);
    enqueue({lead_id(1)});
    look_again({lead_id(1)}, 0ms);
    EXPECT_TRUE(claim().empty()) << "what leadsync finds does not revive it";
    edit(1, "Grace");
    EXPECT_EQ(claim_one().generation, 2);
}

TEST_P(QueueContract, DoesNotGiveUpOnALeadThatWasEditedMeanwhile) {
    synced({1});
    edit(1, "Ada");
    const auto claimed = claim_one();
    edit(1, "Grace");
    EXPECT_FALSE(dead_letter(claimed));
    const auto again = claim_one();
    EXPECT_EQ(again.generation, 2);
    EXPECT_EQ(again.attempts, 0);
}

TEST_P(QueueContract, JudgesEachLeadOfABatchByItself) {
    synced({1, 2, 3, 4});
    for (const int number : {1, 2, 3, 4}) edit(number, "Ada");
    const auto claims = claim();
    edit(2, "Grace");
    auto lost = claims.at(2);
    lost.lease_token = 0;
    const std::vector<store::FailedClaim> failed{{claims.at(0), "no such list", {}, 0ms},
                                                 {claims.at(1), "no such campaign", {}, 1h},
                                                 {lost, "no such lead", {}, 0ms},
                                                 {claims.at(3), "it is \"quoted\", {braced} and \\ 'odd'", {}, 1h}};
    const auto dead = store_->run([&](Transaction& transaction) {
        transaction.queue.retry({failed.at(3)});
        return transaction.queue.dead_letter({failed.begin(), failed.begin() + 3});
    });
    EXPECT_EQ(dead, std::vector{lead_id(1)});
    EXPECT_EQ(ids_of(claim()), std::vector{lead_id(2)}) << "3 is leased still, and 4 due in an hour";
    EXPECT_EQ(store_->attempts(lead_id(1)), std::vector{failed.at(0).error});
    EXPECT_EQ(store_->attempts(lead_id(4)), std::vector{failed.at(3).error});
    EXPECT_TRUE(store_->attempts(lead_id(3)).empty());
}

TEST_P(QueueContract, KeepsTheLatestAttempts) {
    synced({1});
    edit(1, "Ada");
    std::vector<std::string> errors;
    for (int i = 0; i < store::Queue::attempts_kept + 3; ++i) {
        errors.push_back("attempt " + std::to_string(i));
        const auto claimed = claim_one();
        EXPECT_EQ(claimed.attempts, i);
        store_->run([&](Transaction& transaction) { transaction.queue.retry({{claimed, errors.back(), {}, 0ms}}); });
    }
    errors.erase(errors.begin(), errors.begin() + 3);
    EXPECT_EQ(store_->attempts(lead_id(1)), errors);
}

TEST_P(QueueContract, ForgetsTheDeadOnly) {
    synced({1, 2});
    edit(1, "Ada");
    EXPECT_TRUE(dead_letter(claim_one()));
    edit(2, "Grace");
    store_->run([](Transaction& transaction) {
        transaction.queue.forget_dead({lead_id(1), lead_id(2), lead_id(3)});
    });
    EXPECT_EQ(pending(), 1);
    enqueue({lead_id(1)});
    const auto claims = claim();
    ASSERT_EQ(claims.size(), 2);
    EXPECT_EQ(claims.front().generation, 1) << "queued anew";
    EXPECT_EQ(claims.front().attempts, 0);
}

TEST_P(QueueContract, TellsWhoeverHasALeadInHandThatThereIsMore) {
    synced({1});
    enqueue({lead_id(1)});
    const auto claimed = claim_one();
    enqueue({lead_id(1)});
    EXPECT_TRUE(claim().empty());
    complete({claimed});
    EXPECT_EQ(claim_one().generation, 2);
}

TEST_P(QueueContract, LooksAgainLaterUnlessTheLeadIsQueuedAlready) {
    synced({1, 2});
    edit(1, "Ada");
    look_again({lead_id(1), lead_id(2)}, 10s);
    EXPECT_EQ(ids_of(claim()), std::vector{lead_id(1)});
    store_->advance(11s);
    const auto later = claim_one();
    EXPECT_EQ(later.id, lead_id(2));
    EXPECT_EQ(later.generation, 1);
}

TEST_P(QueueContract, ReturnsByItsTokenWhatWasLeasedUnheard) {
    synced({1, 2, 3});
    edit(1, "Ada");
    const auto mine = claim_one();
    edit(2, "Grace");
    edit(3, "Mary");
    const auto token = store_->run([](Transaction& transaction) { return transaction.queue.draw_lease_token(); });
    const auto unheard = store_->run(
        [&](Transaction& transaction) { return transaction.queue.claim_within({}, 100, 1min, true, token).value(); });
    ASSERT_EQ(unheard.size(), 2U);
    for (const auto& claim : unheard) EXPECT_EQ(claim.lease_token, token);
    store_->run([&](Transaction& transaction) { transaction.queue.release_lease(token); });
    const auto again = claim();
    EXPECT_EQ(ids_of(again), (std::vector{lead_id(2), lead_id(3)})) << "the first is in hand still";
    complete(unheard);
    EXPECT_EQ(pending(), 3) << "they are somebody else's now";
    complete(again);
    complete({mine});
    EXPECT_EQ(pending(), 0);
}

TEST_P(QueueContract, ReturnsWhatAnEarlierProcessHeld) {
    synced({1});
    edit(1, "Ada");
    const auto before = claim_one();
    store_->run([](Transaction& transaction) { transaction.queue.release_all(); });
    complete({before});
    const auto after = claim_one();
    EXPECT_GT(after.lease_token, before.lease_token);
}

TEST_P(QueueContract, TellsWhichEditsWereNotSentYet) {
    synced({1, 2});
    edit(1, "Ada");
    enqueue({lead_id(2)});
    for (const auto& claimed : claim()) EXPECT_EQ(claimed.unsent, claimed.id == lead_id(1));
    const auto later = store_->now() + 1s;
    store_->run([&](Transaction& transaction) {
        transaction.queue.release_all();
        transaction.leads.wrote({lead_id(1)}, later);
    });
    for (const auto& claimed : claim()) EXPECT_FALSE(claimed.unsent);
}

TEST_P(QueueContract, KeepsWhatIsInHandBehindWhatIsDue) {
    synced({1, 2});
    enqueue({lead_id(1)});
    const auto aside = claim_one();
    const auto put_aside = [&] {
        store_->run([&](Transaction& transaction) { transaction.queue.put_aside({aside}, 1min); });
    };
    put_aside();
    EXPECT_NE(next_due(), 0ms) << "still in hand";
    enqueue({lead_id(2)});
    EXPECT_EQ(next_due(), 0ms);
    complete({claim_one()});
    complete({aside});
    EXPECT_EQ(pending(), 0);
    put_aside();
    EXPECT_EQ(pending(), 0) << "a claim that is no longer ours changes nothing";

    enqueue({lead_id(1)});
    const auto lost = claim_one();
    store_->run([&](Transaction& transaction) { transaction.queue.put_aside({lost}, 1h); });
    store_->run([](Transaction& transaction) { transaction.queue.release_all(); });
    EXPECT_EQ(claim_one().id, lead_id(1)) << "whoever kept it aside is gone";
}

TEST_P(QueueContract, ClaimsLeadsThatAreOnlyToBeMovedByThemselves) {
    const std::string there = "cccccccc-0000-4000-8000-000000000009";
    std::vector<sync::LeadRow> leads;
    for (const int number : {1, 2, 3, 4, 5, 6, 7, 8})
        leads.push_back(
            agreed_lead(number, content({{number == 2 ? "list_id" : "campaign", number == 2 ? list_id : campaign_id},
                                         {"first_name", "Ada \"the\" O'Neil"},
                                         {"lt_interest_status", "1"}})));
    for (auto& lead : leads) lead.local.custom_variables["odd \"key\""] = 7;
    for (auto& lead : leads) lead.base->content.custom_variables = lead.local.custom_variables;
    store_->run([&](Transaction& transaction) { transaction.leads.insert(leads); });
    const auto move = [&](int number) { edit(lead_id(number), sync::Field::campaign, there); };
    store_->update(lead_id(1), [&](sync::Content& row) {  // to a list
        row[sync::Field::campaign].reset();
        row[sync::Field::list_id] = list_id;
    });
    move(2);
    edit(lead_id(3), sync::Field::phone, "+1");
    move(4);
    edit(lead_id(4), sync::Field::phone, "+1");
    edit(lead_id(5), sync::Field::campaign, std::nullopt);  // no call does that
    move(6);
    store_->run([&](Transaction& transaction) { transaction.leads.expect({{lead_id(6), {{"phone", "1"}}}}, 1min); });
    move(7);
    move(8);
    const auto claim_moves = [&](int limit) {
        return store_->run(
            [&](Transaction& transaction) { return transaction.queue.claim_moves(limit, 100, 1min, 30s); });
    };
    const auto first = claim_moves(1);
    ASSERT_EQ(first.size(), 1U);
    auto moves = claim_moves(10);
    moves.push_back(first.front());
    std::ranges::sort(moves, {}, [](const auto& each) { return each.claim.id; });
    ASSERT_EQ(moves.size(), 4U);
    EXPECT_EQ(moves[0].intent, (sync::MoveIntent{.from_campaign = campaign_id, .to_list = list_id}));
    EXPECT_EQ(moves[1].intent, (sync::MoveIntent{.from_list = list_id, .to_campaign = there}));
    EXPECT_EQ(moves[2].claim.id, lead_id(7));
    EXPECT_EQ(moves[3].claim.instantly_id, instantly_id(8));
    EXPECT_EQ(moves[3].intent, (sync::MoveIntent{.from_campaign = campaign_id, .to_campaign = there}));
    EXPECT_TRUE(claim_moves(10).empty());
    EXPECT_EQ(claim().size(), 4U) << "the rest";
    for (const auto& each : moves) complete({each.claim});
    EXPECT_EQ(pending(), 4);
}

TEST_P(QueueContract, RenewsWhatIsStillOursAndNotEdited) {
    synced({1, 2, 3});
    edit(lead_id(1), sync::Field::phone, "+1");
    edit(lead_id(2), sync::Field::phone, "+1");
    edit(lead_id(3), sync::Field::phone, "+1");
    auto claims = claim();
    ASSERT_EQ(claims.size(), 3U);
    edit(lead_id(2), sync::Field::phone, "+2");
    claims[2].lease_token += 100;
    const auto ours = store_->run([&](Transaction& transaction) { return transaction.queue.renew(claims, 10min); });
    EXPECT_EQ(ours, std::unordered_set<std::string>{claims[0].id.text});
    const auto left = store_->run([&](Transaction& transaction) { return transaction.queue.give_back(claims, 1h); });
    EXPECT_TRUE(left.empty()) << "nobody is writing them";
    const auto again = claim();
    ASSERT_EQ(again.size(), 1U) << "what was edited is due at once, the first in an hour, the third in hand";
    EXPECT_EQ(again.front().id, lead_id(2));
}

TEST_P(QueueContract, SeesWhatIsDueBehindManyInHand) {
    std::vector<int> numbers(1301);
    std::iota(numbers.begin(), numbers.end(), 1);
    synced(numbers);
    std::vector<LeadId> ids;
    for (const auto number : numbers) ids.push_back(lead_id(number));
    enqueue(ids);
    EXPECT_EQ(claim(1300).size(), 1300U);
    EXPECT_EQ(next_due(), 0ms);
    claim_one();
    EXPECT_GT(*next_due(), 0ms);
}

TEST_P(QueueContract, TellsWhenTheNextLeadFallsDue) {
    EXPECT_EQ(next_due(), std::nullopt);
    synced({1, 2});
    look_again({lead_id(1)}, 1h);
    look_again({lead_id(2)}, 2h);
    EXPECT_GT(*next_due(), 59min);
    EXPECT_LE(*next_due(), 60min);
    store_->advance(90min);
    EXPECT_EQ(next_due(), 0ms);
    const auto claimed = claim_one();
    EXPECT_GT(*next_due(), 59s);
    EXPECT_LE(*next_due(), 60s) << "when the lease ends";
    complete({claimed});
    EXPECT_GT(*next_due(), 29min);
    EXPECT_LE(*next_due(), 30min);
}

TEST_P(QueueContract, LetsCreatesWait) {
    const auto row = new_row("new@acme.io");
    EXPECT_TRUE(claim(100, false).empty());
    EXPECT_EQ(next_due(false), std::nullopt);
    EXPECT_EQ(next_due(true), 0ms);
    EXPECT_EQ(pending(), 1);
    store_->erase(row);
    EXPECT_EQ(next_due(false), 0ms) << "nothing is left to be created";
    const auto idle = claim(100, false);
    ASSERT_EQ(idle.size(), 1);
    EXPECT_EQ(idle.front().work, Work::nothing);
    complete(idle);
    synced({1});
    edit(1, "Ada");
    EXPECT_EQ(claim(100, false).size(), 1);
}

TEST_P(QueueContract, TellsWhetherAnythingIsLeftToDo) {
    EXPECT_TRUE(is_idle());
    const auto row = new_row("new@acme.io");
    EXPECT_FALSE(is_idle());
    hold(store::HoldKind::create, {row});
    EXPECT_TRUE(is_idle());
    synced({1});
    look_again({lead_id(1)}, 1h);
    EXPECT_FALSE(is_idle());
    store_->advance(2h);
    EXPECT_TRUE(dead_letter(claim_one()));
    EXPECT_TRUE(is_idle());
}

TEST_P(QueueContract, TellsWhetherRowsAreToBeCreated) {
    const auto has_creates = [&] {
        return store_->run([](Transaction& transaction) { return transaction.queue.has_creates(); });
    };
    synced({1});
    edit(1, "Ada");
    EXPECT_FALSE(has_creates()) << "it waits, but is there";
    const auto row = new_row("new@acme.io");
    EXPECT_TRUE(has_creates());
    claim();
    EXPECT_TRUE(has_creates()) << "it is in hand";
    hold(store::HoldKind::create, {row});
    EXPECT_FALSE(has_creates()) << "an operator's word comes first";
    new_row("other@acme.io");
    EXPECT_TRUE(dead_letter(claim_one()));
    EXPECT_FALSE(has_creates());
    const auto last = new_row("last@acme.io");
    EXPECT_TRUE(has_creates());
    store_->erase(last);
    EXPECT_FALSE(has_creates());
}

TEST_P(QueueContract, AdoptedRowsNoLongerWaitWithTheCreates) {
    const auto row = new_row("new@acme.io");
    auto lead = agreed_lead(1);
    lead.id = row;
    store_->run([&](Transaction& transaction) { transaction.leads.update(std::vector{lead}); });
    const auto claims = claim(100, false);
    ASSERT_EQ(claims.size(), 1);
    EXPECT_EQ(claims.front().work, Work::reconcile);
}

TEST_P(QueueContract, CreatedRowsNoLongerWaitWithTheCreates) {
    const auto row = new_row("new@acme.io");
    const auto claimed = claim_one();
    store_->run([&](Transaction& transaction) {
        transaction.leads.created({{row, instantly_id(1), {}, {}}}, 30s, store_->now());
        transaction.queue.defer({claimed}, 0ms);
    });
    const auto claims = claim(100, false);
    ASSERT_EQ(claims.size(), 1);
    EXPECT_EQ(claims.front().work, Work::reconcile);
}

TEST_P(QueueContract, FallsAsleepInTwoStepsAndWakes) {
    const auto fall_asleep = [&] {
        return store_->run([](Transaction& transaction) { return transaction.queue.fall_asleep(); });
    };
    EXPECT_FALSE(fall_asleep()) << "an edit may be under way that has not seen it";
    EXPECT_TRUE(fall_asleep());
    EXPECT_TRUE(fall_asleep());
    store_->run([](Transaction& transaction) { transaction.queue.wake(); });
    EXPECT_FALSE(fall_asleep());
    EXPECT_TRUE(fall_asleep());
    EXPECT_TRUE(claim().empty());
    EXPECT_TRUE(fall_asleep()) << "there was nothing";
    new_row("new@acme.io");
    EXPECT_EQ(claim().size(), 1);
    EXPECT_FALSE(fall_asleep()) << "who has work in hand is awake";
}

INSTANTIATE_TEST_SUITE_P(Stores, QueueContract, candidates, name_of);

}  // namespace
}  // namespace leadsync::store_contract
