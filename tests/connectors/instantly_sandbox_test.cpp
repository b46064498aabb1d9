#include <algorithm>
#include <chrono>
#include <exception>
#include <future>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio.hpp>
#include <gtest/gtest.h>

#include "connectors/instantly/api_error.hpp"
#include "connectors/instantly/client.hpp"
#include "tests/sandbox/control_client.hpp"
#include "tests/sandbox/server.hpp"

namespace leadsync::instantly {
namespace {

namespace asio = boost::asio;
using nlohmann::json;
using sync::FailureKind;
using sync::Field;
using sync::RemoteLead;

constexpr const char* nobody = "00000000-0000-7000-8000-000000000000";

/// The client against the sandbox: what the API's description promises, over real HTTP.
class InstantlySandboxTest : public testing::Test {
protected:
    InstantlySandboxTest() {
        control.set_switches({{"interest_delay_ms", 0}, {"assign_delay_ms", 0}, {"job_delay_ms", 0}});
    }

    /// What the client's call returns; rethrows what it throws.
    template <class Result>
    Result run(asio::awaitable<Result> call) {
        auto future = asio::co_spawn(io_, std::move(call), asio::use_future);
        io_.restart();
        while (future.wait_for(std::chrono::seconds{0}) != std::future_status::ready)
            if (io_.run_one_for(std::chrono::seconds{30}) == 0) throw std::logic_error{"nothing happens any more"};
        return future.get();
    }
    template <class Call>
    ApiError failure_of(Call call) {
        try {
            run(call());
        } catch (const ApiError& error) {
            return error;
        }
        throw std::logic_error{"the call did not fail"};
    }

    std::vector<RemoteLead> everything(LeadQuery query = {}) {
        std::vector<RemoteLead> leads;
        do {
            auto page = run(client.list_leads(query));
            EXPECT_TRUE(page.unusable.empty());
            std::ranges::move(page.leads, std::back_inserter(leads));
            query.after = page.next;
        } while (query.after);
        return leads;
    }

    RemoteLead any_lead_with(Field field) {
        for (auto& lead : everything())
            if (lead.content[field] && lead.content[Field::email]) return lead;
        throw std::logic_error{"no such lead"};
    }
    RemoteLead campaign_lead() { return any_lead_with(Field::campaign); }
    static sync::CampaignId campaign_of(const RemoteLead& lead) { return {lead.content[Field::campaign].value()}; }
    sync::CampaignId another_campaign(const RemoteLead& lead) {
        for (const auto& campaign : run(client.list_campaigns()))
            if (campaign.id != campaign_of(lead)) return campaign.id;
        throw std::logic_error{"no other campaign"};
    }

    static sandbox::ServerSettings settings() {
        sandbox::ServerSettings result;
        result.workspaces = {sandbox::WorkspaceSettings{}};
        result.workspaces[0].leads = 350;
        result.switches.per_second = 10'000;
        result.switches.per_minute = 100'000;
        return result;
    }
    static TransportOptions options(const sandbox::Server& server) {
        TransportOptions result;
        result.base_url = server.url();
        result.user_agent = "leadsync/test";
        return result;
    }

    sandbox::Server server{settings()};
    sandbox::ControlClient control{server.port()};

private:
    asio::io_context io_{1};

protected:
    HttpTransport transport{io_.get_executor(), options(server)};
    Client client{transport, sandbox::WorkspaceSettings{}.api_key, {}};
    Client stranger{transport, "bm9ib2R5cy1rZXk=", {}};
};

TEST_F(InstantlySandboxTest, ASweepReadsEveryLeadOnceAndAsItIs) {
    for (const bool gzip : {false, true}) {
        control.set_switches({{"gzip", gzip}});
        std::map<std::string, json> truth;
        for (auto& lead : control.all_leads()) truth.emplace(lead.at("id"), lead);
        const auto leads = everything();
        EXPECT_EQ(leads.size(), truth.size());
        for (const auto& lead : leads) {
            const auto& expected = truth.at(lead.id.text);
            EXPECT_TRUE(lead.unreadable.none()) << lead.extra;
            for (const char* name : {"email", "first_name", "phone", "campaign", "list_id"}) {
                const auto value = lead.content[sync::field_named(name).value()];
                EXPECT_EQ(value.value_or(""), expected.contains(name) && expected[name].is_string()
                                                  ? expected[name].get<std::string>()
                                                  : "")
                    << name;
            }
        }
    }
}

TEST_F(InstantlySandboxTest, ChosenLeadsAreLookedUpByIdAndByEmail) {
    const auto leads = everything();
    LeadQuery by_id;
    for (std::size_t i = 0; i < 99; ++i) by_id.ids.push_back(leads.at(i * 3).id);
    by_id.ids.push_back({nobody});
    EXPECT_EQ(run(client.list_leads(by_id)).leads.size(), 99U) << "what does not exist is absent";

    const auto one = campaign_lead();
    LeadQuery by_email;
    by_email.contacts = {*one.content[Field::email]};
    by_email.campaign = campaign_of(one);
    const auto found = run(client.list_leads(by_email)).leads;
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].id, one.id);
    EXPECT_EQ(found[0].content_hash, one.content_hash);
}

