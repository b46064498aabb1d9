#include "tests/connectors/store_contract.hpp"

// Which row and which lead are one: by email and place, and by what a create has sent.

namespace leadsync::store_contract {
namespace {

using namespace std::chrono_literals;
using sync::Field;
using sync::LeadId;
using sync::SyncStatus;

class IdentityContract : public StoreContract {
protected:
    std::map<std::string, LeadId> adoptable(const std::vector<store::Identity>& leads) {
        std::map<std::string, LeadId> rows;
        for (const auto& [lead, row] : store_->run(
                 [&](Transaction& transaction) { return transaction.leads.adoptable(leads, store::Lock::rows); }))
            rows.emplace(lead, row.id);
        return rows;
    }
    std::map<std::string, LeadId> rows_without_base(const std::vector<int>& numbers) {
        std::vector<sync::InstantlyId> ids;
        for (const int number : numbers) ids.push_back(instantly_id(number));
        std::map<std::string, LeadId> rows;
        for (const auto& [lead, row] : store_->run([&](Transaction& transaction) {
                 return transaction.leads.rows_without_base(ids, store::Lock::rows);
             }))
            rows.emplace(lead, row.id);
        return rows;
    }
    void created(const LeadId& row, int number) {
        const std::vector<store::Creation> creations{{row, instantly_id(number), {{"first_name", "Ada"}}}};
        store_->run([&](Transaction& transaction) { transaction.leads.created(creations, 1min, an_instant); });
    }
};

store::Identity identity(int number, const std::string& email, const sync::Value& campaign,
                         const sync::Value& list = {}) {
    return {instantly_id(number), email, campaign, list};
}

TEST_P(IdentityContract, DoesNotWaitForARowToAdoptThatSomebodyIsWriting) {
    const auto row = new_row("ada@acme.io");
    store_->lock(row);
    const std::vector<store::Identity> page{identity(1, "ada@acme.io", campaign_id)};
    const auto found =
        store_->run([&](Transaction& transaction) { return transaction.leads.adoptable(page, store::Lock::rows); });
    ASSERT_TRUE(found.contains(instantly_id(1).text));
    EXPECT_TRUE(found.at(instantly_id(1).text).is_being_written);
    EXPECT_EQ(found.at(instantly_id(1).text).id, row);
    store_->unlock();

    synced({2});
    store_->lose_base(lead_id(2));
    store_->lock(lead_id(2));
    const auto restored = store_->run([](Transaction& transaction) {
        return transaction.leads.rows_without_base({instantly_id(2)}, store::Lock::rows);
    });
    ASSERT_TRUE(restored.contains(instantly_id(2).text));
    EXPECT_TRUE(restored.at(instantly_id(2).text).is_being_written);
    store_->unlock();
}

// --- adopting ------------------------------------------------------------------------------------------------------

TEST_P(IdentityContract, AdoptsByEmailAndTarget) {
    const auto in_campaign = new_row("Ada@Acme.io");
    const auto in_list = store_->insert(content({{"email", "grace@acme.io"}, {"list_id", list_id}}));
    const auto nowhere = store_->insert(content({{"email", "joan@acme.io"}}));
    synced({9});
    EXPECT_EQ(adoptable({identity(1, "ada@acme.IO", campaign_id), identity(2, "grace@acme.io", {}, list_id),
                         identity(3, "joan@acme.io", {}, {}), identity(4, email_of(9), campaign_id)}),
              (std::map<std::string, LeadId>{{instantly_id(1).text, in_campaign}, {instantly_id(2).text, in_list}}))
        << nowhere.text << " has no target, and the last one has a lead";
    EXPECT_TRUE(adoptable({identity(1, "ada@acme.io", list_id), identity(2, "grace@acme.io", campaign_id),
                           identity(3, "ada@acme.io", {}, list_id)})
                    .empty())
        << "the same email elsewhere is another lead";
    EXPECT_TRUE(adoptable({}).empty());
}

TEST_P(IdentityContract, TakesTheCampaignOfALeadThatIsInAListToo) {
    const auto in_list = store_->insert(content({{"email", "ada@acme.io"}, {"list_id", list_id}}));
    EXPECT_EQ(adoptable({identity(1, "ada@acme.io", campaign_id, list_id)}),
              (std::map<std::string, LeadId>{{instantly_id(1).text, in_list}}));
}

TEST_P(IdentityContract, AdoptsARowAtMostOnceAndALeadAtMostOnce) {
    new_row("ada@acme.io");
    EXPECT_EQ(adoptable({identity(1, "ada@acme.io", campaign_id), identity(2, "ada@acme.io", campaign_id)}).size(),
              1);
    new_row("ada@acme.io");
    EXPECT_EQ(adoptable({identity(1, "ada@acme.io", campaign_id)}).size(), 1);
    EXPECT_EQ(adoptable({identity(1, "ada@acme.io", campaign_id), identity(2, "ada@acme.io", campaign_id),
                         identity(3, "ada@acme.io", campaign_id)})
                  .size(),
              2);
}

TEST_P(IdentityContract, MakesTheBaseOfAnAdoptedRow) {
    const auto id = new_row(email_of(1));
    auto lead = agreed_lead(1);
    lead.id = id;
    update(lead);
    EXPECT_EQ(store_->row(id)->instantly_id, instantly_id(1));
    EXPECT_EQ(store_->row(id)->status, SyncStatus::synced);
    EXPECT_EQ(look_up(1)->id, id);
    EXPECT_EQ(claim_one().work, store::Work::reconcile);
}

// --- creating ------------------------------------------------------------------------------------------------------

TEST_P(IdentityContract, TiesARowToTheLeadMadeOfIt) {
    const auto id = new_row("new@acme.io");
    created(id, 1);
    const auto row = store_->row(id);
    EXPECT_EQ(row->instantly_id, instantly_id(1));
    EXPECT_EQ(row->status, SyncStatus::verifying);
    const auto known = load(1);
    ASSERT_TRUE(known);
    EXPECT_EQ(known->id, id);
    EXPECT_EQ(known->base.content, sync::Content{});
    EXPECT_EQ(known->base.expected, (std::map<sync::Key, sync::Value>{{"first_name", "Ada"}}));
    EXPECT_EQ(known->written_at, an_instant);
    EXPECT_EQ(look_up(1)->content_hash, 0);
    EXPECT_EQ(claim_one().work, store::Work::reconcile);
    store_->advance(2min);
    EXPECT_TRUE(load(1)->base.expectations_expired);
}

TEST_P(IdentityContract, LetsTheRowThatAPageMadeGiveWay) {
    const auto id = new_row("new@acme.io");
    synced({1});
    created(id, 1);
    EXPECT_FALSE(store_->row(lead_id(1)));
    EXPECT_EQ(look_up(1)->id, id);
    EXPECT_EQ(store_->row(id)->instantly_id, instantly_id(1));
}

TEST_P(IdentityContract, LetsAnAdoptionByAPageThatWasFasterStand) {
    const auto id = new_row("new@acme.io");
    auto adopted = agreed_lead(1, content({{"first_name", "Augusta"}}));
    adopted.id = id;
    update(adopted);
    created(id, 1);
    EXPECT_EQ(load(1)->base.content, adopted.base->content);
    EXPECT_FALSE(look_up(1)->expecting);
    EXPECT_EQ(store_->row(id)->status, SyncStatus::synced);

    created(id, 2);
    EXPECT_EQ(store_->row(id)->instantly_id, instantly_id(1)) << "it is not torn from the lead that it stands for";
    EXPECT_FALSE(look_up(2));
    synced({2});
}

TEST_P(IdentityContract, MakesATombstoneOfARowThatWasDeletedWhileItWasCreated) {
    const auto id = new_row("new@acme.io");
    const auto claimed = claim_one();
    store_->erase(id);
    created(id, 1);
    EXPECT_TRUE(look_up(1)->tombstone);
    EXPECT_EQ(look_up(1)->id, id);
    complete({claimed});
    const auto again = claim_one();
    EXPECT_EQ(again.work, store::Work::remove);
    EXPECT_EQ(again.instantly_id, instantly_id(1));
}

TEST_P(IdentityContract, RemembersTheFirstCreateThatLeftUntilItIsForgotten) {
    using Noted = std::map<LeadId, store::NotedCreate>;
    const auto noted = [&] {
        return store_->run([](Transaction& transaction) {
            return transaction.leads.noted_creates({lead_id(1), lead_id(2), lead_id(3)});
        });
    };
    const store::NotedCreate to_campaign{an_instant, campaign_id, std::nullopt, {}, an_instant, {}, campaign_id};
    store::NotedCreate to_list{an_instant + 1h, std::nullopt, list_id,      {},
                               an_instant + 1h, {},           std::nullopt, list_id};
    store_->run([&](Transaction& transaction) {
        transaction.leads.note_creates({{lead_id(1), to_campaign}, {lead_id(2), to_list}});
        transaction.leads.note_creates({{lead_id(2), {an_instant + 2h, campaign_id, std::nullopt}}});
        transaction.leads.note_creates({});
    });
    to_list.last_at = an_instant + 2h;
    to_list.last_campaign = campaign_id;
    to_list.last_list.reset();
    EXPECT_EQ(noted(), (Noted{{lead_id(1), to_campaign}, {lead_id(2), to_list}}));
    store_->run([](Transaction& transaction) { transaction.leads.forget_creates({lead_id(1), lead_id(3)}); });
    EXPECT_EQ(noted(), (Noted{{lead_id(2), to_list}}));
}

TEST_P(IdentityContract, RemembersWhatTheFirstAndTheLastAttemptOfACreateSent) {
    using Sent = std::map<sync::Key, sync::Value>;
    const auto note = [&](Sent sent) {
        const store::NotedCreate create{an_instant, campaign_id, std::nullopt, std::move(sent)};
        store_->run([&](Transaction& transaction) { transaction.leads.note_creates({{lead_id(1), create}}); });
    };
    const auto noted = [&] {
        return store_->run(
            [](Transaction& transaction) { return transaction.leads.noted_creates({lead_id(1)}).at(lead_id(1)); });
    };
    const Sent first{{"first_name", "Ada"}, {"tier \"x\"", "gold"}};
    note(first);
    EXPECT_EQ(noted().sent, first);
    EXPECT_EQ(noted().resent, Sent{});
    note({{"first_name", "Grace"}});
    const Sent last{{"first_name", "Augusta"}, {"phone", std::nullopt}};
    note(last);
    EXPECT_EQ(noted().sent, first);
    EXPECT_EQ(noted().resent, last);
}

TEST_P(IdentityContract, RemembersWhenTheLastAttemptOfACreateHasEnded) {
    const auto noted = store_->run([](Transaction& transaction) {
        const store::NotedCreate create{an_instant, campaign_id, std::nullopt};
        transaction.leads.note_creates({{lead_id(1), create}, {lead_id(2), create}});
        transaction.leads.creates_ended({lead_id(1), lead_id(3)}, an_instant + 1min);
        transaction.leads.creates_ended({}, an_instant + 2min);
        return transaction.leads.noted_creates({lead_id(1), lead_id(2), lead_id(3)});
    });
    ASSERT_EQ(noted.size(), 2U);
    EXPECT_EQ(noted.at(lead_id(1)).at, an_instant);
    EXPECT_EQ(noted.at(lead_id(1)).last_at, an_instant + 1min);
    EXPECT_EQ(noted.at(lead_id(2)).last_at, an_instant);
}

TEST_P(IdentityContract, TakesBackTheNotesOfCreatesOfWhichNothingCame) {
    const auto first = lead_id(1);
    const auto again = lead_id(2);
    const auto renewed = lead_id(3);
    const auto note = [&](const LeadId& id, store::NotedCreate create) {
        create.email = "ada@acme.io";
        store_->run([&](Transaction& transaction) { transaction.leads.note_creates({{id, create}}); });
    };
    const auto noted = [&] {
        return store_->run([&](Transaction& transaction) {
            return transaction.leads.noted_creates({first, again, renewed});
        });
    };
    note(again, {an_instant, campaign_id, std::nullopt, {{"first_name", "Ada"}}});
    note(again, {an_instant + 1min, std::nullopt, list_id, {{"first_name", "Grace"}}});
    const auto before = noted().at(again);
    const store::NotedCreate unsent{an_instant + 1h, campaign_id, std::nullopt, {{"phone", "1"}}};
    for (const auto& id : {first, again, renewed}) note(id, unsent);
    note(renewed, {an_instant + 2h, campaign_id, std::nullopt});
    EXPECT_NE(noted().at(again), before);

    store_->run([&](Transaction& transaction) {
        transaction.leads.take_back_creates({{first, {unsent.at, std::nullopt}},
                                             {again, {unsent.at, before}},
                                             {renewed, {unsent.at, std::nullopt}},
                                             {lead_id(4), {unsent.at, before}}});
        transaction.leads.take_back_creates({});
    });
    EXPECT_EQ(noted().size(), 2U) << "the first is forgotten";
    EXPECT_EQ(noted().at(again), before);
    EXPECT_EQ(noted().at(renewed).last_at, an_instant + 2h) << "it may be on its way again";

    store_->run([&](Transaction& transaction) {
        transaction.leads.forget_creates({again});
        transaction.leads.note_creates({{again, unsent}});
        transaction.leads.take_back_creates({{again, {unsent.at, before}}});
    });
    EXPECT_EQ(noted().at(again), before) << "one without an email is noted from scratch";
}

TEST_P(IdentityContract, AdoptsWhatANotedCreateHasMadeWhereverItIs) {
    const auto id = new_row("ada@acme.io");
    const store::NotedCreate to_campaign{an_instant, campaign_id, std::nullopt};
    store_->run([&](Transaction& transaction) { transaction.leads.note_creates({{id, to_campaign}}); });
    store_->update(id, [](sync::Content& row) {
        row[Field::campaign].reset();
        row[Field::list_id] = list_id;
    });
    auto made = identity(1, "ada@acme.io", {});  // and moved away since
    made.created = "2026-01-02T03:04:06.000Z";
    EXPECT_EQ(adoptable({made}), (std::map<std::string, LeadId>{{instantly_id(1).text, id}}));
    made.created = "2026-01-02T03:00:00.000Z";
    EXPECT_TRUE(adoptable({made}).empty()) << "it was there before";
    EXPECT_EQ(adoptable({identity(2, "ada@acme.io", {}, list_id)}).size(), 1) << "and where the row says";
    EXPECT_TRUE(adoptable({identity(3, "grace@acme.io", campaign_id)}).empty());
}

/// A row may be deleted before anybody knows whether its create has made a lead.
TEST_P(IdentityContract, BuriesWhatACreateHasMadeWhoseRowWasDeleted) {
    const auto row = new_row("ada@acme.io");
    store::NotedCreate create{an_instant, campaign_id, std::nullopt};
    create.email = "ada@acme.io";
    store_->run([&](Transaction& transaction) { transaction.leads.note_creates({{row, create}}); });
    const auto lead = [&](int number, const char* email, const sync::Value& campaign, const char* created_at) {
        auto made = identity(number, email, campaign);
        made.created = std::string{"2026-01-02T"} + created_at + ".000Z";
        return made;
    };
    const auto withdrawn = [&](const std::vector<store::Identity>& leads) {
        return store_->run([&](Transaction& transaction) { return transaction.leads.bury_withdrawn(leads); });
    };
    EXPECT_TRUE(withdrawn({lead(1, "ada@acme.io", campaign_id, "03:04:06")}).empty())
        << "its row is there, and adopts it";
    synced({9});
    store_->erase(row);
    EXPECT_TRUE(withdrawn({lead(9, "ada@acme.io", campaign_id, "03:04:06")}).empty()) << "another row has that lead";
    EXPECT_TRUE(withdrawn({lead(1, "ada@acme.io", list_id, "03:04:06")}).empty())
        << "elsewhere it is somebody else's";
    EXPECT_TRUE(withdrawn({lead(1, "ada@acme.io", {}, "03:04:06")}).empty());
    EXPECT_TRUE(withdrawn({lead(1, "ada@acme.io", campaign_id, "03:00:00")}).empty()) << "it was there before";
    EXPECT_TRUE(withdrawn({lead(1, "ada@acme.io", campaign_id, "04:04:06")}).empty()) << "it was made long after";
    EXPECT_TRUE(withdrawn({lead(1, "grace@acme.io", campaign_id, "03:04:06")}).empty());
    const auto found =
        withdrawn({lead(1, "Ada@acme.io", campaign_id, "03:04:06"), lead(2, "ada@acme.io", campaign_id, "03:04:07")});
    ASSERT_EQ(found.size(), 1U) << "one create makes one lead";
    EXPECT_EQ(found.at(instantly_id(1).text), row);
    EXPECT_TRUE(withdrawn({lead(1, "ada@acme.io", campaign_id, "03:04:06")}).empty());
    EXPECT_TRUE(withdrawn({}).empty());
    const auto claims = store_->run([](Transaction& transaction) { return transaction.queue.claim(10, 1min, true); });
    ASSERT_EQ(claims.size(), 1U);
    EXPECT_EQ(claims.front().work, store::Work::remove);
    EXPECT_EQ(claims.front().instantly_id, instantly_id(1));
}

TEST_P(IdentityContract, BuriesWhatACreateHasMadeAsLateAsItsRequestMayHaveArrived) {
    store::NotedCreate create{an_instant, campaign_id, std::nullopt};
    const std::vector<LeadId> rows{new_row("ada@acme.io"), new_row("grace@acme.io")};
    store_->run([&](Transaction& transaction) {
        create.email = "ada@acme.io";
        transaction.leads.note_creates({{rows.front(), create}});
        create.email = "grace@acme.io";
        transaction.leads.note_creates({{rows.back(), create}});
        transaction.leads.creates_ended({rows.back()}, an_instant + 10min);
    });
    for (const auto& row : rows) store_->erase(row);
    auto noted_only = identity(1, "ada@acme.io", campaign_id);
    noted_only.created = "2026-01-02T03:06:05.000Z";
    auto ended_later = identity(2, "grace@acme.io", campaign_id);
    ended_later.created = "2026-01-02T03:14:30.000Z";
    const auto buried = store_->run([&](Transaction& transaction) {
        return transaction.leads.bury_withdrawn({noted_only, ended_later});
    });
    EXPECT_EQ(buried, (std::unordered_map<std::string, LeadId>{{instantly_id(1).text, rows.front()},
                                                               {instantly_id(2).text, rows.back()}}));
}

TEST_P(IdentityContract, AdoptsFirstWhatIsWhereTheRowSays) {
    const auto first = new_row("ada@acme.io");
    const auto second = store_->insert(content({{"email", "ada@acme.io"}, {"list_id", list_id}}));
    const store::NotedCreate sent{an_instant, campaign_id, std::nullopt};
    store_->run([&](Transaction& transaction) { transaction.leads.note_creates({{first, sent}, {second, sent}}); });
    auto in_list = identity(1, "ada@acme.io", {}, list_id);
    in_list.created = "2026-01-02T03:04:06.000Z";
    EXPECT_EQ(adoptable({in_list}), (std::map<std::string, LeadId>{{instantly_id(1).text, second}}));
    auto elsewhere = identity(2, "ada@acme.io", {}, {});
    elsewhere.created = in_list.created;
    EXPECT_EQ(adoptable({elsewhere, in_list}),
              (std::map<std::string, LeadId>{{instantly_id(1).text, second}, {instantly_id(2).text, first}}));
}

TEST_P(IdentityContract, AdoptsALeadWithoutAnEmailByWhatANotedCreateHadSent) {
    sync::Content content;
    content[Field::first_name] = "Ada";
    content[Field::list_id] = list_id;
    const auto id = store_->insert(content);
    const store::NotedCreate create{an_instant, std::nullopt, list_id, {{"first_name", "Ada"}}};
    store_->run([&](Transaction& transaction) { transaction.leads.note_creates({{id, create}}); });
    auto made = identity(1, "", {}, list_id);
    made.email.reset();
    made.created = "2026-01-02T03:04:06.000Z";
    sync::Content shown;
    shown[Field::first_name] = "Grace";
    made.content = &shown;
    EXPECT_TRUE(adoptable({made}).empty());
    shown[Field::first_name] = "Ada";
    EXPECT_EQ(adoptable({made}), (std::map<std::string, LeadId>{{instantly_id(1).text, id}}));
    EXPECT_EQ(store_->run([&](Transaction& transaction) {
        return transaction.leads.without_lead({id, lead_id(9)});
    }),
              (std::unordered_set<std::string>{id.text}));
}

// --- rows that are in the way of a lead's -------------------------------------------------------------------------

TEST_P(IdentityContract, FindsTheRowOfALeadWhoseBaseIsLost) {
    synced({1, 2});
    store_->lose_base(lead_id(1));
    EXPECT_EQ(rows_without_base({1, 2, 3}), (std::map<std::string, LeadId>{{instantly_id(1).text, lead_id(1)}}));
    EXPECT_TRUE(rows_without_base({}).empty());
    update(agreed_lead(1));
    EXPECT_TRUE(rows_without_base({1}).empty());
    EXPECT_EQ(look_up(1)->id, lead_id(1));
}

TEST_P(IdentityContract, TellsWhichIdsRowsAndBasesHave) {
    const auto local = new_row("ada@acme.io");
    synced({1, 2, 3});
    store_->lose_row(lead_id(1));
    store_->lose_base(lead_id(2));
    const auto taken = [&](const std::vector<LeadId>& ids) {
        return store_->run([&](Transaction& transaction) { return transaction.leads.taken(ids); });
    };
    EXPECT_EQ(taken({local, lead_id(1), lead_id(2), lead_id(3), lead_id(4)}),
              (std::unordered_set<std::string>{local.text, lead_id(1).text, lead_id(2).text, lead_id(3).text}));
    EXPECT_TRUE(taken({}).empty());
}

INSTANTIATE_TEST_SUITE_P(Stores, IdentityContract, candidates, name_of);

}  // namespace
}  // namespace leadsync::store_contract
