#include "sync/observe.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace leadsync::sync {
namespace {

using namespace std::chrono_literals;

const Instant noon{std::chrono::sys_days{std::chrono::year{2026} / 3 / 1} + 12h};

Content content(const std::map<Field, std::string>& fields, CustomVariables variables = {}) {
    Content result{.custom_variables = std::move(variables)};
    for (const auto& [field, value] : fields) result[field] = value;
    return result;
}

Observation seen(Content values, Instant at = noon) {
    Observation observation;
    observation.lead.id = {"01959272-5d2b-7a87-a5d7-199e472e6366"};
    observation.lead.content = std::move(values);
    observation.lead.content_hash = 42;
    observation.requested_at = at;
    return observation;
}

/// A lead in step with these values.
KnownLead in_step(const Content& values) {
    KnownLead known{.id = {"11111111-1111-4111-8111-111111111111"},
                    .instantly_id = {"01959272-5d2b-7a87-a5d7-199e472e6366"}};
    known.local = values;
    known.base.content = both_ways_of(values);
    return known;
}

TEST(SyncStatus, IsCalledAsItIsStored) {
    for (const auto* name : {"synced", "pending", "verifying", "conflict", "held", "error", "deleted"})
        EXPECT_EQ(name_of(sync_status_named(name)), name);
    EXPECT_THROW(static_cast<void>(sync_status_named("unheard of")), std::invalid_argument);
}

TEST(StaleAnswers, AreOlderThanOurLastWriteOrThanWhatIsKnown) {
    struct Case {
        const char* story;
        std::optional<Instant> written_at;
        std::string known;
        Value told;
        bool stale;
    };
    const std::string early = "2026-03-01T11:00:00.000Z";
    const std::string late = "2026-03-01T11:00:00.001Z";
    const Case cases[] = {
        {"nothing known", {}, "", {}, false},
        {"asked for after our write ended", noon - 1us, "", {}, false},
        {"asked for at the instant of our write", noon, "", {}, false},
        {"asked for before our write ended", noon + 1us, "", {}, true},
        {"the same timestamp_updated", {}, early, early, false},
        {"a later one", {}, early, late, false},
        {"an earlier one", {}, late, early, true},
        {"none told", {}, late, {}, false},
        {"none known", {}, "", early, false},
        {"fresh by one, stale by the other", noon - 1s, late, early, true},
    };
    for (const auto& [story, written_at, known, told, stale] : cases) {
        auto lead = in_step({});
        lead.written_at = written_at;
        lead.remote_updated_at = known;
        Content values;
        values[Field::timestamp_updated] = told;
        EXPECT_EQ(is_stale(seen(values), lead, noon + 1min), stale) << story;
    }
}

TEST(StaleAnswers, AreNotToldByAClockThatHasBeenSetBack) {
    auto lead = in_step({});
    lead.written_at = lead.observed_at = noon + 2h;
    EXPECT_FALSE(is_stale(seen({}), lead, noon + 1min)) << "or the lead would be deaf for two hours";
    EXPECT_TRUE(is_stale(seen({}), lead, noon + 3h));
    lead.written_at = lead.observed_at = noon + 2s;
    EXPECT_TRUE(is_stale(seen({}), lead, noon + 1s))
        << "written after the look at the clock, while the answer waited";
}

TEST(NewRow, IsWhatInstantlyHolds) {
    auto observation =
        seen(content({{Field::email, "ada@acme.io"}, {Field::phone, "1"}, {Field::status, "3"}}, {{"tier", "gold"}}));
    observation.lead.extra = {{"unheard_of", 1}};
    const auto row = new_row({"11111111-1111-4111-8111-111111111111"}, observation);
    EXPECT_EQ(row.local, observation.lead.content);
    EXPECT_EQ(row.extra, observation.lead.extra);
    EXPECT_EQ(row.content_hash, 42U);
    EXPECT_EQ(row.status, SyncStatus::synced);
    EXPECT_FALSE(row.base) << "it is what the row holds";
}

TEST(TakeIn, TellsTheRowHowItStands) {
    const auto phone = [](const char* value) { return content({{Field::phone, value}}); };
    struct Case {
        const char* story;
        SyncStatus before;
        const char *base, *local, *remote;
        std::map<Key, Value> expected;
        Rule rule;
        SyncStatus after;
    };
    const Case cases[] = {
        {"in step", SyncStatus::synced, "1", "1", "1", {}, Rule::local, SyncStatus::synced},
        {"edited there", SyncStatus::synced, "1", "1", "2", {}, Rule::local, SyncStatus::synced},
        {"edited here", SyncStatus::pending, "1", "2", "1", {}, Rule::local, SyncStatus::pending},
        {"sent", SyncStatus::verifying, "1", "2", "1", {{"phone", "2"}}, Rule::local, SyncStatus::verifying},
        {"arrived", SyncStatus::verifying, "1", "2", "2", {{"phone", "2"}}, Rule::local, SyncStatus::synced},
        {"arrived, and edited here again",
         SyncStatus::pending,
         "1",
         "3",
         "2",
         {{"phone", "2"}},
         Rule::local,
         SyncStatus::pending},
        {"a person decides", SyncStatus::pending, "1", "2", "3", {}, Rule::manual, SyncStatus::conflict},
        {"the rule decides for the remote value",
         SyncStatus::pending,
         "1",
         "2",
         "3",
         {},
         Rule::remote,
         SyncStatus::synced},
        {"given up on", SyncStatus::error, "1", "2", "1", {}, Rule::local, SyncStatus::error},
        {"given up on, and there after all", SyncStatus::error, "1", "2", "2", {}, Rule::local, SyncStatus::synced},
        {"held", SyncStatus::held, "1", "2", "1", {}, Rule::local, SyncStatus::held},
        {"held, and undone", SyncStatus::held, "1", "1", "1", {}, Rule::local, SyncStatus::synced},
        {"back again", SyncStatus::deleted, "1", "1", "1", {}, Rule::local, SyncStatus::synced},
    };
    for (const auto& [story, before, base, local, remote, expected, rule, after] : cases) {
        auto known = in_step(phone(base));
        known.local = phone(local);
        known.status = before;
        known.error = "why";
        known.base.expected = expected;
        const auto row = take_in(known, seen(phone(remote)), {.fallback = rule}).row;
        EXPECT_EQ(name_of(row.status), name_of(after)) << story;
        const bool keeps_words = after == SyncStatus::error || after == SyncStatus::held;
        EXPECT_EQ(row.error, keeps_words ? Value{"why"} : Value{}) << story;
    }
}

TEST(TakeIn, ALeadIsLookedIntoUntilNoWriteCanComeLate) {
    auto known = in_step(content({{Field::first_name, "Ada"}}));
    known.local[Field::first_name] = "Grace";
    known.base.expected["first_name"] = "Grace";
    const auto theirs = content({{Field::first_name, "Eve"}});
    auto outcome = take_in(known, seen(theirs), {});
    EXPECT_EQ(outcome.row.base->late.size(), 1U);
    EXPECT_EQ(outcome.row.content_hash, 0U) << "the same bytes once more are looked into";
    EXPECT_EQ(outcome.row.raw_hash, 0U);

    known.local = outcome.row.local;
    known.base = *outcome.row.base;
    outcome = take_in(known, seen(theirs, noon + late_write_window), {});
    EXPECT_TRUE(outcome.row.base->late.empty());
    EXPECT_EQ(outcome.row.content_hash, 42U);
}

TEST(TakeIn, ALocalEditIsMeasuredByInstantlysClock) {
    auto known = in_step(content({{Field::phone, "1"}}));
    known.local[Field::phone] = "here";
    known.edited_at = noon;
    const ConflictPolicy newest{.fallback = Rule::newest};
    const auto there = [](Instant at, std::optional<std::chrono::microseconds> ahead) {
        auto values = content({{Field::phone, "there"}});
        values[Field::timestamp_updated] = at == noon ? "2026-03-01T12:00:00.000Z" : "2026-03-01T12:30:00.000Z";
        auto observation = seen(values, noon + 2h);
        observation.clock_ahead = ahead;
        return observation;
    };
    const auto winner = [&](const Observation& observation) {
        return *take_in(known, observation, newest).row.local[Field::phone];
    };
    EXPECT_EQ(winner(there(noon + 30min, 0us)), "there");
    EXPECT_EQ(winner(there(noon + 30min, std::nullopt)), "there") << "no Date: its clock is taken to be ours";
    EXPECT_EQ(winner(there(noon + 30min, 1h)), "here") << "by its clock the local edit was at one o'clock";
    EXPECT_EQ(winner(there(noon, 0us)), "here") << "at the same instant";
    EXPECT_EQ(winner(there(noon, -1h)), "there");
}

TEST(Undo, PutsTheRowBackToTheBaseAndTellsWhatThatChanges) {
    auto known = in_step(content({{Field::email, "ada@acme.io"}, {Field::phone, "1"}, {Field::job_title, "CTO"}},
                                 {{"tier", "gold"}, {"score", 1}}));
    const auto before = known.local;
    known.local[Field::phone] = "2";
    known.local[Field::website] = "acme.io";
    known.local.custom_variables = {{"tier", "gold"}, {"more", true}};
    EXPECT_TRUE(has_local_edits(known));
    auto changes = undo(known);
    EXPECT_EQ(known.local, before);
    EXPECT_FALSE(has_local_edits(known));
    std::ranges::sort(changes, {}, &Change::key);
    EXPECT_EQ(changes, (std::vector<Change>{{"custom_variables.more", "true", std::nullopt, "rejected"},
                                            {"custom_variables.score", std::nullopt, "1", "rejected"},
                                            {"phone", "2", "1", "rejected"},
                                            {"website", "acme.io", std::nullopt, "rejected"}}));
}

}  // namespace
}  // namespace leadsync::sync