TEST_F(InstantlySandboxTest, AListingInAnotherOrderIsAnErrorAndNeverData) {
    control.set_switches({{"list_order", "id_descending"}});
    EXPECT_THROW(run(client.list_leads({})), ApiError);
}

TEST_F(InstantlySandboxTest, ALeadWithBrokenTextsCostsNobodyThePage) {
    const auto lead = campaign_lead();
    LeadQuery query;
    query.ids = {lead.id};
    const std::vector<std::pair<const char*, std::string>> table{
        {"invalid_utf8", "\uFFFD(\uFFFD"}, {"lone_surrogate", "\uFFFD"}, {"nul_character", "a\uFFFDb"}};
    for (const auto& [kind, expected] : table) {
        control.set_switches({{"broken_leads", {{lead.id.text, kind}}}});
        EXPECT_EQ(run(client.list_leads(query)).leads.at(0).content.custom_variables.at("broken"), expected) << kind;
    }
    control.set_switches({{"broken_leads", {{lead.id.text, "oversize"}}}});
    const auto large = run(client.list_leads(query)).leads.at(0);
    EXPECT_EQ(large.content.custom_variables.at("broken").get_ref<const std::string&>().size(), 5'000'000U);
    control.set_switches({{"broken_leads", {{lead.id.text, "missing_required"}}}});
    EXPECT_EQ(run(client.list_leads(query)).leads.at(0).content[Field::organization], std::nullopt);
}

TEST_F(InstantlySandboxTest, ALeadIsReadEditedAndDeleted) {
    const auto lead = campaign_lead();
    EXPECT_EQ(run(client.get_lead(lead.id))->content_hash, lead.content_hash);

    const auto patched =
        run(client.update_lead(lead.id, {{"phone", "+49 1"}, {"custom_variables", {{"tier", 7}, {"vip", true}}}}));
    EXPECT_EQ(patched->content[Field::phone], "+49 1");
    EXPECT_EQ(patched->content.custom_variables.at("tier"), 7);
    EXPECT_EQ(patched->content.custom_variables.at("vip"), true);
    EXPECT_EQ(control.lead(lead.id.text)->at("phone"), "+49 1");

    EXPECT_TRUE(run(client.delete_lead(lead.id)));
    EXPECT_FALSE(control.lead(lead.id.text).has_value());
    EXPECT_FALSE(run(client.delete_lead(lead.id))) << "gone already is success too";
    EXPECT_FALSE(run(client.get_lead(lead.id)).has_value());
    EXPECT_FALSE(run(client.update_lead(lead.id, {{"phone", "2"}})).has_value());
}

TEST_F(InstantlySandboxTest, TheInterestOfALeadIsSetAndCleared) {
    const auto lead = campaign_lead();
    const auto email = *lead.content[Field::email];
    run(client.update_interest({email, 3, campaign_of(lead), {}}));
    EXPECT_EQ(run(client.get_lead(lead.id))->content[Field::lt_interest_status], "3");
    control.set_switches({{"interest_status_code", 200}});
    run(client.update_interest({email, std::nullopt, campaign_of(lead), {}}));
    EXPECT_EQ(run(client.get_lead(lead.id))->content[Field::lt_interest_status], std::nullopt);
}

