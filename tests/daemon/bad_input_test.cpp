#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include "connectors/instantly/api_error.hpp"
#include "tests/daemon/synced_world.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;

constexpr auto documented = "01959272-5d2b-7a87-a5d7-199e472e6366";

TEST(BadInput, ALeadThatBreaksTheDocumentationIsKeptAsFarAsItGoesAndHoldsUpNoOther) {
    for (const auto* kind : {"missing_required", "invalid_utf8", "lone_surrogate", "nul_character", "oversize"}) {
        SyncedWorld world{{.leads = 120, .switches = {{"broken_leads", {{documented, kind}}}}}};
        world.backfill_and_drain();
        EXPECT_EQ(world.value("SELECT count(*) FROM crm.leads"), "120") << kind;
        EXPECT_EQ(
            world.value(std::string{"SELECT first_name FROM crm.leads WHERE instantly_id = '"} + documented + "'"),
            "John")
            << kind;
        const auto length = world.value("SELECT max(length(custom_variables ->> 'broken')) FROM crm.leads");
        if (std::string_view{kind} == "oversize") {
            EXPECT_GT(std::stoi(length), 4'000'000);
        }
        if (std::string_view{kind} == "lone_surrogate") {
            EXPECT_EQ(length, "1");
        }
    }
}

TEST(BadInput, AnEmailThatNoIndexTakesIsKeptInExtraAndHoldsUpNoOther) {
    SyncedWorld world{{.leads = 120}};
    std::mt19937_64 random{1};
    std::string endless;  // and of a kind that can't be compressed
    while (endless.size() < 9000) endless += std::to_string(random());
    world.instantly().edit(documented, {{"email", endless + "@acme.io"}});
    world.backfill_and_drain();
    EXPECT_EQ(world.value("SELECT count(*) FROM crm.leads"), "120");
    EXPECT_EQ(world.value(std::string{"SELECT email IS NULL AND extra ->> 'email' = '"} + endless
                          + "@acme.io' FROM crm.leads WHERE instantly_id = '" + documented + "'"),
              "t");
}

/// What is logged while it lives.
class Log {
public:
    Log() {
        auto logger = std::make_shared<spdlog::logger>("", std::make_shared<spdlog::sinks::ostream_sink_mt>(text_));
        logger->set_level(spdlog::level::warn);
        spdlog::set_default_logger(std::move(logger));
    }
    ~Log() { spdlog::set_default_logger(before_); }
    Log(const Log&) = delete;
    Log& operator=(const Log&) = delete;

    /// The lines with this in them since the last call.
    std::size_t lines_with(std::string_view what) {
        std::istringstream text{std::exchange(text_, {}).str()};
        std::size_t count = 0;
        for (std::string line; std::getline(text, line);)
            if (line.find(what) != std::string::npos) ++count;
        return count;
    }

private:
    std::ostringstream text_;
    std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
};

TEST(BadInput, ALeadThatIsNoneIsToldWithEveryPageThatShowsIt) {
    SyncedWorld world{{.leads = 120}};
    world.backfill_and_drain();
    world.instantly().set_switches({{"broken_leads", {{documented, "payload_list"}}}});
    Log log;
    world.sweep();
    EXPECT_EQ(log.lines_with("passed over"), 1);
    world.sweep();
    EXPECT_EQ(log.lines_with("passed over"), 1);
    world.sql("DELETE FROM sync.base WHERE instantly_id = '" + std::string{documented} + "'");
    world.sweep();
    EXPECT_EQ(log.lines_with("passed over"), 1) << "whether it is known or not";
    EXPECT_EQ(world.value("SELECT count(*) FROM sync.absent"), "0");
}

TEST(BadInput, NumbersOutsideTheirEnumAndValuesOfAnotherTypeAreKept) {
    SyncedWorld world{{.leads = 10}};
    world.instantly().edit(documented, {{"status", 4711}, {"esp_code", "a text"}, {"lt_interest_status", 77}});
    world.backfill_and_drain();
    const std::string where = std::string{" FROM crm.leads WHERE instantly_id = '"} + documented + "'";
    EXPECT_EQ(world.value("SELECT status" + where), "4711");
    EXPECT_EQ(world.value("SELECT lt_interest_status" + where), "77");
    EXPECT_EQ(world.value("SELECT extra ->> 'esp_code'" + where), "a text");
    EXPECT_EQ(world.value("SELECT esp_code" + where), "null");
}

TEST(BadInput, APageThatIsCutOffOrNoJsonIsAskedForAgain) {
    SyncedWorld world{{.leads = 450}};
    for (const auto* kind : {"cut", "garbage", "empty_json"}) {
        nlohmann::json fault{{"kind", kind}, {"path", "/leads/list"}, {"count", 1}, {"skip", 1}};
        if (std::string_view{kind} == "empty_json") fault.update({{"kind", "garbage"}, {"body", "{}"}});
        world.instantly().add_fault(fault);
    }
    world.backfill_and_drain();
    EXPECT_EQ(world.value("SELECT count(*) FROM crm.leads"), "450");
    world.expect_agreement();
}

