#include <algorithm>

#include "tests/connectors/store_contract.hpp"

namespace leadsync::store_contract {
namespace {

using namespace std::chrono_literals;
using store::Catalog;
using store::CatalogRow;

class ProgressContract : public StoreContract {
protected:
    store::SweepState open_sweep(std::int64_t leads_per_range = 1000) {
        return store_->run(
            [&](Transaction& transaction) { return transaction.progress.open_sweep(leads_per_range, 4); });
    }
    void begin_chains(const std::vector<store::Place>& places) {
        store_->run([&](Transaction& transaction) { transaction.progress.begin_chains(places); });
    }
    std::optional<store::SweepState> chains() {
        return store_->run([](Transaction& transaction) { return transaction.progress.chains(); });
    }
    void advance_range(std::int64_t range, int number, const store::SweepStep& page) {
        const auto from = standing(range);
        store_->run([&](Transaction& transaction) {
            transaction.progress.advance_range(from, instantly_id(number).text, page);
        });
    }
    void finish_range(std::int64_t range, const store::SweepStep& page) {
        const auto from = standing(range);
        store_->run([&](Transaction& transaction) { transaction.progress.finish_range(from, page); });
    }
    store::SweepRange standing(std::int64_t number) {
        for (const bool is_chain : {true, false}) {
            const auto read = is_chain ? chains().value_or(store::SweepState{}) : open_sweep();
            const auto found = std::ranges::find(read.open, number, &store::SweepRange::number);
            if (found != read.open.end()) return *found;
        }
        ADD_FAILURE() << "there is no range " << number;
        return {};
    }
    std::optional<std::int64_t> cut_range(std::int64_t range, int number) {
        return store_->run([&](Transaction& transaction) {
            return transaction.progress.cut_range(range, instantly_id(number).text);
        });
    }
    /// Begins and ends of the open ranges, by the numbers of their leads; 0: none.
    std::vector<std::pair<int, int>> open_ranges(std::int64_t leads_per_range = 1000) {
        const auto number_of = [](const std::optional<std::string>& id) {
            for (int number = 1; id && number < 100; ++number)
                if (instantly_id(number).text == *id) return number;
            return id ? -1 : 0;
        };
        std::vector<std::pair<int, int>> ranges;
        for (const auto& range : open_sweep(leads_per_range).open)
            ranges.emplace_back(number_of(range.cursor), number_of(range.end));
        return ranges;
    }
    void finish_sweep() {
        store_->run([](Transaction& transaction) { transaction.progress.finish_sweep(); });
    }
    bool begin_repair(std::chrono::milliseconds every) {
        return store_->run([&](Transaction& transaction) { return transaction.progress.begin_repair(every); });
    }
    void finish_repair() {
        store_->run([](Transaction& transaction) { transaction.progress.finish_repair(); });
    }
    bool is_backfilled() {
        return store_->run([](Transaction& transaction) { return transaction.progress.is_backfilled(); });
    }
    std::optional<std::chrono::milliseconds> fresh_ago() {
        return store_->run([](Transaction& transaction) { return transaction.progress.fresh_ago(); });
    }
    std::int64_t prune(std::chrono::hours keep, std::int64_t limit) {
        return store_->run([&](Transaction& transaction) { return transaction.progress.prune_history(keep, limit); });
    }
    void tell(int number) {
        store_->run([&](Transaction& transaction) {
            transaction.leads.add_history({{lead_id(number), "phone", "1", "2", sync::Side::local, "edit", "PATCH"}});
        });
    }
};

TEST_P(ProgressContract, ResumesASweepWhereItStood) {
    const auto fresh = open_sweep();
    ASSERT_EQ(fresh.open.size(), 1U);
    EXPECT_EQ(fresh.open.front().cursor, std::nullopt);
    EXPECT_EQ(fresh.open.front().end, std::nullopt);
    EXPECT_EQ(fresh.pages, 0);
    const auto range = fresh.open.front().number;
    advance_range(range, 1, {.leads = 100, .changed = 3});
    advance_range(range, 2, {.leads = 50, .changed = 0});
    const auto resumed = open_sweep();
    ASSERT_EQ(resumed.open.size(), 1U);
    EXPECT_EQ(resumed.open.front().cursor, instantly_id(2).text);
    EXPECT_EQ(resumed.open.front().pages, 2);
    EXPECT_EQ(resumed.pages, 2);
    EXPECT_EQ(resumed.leads, 150);
    EXPECT_EQ(resumed.changed, 3);
    finish_range(range, {.leads = 10, .changed = 1});
    const auto complete = open_sweep();
    EXPECT_TRUE(complete.open.empty());
    EXPECT_EQ(complete.pages, 3);
    EXPECT_EQ(complete.leads, 160);
    EXPECT_EQ(complete.changed, 4);
}

TEST_P(ProgressContract, CutsASweepAtTheLeadsThatAreKnown) {
    synced({1, 2, 3, 4, 5, 6, 7, 8, 9});
    store_->run([](Transaction& transaction) {
        transaction.leads.mark_gone({lead_id(2)}, sync::RemoteDeletes::mark);  // its cursor might be refused
    });
    using Ranges = std::vector<std::pair<int, int>>;
    EXPECT_EQ(open_ranges(4), (Ranges{{0, 5}, {5, 9}, {9, 0}}));
    EXPECT_EQ(open_ranges(1), (Ranges{{0, 5}, {5, 9}, {9, 0}})) << "the sweep that is under way stays as it is";
    finish_sweep();
    EXPECT_EQ(open_ranges(1), (Ranges{{0, 4}, {4, 7}, {7, 0}})) << "no more than four";
}

TEST_P(ProgressContract, CutsARangeThatIsBeingRead) {
    const auto whole = open_sweep().open.front().number;
    advance_range(whole, 1, {.leads = 100, .changed = 0});
    const auto tail = cut_range(whole, 5);
    ASSERT_TRUE(tail);
    const auto middle = cut_range(whole, 3);
    ASSERT_TRUE(middle);
    using Ranges = std::vector<std::pair<int, int>>;
    EXPECT_EQ(open_ranges(), (Ranges{{1, 3}, {5, 0}, {3, 5}}));
    finish_range(whole, {.leads = 10, .changed = 0});
    EXPECT_EQ(cut_range(whole, 2), std::nullopt) << "it is complete";
    EXPECT_EQ(open_ranges(), (Ranges{{5, 0}, {3, 5}}));
    EXPECT_EQ(open_sweep().leads, 110);
    finish_sweep();
    EXPECT_EQ(open_ranges(), (Ranges{{0, 0}}));
}

// A server that took over may not have got all that was committed, while the sweep goes on from where it believes to
// be.
TEST_P(ProgressContract, GoesOnOnlyFromWhereARangeStands) {
    const auto number = open_sweep().open.front().number;
    const auto advance = [&](const store::SweepRange& from, int to) {
        store_->run([&](Transaction& transaction) {
            transaction.progress.advance_range(from, instantly_id(to).text, {.leads = 100, .changed = 0});
        });
    };
    const auto finish = [&](const store::SweepRange& from) {
        store_->run([&](Transaction& transaction) { transaction.progress.finish_range(from, {}); });
    };
    const store::SweepRange lost{.number = number, .cursor = instantly_id(1).text};
    EXPECT_THROW(advance(lost, 2), store::StoreError);
    EXPECT_THROW(finish(lost), store::StoreError);
    EXPECT_THROW(advance({.number = number + 1}, 2), store::StoreError);
    advance({.number = number}, 1);
    EXPECT_THROW(advance({.number = number}, 2), store::StoreError);
    EXPECT_THROW(finish({.number = number, .cursor = instantly_id(1).text, .end = instantly_id(3).text}),
                 store::StoreError)
        << "whoever cut it there is not known of";
    EXPECT_EQ(open_sweep().leads, 100) << "and nothing was counted";
    EXPECT_TRUE(cut_range(number, 2));
    finish({.number = number, .cursor = instantly_id(1).text, .end = instantly_id(3).text});
    EXPECT_THROW(finish({.number = number, .cursor = instantly_id(1).text}), store::StoreError);
    EXPECT_EQ(open_sweep().open.size(), 1U);
}

TEST_P(ProgressContract, ReadsChainsBeforeTheSweep) {
    EXPECT_FALSE(chains());
    open_sweep();
    const store::Place campaign{.campaign = campaign_id, .list = {}};
    const store::Place list{.campaign = {}, .list = list_id};
    begin_chains({campaign, list});
    const auto begun = chains();
    ASSERT_TRUE(begun);
    ASSERT_EQ(begun->open.size(), 2U);
    EXPECT_EQ(begun->open[0].place, campaign);
    EXPECT_EQ(begun->open[1].place, list);
    EXPECT_EQ(begun->open[0].cursor, std::nullopt);
    advance_range(begun->open[0].number, 3, {.leads = 100, .changed = 2});
    finish_range(begun->open[1].number, {.leads = 7, .changed = 1});
    const auto resumed = chains();
    ASSERT_EQ(resumed->open.size(), 1U);
    EXPECT_EQ(resumed->open[0].cursor, instantly_id(3).text);
    EXPECT_EQ(resumed->open[0].pages, 1);
    EXPECT_EQ(resumed->pages, 2);
    EXPECT_EQ(resumed->leads, 107);
    EXPECT_EQ(resumed->changed, 3);
    finish_range(resumed->open[0].number, {.leads = 0, .changed = 0});
    ASSERT_TRUE(chains());
    EXPECT_TRUE(chains()->open.empty());
    EXPECT_FALSE(is_backfilled());

    synced({1, 2, 3});
    using Ranges = std::vector<std::pair<int, int>>;
    EXPECT_EQ(open_ranges(2), (Ranges{{0, 2}, {2, 0}})) << "the sweep that was under way knew none of these";
    const auto sweep = open_sweep();
    EXPECT_EQ(sweep.pages, 0);
    EXPECT_EQ(sweep.leads, 0);
    EXPECT_EQ(sweep.changed, 3) << "one guard for both";
    finish_range(sweep.open[0].number, {.leads = 2, .changed = 1});
    EXPECT_EQ(chains()->changed, 4);
    EXPECT_EQ(chains()->leads, 107);
    finish_sweep();
    EXPECT_TRUE(is_backfilled());
    EXPECT_FALSE(chains());
}

TEST_P(ProgressContract, IsAsFreshAsTheBeginningOfTheLastCompleteSweep) {
    EXPECT_EQ(fresh_ago(), std::nullopt);
    EXPECT_FALSE(is_backfilled());
    open_sweep();
    store_->advance(1h);
    open_sweep();
    finish_sweep();
    EXPECT_TRUE(is_backfilled());
    EXPECT_GE(*fresh_ago(), 1h);
    EXPECT_LT(*fresh_ago(), 1h + 1min);
    const auto next = open_sweep();
    EXPECT_EQ(next.open.size(), 1U);
    EXPECT_EQ(next.pages, 0);
    EXPECT_GE(*fresh_ago(), 1h) << "one that is under way makes nothing fresher";
    finish_sweep();
    EXPECT_LT(*fresh_ago(), 1min);
}

TEST_P(ProgressContract, TellsHowLongTheLastSweepTook) {
    const auto took = [&] {
        return store_->run([](Transaction& transaction) { return transaction.progress.sweep_took(); });
    };
    EXPECT_EQ(took(), 0ms);
    open_sweep();
    store_->advance(1h);
    finish_sweep();
    store_->advance(1h);
    EXPECT_GE(took(), 1h);
    EXPECT_LT(took(), 1h + 1min);
}

TEST_P(ProgressContract, KeepsHowOldNewAndActiveLeadsAreByNow) {
    const auto active_ago = [&] {
        return store_->run([](Transaction& transaction) { return transaction.progress.active_ago(); });
    };
    const auto new_ago = [&] {
        return store_->run([](Transaction& transaction) { return transaction.progress.new_leads_ago(); });
    };
    const auto report = [&](std::optional<std::chrono::milliseconds> ago) {
        store_->run([&](Transaction& transaction) { transaction.progress.report_active(7, ago); });
    };
    EXPECT_EQ(active_ago(), std::nullopt);
    EXPECT_EQ(new_ago(), std::nullopt);
    report(30min);
    store_->run([](Transaction& transaction) { transaction.progress.checked_new_leads(10min, instantly_id(1)); });
    store_->advance(1h);
    EXPECT_GE(*active_ago(), 90min);
    EXPECT_LT(*active_ago(), 91min);
    EXPECT_GE(*new_ago(), 70min) << "what was there when it was asked for";
    EXPECT_LT(*new_ago(), 71min);
    report(std::nullopt);
    EXPECT_EQ(active_ago(), std::nullopt) << "there are none";
}

TEST_P(ProgressContract, KnowsNoNewerLeadsThanTheFirstSweepUntilTheyWereLookedFor) {
    const auto new_ago = [&] {
        return store_->run([](Transaction& transaction) { return transaction.progress.new_leads_ago(); });
    };
    open_sweep();
    EXPECT_EQ(new_ago(), std::nullopt);
    finish_sweep();
    store_->advance(1h);
    ASSERT_TRUE(new_ago());
    EXPECT_GE(*new_ago(), 60min);
    EXPECT_LT(*new_ago(), 61min);
    store_->run([](Transaction& transaction) { transaction.progress.checked_new_leads(0ms, std::nullopt); });
    EXPECT_LT(*new_ago(), 1min);
}

TEST_P(ProgressContract, KnowsHowFarNewLeadsWereLookedFor) {
    const auto read_to = [&] {
        return store_->run([](Transaction& transaction) { return transaction.progress.new_leads_read_to(); });
    };
    const auto look = [&](const std::optional<sync::InstantlyId>& last) {
        store_->run([&](Transaction& transaction) { transaction.progress.checked_new_leads(0ms, last); });
    };
    EXPECT_EQ(read_to(), std::nullopt);
    look(instantly_id(2));
    EXPECT_EQ(read_to(), instantly_id(2));
    look(std::nullopt);
    EXPECT_EQ(read_to(), instantly_id(2)) << "none was shown, and none was taken away";
    look(instantly_id(1));
    EXPECT_EQ(read_to(), instantly_id(1)) << "the server has no newer one any more";
}

TEST_P(ProgressContract, TakesNoSweepForNothing) {
    const auto page_of_none = [&](bool is_last) {
        store_->run([&](Transaction& transaction) {
            if (is_last)
                transaction.progress.finish_range({.number = 1}, {.leads = 100, .changed = 0});
            else
                transaction.progress.advance_range({.number = 1}, instantly_id(1).text, {.leads = 100, .changed = 0});
        });
    };
    EXPECT_THROW(page_of_none(false), store::StoreError);
    EXPECT_THROW(page_of_none(true), store::StoreError);
    EXPECT_EQ(cut_range(1, 1), std::nullopt);
    finish_sweep();
    EXPECT_FALSE(is_backfilled());
    EXPECT_EQ(open_sweep().leads, 0);
}

TEST_P(ProgressContract, ShowsStateAndReason) {
    EXPECT_EQ(store_->workspace().state, "starting");
    store_->run([](Transaction& transaction) {
        transaction.progress.set_state("paused", "the key was revoked");
        transaction.progress.report_requests(17);
        transaction.progress.checked_new_leads(0ms, std::nullopt);
    });
    EXPECT_EQ(store_->workspace().state, "paused");
    EXPECT_EQ(store_->workspace().reason, "the key was revoked");
    EXPECT_EQ(store_->workspace().requests_last_minute, 17);
    EXPECT_TRUE(store_->workspace().checked_new_leads);
    store_->run([](Transaction& transaction) { transaction.progress.set_state("following", std::nullopt); });
    EXPECT_EQ(store_->workspace().reason, std::nullopt);
}

TEST_P(ProgressContract, PinsTheWorkspaceOfTheKey) {
    const auto pin = [&](const std::string& id, const std::string& name) {
        return store_->run([&](Transaction& transaction) { return transaction.progress.pin(id, name); });
    };
    EXPECT_TRUE(pin("one", "Acme"));
    EXPECT_TRUE(pin("one", "Acme Inc."));
    EXPECT_FALSE(pin("two", "Other"));
    EXPECT_EQ(store_->workspace().instantly_id, "one");
    EXPECT_EQ(store_->workspace().instantly_name, "Acme Inc.");
}

TEST_P(ProgressContract, RemembersTheLeadCount) {
    const auto count = [&] {
        return store_->run([](Transaction& transaction) { return transaction.progress.lead_count(); });
    };
    EXPECT_EQ(count(), std::nullopt);
    store_->run([](Transaction& transaction) { transaction.progress.set_lead_count(5'000'000'000); });
    EXPECT_EQ(count(), 5'000'000'000);
}

TEST_P(ProgressContract, MakesACatalogueEqualToTheListing) {
    const auto replace = [&](Catalog catalog, const std::vector<CatalogRow>& rows) {
        store_->run([&](Transaction& transaction) { transaction.progress.replace_catalog(catalog, rows); });
    };
    const nlohmann::json data{{"a", 1}};
    for (const auto catalog : {Catalog::campaigns, Catalog::lead_lists, Catalog::lead_labels}) {
        const bool has_number = catalog != Catalog::lead_lists;
        const auto number = has_number ? std::optional{-3} : std::nullopt;
        replace(catalog, {{list_id, "second", std::nullopt, data}, {campaign_id, "first", number, data}});
        replace(catalog, {{campaign_id, "renamed", number, data}, {"no id", "left out", std::nullopt, data}});
        const auto rows = store_->catalog(catalog);
        ASSERT_EQ(rows.size(), 1);
        EXPECT_EQ(rows[0].id, campaign_id);
        EXPECT_EQ(rows[0].name, "renamed");
        EXPECT_EQ(rows[0].number, number);
        EXPECT_EQ(rows[0].data, data);
    }
    replace(Catalog::campaigns, {});
    EXPECT_TRUE(store_->catalog(Catalog::campaigns).empty());
    EXPECT_EQ(store_->catalog(Catalog::lead_labels).size(), 1);
}

TEST_P(ProgressContract, KnowsACatalogueRowByItsIdInWhateverCase) {
    const std::string upper_case_id = "CCCCCCCC-0000-4000-8000-000000000001";
    const nlohmann::json data{{"k\uFFFD", "a\uFFFDb \" \\ ✓"}};
    const std::vector<CatalogRow> twice{{upper_case_id, "a\uFFFDb", 1, data}, {campaign_id, "the same", 2, data}};
    const std::vector<CatalogRow> renamed{{campaign_id, "renamed", 1, data}};
    for (const auto& listing : {twice, renamed, twice}) {
        store_->run(
            [&](Transaction& transaction) { transaction.progress.replace_catalog(Catalog::campaigns, listing); });
        const auto rows = store_->catalog(Catalog::campaigns);
        ASSERT_EQ(rows.size(), 1);
        EXPECT_EQ(rows[0].id, campaign_id);
        EXPECT_EQ(rows[0].name, listing[0].name);
        EXPECT_EQ(rows[0].number, 1);
        EXPECT_EQ(rows[0].data, data);
    }
}

TEST_P(ProgressContract, KeepsWhatWasSpentLately) {
    const auto spent = [&] {
        return store_->run([](Transaction& transaction) { return transaction.progress.spent(); });
    };
    EXPECT_TRUE(spent().empty());
    const sync::Instant second{1'790'000'000s};
    const std::vector<store::SpentSecond> first{{second, 3}};
    const std::vector<store::SpentSecond> later{{second, 2}, {second + 1s, 100}};
    const std::vector<store::SpentSecond> in_reserve{{sync::Instant{std::chrono::sys_days{2200y / 1 / 1}}, 10}};
    for (const auto& seconds : {first, later, in_reserve}) {
        store_->run([&](Transaction& transaction) { transaction.progress.record_spent(seconds); });
        EXPECT_EQ(spent(), seconds);
    }
}

TEST_P(ProgressContract, PrunesOldHistoryALittleAtATime) {
    for (const int number : {1, 2, 3}) tell(number);
    store_->advance(49h);
    tell(4);
    EXPECT_EQ(prune(50h, 10), 0);
    EXPECT_EQ(prune(48h, 2), 2);
    EXPECT_EQ(store_->history().size(), 2);
    EXPECT_EQ(store_->history().front().lead, lead_id(3));
    EXPECT_EQ(prune(48h, 2), 1);
    EXPECT_EQ(store_->history().front().lead, lead_id(4));
}

TEST_P(ProgressContract, PrunesOldHoldsThatWereDecided) {
    synced({1, 2, 3, 4, 5, 6});
    hold(store::HoldKind::remote_change, {lead_id(1), lead_id(2), lead_id(3), lead_id(4), lead_id(5)});
    hold(store::HoldKind::remote_deletion, {lead_id(6)});
    store_->run([](Transaction& transaction) {
        transaction.leads.note_absent(std::vector{instantly_id(6)}, {}, an_instant);
        transaction.leads.looked_into({lead_id(6)}, {lead_id(6).text}, an_instant);
    });
    const auto decide = [&](int number) {
        for (const auto& held : store_->held())
            if (held.lead == lead_id(number)) store_->decide(held.id, number % 2 == 0);
    };
    const auto left = [&] {
        std::vector<sync::LeadId> ids;
        for (const auto& held : store_->held()) ids.push_back(held.lead);
        return ids;
    };
    for (const int number : {1, 2, 3, 6}) decide(number);
    store_->advance(49h);
    decide(4);
    EXPECT_EQ(prune(50h, 10), 0);
    EXPECT_EQ(left().size(), 6U);
    EXPECT_EQ(prune(48h, 2), 2);
    EXPECT_EQ(left().size(), 4U);
    EXPECT_EQ(prune(48h, 2), 1);
    EXPECT_EQ(left(), (std::vector{lead_id(4), lead_id(5), lead_id(6)}))
        << "one was decided lately, one not yet, and one deletion is still to be carried out";
    EXPECT_EQ(prune(48h, 2), 0);
}

TEST_P(ProgressContract, TellsWhenALocalRepairIsDue) {
    EXPECT_TRUE(begin_repair(1h)) << "there was none yet";
    EXPECT_TRUE(begin_repair(1h)) << "that one did not come to its end";
    finish_repair();
    EXPECT_FALSE(begin_repair(1h));
    EXPECT_TRUE(begin_repair(0ms));
    finish_repair();
    EXPECT_FALSE(begin_repair(1h)) << "it was asked for too early, and that is no beginning";
    EXPECT_FALSE(begin_repair(1h));
}

INSTANTIATE_TEST_SUITE_P(Stores, ProgressContract, candidates, name_of);

}  // namespace
}  // namespace leadsync::store_contract
