#include <algorithm>

#include "tests/connectors/store_contract.hpp"

namespace leadsync::store_contract {
namespace {

using namespace std::chrono_literals;
using sync::Field;
using sync::LeadId;
using sync::SyncStatus;

class LeadsContract : public StoreContract {
protected:
    void expect(int number, const std::map<sync::Key, sync::Value>& values) {
        store::Writes writes{{lead_id(number), values}};
        store_->run([&](Transaction& transaction) { transaction.leads.expect(writes, 1min); });
    }
    void add_conflict(const sync::Conflict& conflict) {
        store_->run([&](Transaction& transaction) { transaction.leads.add_conflicts({{lead_id(1), conflict}}); });
    }
    void update_conflict(const sync::ConflictUpdate& conflict) {
        store_->run([&](Transaction& transaction) { transaction.leads.update_conflicts({conflict}); });
    }
};

// --- reading -------------------------------------------------------------------------------------------------------

TEST_P(LeadsContract, TellsWhatIsHeldOfALead) {
    synced({1, 2, 3});
    expect(1, {{"phone", "1"}});
    store_->erase(lead_id(2));
    mark_gone(3, sync::RemoteDeletes::mark);
    const auto held = store_->run([](Transaction& transaction) {
        return transaction.leads.look_up({instantly_id(1), instantly_id(2), instantly_id(3), instantly_id(4)});
    });
    ASSERT_EQ(held.size(), 3);
    const auto& first = held.at(instantly_id(1).text);
    EXPECT_EQ(first.id, lead_id(1));
    EXPECT_EQ(first.content_hash, 1);
    EXPECT_EQ(first.raw_hash, 1'001);
    EXPECT_TRUE(first.expecting && !first.tombstone && !first.gone);
    const auto& second = held.at(instantly_id(2).text);
    EXPECT_TRUE(!second.expecting && second.tombstone && !second.gone);
    const auto& third = held.at(instantly_id(3).text);
    EXPECT_TRUE(!third.expecting && !third.tombstone && third.gone);
}

TEST_P(LeadsContract, TellsWhatIsHeldOfAStretch) {
    synced({1, 2, 3, 4});
    mark_gone(3, sync::RemoteDeletes::mark);
    expect(2, {{"phone", "1"}});
    const auto look = [&](const store::Stretch& stretch, std::size_t limit = 10) {
        return store_->run([&](Transaction& transaction) { return transaction.leads.look_up(stretch, limit); });
    };
    const auto some = look({instantly_id(1).text, instantly_id(3).text});
    ASSERT_EQ(some.leads.size(), 2U);
    EXPECT_TRUE(some.is_complete && some.is_settled);
    const auto& second = some.leads.at(instantly_id(2).text);
    EXPECT_EQ(second.id, lead_id(2));
    EXPECT_TRUE(second.content_hash == 2 && second.raw_hash == 1'002 && second.expecting && !second.gone);
    EXPECT_TRUE(some.leads.at(instantly_id(3).text).gone);

    EXPECT_EQ(look({}).leads.size(), 4U);
    EXPECT_EQ(look({std::nullopt, instantly_id(2).text}).leads.size(), 2U);
    EXPECT_EQ(look({instantly_id(3).text, std::nullopt}).leads.size(), 1U);
    EXPECT_TRUE(look({instantly_id(8).text, std::nullopt}).leads.empty());
    EXPECT_FALSE(look({}, 4).is_complete) << "there may be more";
    EXPECT_EQ(look({}, 2).leads.size(), 2U);

    store_->run([&](Transaction& transaction) {
        transaction.leads.note_absent(std::nullopt, instantly_id(1).text, {}, store_->now());
    });
    EXPECT_TRUE(look({}).is_settled);
    store_->run([&](Transaction& transaction) {
        transaction.leads.looked_into({lead_id(1)}, {lead_id(1).text}, an_instant);
    });
    EXPECT_FALSE(look({instantly_id(3).text, std::nullopt}).is_settled);
}

TEST_P(LeadsContract, LoadsWhatWasWritten) {
    auto lead =
        agreed_lead(1, content({{"first_name", "Ada"},
                                {"phone", ""},
                                {"lt_interest_status", "-3"},
                                {"campaign", campaign_id},
                                {"status", "1"},
                                {"timestamp_updated", "2026-01-02T03:04:05.678Z"}},
                               {{"number", 42}, {"text", "42"}, {"fraction", 0.5}, {"no", nullptr}, {"yes", true}}));
    lead.base->content[Field::first_name] = "Augusta";
    lead.base->expected = {{"phone", std::nullopt}, {"custom_variables.text", "43"}};
    lead.base->flips = {{"phone", {sync::Side::remote, 3, an_instant}}};
    lead.base->late = {{"phone", {"44", an_instant}}, {"campaign", {std::nullopt, an_instant}}};
    lead.status = SyncStatus::error;
    lead.error = "why";
    lead.content_hash = ~std::uint64_t{0};
    lead.raw_hash = ~std::uint64_t{1};
    store_->run([&](Transaction& transaction) { transaction.leads.insert(std::vector{lead}); });

    const auto known = load(1);
    ASSERT_TRUE(known);
    EXPECT_EQ(known->id, lead_id(1));
    EXPECT_EQ(known->instantly_id, instantly_id(1));
    EXPECT_EQ(known->base, *lead.base);
    EXPECT_EQ(known->remote_updated_at, "2026-01-02T03:04:05.678Z");
    EXPECT_EQ(known->written_at, std::nullopt);
    EXPECT_EQ(known->edited_at, std::nullopt);
    EXPECT_TRUE(known->open.empty());
    EXPECT_EQ(known->status, SyncStatus::error);
    EXPECT_EQ(known->error, "why");
    auto local = lead.local;
    local[Field::status].reset();
    local[Field::timestamp_updated].reset();
    EXPECT_EQ(known->local, local) << "email, both-ways fields and custom variables, and nothing of Instantly's";
    EXPECT_EQ(look_up(1)->content_hash, lead.content_hash);
    EXPECT_EQ(look_up(1)->raw_hash, lead.raw_hash);
}

TEST_P(LeadsContract, NotesOtherBytesOfTheSameLeadWhenTheKnownOnesAreOldOrNone) {
    using namespace std::chrono_literals;
    const auto kept = store::Leads::raw_hash_kept;
    const auto note = [&](int number, std::uint64_t content_hash, std::uint64_t raw_hash, sync::Instant at) {
        const store::Reformatted lead{lead_id(number), content_hash, raw_hash, at};
        store_->run([&](Transaction& transaction) { transaction.leads.note_reformatted({&lead, 1}); });
        return look_up(number)->raw_hash;
    };
    auto lead = agreed_lead(1);
    lead.observed_at = an_instant;
    auto bytes_unknown = agreed_lead(2);
    bytes_unknown.observed_at = an_instant;
    bytes_unknown.raw_hash = 0;
    store_->run([&](Transaction& transaction) { transaction.leads.insert(std::vector{lead, bytes_unknown}); });

    EXPECT_EQ(note(1, 1, 7, an_instant + kept), 1'001) << "not yet";
    EXPECT_EQ(note(1, 2, 7, an_instant + kept + 1s), 1'001) << "of another content";
    EXPECT_EQ(note(1, 1, 7, an_instant + kept + 1s), 7);
    EXPECT_EQ(load(1)->observed_at, an_instant + kept + 1s);
    EXPECT_EQ(note(1, 1, 8, an_instant + kept + 2s), 7);
    EXPECT_EQ(look_up(2)->raw_hash, 0);
    EXPECT_EQ(note(2, 2, 7, an_instant), 0) << "no newer than what the base rests on";
    EXPECT_EQ(note(2, 2, 7, an_instant + 1s), 7);
    store_->run([&](Transaction& transaction) { transaction.leads.wrote({lead_id(1)}, an_instant + 3 * kept); });
    EXPECT_EQ(note(1, 1, 9, an_instant + 3 * kept), 7) << "stale";
    lead.raw_hash = 0;
    update(lead);
    EXPECT_EQ(look_up(1)->raw_hash, 0);
}

TEST_P(LeadsContract, ARowWithoutABaseOfItsOwnIsWhatBothSidesHold) {
    auto lead = agreed_lead(1, content({{"phone", "1"}, {"status", "1"}}, {{"tier", "gold"}}));
    const auto expected = lead.base;
    lead.base.reset();
    store_->run([&](Transaction& transaction) { transaction.leads.insert(std::vector{lead}); });
    EXPECT_EQ(load(1)->base, *expected);
    lead.local[Field::phone] = "2";
    update(lead);
    EXPECT_EQ(load(1)->base.content[Field::phone], "2");
}

TEST_P(LeadsContract, StoresEveryFieldOfInstantlyInItsType) {
    auto lead = agreed_lead(1, content({{"status", "-2"},
                                        {"email_open_count", "7"},
                                        {"company_domain", "acme.io"},
                                        {"status_summary", R"({"from":"a","step":[1,null]})"},
                                        {"last_step_id", campaign_id},
                                        {"timestamp_last_open", "2026-01-02T03:04:05.678Z"},
                                        {"is_website_visitor", "true"}}));
    store_->run([&](Transaction& transaction) { transaction.leads.insert(std::vector{lead}); });
    EXPECT_EQ(store_->row(lead_id(1))->content, lead.local);
    lead.local[Field::is_website_visitor] = "false";
    lead.local[Field::timestamp_last_open].reset();
    update(lead);
    EXPECT_EQ(store_->row(lead_id(1))->content, lead.local);
}

TEST_P(LeadsContract, LoadsInOrderOfOurIdAndLeavesTombstonesOut) {
    synced({3, 1, 2});
    store_->erase(lead_id(2));
    const auto known = store_->run([now = store_->now()](Transaction& transaction) {
        return transaction.leads.load({instantly_id(3), instantly_id(2), instantly_id(1), instantly_id(9)},
                                      store::Lock::rows, now);
    });
    ASSERT_EQ(known.size(), 2);
    EXPECT_EQ(known[0].id, lead_id(1));
    EXPECT_EQ(known[1].id, lead_id(3));
}

TEST_P(LeadsContract, LeavesOutRowsThatAUserHasLockedInsteadOfWaiting) {
    synced({1, 2});
    store_->lock(lead_id(1));
    EXPECT_FALSE(load(1, store::Lock::rows));
    EXPECT_TRUE(load(1, store::Lock::none));
    EXPECT_TRUE(load(2, store::Lock::rows));
    const auto existing = store_->run([](Transaction& transaction) {
        return transaction.leads.here_or_deleted({lead_id(1), lead_id(2), lead_id(3)});
    });
    EXPECT_EQ(existing, (std::unordered_set<std::string>{lead_id(1).text, lead_id(2).text}));
    store_->unlock();
    EXPECT_TRUE(load(1, store::Lock::rows));
    store_->erase(lead_id(2));
    const auto deleted =
        store_->run([](Transaction& transaction) { return transaction.leads.here_or_deleted({lead_id(2)}); });
    EXPECT_EQ(deleted.size(), 1U) << "nothing to bring back";
}

TEST_P(LeadsContract, TellsOfTheLastEditInTheDaemonsClock) {
    synced({1});
    edit(1, "Ada");
    store_->advance(1h);
    const auto known = load(1);
    ASSERT_TRUE(known && known->edited_at);
    const auto ago = store_->now() - *known->edited_at;
    EXPECT_GE(ago, 1h);
    EXPECT_LT(ago, 1h + 1min);
    complete({claim_one()});
    EXPECT_EQ(load(1)->edited_at, std::nullopt);
}

TEST_P(LeadsContract, ReadsRowsInOrderOfTheirId) {
    synced({2, 1});
    const auto id = store_->insert(content({{"email", "new@acme.io"}, {"list_id", list_id}}, {{"k", "v"}}));
    const auto rows = store_->run([&](Transaction& transaction) {
        return transaction.leads.rows({lead_id(2), id, lead_id(1), lead_id(9)});
    });
    ASSERT_EQ(rows.size(), 3);
    EXPECT_TRUE(std::ranges::is_sorted(rows, {}, &store::LocalRow::id));
    const auto own = std::ranges::find(rows, id, &store::LocalRow::id);
    ASSERT_NE(own, rows.end());
    EXPECT_EQ(own->content, content({{"email", "new@acme.io"}, {"list_id", list_id}}, {{"k", "v"}}));
}

TEST_P(LeadsContract, FindsLeadsByEmailWhateverItsCase) {
    synced({1, 2});
    new_row("LEAD1@acme.io");
    mark_gone(2, sync::RemoteDeletes::mark);
    const auto found = store_->run([](Transaction& transaction) {
        return transaction.leads.with_emails({"Lead1@Acme.io", "lead2@acme.io", "lead3@acme.io"});
    });
    EXPECT_EQ(found, std::vector{lead_id(1)}) << "not the row without a lead, not the one that is gone";
}

TEST_P(LeadsContract, KnowsTheNewestIdThatTellsWhenItWasMade) {
    const auto newest = [&](const std::optional<sync::InstantlyId>& up_to = std::nullopt) {
        return store_->run([&](Transaction& transaction) { return transaction.leads.newest_time_ordered(2, up_to); });
    };
    EXPECT_TRUE(newest().empty());
    auto random = agreed_lead(1);
    random.instantly_id = {"ffffffff-0000-4000-8000-000000000001"};
    auto far_ahead = agreed_lead(2);
    far_ahead.instantly_id = {"f1959272-5d2b-7a87-a5d7-000000000002"};
    store_->run([&](Transaction& transaction) { transaction.leads.insert(std::vector{random, far_ahead}); });
    EXPECT_TRUE(newest().empty());
    synced({3, 5, 4});
    EXPECT_EQ(newest(), (std::vector{instantly_id(5), instantly_id(4)}));
    EXPECT_EQ(newest(instantly_id(4)), (std::vector{instantly_id(4), instantly_id(3)}));
    mark_gone(5, sync::RemoteDeletes::mark);
    store_->erase(lead_id(4));
    EXPECT_EQ(newest(), std::vector{instantly_id(3)}) << "the others are no cursors any more";
}

TEST_P(LeadsContract, KnowsWhichLeadsAreActiveAndForHowLong) {
    const sync::Instant now = std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
    synced({1, 2, 3, 4, 5, 6});
    const auto note = [&](int number, std::chrono::minutes from_now) {
        store_->run([&](Transaction& transaction) {
            transaction.leads.note_active({{instantly_id(number), now + from_now}});
        });
    };
    const auto active = [&](int after, int limit, std::chrono::minutes later) {
        return store_->run([&](Transaction& transaction) {
            const auto from = after == 0 ? std::nullopt : std::optional{instantly_id(after).text};
            return transaction.leads.active(from, limit, now + later);
        });
    };
    const auto count = [&](std::chrono::minutes later) {
        return store_->run([&](Transaction& transaction) { return transaction.leads.count_active(now + later); });
    };
    EXPECT_EQ(count(0min), 0);
    note(5, 600min);
    note(3, 60min);
    note(1, 600min);
    note(2, 600min);
    EXPECT_EQ(active(0, 9, 0min), (std::vector{instantly_id(1), instantly_id(2), instantly_id(3), instantly_id(5)}));
    EXPECT_EQ(active(1, 2, 0min), (std::vector{instantly_id(2), instantly_id(3)})) << "a round goes on behind a lead";
    EXPECT_EQ(active(1, 2, 61min), (std::vector{instantly_id(2), instantly_id(5)})) << "3 is active no more";
    EXPECT_EQ(count(61min), 3);
    note(3, 600min);
    note(1, 30min);
    EXPECT_EQ(count(61min), 4) << "longer for 3, and no shorter for 1";
    note(4, 60min);
    note(4, 119min);
    EXPECT_EQ(active(3, 9, 118min), (std::vector{instantly_id(4), instantly_id(5)}))
        << "active again just before the end";

    store_->erase(lead_id(1));
    mark_gone(2, sync::RemoteDeletes::mark);
    store_->run([&](Transaction& transaction) { transaction.leads.forget_inactive(now); });
    EXPECT_EQ(active(0, 9, 0min), (std::vector{instantly_id(3), instantly_id(4), instantly_id(5)}));
    store_->run([&](Transaction& transaction) { transaction.leads.forget_inactive(now + 601min); });
    EXPECT_EQ(count(0min), 0);
}

TEST_P(LeadsContract, KnowsTheIdSoManyLeadsBeforeAnother) {
    synced({1, 3, 4, 5, 6, 7});
    mark_gone(5, sync::RemoteDeletes::mark);
    store_->erase(lead_id(4));
    const auto before = [&](int number, std::int64_t leads) {
        return store_->run(
            [&](Transaction& transaction) { return transaction.leads.id_before(instantly_id(number).text, leads); });
    };
    EXPECT_EQ(before(3, 1), instantly_id(1).text);
    EXPECT_EQ(before(2, 1), instantly_id(1).text);
    EXPECT_EQ(before(1, 1), std::nullopt);
    EXPECT_EQ(before(6, 1), instantly_id(3).text) << "what lies between is gone on one side";
    EXPECT_EQ(before(7, 3), instantly_id(1).text);
    EXPECT_EQ(before(7, 4), std::nullopt);
}

TEST_P(LeadsContract, HalvesWhatIsKnownInWholePages) {
    synced({1, 2, 3, 4, 5, 6, 7, 8, 9});
    mark_gone(3, sync::RemoteDeletes::mark);
    const auto halfway = [&](int after, std::optional<int> last, int page) {
        const auto end = last ? std::optional{instantly_id(*last).text} : std::nullopt;
        return store_->run(
            [&](Transaction& transaction) { return transaction.leads.halfway(instantly_id(after).text, end, page); });
    };
    EXPECT_EQ(halfway(1, std::nullopt, 2), instantly_id(4).text) << "2 and 4 of seven that are there";
    EXPECT_EQ(halfway(1, std::nullopt, 1), instantly_id(5).text);
    EXPECT_EQ(halfway(4, 8, 2), instantly_id(6).text) << "the end belongs to them";
    EXPECT_EQ(halfway(4, 7, 2), std::nullopt) << "less than two pages";
    EXPECT_EQ(halfway(9, std::nullopt, 1), std::nullopt);
}

TEST_P(LeadsContract, CountsLeadsThatAreThereOnBothSides) {
    synced({1, 2, 3});
    new_row("new@acme.io");
    store_->erase(lead_id(1));
    mark_gone(2, sync::RemoteDeletes::mark);
    EXPECT_EQ(store_->run([](Transaction& transaction) { return transaction.leads.count(); }), 1);
}

// --- conflicts and history -----------------------------------------------------------------------------------------

TEST_P(LeadsContract, KeepsAnOpenConflictUntilItIsSettled) {
    synced({1});
    add_conflict({"phone", "0", "1", "2", sync::Rule::manual, {}});
    add_conflict({"phone", "0", "1", "3", sync::Rule::manual, {}});
    ASSERT_EQ(store_->conflicts().size(), 1) << "it moves on instead of becoming two";
    const auto id = store_->conflicts().front().id;
    EXPECT_EQ(load(1)->open, (std::map<sync::Key, sync::OpenConflict>{{"phone", {id, "1", "3", {}}}}));

    update_conflict({id, "4", std::nullopt, sync::ConflictUpdate::Outcome::still_open});
    EXPECT_EQ(load(1)->open, (std::map<sync::Key, sync::OpenConflict>{{"phone", {id, "4", std::nullopt, {}}}}));

    update_conflict({id, "5", "5", sync::ConflictUpdate::Outcome::agreed});
    EXPECT_TRUE(load(1)->open.empty());
    const auto settled = store_->conflicts().front();
    EXPECT_EQ(settled.resolution, "agreed");
    EXPECT_TRUE(settled.settled);
    EXPECT_EQ(settled.base, "0");
    EXPECT_EQ(settled.local, "5");

    add_conflict({"phone", "5", "6", "7", sync::Rule::manual, {}});
    EXPECT_EQ(store_->conflicts().size(), 2) << "a new one after the settled one";
}

TEST_P(LeadsContract, RecordsAConflictThatARuleDecided) {
    synced({1});
    add_conflict({"phone", "0", "1", "2", sync::Rule::manual, {}});
    add_conflict({"phone", std::nullopt, "1", "2", sync::Rule::newest, sync::Side::remote});
    const auto conflicts = store_->conflicts();
    ASSERT_EQ(conflicts.size(), 2);
    EXPECT_EQ(conflicts[1].lead, lead_id(1));
    EXPECT_EQ(conflicts[1].rule, "newest");
    EXPECT_EQ(conflicts[1].resolution, "remote");
    EXPECT_TRUE(conflicts[1].settled);
    EXPECT_EQ(load(1)->open.size(), 1);
    EXPECT_THROW(store_->resolve(conflicts[1].id, sync::Side::local), std::invalid_argument);
}

TEST_P(LeadsContract, RecordsEveryRule) {
    using enum sync::Rule;
    synced({1});
    for (const auto rule : {local, remote, newest, manual, keep_value, flip_flop, late_write}) {
        add_conflict({"phone", "0", "1", "2", rule, sync::Side::local});
        EXPECT_EQ(store_->conflicts().back().rule, sync::name_of(rule));
    }
}

TEST_P(LeadsContract, CarriesAResolutionToTheNextLook) {
    synced({1});
    add_conflict({"phone", "0", "1", "2", sync::Rule::manual, {}});
    const auto id = store_->conflicts().front().id;
    store_->resolve(id, sync::Side::remote);
    EXPECT_EQ(load(1)->open.at("phone").resolution, sync::Side::remote);
    const auto claimed = claim_one();
    EXPECT_EQ(claimed.id, lead_id(1));
    EXPECT_EQ(load(1)->edited_at, std::nullopt) << "it is no edit";
    EXPECT_THROW(store_->resolve(id, sync::Side::local), std::invalid_argument);

    update_conflict({id, "2", "2", sync::ConflictUpdate::Outcome::settled});
    EXPECT_TRUE(load(1)->open.empty());
    EXPECT_EQ(store_->conflicts().front().resolution, "remote");
}

TEST_P(LeadsContract, RevivesALeadWhoseConflictIsResolved) {
    synced({1});
    edit(1, "Ada");
    store_->run([claimed = claim_one()](Transaction& transaction) {
        transaction.queue.dead_letter({{claimed, "refused"}});
    });
    add_conflict({"phone", "0", "1", "2", sync::Rule::manual, {}});
    store_->resolve(store_->conflicts().front().id, sync::Side::local);
    const auto claimed = claim_one();
    EXPECT_EQ(claimed.generation, 2);
    EXPECT_EQ(claimed.attempts, 0);
}

TEST_P(LeadsContract, KeepsHistoryInItsOrder) {
    store_->run([](Transaction& transaction) {
        transaction.leads.add_history({{lead_id(2), "phone", "1", std::nullopt, sync::Side::local, "edit", "PATCH"},
                                       {lead_id(1), "", std::nullopt, "a@b.io", sync::Side::remote, "appeared", ""}});
        transaction.leads.add_history({{lead_id(2), "phone", std::nullopt, "", sync::Side::remote, "edit", "page"}});
    });
    EXPECT_EQ(history_lines(), (std::vector{lead_id(2).text + " phone 1 -> none local edit PATCH",
                                            lead_id(1).text + " lead none -> a@b.io remote appeared ",
                                            lead_id(2).text + " phone none ->  remote edit page"}));
}

// --- writes of ours ------------------------------------------------------------------------------------------------

TEST_P(LeadsContract, AwaitsWritesUntilPatienceEnds) {
    synced({1});
    edit(1, "Ada");
    expect(1, {{"first_name", "Ada"}, {"phone", std::nullopt}});
    EXPECT_EQ(store_->row(lead_id(1))->status, SyncStatus::verifying);
    EXPECT_TRUE(look_up(1)->expecting);
    EXPECT_TRUE(claim_one().expecting);
    store_->advance(59s);
    expect(1, {{"phone", "1"}});
    EXPECT_EQ(load(1)->base.expected, (std::map<sync::Key, sync::Value>{{"first_name", "Ada"}, {"phone", "1"}}));
    store_->advance(59s);
    EXPECT_FALSE(load(1)->base.expectations_expired) << "the later write is awaited from its own time";
    store_->advance(2s);
    EXPECT_TRUE(load(1)->base.expectations_expired);
    EXPECT_TRUE(look_up(1)->expecting);
    EXPECT_FALSE(claim_one().expecting);
}

TEST_P(LeadsContract, LetsTheStatusOfALeadThatWaitsForAPersonStand) {
    synced({1, 2});
    for (const auto status : {SyncStatus::conflict, SyncStatus::error, SyncStatus::synced}) {
        store_->run([&](Transaction& transaction) { transaction.leads.set_status({lead_id(1)}, status, "why"); });
        expect(1, {{"phone", "1"}});
        EXPECT_EQ(store_->row(lead_id(1))->status, status);
        EXPECT_EQ(store_->row(lead_id(1))->error, "why");
    }
    for (const auto status : {SyncStatus::pending, SyncStatus::held}) {
        store_->run([&](Transaction& transaction) { transaction.leads.set_status({lead_id(2)}, status, "why"); });
        expect(2, {{"phone", "1"}});
        EXPECT_EQ(store_->row(lead_id(2))->status, SyncStatus::verifying);
        EXPECT_EQ(store_->row(lead_id(2))->error, std::nullopt);
    }
}

TEST_P(LeadsContract, AwaitsNothingOfARefusedWrite) {
    synced({1});
    const auto refused = [&](const std::vector<sync::Key>& keys) {
        store_->run([&](Transaction& transaction) { transaction.leads.expect_no_more(lead_id(1), keys); });
    };
    refused({"phone"});
    EXPECT_FALSE(look_up(1)->expecting);
    expect(1, {{"phone", "1"}, {"website", "2"}, {"custom_variables.a b", "3"}});
    refused({"phone", "custom_variables.a b"});
    EXPECT_EQ(load(1)->base.expected, (std::map<sync::Key, sync::Value>{{"website", "2"}}));
    refused({"website"});
    EXPECT_FALSE(look_up(1)->expecting);
}

TEST_P(LeadsContract, KeepsWhatAnUpdateOfTheBaseDoesNotTell) {
    synced({1});
    expect(1, {{"phone", "1"}, {"website", "2"}});
    store_->run([](Transaction& transaction) { transaction.leads.wrote({lead_id(1)}, an_instant); });
    auto lead = agreed_lead(1);
    lead.base->expected = {{"website", "2"}};
    lead.status = SyncStatus::verifying;
    update(lead);
    EXPECT_EQ(load(1)->base.expected, lead.base->expected);
    EXPECT_EQ(load(1)->written_at, an_instant);
    store_->advance(2min);
    EXPECT_TRUE(load(1)->base.expectations_expired);
    lead.base->expected.clear();
    update(lead);
    EXPECT_FALSE(load(1)->base.expectations_expired);
    EXPECT_FALSE(look_up(1)->expecting);
}

TEST_P(LeadsContract, BringsBackALeadThatWasGone) {
    synced({1});
    mark_gone(1, sync::RemoteDeletes::mark);
    EXPECT_TRUE(store_->row(lead_id(1))->deleted);
    update(agreed_lead(1));
    EXPECT_FALSE(look_up(1)->gone);
    EXPECT_FALSE(store_->row(lead_id(1))->deleted);
    EXPECT_EQ(store_->row(lead_id(1))->status, SyncStatus::synced);
}

INSTANTIATE_TEST_SUITE_P(Stores, LeadsContract, candidates, name_of);

}  // namespace
}  // namespace leadsync::store_contract
