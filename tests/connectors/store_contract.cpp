#include "tests/connectors/store_contract.hpp"

#include <fmt/format.h>

namespace leadsync::store_contract {

using sync::Field;
using sync::LeadId;
using sync::SyncStatus;

LeadId lead_id(int number) { return {fmt::format("aaaaaaaa-0000-4000-8000-{:012}", number)}; }

sync::InstantlyId instantly_id(int number) { return {fmt::format("01959272-5d2b-7a87-a5d7-{:012}", number)}; }

std::string email_of(int number) { return fmt::format("lead{}@acme.io", number); }

sync::Content content(const std::map<std::string, std::string>& fields, sync::CustomVariables variables) {
    sync::Content result{.custom_variables = std::move(variables)};
    for (const auto& [name, value] : fields) result[sync::field_named(name).value()] = value;
    return result;
}

sync::LeadRow agreed_lead(int number, sync::Content values) {
    sync::LeadRow lead{.id = lead_id(number), .instantly_id = instantly_id(number), .local = std::move(values)};
    lead.local[Field::email] = email_of(number);
    lead.base.emplace().content = sync::both_ways_of(lead.local);
    lead.content_hash = static_cast<std::uint64_t>(number);
    lead.raw_hash = lead.content_hash + 1'000;
    return lead;
}

std::string line(const store::HistoryEntry& entry) {
    return fmt::format("{} {} {} -> {} {} {} {}", entry.lead.text, entry.key.empty() ? "lead" : entry.key,
                       entry.before.value_or("none"), entry.after.value_or("none"), sync::name_of(entry.side),
                       entry.rule, entry.request);
}

void StoreContract::synced(const std::vector<int>& numbers) {
    std::vector<sync::LeadRow> leads;
    for (const int number : numbers) leads.push_back(agreed_lead(number));
    store_->run([&](Transaction& transaction) { transaction.leads.insert(leads); });
}

void StoreContract::edit(const LeadId& id, Field field, const sync::Value& value) {
    store_->update(id, [&](sync::Content& row) { row[field] = value; });
}

void StoreContract::update(const sync::LeadRow& lead) {
    store_->run([&](Transaction& transaction) { transaction.leads.update(std::vector{lead}); });
}

LeadId StoreContract::new_row(const std::string& email) {
    return store_->insert(content({{"email", email}, {"campaign", campaign_id}}));
}

std::optional<sync::KnownLead> StoreContract::load(int number, store::Lock lock) {
    const auto now = store_->now();
    auto known = store_->run(
        [&](Transaction& transaction) { return transaction.leads.load({instantly_id(number)}, lock, now); });
    if (known.empty()) return std::nullopt;
    return std::move(known.front());
}

std::optional<store::Held> StoreContract::look_up(int number) {
    const auto held =
        store_->run([&](Transaction& transaction) { return transaction.leads.look_up({instantly_id(number)}); });
    if (held.empty()) return std::nullopt;
    return held.at(instantly_id(number).text);
}

StoreContract::Claims StoreContract::claim(int limit, bool creates_too) {
    return store_->run([&](Transaction& transaction) {
        return transaction.queue.claim(limit, std::chrono::minutes{1}, creates_too);
    });
}

store::Claim StoreContract::claim_one() {
    const auto claims = claim();
    EXPECT_EQ(claims.size(), 1);
    return claims.empty() ? store::Claim{} : claims.front();
}

void StoreContract::complete(const Claims& claims) {
    store_->run([&](Transaction& transaction) { transaction.queue.complete(claims); });
}

bool StoreContract::is_idle() {
    return store_->run([](Transaction& transaction) { return transaction.queue.is_idle(); });
}

std::optional<std::chrono::milliseconds> StoreContract::next_due(bool creates_too) {
    return store_->run([&](Transaction& transaction) { return transaction.queue.next_due(creates_too); });
}

std::int64_t StoreContract::backlog(store::HoldKind kind, std::int64_t limit) {
    return store_->run([&](Transaction& transaction) { return transaction.queue.backlog(kind, limit); });
}

std::vector<store::HoldKind> StoreContract::exceeded(const store::Allowed& allowed) {
    return store_->run([&](Transaction& transaction) { return transaction.queue.exceeded(allowed); });
}

std::vector<std::string> StoreContract::history_lines() {
    std::vector<std::string> lines;
    for (const auto& entry : store_->history()) lines.push_back(line(entry));
    return lines;
}

void StoreContract::mark_gone(int number, sync::RemoteDeletes policy) {
    store_->run([&](Transaction& transaction) { transaction.leads.mark_gone({lead_id(number)}, policy); });
}

void StoreContract::hold(store::HoldKind kind, const std::vector<LeadId>& ids, const std::string& why) {
    store_->run([&](Transaction& transaction) { transaction.queue.hold(kind, ids, why); });
}

namespace {

// --- transactions --------------------------------------------------------------------------------------------------

TEST_P(StoreContract, UndoesAStepThatThrowsAndTellsOfIt) {
    synced({1});
    const auto step = [&](Transaction& transaction) {
        transaction.leads.set_status({lead_id(1)}, SyncStatus::error, "half-way");
        transaction.queue.enqueue({lead_id(1)});
        transaction.progress.open_sweep(1000, 4);
        throw std::domain_error{"a mistake"};
    };
    EXPECT_THROW(store_->run(step), std::domain_error);
    EXPECT_EQ(store_->row(lead_id(1))->status, SyncStatus::synced);
    EXPECT_EQ(pending(), 0);
}

TEST_P(StoreContract, RefusesTwoRowsForOneLeadAndUndoesTheWholeStep) {
    synced({1});
    const auto step = [&](Transaction& transaction) {
        transaction.leads.insert(std::vector{agreed_lead(2)});
        transaction.leads.insert(std::vector{agreed_lead(1)});
    };
    EXPECT_THROW(store_->run(step), store::StoreError);
    EXPECT_FALSE(store_->row(lead_id(2)));
}

TEST_P(StoreContract, SeesItsOwnWritesWithinAStep) {
    const auto claims = store_->run([&](Transaction& transaction) {
        transaction.leads.insert(std::vector{agreed_lead(1)});
        transaction.queue.look_again({lead_id(1)}, std::chrono::milliseconds{0});
        return transaction.queue.claim(1, std::chrono::minutes{1}, true);
    });
    ASSERT_EQ(claims.size(), 1);
    EXPECT_EQ(claims.front().instantly_id, instantly_id(1));
}

// --- what a user writes --------------------------------------------------------------------------------------------

TEST_P(StoreContract, QueuesAnInsertWithATargetForCreation) {
    const auto id = new_row("new@acme.io");
    const auto row = store_->row(id);
    EXPECT_EQ(row->status, SyncStatus::pending);
    EXPECT_EQ(row->error, std::nullopt);
    EXPECT_EQ(row->instantly_id.text, "");
    const auto claimed = claim_one();
    EXPECT_EQ(claimed.id, id);
    EXPECT_EQ(claimed.work, store::Work::create);
    EXPECT_EQ(claimed.instantly_id.text, "");
    EXPECT_EQ(claimed.generation, 1);
}

TEST_P(StoreContract, KeepsAnInsertWithoutATargetHereUntilOneIsSet) {
    const auto id = store_->insert(content({{"email", "new@acme.io"}}));
    EXPECT_EQ(pending(), 0);
    EXPECT_EQ(store_->row(id)->error, "local only: set campaign or list_id to create it on Instantly");
    edit(id, Field::first_name, "Ada");
    EXPECT_EQ(pending(), 0) << "still nowhere to go";
    edit(id, Field::list_id, list_id);
    EXPECT_EQ(claim_one().work, store::Work::create);
    EXPECT_EQ(store_->row(id)->error, std::nullopt);
    edit(id, Field::list_id, std::nullopt);
    EXPECT_EQ(store_->row(id)->error, "local only: set campaign or list_id to create it on Instantly");
}

TEST_P(StoreContract, RefusesAnInsertThatNoCallCouldCarryOut) {
    const std::vector<std::map<std::string, std::string>> refused{
        {{"email", "a@b.io"}, {"status", "1"}},
        {{"email", "a@b.io"}, {"timestamp_created", "2026-01-02T03:04:05.678Z"}},
        {{"email", "no address"}},
        {{"email", ""}, {"list_id", list_id}},
        {{"campaign", campaign_id}},
        {{"email", "a@b.io"}, {"campaign", campaign_id}, {"list_id", list_id}},
    };
    for (const auto& fields : refused)
        EXPECT_THROW(store_->insert(content(fields)), std::invalid_argument) << nlohmann::json(fields);
    EXPECT_THROW(store_->insert(content({{"email", "a@b.io"}}, {{"nested", nlohmann::json::array({1})}})),
                 std::invalid_argument);
    EXPECT_NO_THROW(store_->insert(content({{"list_id", list_id}})));
    EXPECT_EQ(pending(), 1);
}

TEST_P(StoreContract, QueuesALeadOnceHoweverOftenItIsEdited) {
    synced({1});
    edit(1, "Ada");
    edit(1, "Grace");
    store_->update(lead_id(1), [](sync::Content& row) { row.custom_variables["k"] = 42; });
    EXPECT_EQ(store_->row(lead_id(1))->status, SyncStatus::pending);
    const auto claimed = claim_one();
    EXPECT_EQ(claimed.work, store::Work::reconcile);
    EXPECT_EQ(claimed.instantly_id, instantly_id(1));
    EXPECT_EQ(claimed.generation, 3);
}

TEST_P(StoreContract, DoesNotQueueAnUpdateThatChangesNothing) {
    synced({1});
    store_->update(lead_id(1), [](sync::Content&) {});
    EXPECT_EQ(pending(), 0);
    EXPECT_EQ(store_->row(lead_id(1))->status, SyncStatus::synced);
}

TEST_P(StoreContract, RefusesAnUpdateOfWhatIsNotTheUsers) {
    synced({1});
    EXPECT_THROW(edit(lead_id(1), Field::email, "other@acme.io"), std::invalid_argument);
    EXPECT_THROW(edit(lead_id(1), Field::status, "3"), std::invalid_argument);
    EXPECT_THROW(
        store_->update(lead_id(1), [](sync::Content& row) { row.custom_variables["k"] = nlohmann::json::object(); }),
        std::invalid_argument);
    EXPECT_EQ(pending(), 0);
}

TEST_P(StoreContract, LetsALeadOnInstantlyBeInACampaignAndAList) {
    synced({1});
    EXPECT_NO_THROW(store_->update(lead_id(1), [](sync::Content& row) {
        row[Field::campaign] = campaign_id;
        row[Field::list_id] = list_id;
    }));
}

TEST_P(StoreContract, DoesNotCaptureItsOwnWrites) {
    synced({1, 2});
    store_->run([&](Transaction& transaction) {
        auto lead = agreed_lead(1, content({{"first_name", "Ada"}}));
        transaction.leads.update(std::vector{lead});
        transaction.leads.set_status({lead_id(1)}, SyncStatus::error, "why");
        transaction.leads.mark_gone({lead_id(2)}, sync::RemoteDeletes::remove);
    });
    EXPECT_EQ(pending(), 0);
}

TEST_P(StoreContract, EditsRevive) {
    synced({1});
    edit(1, "Ada");
    store_->run([claimed = claim_one()](Transaction& transaction) {
        transaction.queue.retry({{claimed, "refused"}});
    });
    const auto again = claim_one();
    EXPECT_EQ(again.attempts, 1);
    store_->run([&](Transaction& transaction) { transaction.queue.dead_letter({{again, "refused"}}); });
    EXPECT_EQ(pending(), 0);
    edit(1, "Grace");
    const auto revived = claim_one();
    EXPECT_EQ(revived.attempts, 0);
    EXPECT_EQ(revived.generation, 2);
}

TEST_P(StoreContract, TurnsADeletedRowIntoATombstoneAndQueuesItsRemoval) {
    synced({1});
    store_->erase(lead_id(1));
    EXPECT_FALSE(store_->row(lead_id(1)));
    EXPECT_TRUE(look_up(1)->tombstone);
    EXPECT_FALSE(load(1));
    const auto claimed = claim_one();
    EXPECT_EQ(claimed.work, store::Work::remove);
    EXPECT_EQ(claimed.instantly_id, instantly_id(1));
}

TEST_P(StoreContract, TakesARowThatIsInsertedAgainForTheLeadThatItWas) {
    synced({1});
    store_->erase(lead_id(1));
    store_->insert(content({{"email", "LEAD1@acme.io"}, {"campaign", campaign_id}}), lead_id(1));
    EXPECT_FALSE(look_up(1)->tombstone);
    EXPECT_EQ(look_up(1)->id, lead_id(1));
    EXPECT_EQ(claim_one().work, store::Work::reconcile);
}

/// A CRM may use its contacts' ids: another person under the same id is another lead.
TEST_P(StoreContract, DoesNotTakeAnotherPersonsRowForTheLeadThatHadItsId) {
    synced({1});
    store_->erase(lead_id(1));
    hold(store::HoldKind::remove, {lead_id(1)});
    store_->insert(content({{"email", "another@acme.io"}, {"campaign", campaign_id}}), lead_id(1));
    EXPECT_TRUE(look_up(1)->tombstone);
    EXPECT_NE(look_up(1)->id, lead_id(1));
    EXPECT_EQ(store_->held().at(0).lead, look_up(1)->id) << "what waits for a person is the old lead's deletion";
    const auto created = claim_one();
    EXPECT_EQ(created.work, store::Work::create);
    EXPECT_EQ(created.id, lead_id(1));
    store_->decide(store_->held().at(0).id, true);
    const auto removed = claim_one();
    EXPECT_EQ(removed.work, store::Work::remove);
    EXPECT_EQ(removed.instantly_id, instantly_id(1));
}

TEST_P(StoreContract, ARowUnderTheIdOfALeadThatIsNoLongerThereIsANewLead) {
    synced({1});
    store_->erase(lead_id(1));
    store_->run(
        [](Transaction& transaction) { transaction.leads.expect_absence({lead_id(1)}, std::chrono::minutes{1}); });
    complete({claim_one()});
    store_->insert(content({{"email", email_of(1)}, {"campaign", campaign_id}}), lead_id(1));
    EXPECT_TRUE(look_up(1)->tombstone && look_up(1)->deletion_sent);
    EXPECT_NE(look_up(1)->id, lead_id(1));
    EXPECT_EQ(claim_one().work, store::Work::create);
}

/// It is deleted while its create is on its way, or was so by an older version: nothing says that it is another's.
TEST_P(StoreContract, TakesARowForTheLeadOfATombstoneOfWhichNoEmailIsKnown) {
    const auto row = new_row("new@acme.io");
    store_->erase(row);
    store_->run([&](Transaction& transaction) {
        transaction.leads.created({{row, instantly_id(1), {}}}, std::chrono::minutes{1}, an_instant);
    });
    EXPECT_TRUE(look_up(1)->tombstone);
    store_->insert(content({{"email", "new@acme.io"}, {"campaign", campaign_id}}), row);
    EXPECT_FALSE(look_up(1)->tombstone);
    EXPECT_EQ(look_up(1)->id, row);
}

TEST_P(StoreContract, DoesNotTakeWhatIsNotedOfAnotherPersonsCreateForTheRowsOwn) {
    const auto row = new_row("new@acme.io");
    store::NotedCreate create{an_instant, campaign_id};
    create.email = "new@acme.io";
    create.last_at = an_instant;
    store_->run([&](Transaction& transaction) { transaction.leads.note_creates({{row, create}}); });
    store_->erase(row);
    store_->insert(content({{"email", "another@acme.io"}, {"campaign", campaign_id}}), row);
    const auto noted = store_->run([&](Transaction& transaction) { return transaction.leads.noted_creates({row}); });
    EXPECT_TRUE(noted.empty());
    const auto claimed = claim(2);
    ASSERT_EQ(claimed.size(), 2) << "the old one's removal is still in the queue";
    const auto& old = claimed[claimed[0].id == row ? 1 : 0];
    EXPECT_EQ(store_->run([&](Transaction& transaction) { return transaction.leads.noted_creates({old.id}); }).size(),
              1);
}

TEST_P(StoreContract, ForgetsTombstonesAndNothingElse) {
    synced({1, 2});
    store_->erase(lead_id(1));
    EXPECT_TRUE(look_up(1)->is_queued);
    complete({claim_one()});
    EXPECT_FALSE(look_up(1)->is_queued);
    const auto forgotten = store_->run([](Transaction& transaction) {
        return transaction.leads.forget_tombstones({lead_id(1), lead_id(2), lead_id(3)});
    });
    EXPECT_EQ(forgotten, std::unordered_set{lead_id(1).text});
    EXPECT_FALSE(look_up(1));
    EXPECT_TRUE(look_up(2));
}

TEST_P(StoreContract, HasNothingToDoForARowThatWasDeletedBeforeItWasCreated) {
    store_->erase(new_row("new@acme.io"));
    const auto claimed = claim_one();
    EXPECT_EQ(claimed.work, store::Work::nothing);
    EXPECT_EQ(claimed.generation, 2);
    complete({claimed});

    store_->erase(store_->insert(content({{"email", "local@acme.io"}})));
    EXPECT_EQ(pending(), 0);
}

TEST_P(StoreContract, TakesAnUpdateOrDeletionOfNoRowForNothing) {
    EXPECT_NO_THROW(edit(7, "nobody"));
    EXPECT_NO_THROW(store_->erase(lead_id(7)));
    EXPECT_NO_THROW(store_->resolve(7, sync::Side::local));
    EXPECT_NO_THROW(store_->decide(7, true));
    EXPECT_EQ(pending(), 0);
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreContract, candidates, name_of);

}  // namespace
}  // namespace leadsync::store_contract