TEST_F(InstantlySandboxTest, LeadsAreMovedByABackgroundJob) {
    const auto lead = campaign_lead();
    const auto target = another_campaign(lead);
    const auto job = run(client.move_leads({{lead.id}, campaign_of(lead), {}, target, {}}));
    const auto finished = run(client.get_job(job.id));
    EXPECT_EQ(finished.state, JobState::success) << finished.status;
    EXPECT_EQ(finished.moved_leads, 1);
    EXPECT_EQ(run(client.get_lead(lead.id))->content[Field::campaign], target.text);

    control.set_switches({{"job_outcome", "failed"}});
    const auto failing = run(client.move_leads({{lead.id}, target, {}, campaign_of(lead), {}}));
    EXPECT_EQ(run(client.get_job(failing.id)).state, JobState::failed);
    control.set_switches({{"job_outcome", "moved_nothing"}});
    const auto idle = run(client.move_leads({{lead.id}, target, {}, campaign_of(lead), {}}));
    EXPECT_EQ(run(client.get_job(idle.id)).state, JobState::success);
    EXPECT_EQ(run(client.get_job(idle.id)).moved_leads, 0);
    EXPECT_THROW(run(client.get_job({"000000000000000000000000"})), ApiError);
}

TEST_F(InstantlySandboxTest, ACampaignHeldByAMoveAnswers409WhichPasses) {
    control.set_switches({{"job_delay_ms", 3'600'000}});
    const auto lead = campaign_lead();
    run(client.move_leads({{lead.id}, campaign_of(lead), {}, another_campaign(lead), {}}));
    const auto failure = failure_of([&] { return client.delete_lead(lead.id); });
    EXPECT_EQ(failure.status(), 409);
    EXPECT_EQ(failure.failure().kind, FailureKind::transient);
}

TEST_F(InstantlySandboxTest, LeadsAreAddedAndAddingAgainIsHarmless) {
    const auto campaign = campaign_of(campaign_lead());
    const std::vector<json> leads{{{"email", "new1@example.com"}, {"first_name", "One"}},
                                  {{"email", "new2@example.com"}, {"custom_variables", {{"tier", 1}}}}};
    const auto added = run(client.add_leads(campaign, {}, leads));
    ASSERT_EQ(added.created.size(), 2U);
    for (const auto& [index, id] : added.created)
        EXPECT_EQ(run(client.get_lead(id))->content[Field::email], leads.at(index).at("email").get<std::string>());
    const auto again = run(client.add_leads(campaign, {}, leads));
    EXPECT_TRUE(again.created.empty());
    EXPECT_EQ(again.duplicated, 2);
}

TEST_F(InstantlySandboxTest, ALeadWithoutAnEmailIsCreatedInAList) {
    const auto list = run(client.list_lead_lists()).at(0).id;
    const auto lead = run(client.create_lead({{"list_id", list.text}, {"first_name", "Ada"}, {"last_name", "L"}}));
    EXPECT_EQ(lead.content[Field::list_id], list.text);
    EXPECT_EQ(lead.content[Field::first_name], "Ada");
    EXPECT_EQ(lead.content[Field::email].value_or(""), "");
}

TEST_F(InstantlySandboxTest, LeadsAreMergedAssignedAndPutIntoASubsequence) {
    const auto leads = everything();
    const auto kept = campaign_lead();
    const auto& merged = leads.front().id == kept.id ? leads.back() : leads.front();
    EXPECT_EQ(run(client.merge_leads(merged.id, kept.id)).id, kept.id);
    EXPECT_FALSE(run(client.get_lead(merged.id)).has_value());

    const auto user = any_lead_with(Field::uploaded_by_user).content[Field::uploaded_by_user].value();
    run(client.assign_leads({kept.id}, user));
    EXPECT_EQ(run(client.get_lead(kept.id))->content[Field::assigned_to], user);

    const std::string subsequence = "01959272-5d2b-7a87-a5d7-19a4a1eedf0d";
    EXPECT_EQ(run(client.move_to_subsequence(kept.id, subsequence)).content[Field::subsequence_id], subsequence);
    EXPECT_EQ(run(client.remove_from_subsequence(kept.id)).content[Field::subsequence_id], std::nullopt);
}

