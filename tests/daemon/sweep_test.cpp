#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/synced_world.hpp"
#include "tests/support/eventually.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;

constexpr Reading small_pages{
    .ranges_at_once = 8, .leads_per_range = 50, .ranges_max = 16, .cut_min = 20, .page_limit = 10};
constexpr std::size_t fewest_pages = 60;  // of 600 leads, ten on each

class Sweeps : public testing::TestWithParam<const char*> {
protected:
    void begin(const Reading& reading = small_pages, int latency_ms = 0, std::uint32_t leads = 600) {
        WorldSettings settings;
        settings.leads = leads;
        settings.switches = {{"unknown_cursor", GetParam()}, {"latency_ms", latency_ms}};
        settings.deletes.remote = sync::RemoteDeletes::remove;
        settings.reading = reading;
        world_.emplace(settings);
    }
    SyncedWorld& world() { return *world_; }
    std::size_t pages() {
        const auto count = world().requests("POST", "/leads/list");
        world().instantly().reset_log();
        return count;
    }
    /// Cursors of the log that no lead has.
    std::set<std::string> made_up_cursors() {
        std::set<std::string> made_up;  // a read may be sent twice
        for (const auto& body : world().bodies("POST", "/api/v2/leads/list"))
            if (const auto cursor = body.value("starting_after", ""); cursor.ends_with("-8000-000000000000"))
                made_up.insert(cursor);
        return made_up;
    }

private:
    std::optional<SyncedWorld> world_;
};

TEST_P(Sweeps, AnUnknownWorkspaceIsCutWhileItIsRead) {
    begin();
    world().sweep();
    const auto made_up = made_up_cursors();
    const bool takes_made_up = GetParam() == std::string{"accept"};
    if (takes_made_up)
        EXPECT_GT(made_up.size(), 3U);
    else
        EXPECT_THAT(made_up, testing::SizeIs(testing::AllOf(testing::Ge(1U), testing::Le(2U))))
            << "asked at first, and by one cut if that is not known by then";
    // Each cut costs a page that is read in part. Where none can be made, all is read twice: in chains, and in
    // ranges.
    EXPECT_LE(pages(), fewest_pages * (takes_made_up ? 2 : 3));
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads"), "600");
    EXPECT_EQ(world().value("SELECT count(*) FROM sync.ranges"), "0");
    world().expect_agreement();
}

TEST_P(Sweeps, AKnownWorkspaceIsCutAtItsLeads) {
    begin();
    world().sweep();
    pages();
    // What has changed meanwhile lies in every range, and one was cut at a lead that is gone.
    const auto ids = world().sql("SELECT instantly_id FROM crm.leads ORDER BY instantly_id");
    for (std::size_t i = 37; i < ids.size(); i += 41)
        world().instantly().edit(ids[i][0].c_str(), {{"phone", "+1 " + std::to_string(i)}});
    for (std::size_t i = 37; i < ids.size(); i += 75) world().instantly().remove(ids[i][0].c_str());
    world().backfill_and_drain();
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads"), "592");
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads WHERE phone LIKE '+1 %' AND phone NOT LIKE '%(%'"), "13");
    world().expect_agreement();
}

/// Of the last ranges of a known workspace nothing is left.
TEST_P(Sweeps, TheEndIsFoundWhereTheLastLeadsAreGone) {
    begin();
    world().sweep();
    const auto ids = world().sql("SELECT instantly_id FROM crm.leads ORDER BY instantly_id");
    ASSERT_EQ(ids.size(), 600U);
    for (std::size_t i = 440; i < ids.size(); ++i) world().instantly().remove(ids[i][0].c_str());
    world().instantly().edit(ids[439][0].c_str(), {{"phone", "+1 439"}});
    world().backfill_and_drain();
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads"), "440");
    world().expect_agreement();
}

/// Nobody is to be idle beside a long range, and a cut is to cost no page.
TEST_P(Sweeps, TheRestOfAKnownWorkspaceIsSharedDownToPages) {
    begin({.ranges_at_once = 8, .leads_per_range = 300, .ranges_max = 2, .cut_min = 1000, .page_limit = 10}, 100);
    world().sweep();
    world().instantly().reset_log();
    world().sweep();
    EXPECT_GE(most_at_once(world().instantly().requests("/leads/list"), 100), 7U) << "of 8";
    EXPECT_LE(pages(), fewest_pages + 6) << "and what tells that nothing follows";
    world().expect_agreement();
}

/// A range that is cut off at a lead that is gone looks for a cursor before it, one, three, seven leads back. Where
/// all of them are gone it begins at the first lead, like the one that it was cut off.
TEST_P(Sweeps, ARangeIsNotCutWhereACursorWasRefused) {
    begin({.ranges_at_once = 2, .leads_per_range = 1000, .ranges_max = 1, .cut_min = 1000, .page_limit = 10}, 0, 60);
    world().sweep();
    const auto ids = world().sql("SELECT instantly_id FROM crm.leads ORDER BY instantly_id");
    constexpr std::size_t page = 10;
    constexpr std::size_t halfway = page - 1 + (60 - page) / 2 / page * page;
    for (std::size_t back = 0; back + page <= halfway; back = 2 * back + 1)
        world().instantly().remove(ids[halfway - back][0].c_str());
    world().sql("UPDATE crm.workspaces SET fresh_as_of = fresh_as_of - interval '1 day'");
    world().start();
    EXPECT_TRUE(world().becomes("SELECT count(*) FROM crm.leads", "55")) << "the sweep comes to its end";
}