TEST(BadInput, AWrongKeyIsToldAtOnceByAOneShotRunWithWhatTheServerSays) {
    SyncedWorld world{{.leads = 10, .switches = {{"revoked", true}}}};
    try {
        world.backfill_and_drain();
        FAIL() << "a wrong key went through";
    } catch (const instantly::ApiError& error) {
        EXPECT_EQ(error.status(), 401);
        EXPECT_NE(std::string{error.what()}.find("401"), std::string::npos);
    }
}

TEST(BadInput, AMissingScopePausesTheWorkspaceVisiblyAndItRecovers) {
    SyncedWorld world{{.leads = 50}};
    world.backfill_and_drain();
    world.start();
    const auto lead = world.campaign_leads(1).at(0);
    world.instantly().set_switches({{"scopes", nlohmann::json::array({"leads:read", "workspaces:read"})}});
    world.sql("UPDATE crm.leads SET phone = '+1 scoped' WHERE instantly_id = '" + lead + "'");
    EXPECT_TRUE(world.becomes("SELECT state FROM crm.workspaces", "paused"));
    EXPECT_NE(world.value("SELECT state_reason FROM crm.workspaces").find("403"), std::string::npos);
    EXPECT_EQ(world.value("SELECT count(*) FROM crm.leads WHERE sync_status = 'error'"), "0")
        << "the lead is not at fault";
    world.instantly().set_switches({{"scopes", nlohmann::json::array({"all:all"})}});
    EXPECT_TRUE(world.becomes("SELECT sync_status FROM crm.leads WHERE instantly_id = '" + lead + "'", "synced"));
    EXPECT_TRUE(world.becomes("SELECT state FROM crm.workspaces", "following"));
}

/// How many campaigns, lists and labels are there.
std::string catalogue(SyncedWorld& world) {
    return world.value(
        "SELECT concat_ws(', ', (SELECT count(*) FROM crm.campaigns), (SELECT count(*) FROM crm.lead_lists), "
        "(SELECT count(*) FROM crm.lead_labels))");
}

TEST(BadInput, AKeyThatMayNotReadLabelsStillFillsCampaignsAndLists) {
    SyncedWorld world{{.leads = 50}};
    world.instantly().set_switches(
        {{"scopes", nlohmann::json::array({"leads:all", "workspaces:read", "campaigns:read", "lead_lists:read",
                                           "workspace_billing:read"})}});
    Log log;
    world.start();
    EXPECT_TRUE(world.becomes("SELECT leads_on_instantly FROM crm.workspaces", "50")) << "it is read after labels";
    world.stop();
    EXPECT_EQ(catalogue(world), "5, 3, 0");
    EXPECT_EQ(log.lines_with("lead labels: GET /api/v2/lead-labels: 403"), 1);
}

TEST(BadInput, AListingThatCannotBeStoredHoldsUpNoOther) {
    SyncedWorld world{{.leads = 10}};
    world.sql("ALTER TABLE crm.campaigns ADD CHECK (name <> 'Campaign 1')");
    Log log;
    world.backfill_and_drain();
    EXPECT_EQ(world.value("SELECT count(*) FROM crm.leads"), "10");
    EXPECT_EQ(catalogue(world), "0, 3, 3");
    EXPECT_EQ(log.lines_with("workspace acme: campaigns: PostgreSQL: "), 1);
}

TEST(BadInput, ACampaignThatPostgreSqlCannotHoldIsKeptAsFarAsItGoesAndHoldsUpNoOther) {
    SyncedWorld world{{.leads = 10}};
    constexpr auto campaigns = R"({"items": [
        {"id": "AAAAAAAA-0000-4000-8000-00000000000B", "name": "a\u0000b\ud83d", "k\u0000": ["\u0000", "\\u0000"]},
        {"id": "bbbbbbbb-0000-4000-8000-000000000002", "name": "whole"}]})";
    world.instantly().add_fault({{"kind", "garbage"}, {"path", "/api/v2/campaigns"}, {"body", campaigns}});
    world.backfill_and_drain();
    EXPECT_EQ(world.value("SELECT string_agg(name, ', ' ORDER BY id) FROM crm.campaigns"), "a\uFFFDb\uFFFD, whole");
    const std::string broken = " FROM crm.campaigns WHERE id = 'aaaaaaaa-0000-4000-8000-00000000000b'";
    EXPECT_EQ(world.value("SELECT data ->> 'name'" + broken), "a\uFFFDb\uFFFD");
    EXPECT_EQ(world.value("SELECT data -> 'k\uFFFD' ->> 0" + broken), "\uFFFD");
    EXPECT_EQ(world.value("SELECT data -> 'k\uFFFD' ->> 1" + broken), "\\u0000") << "these are but six characters";
}