TEST_F(InstantlySandboxTest, WhatIsAroundTheLeadsIsListed) {
    EXPECT_EQ(run(client.list_campaigns()).size(), 5U);
    EXPECT_EQ(run(client.list_lead_lists()).size(), 3U);
    const auto labels = run(client.list_lead_labels());
    EXPECT_FALSE(labels.empty());
    for (const auto& label : labels) EXPECT_TRUE(label.interest_status.has_value());
    EXPECT_FALSE(run(client.current_workspace()).id.empty());
    EXPECT_EQ(run(client.lead_count()), static_cast<std::int64_t>(control.all_leads().size()));
}

TEST_F(InstantlySandboxTest, ABadKeyPausesTheWorkspaceAndIsNeverShown) {
    const auto failure = failure_of([&] { return stranger.current_workspace(); });
    EXPECT_EQ(failure.status(), 401);
    EXPECT_EQ(failure.failure().kind, FailureKind::workspace);
    EXPECT_EQ(std::string_view{failure.what()}.find("bm9ib2R5cy1rZXk="), std::string_view::npos);
    control.set_switches({{"unpaid", true}});
    EXPECT_EQ(failure_of([&] { return client.list_leads({}); }).status(), 402);
}

TEST_F(InstantlySandboxTest, A403MeansOneOfThree) {
    const auto lead = campaign_lead();
    control.set_switches({{"plan_limit", 0}});
    const auto plan = failure_of([&] {
        return client.add_leads(campaign_of(lead), {}, {{{"email", "x@example.com"}}});
    });
    EXPECT_EQ(plan.status(), 403);
    EXPECT_EQ(plan.failure().kind, FailureKind::plan) << plan.what();

    control.set_switches({{"scopes", {"leads:read"}}});
    const auto scope = failure_of([&] { return client.update_lead(lead.id, {{"phone", "1"}}); });
    EXPECT_EQ(scope.status(), 403);
    EXPECT_EQ(scope.failure().kind, FailureKind::workspace) << scope.what();

    control.add_fault({{"kind", "cdn"}});
    const auto cdn = failure_of([&] { return client.get_lead(lead.id); });
    EXPECT_EQ(cdn.status(), 403);
    EXPECT_EQ(cdn.failure().kind, FailureKind::workspace) << cdn.what();
}

TEST_F(InstantlySandboxTest, A429IsToldWithAndWithoutAWait) {
    for (const bool told : {false, true}) {
        control.set_switches({{"per_second", 0}, {"retry_after", told}});
        const auto failure = failure_of([&] { return client.list_leads({}); });
        EXPECT_EQ(failure.status(), 429);
        EXPECT_TRUE(failure.failure().rate_limited);
        EXPECT_EQ(failure.failure().retry_after.has_value(), told);
    }
}

TEST_F(InstantlySandboxTest, AWriteWhoseAnswerIsLostOrBrokenIsInDoubt) {
    const auto campaign = campaign_of(campaign_lead());
    int number = 0;
    for (const json& fault : {json{{"kind", "lost"}}, json{{"kind", "cut"}, {"bytes", 20}}, json{{"kind", "garbage"}},
                              json{{"kind", "status"}, {"status", 504}, {"acted", true}}}) {
        control.clear_faults();
        control.add_fault(fault);
        const auto email = "doubt" + std::to_string(++number) + "@example.com";
        const auto failure = failure_of([&] {
            return client.create_lead({{"campaign", campaign.text}, {"email", email}});
        });
        EXPECT_TRUE(failure.in_doubt()) << fault;
        EXPECT_EQ(failure.failure().kind, FailureKind::transient) << fault;
        control.clear_faults();
        LeadQuery look;
        look.contacts = {email};
        EXPECT_EQ(run(client.list_leads(look)).leads.size(), 1U) << "it was done, and once: " << fault;
    }
}

TEST_F(InstantlySandboxTest, AServerThatWentAwayAndCameBackIsUsedAgain) {
    EXPECT_FALSE(run(client.list_leads({})).leads.empty());
    server.stop();
    EXPECT_FALSE(failure_of([&] { return client.list_leads({}); }).in_doubt());
    server.start();
    EXPECT_FALSE(run(client.list_leads({})).leads.empty());
}

}  // namespace
}  // namespace leadsync::instantly