INSTANTIATE_TEST_SUITE_P(UnknownCursors, Sweeps, testing::Values("accept", "400", "404", "ignore", "empty"),
                         [](const auto& choice) { return "Are" + std::string{choice.param}; });

/// A server took over that had not got the last pages, and leadsync did not notice.
class Failover : public Sweeps {
protected:
    static constexpr auto leads = "SELECT count(*) FROM crm.leads";
    bool have_come(int count) {
        return world().becomes("SELECT count(*) >= " + std::to_string(count) + " FROM crm.leads", "t");
    }
    void remember() {
        world().sql(
            "CREATE SCHEMA earlier; LOCK sync.ranges; CREATE TABLE earlier.ranges AS TABLE sync.ranges; "
            "CREATE TABLE earlier.leads AS SELECT id FROM crm.leads");
    }
    /// Nobody sees half of it: pages that are being written wait for the ranges.
    void take_over() {
        world().sql(
            "LOCK sync.ranges; SET LOCAL session_replication_role = replica; "
            "DELETE FROM sync.base WHERE lead_id NOT IN (TABLE earlier.leads); "
            "DELETE FROM crm.leads WHERE id NOT IN (TABLE earlier.leads); "
            "DELETE FROM sync.ranges; INSERT INTO sync.ranges OVERRIDING SYSTEM VALUE TABLE earlier.ranges");
    }
};

TEST_P(Failover, LosesNoPageOfASweep) {
    begin({.ranges_at_once = 4, .leads_per_range = 50, .ranges_max = 16, .cut_min = 20, .page_limit = 10}, 80);
    world().start();
    ASSERT_TRUE(have_come(100));
    remember();
    ASSERT_TRUE(have_come(300));
    take_over();
    ASSERT_TRUE(world().becomes("SELECT count(*) FROM crm.workspaces WHERE backfilled_at IS NOT NULL", "1"));
    EXPECT_EQ(world().value(leads), "600") << "by the sweep that was interrupted, not by a later one";
    EXPECT_TRUE(world().settles());
    world().expect_agreement();
}

INSTANTIATE_TEST_SUITE_P(UnknownCursors, Failover, testing::Values("accept", "400"),
                         [](const auto& choice) { return "Are" + std::string{choice.param}; });

/// An outage that is answered, not silent: by a gateway that refuses everything, or that knows one page of HTML.
class AnsweredOutage : public testing::TestWithParam<const char*> {
protected:
    static nlohmann::json fault() {
        nlohmann::json fault{{"kind", GetParam()}, {"path", "/leads/list"}};
        if (GetParam() == std::string{"status"}) fault["status"] = 400;
        return fault;
    }
    std::size_t requests(bool with_fault) {
        std::size_t count = 0;
        for (const auto& request : world_.instantly().requests("/leads/list"))
            if (request.contains("fault") == with_fault) ++count;
        return count;
    }
    /// Where the ranges durably stand.
    std::string cursors() {
        return world_.value(
            "SELECT string_agg(format('%s: %s %s', number, cursor, is_complete), ', ' ORDER BY number) FROM "
            "sync.ranges");
    }

    SyncedWorld world_{{.leads = 600,
                        .switches = {{"latency_ms", 40}, {"unknown_cursor", "400"}},
                        .new_leads = 1h,
                        .reading = small_pages}};
};

TEST_P(AnsweredOutage, MovesNoRangeOfASweepBack) {
    world_.sweep();
    world_.instantly().reset_log();
    world_.sweep();
    const auto whole = requests(false);
    world_.instantly().reset_log();
    world_.sql("UPDATE crm.workspaces SET fresh_as_of = fresh_as_of - interval '1 day'");
    world_.start();
    ASSERT_TRUE(test_support::eventually([&] { return requests(false) >= 20; }));
    world_.instantly().add_fault(fault());
    ASSERT_TRUE(test_support::eventually([&] { return requests(true) >= 20; })) << "pages in flight have come";
    const auto before = cursors();
    const auto read = requests(false);
    // Long enough for every range to have doubted its cursor again and again.
    ASSERT_TRUE(test_support::eventually([&] { return requests(true) >= 200; }, 60s));
    EXPECT_EQ(cursors(), before);
    world_.instantly().clear_faults();
    ASSERT_TRUE(world_.becomes("SELECT count(*) FROM sync.sweeps", "0"));
    EXPECT_LE(requests(false) - read, whole - read + 2 * small_pages.ranges_at_once);
    EXPECT_EQ(world_.value("SELECT count(*) FROM crm.leads"), "600");
    world_.expect_agreement();
}

INSTANTIATE_TEST_SUITE_P(Kinds, AnsweredOutage, testing::Values("status", "garbage"),
                         [](const auto& choice) { return std::string{choice.param}; });

}  // namespace
}  // namespace leadsync::daemon
