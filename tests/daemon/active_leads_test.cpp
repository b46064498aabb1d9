#include "tests/daemon/synced_world.hpp"
#include "tests/support/eventually.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

/// Leads in which something happened lately are read again within `freshness.active`, long before the next sweep
/// (DESIGN §5, Known leads). Here nothing but that reads what is known.
class ActiveLeadsStory : public Story {
protected:
    void follow(WorldSettings settings) {
        settings.rest = 24h;
        settings.active = 1s;
        begin(settings);
        // The leads of the sandbox are busy or not by chance: none of them is, until a test says so.
        world().sql("DELETE FROM sync.active");
    }
    /// The lead was contacted just now, as far as leadsync knows.
    void becomes_active(std::size_t lead) {
        world().sql("INSERT INTO sync.active VALUES ('acme', '" + leads_.at(lead)
                    + "', now() + interval '1 day') ON CONFLICT DO NOTHING");
    }
    void edit_there(std::size_t lead, const std::string& phone) {
        world().instantly().edit(leads_.at(lead), {{"phone", phone}});
    }
    std::string count(const std::string& condition) {
        return world().value("SELECT count(*) FROM crm.leads WHERE " + condition);
    }
    /// Whether the leads that were active when this was called have been read by now.
    bool is_round_over() {
        const auto looks = [this] { return world().requests("POST", "/leads/list"); };
        const auto before = looks();
        return test_support::eventually([&] { return looks() >= before + 40; }, 60s);
    }
};

TEST_F(ActiveLeadsStory, AnEditThereComesOverWithoutASweep) {
    follow({.leads = 40});
    becomes_active(0);
    edit_there(0, "+1 555");
    edit_there(1, "+1 556");
    EXPECT_TRUE(world().becomes("SELECT phone FROM crm.leads" + where(0), "+1 555"));
    EXPECT_EQ(local(1, "phone IS DISTINCT FROM '+1 556'"), "t") << "the next sweep finds that one";
    EXPECT_TRUE(world().becomes("SELECT active_leads FROM crm.workspaces", "1"));
    EXPECT_TRUE(world().becomes("SELECT age < interval '2 seconds' FROM crm.freshness WHERE class = 'active'", "t"));
}

TEST_F(ActiveLeadsStory, ALeadBecomesActiveByAnEditHereOrThere) {
    follow({.leads = 40});
    edit(0, "job_title = 'Owner'");
    ASSERT_TRUE(world().settles());
    EXPECT_EQ(world().value("SELECT count(*) FROM sync.active"), "1");
    edit_there(0, "+1 555");
    EXPECT_TRUE(world().becomes("SELECT phone FROM crm.leads" + where(0), "+1 555"));
    EXPECT_EQ(world().value("SELECT until > now() + interval '6 days 23 hours' FROM sync.active"), "t");
}

TEST_F(ActiveLeadsStory, ABackfillKnowsWhichLeadsWereContactedLately) {
    WorldSettings settings{.leads = 40};
    begin(settings);
    const auto lately = world().value(
        "SELECT count(*) FROM crm.leads WHERE greatest(timestamp_last_contact, timestamp_last_open, "
        "timestamp_last_reply, timestamp_last_click, timestamp_last_touch, "
        "timestamp_last_interest_change) > now() - interval '7 days'");
    EXPECT_EQ(world().value("SELECT count(*) FROM sync.active"), lately);
}

TEST_F(ActiveLeadsStory, ADeletionThereIsFoundWithoutASweep) {
    follow({.leads = 40});
    becomes_active(0);
    world().instantly().remove(leads_.at(0));
    world().instantly().remove(leads_.at(1));
    EXPECT_TRUE(world().becomes("SELECT sync_status FROM crm.leads" + where(0), "deleted"));
    EXPECT_EQ(local(1, "sync_status"), "synced");
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.history WHERE rule = 'deleted'"), "1");
    EXPECT_TRUE(world().becomes("SELECT count(*) FROM sync.active", "0"));
}