TEST(BadInput, ALeadThatInstantlyRefusesIsMarkedAndHoldsUpNoOther) {
    SyncedWorld world{{.leads = 50}};
    world.backfill_and_drain();
    world.start();
    const auto leads = world.campaign_leads(2);
    world.instantly().add_fault({{"kind", "status"}, {"status", 400}, {"method", "PATCH"}, {"path", leads[0]}});
    world.sql("UPDATE crm.leads SET phone = '+1' WHERE instantly_id IN ('" + leads[0] + "', '" + leads[1] + "')");
    EXPECT_TRUE(world.becomes("SELECT sync_status FROM crm.leads WHERE instantly_id = '" + leads[1] + "'", "synced"));
    EXPECT_TRUE(world.becomes("SELECT sync_status FROM crm.leads WHERE instantly_id = '" + leads[0] + "'", "error"));
    EXPECT_NE(world.value("SELECT sync_error FROM crm.leads WHERE sync_status = 'error'").find("400"),
              std::string::npos);
}

TEST(BadInput, ALeadThatIsGoneOnInstantlyIsToldOnItsRow) {
    SyncedWorld world{{.leads = 50}};
    world.backfill_and_drain();
    const auto lead = world.campaign_leads(1).at(0);
    world.instantly().remove(lead);
    world.start();
    world.sql("UPDATE crm.leads SET phone = '+1' WHERE instantly_id = '" + lead + "'");
    EXPECT_TRUE(world.becomes("SELECT sync_error FROM crm.leads WHERE instantly_id = '" + lead + "'",
                              "Instantly no longer has this lead (404)"));
}

TEST(BadInput, EditsThatNoCallCanCarryAreRefusedInWordsOnTheirRow) {
    SyncedWorld world{{.leads = 50}};
    world.backfill_and_drain();
    world.start();
    const auto lead = world.campaign_leads(1).at(0);
    world.sql("UPDATE crm.leads SET campaign = NULL WHERE instantly_id = '" + lead + "'");
    EXPECT_TRUE(world.becomes("SELECT sync_status FROM crm.leads WHERE instantly_id = '" + lead + "'", "error"));
    EXPECT_NE(world.value("SELECT sync_error FROM crm.leads WHERE sync_status = 'error'").find("where it should go"),
              std::string::npos);
}

TEST(BadInput, AKeyOfAnotherWorkspaceStopsBeforeAnythingIsRead) {
    SyncedWorld world{{.leads = 50}};
    world.sql("UPDATE crm.workspaces SET instantly_workspace_id = '99999999-9999-4999-8999-999999999999'");
    world.start();
    EXPECT_TRUE(
        world.becomes("SELECT state = 'stopped' AND state_reason LIKE 'the API key belongs to Instantly workspace%' "
                      "FROM crm.workspaces",
                      "t"));
    EXPECT_EQ(world.requests("POST", "/leads/list"), 0U);
    EXPECT_EQ(world.value("SELECT count(*) FROM crm.leads"), "0");
}

class CursorOfAGoneLead : public testing::TestWithParam<const char*> {};

TEST_P(CursorOfAGoneLead, IsReplacedByOneThatTheServerKnows) {
    // What is missing is not looked into: only the sweep shows what it holds.
    SyncedWorld world{{.leads = 450,
                       .switches = {{"unknown_cursor", GetParam()}},
                       .deletes = {.remote = sync::RemoteDeletes::ignore}}};
    world.backfill_and_drain();
    // A sweep that was stopped behind a lead that is deleted since.
    const auto ids = world.sql("SELECT instantly_id FROM crm.leads ORDER BY instantly_id LIMIT 200");
    const std::string gone = ids[199][0].c_str();
    world.sql("INSERT INTO sync.sweeps (workspace) VALUES ('acme')");
    world.sql("INSERT INTO sync.ranges (workspace, cursor, pages, leads) VALUES ('acme', '" + gone + "', 2, 200)");
    world.instantly().remove(gone);
    const auto last = world.value("SELECT instantly_id FROM crm.leads ORDER BY instantly_id DESC LIMIT 1");
    world.instantly().edit(last, {{"phone", "+1 999"}});
    world.backfill_and_drain();
    EXPECT_EQ(world.value("SELECT count(*) FROM sync.sweeps"), "0") << "the sweep is complete";
    EXPECT_EQ(world.value("SELECT phone FROM crm.leads WHERE instantly_id = '" + last + "'"), "+1 999");
}

INSTANTIATE_TEST_SUITE_P(UnknownCursors, CursorOfAGoneLead,
                         testing::Values("accept", "400", "404", "ignore", "empty"),
                         [](const auto& choice) { return "Are" + std::string{choice.param}; });

}  // namespace
}  // namespace leadsync::daemon