TEST_F(ActiveLeadsStory, NothingIsNotedOfADeletionThereWhereThePolicyIgnoresIt) {
    follow({.leads = 40, .deletes = {.remote = sync::RemoteDeletes::ignore}});
    becomes_active(0);
    world().instantly().remove(leads_.at(0));
    EXPECT_TRUE(is_round_over());
    EXPECT_EQ(world().value("SELECT count(*) FROM sync.absent"), "0");
    EXPECT_EQ(local(0, "sync_status"), "synced");
}

TEST_F(ActiveLeadsStory, ARowThatListsHideIsNoDeletion) {
    follow({.leads = 40});
    for (std::size_t lead = 0; lead < 5; ++lead) becomes_active(lead);
    world().instantly().set_switches({{"hidden_ids", {leads_[0], leads_[1]}}});
    EXPECT_TRUE(is_round_over());
    EXPECT_EQ(count("sync_status <> 'synced'"), "0");
    EXPECT_GE(world().requests("GET", "/leads/"), 2U) << "each was asked for by itself";
    EXPECT_EQ(world().value("SELECT count(*) FROM sync.active"), "5");
}

TEST_F(ActiveLeadsStory, TooManyDeletionsThereAreHeld) {
    follow({.leads = 40, .guard = {.deletes = {.leads = 3}, .creates = {}, .changes = {}}});
    for (std::size_t lead = 0; lead < 6; ++lead) becomes_active(lead);
    for (std::size_t lead = 0; lead < 6; ++lead) world().instantly().remove(leads_.at(lead));
    EXPECT_TRUE(world().becomes("SELECT count(*) > 0 FROM crm.held WHERE decision IS NULL AND kind = 'delete'", "t"));
    EXPECT_TRUE(is_round_over());
    const auto gone = std::stoi(count("sync_status = 'deleted'"));
    EXPECT_LE(gone, 3) << "those found before the rest";
    EXPECT_EQ(std::stoi(world().value("SELECT count(*) FROM crm.held WHERE decision IS NULL")), 6 - gone);
}

TEST_F(ActiveLeadsStory, DeletionsThereCountRoundAfterRound) {
    follow({.leads = 40, .guard = {.deletes = {.leads = 3}, .creates = {}, .changes = {}}});
    for (std::size_t lead = 0; lead < 4; ++lead) becomes_active(lead);
    world().instantly().remove(leads_.at(0));
    world().instantly().remove(leads_.at(1));
    EXPECT_TRUE(world().becomes("SELECT count(*) FROM crm.leads WHERE sync_status = 'deleted'", "2"));
    world().instantly().remove(leads_.at(2));
    world().instantly().remove(leads_.at(3));
    EXPECT_TRUE(world().becomes("SELECT count(*) > 0 FROM crm.held WHERE decision IS NULL AND kind = 'delete'", "t"));
    EXPECT_TRUE(is_round_over());
    EXPECT_LE(std::stoi(count("sync_status = 'deleted'")), 3);
}

TEST_F(ActiveLeadsStory, TooManyEditsThereAreHeldRoundAfterRound) {
    follow({.leads = 40, .guard = {.deletes = {}, .creates = {}, .changes = {.leads = 3}}});
    for (std::size_t lead = 0; lead < 9; ++lead) becomes_active(lead);
    for (std::size_t lead = 0; lead < 9; ++lead) edit_there(lead, "+1 55" + std::to_string(lead));
    EXPECT_TRUE(world().becomes("SELECT count(*) FROM crm.held WHERE decision IS NULL AND kind = 'change'", "6"));
    EXPECT_TRUE(is_round_over());
    EXPECT_EQ(count("phone LIKE '+1 55_'"), "3") << "a round later there are not three more";
}

TEST_F(ActiveLeadsStory, NewLeadsThatShowOutOfOrderAreFound) {
    follow({.leads = 40});
    // Made a moment before the newest, and shown a moment after it.
    auto id = world().value(
        "SELECT instantly_id FROM crm.leads WHERE instantly_id::text LIKE '0%' "
        "ORDER BY instantly_id DESC LIMIT 1");
    id.replace(24, 12, "000000000000");
    world().instantly().add({{"id", id}, {"email", "late@acme.io"}, {"campaign", world().any_campaign()}});
    EXPECT_TRUE(world().becomes("SELECT count(*) FROM crm.leads WHERE email = 'late@acme.io'", "1"));
}

}  // namespace
}  // namespace leadsync::daemon
