#include <deque>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <gtest/gtest.h>

#include "connectors/instantly/answer.hpp"
#include "connectors/instantly/client.hpp"

namespace leadsync::instantly {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using nlohmann::json;
using sync::CampaignId;
using sync::FailureKind;
using sync::InstantlyId;
using sync::ListId;

constexpr const char* key = "c2VjcmV0LXNlY3JldC1zZWNyZXQ6a2V5";
const CampaignId campaign{"0aaaaaaa-0000-4000-8000-000000000001"};
const CampaignId other_campaign{"0aaaaaaa-0000-4000-8000-000000000002"};
const ListId list{"0bbbbbbb-0000-4000-8000-000000000001"};

InstantlyId lead_id(int number) {
    auto digits = std::to_string(number);
    return {"01959272-5d2b-7a87-a5d7-" + std::string(12 - digits.size(), '0') + digits};
}

json lead(int number) {
    return {{"id", lead_id(number).text},
            {"email", "lead" + std::to_string(number) + "@example.com"},
            {"campaign", campaign.text}};
}

json page(std::initializer_list<json> items, std::optional<std::string> next = std::nullopt) {
    json result{{"items", json::array()}};
    for (const auto& item : items) result["items"].push_back(item);
    if (next) result["next_starting_after"] = *next;
    return result;
}

struct Canned {
    int status = 200;
    std::string body;
    std::string retry_after;
};

struct Seen {
    std::string line;  ///< method and target
    json body;
};

/// A client whose server gives canned answers, one after the other.
class InstantlyClientTest : public testing::Test {
protected:
    InstantlyClientTest() { asio::co_spawn(io_, accept(), asio::detached); }

    void answer(int status, const json& body) { answers.push_back({status, body.dump(), ""}); }

    /// What the client's call returns; rethrows what it throws.
    template <class Result>
    Result run(asio::awaitable<Result> call) {
        std::optional<Result> result;
        finish(std::move(call), [&](Result value) { result.emplace(std::move(value)); });
        return std::move(result.value());
    }
    void run(asio::awaitable<void> call) {
        bool done = false;
        std::exception_ptr thrown;
        asio::co_spawn(io_, std::move(call), [&](std::exception_ptr error) {
            done = true;
            thrown = error;
        });
        wait(done);
        if (thrown) std::rethrow_exception(thrown);
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

    std::deque<Canned> answers;
    std::vector<Seen> seen;
    int gates = 0;

private:
    template <class Result, class Keep>
    void finish(asio::awaitable<Result> call, Keep keep) {
        bool done = false;
        std::exception_ptr thrown;
        asio::co_spawn(io_, std::move(call), [&](std::exception_ptr error, Result value) {
            done = true;
            thrown = error;
            if (!error) keep(std::move(value));
        });
        wait(done);
        if (thrown) std::rethrow_exception(thrown);
    }

    void wait(const bool& done) {
        while (!done)
            if (io_.run_one_for(std::chrono::seconds{10}) == 0) throw std::logic_error{"nothing happens any more"};
    }

    asio::awaitable<void> accept() {
        while (true) {
            auto socket = co_await acceptor_.async_accept(asio::use_awaitable);
            asio::co_spawn(io_, serve(std::move(socket)), asio::detached);
        }
    }

    asio::awaitable<void> serve(asio::ip::tcp::socket socket) {
        boost::beast::flat_buffer buffer;
        while (true) {
            http::request<http::string_body> request;
            co_await http::async_read(socket, buffer, request, asio::use_awaitable);
            EXPECT_EQ(request[http::field::authorization], std::string{"Bearer "} + key);
            seen.push_back({std::string{request.method_string()} + " " + std::string{request.target()},
                            json::parse(request.body().empty() ? "null" : request.body())});
            Canned next{500, "no answer left", ""};
            if (!answers.empty()) {
                next = std::move(answers.front());
                answers.pop_front();
            }
            http::response<http::string_body> reply{http::int_to_status(static_cast<unsigned>(next.status)), 11};
            reply.body() = next.body;
            if (!next.retry_after.empty()) reply.set(http::field::retry_after, next.retry_after);
            reply.prepare_payload();
            co_await http::async_write(socket, reply, asio::use_awaitable);
        }
    }

    TransportOptions options() const {
        TransportOptions result;
        result.base_url = "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
        result.user_agent = "leadsync/test";
        return result;
    }
    asio::awaitable<std::unique_ptr<Turn>> pass_gate() {
        ++gates;
        co_return nullptr;
    }

    asio::io_context io_{1};
    asio::ip::tcp::acceptor acceptor_{io_, {asio::ip::address_v4::loopback(), 0}};
    HttpTransport transport_{io_.get_executor(), options()};

protected:
    Client client{transport_, key, [this] { return pass_gate(); }};
};

TEST_F(InstantlyClientTest, APageIsAskedForByTheDocumentedKeysAndNeverAboveOneHundred) {
    answer(200, page({lead(2), lead(3)}, lead_id(3).text));
    LeadQuery query;
    query.campaign = campaign;
    query.after = lead_id(1).text;
    query.limit = 1'000;
    const auto result = run(client.list_leads(query));
    EXPECT_EQ(seen.at(0).line, "POST /api/v2/leads/list");
    const json body{{"campaign", campaign.text}, {"starting_after", lead_id(1).text}, {"limit", 100}};
    EXPECT_EQ(seen.at(0).body, body);
    ASSERT_EQ(result.leads.size(), 2U);
    EXPECT_EQ(result.leads[1].id, lead_id(3));
    EXPECT_EQ(result.next, lead_id(3).text);
    EXPECT_EQ(gates, 1);
}

TEST_F(InstantlyClientTest, ALookUpNamesItsLeads) {
    answer(200, page({lead(2), lead(1)}));
    answer(200, page({lead(1)}));
    LeadQuery by_id;
    by_id.ids = {lead_id(1), lead_id(2), lead_id(3)};
    EXPECT_EQ(run(client.list_leads(by_id)).leads.size(), 2U) << "in any order, and what is gone is absent";
    EXPECT_EQ(seen.at(0).body.at("ids").size(), 3U);
    LeadQuery by_email;
    by_email.contacts = {"LEAD1@example.com"};
    EXPECT_EQ(run(client.list_leads(by_email)).leads.size(), 1U);
    EXPECT_EQ(seen.at(1).body.at("contacts"), json::array({"LEAD1@example.com"}));
    by_id.ids.resize(101, lead_id(1));
    EXPECT_THROW(run(client.list_leads(by_id)), std::invalid_argument);
}

TEST_F(InstantlyClientTest, AnEmptyPageAndOneWithoutACursorAreTheLast) {
    answer(200, page({}, lead_id(9).text));
    answer(200, page({}));
    answer(200, page({lead(1)}));
    answer(200, {{"items", {lead(1)}}, {"next_starting_after", nullptr}});
    for (int i = 0; i < 4; ++i) EXPECT_EQ(run(client.list_leads({})).next, std::nullopt);
}

TEST_F(InstantlyClientTest, AnItemThatIsNoLeadIsSetAsideAndTheRestIsRead) {
    const json broken{{"id", 7}, {"email", "x@example.com"}};
    answer(200, page({lead(1), broken, "text", nullptr, lead(2),
                      json::object({{"id", lead_id(3).text}, {"payload", 1}})}));
    const auto result = run(client.list_leads({}));
    EXPECT_EQ(result.leads.size(), 2U);
    ASSERT_EQ(result.unusable.size(), 4U);
    EXPECT_EQ(json::parse(result.unusable[0]), broken);
    EXPECT_EQ(json::parse(result.unusable[1]), "text");
    EXPECT_EQ(json::parse(result.unusable[3]).at("payload"), 1);
}

TEST_F(InstantlyClientTest, WhatWasNotAskedForIsAnErrorAndNeverData) {
    const auto without_campaign = [](int number) {
        auto result = lead(number);
        result.erase("campaign");
        return result;
    };
    const auto query = [](auto change) {
        LeadQuery result;
        change(result);
        return result;
    };
    const std::vector<std::tuple<const char*, LeadQuery, json>> table{
        {"descending", {}, page({lead(2), lead(1)})},
        {"twice", {}, page({lead(1), lead(1)})},
        {"before the cursor", query([](auto& q) { q.after = lead_id(5).text; }), page({lead(5), lead(6)})},
        {"a cursor that stays", query([](auto& q) { q.after = lead_id(5).text; }), page({lead(6)}, lead_id(5).text)},
        {"a cursor that goes back", query([](auto& q) { q.after = lead_id(5).text; }),
         page({lead(6)}, lead_id(4).text)},
        {"a cursor that is no text", {}, {{"items", {lead(1)}}, {"next_starting_after", 7}}},
        {"another id", query([](auto& q) { q.ids = {lead_id(1)}; }), page({lead(2)})},
        {"an id twice", query([](auto& q) { q.ids = {lead_id(1)}; }), page({lead(1), lead(1)})},
        {"another campaign", query([](auto& q) { q.campaign = other_campaign; }), page({lead(1)})},
        {"no campaign", query([](auto& q) { q.campaign = campaign; }), page({without_campaign(1)})},
        {"another list", query([](auto& q) { q.list = list; }), page({lead(1)})},
        {"another email", query([](auto& q) { q.contacts = {"lead1@example.com"}; }), page({lead(2)})},
        {"no items", {}, json::object()},
        {"items that are no list", {}, {{"items", 1}}},
        {"a list", {}, json::array()},
    };
    for (const auto& [what, asked, answered] : table) {
        SCOPED_TRACE(what);
        answer(200, answered);
        const auto failure = failure_of([&] { return client.list_leads(asked); });
        EXPECT_EQ(failure.failure().kind, FailureKind::transient);
        EXPECT_TRUE(std::string_view{failure.what()}.starts_with("POST /api/v2/leads/list: 200, but "))
            << failure.what();
        answer(200, answered);
        EXPECT_STREQ(failure_of([&] { return client.scan_leads(asked); }).what(), failure.what());
    }
}

TEST_F(InstantlyClientTest, AScannedPageTellsItsLeadsAndReadsThemWhenAsked) {
    answer(200, page({lead(1), lead(2)}, lead_id(2).text));
    auto scanned = run(client.scan_leads({}));
    EXPECT_EQ(scanned.next, lead_id(2).text);
    ASSERT_EQ(scanned.leads.size(), 2U);
    EXPECT_EQ(scanned.leads[0].id, lead_id(1));
    EXPECT_NE(scanned.leads[0].raw_hash, scanned.leads[1].raw_hash);
    EXPECT_EQ(scanned.take(1).content[sync::Field::email], "lead2@example.com");
    EXPECT_EQ(scanned.whole().leads.size(), 2U);
    scanned.leave_out([](const auto& id) { return id.text > lead_id(1).text; });
    EXPECT_EQ(scanned.leads.size(), 1U);
}

TEST_F(InstantlyClientTest, ALeadThatIsNotPlainTurnsUpWhenItIsRead) {
    const auto first = lead(1).dump();
    const auto twice = R"({"id":")" + lead_id(2).text + R"(","status":1,"status":2})";
    const auto broken = R"({"id":")" + lead_id(2).text + R"(","status":tru})";
    answers.push_back({200, R"({"items":[)" + first + "," + twice + "]}", ""});
    auto scanned = run(client.scan_leads({}));
    EXPECT_EQ(scanned.take(0).id, lead_id(1));
    EXPECT_THROW(scanned.take(1), NotPlain);
    EXPECT_EQ(scanned.whole().leads.at(1).content[sync::Field::status], "2");
    answers.push_back({200, R"({"items":[)" + first + "," + broken + "]}", ""});
    auto refused = run(client.scan_leads({}));
    EXPECT_THROW(refused.take(1), NotPlain);
    EXPECT_THROW(refused.whole(), ApiError);
}

TEST_F(InstantlyClientTest, APageThatCannotBeScannedIsRead) {
    answer(200, page({lead(1), json{{"id", 7}}, lead(2)}));
    auto scanned = run(client.scan_leads({}));
    ASSERT_EQ(scanned.leads.size(), 2U);
    EXPECT_EQ(scanned.unusable.size(), 1U);
    EXPECT_EQ(scanned.take(1).id, lead_id(2));
    scanned.leave_out([](const auto& id) { return id.text > lead_id(1).text; });
    EXPECT_EQ(scanned.leads.size(), 1U);
}

TEST_F(InstantlyClientTest, A2xxThatIsNoJsonIsTransientAndInDoubt) {
    for (const char* body : {"", "<html>captive portal</html>", "{\"items\":[", "null"}) {
        answers.push_back({200, body, ""});
        const auto failure = failure_of([&] { return client.create_lead({{"email", "a@b.c"}}); });
        EXPECT_EQ(failure.failure().kind, FailureKind::transient) << body;
        EXPECT_EQ(failure.status(), 200) << body;
        EXPECT_TRUE(failure.in_doubt()) << body;
    }
}

struct Refusal {
    int status;
    std::string body;
    FailureKind kind;
    std::string message;
};

TEST_F(InstantlyClientTest, ARefusalIsJudgedByItsStatusAndTellsThePeersOwnWords) {
    const auto api = [](int status, const char* error, const char* message) {
        return json{{"statusCode", status}, {"error", error}, {"message", message}}.dump();
    };
    const std::vector<Refusal> table{
        {400, api(400, "Bad Request", "email is invalid"), FailureKind::lead, "400 Bad Request \"email is invalid\""},
        {400, R"({"error":"only this"})", FailureKind::lead, "400 Bad Request \"only this\""},
        {400, R"({"message":["one","two"]})", FailureKind::lead, "400 Bad Request \"one; two\""},
        {400, R"({"error":{"message":"inner"}})", FailureKind::lead, "400 Bad Request \"inner\""},
        {401, api(401, "Unauthorized", "Invalid API key"), FailureKind::workspace,
         "401 Unauthorized \"Invalid API key\""},
        {402, api(402, "Payment Required", "no paid plan"), FailureKind::workspace,
         "402 Payment Required \"no paid plan\""},
        {403, api(403, "Forbidden", "missing scope leads:update"), FailureKind::workspace,
         "403 Forbidden \"missing scope leads:update\""},
        {403, api(403, "Forbidden", "Lead limit reached. Remaining uploads: 0"), FailureKind::plan,
         "403 Forbidden \"Lead limit reached. Remaining uploads: 0\""},
        {403, "error code: 1010", FailureKind::workspace, "403 Forbidden \"error code: 1010\""},
        {409, api(409, "Conflict", "a move is under way"), FailureKind::transient,
         "409 Conflict \"a move is under way\""},
        {422, "", FailureKind::lead, "422 Unprocessable Entity"},
        {500, "<html>\n<b>oops\t</b>\x01", FailureKind::transient,
         "500 Internal Server Error \"<html> <b>oops </b>\""},
        {503, std::string(1'000, 'x'), FailureKind::transient,
         "503 Service Unavailable \"" + std::string(200, 'x') + "\""},
        {301, "", FailureKind::transient, "301 Moved Permanently"},
        {401, api(401, "Unauthorized", (std::string{"key "} + key + " is unknown").c_str()), FailureKind::workspace,
         "401 Unauthorized \"key *** is unknown\""},
        {401, std::string{"Bearer "} + key, FailureKind::workspace, "401 Unauthorized \"Bearer ***\""},
        {401, std::string(190, 'x') + " " + key, FailureKind::workspace,
         "401 Unauthorized \"" + std::string(190, 'x') + " ***\""},
    };
    for (const auto& [status, body, kind, message] : table) {
        answers.push_back({status, body, ""});
        const auto failure = failure_of([&] { return client.merge_leads(lead_id(1), lead_id(2)); });
        EXPECT_EQ(failure.failure().kind, kind) << message;
        EXPECT_EQ(failure.what(), "POST /api/v2/leads/merge: " + message);
        EXPECT_EQ(failure.status(), status);
        EXPECT_EQ(failure.in_doubt(), status >= 500) << message;
        EXPECT_FALSE(failure.failure().rate_limited);
    }
}

TEST_F(InstantlyClientTest, A429SaysHowLongToWait) {
    answers.push_back(
        {429, R"({"statusCode":429,"error":"Too Many Requests","message":"Rate limit exceeded"})", "3"});
    const auto failure = failure_of([&] { return client.get_lead(lead_id(1)); });
    EXPECT_TRUE(failure.failure().rate_limited);
    EXPECT_EQ(failure.failure().retry_after, std::chrono::seconds{3});
    EXPECT_EQ(failure.failure().kind, FailureKind::transient);
    EXPECT_FALSE(failure.in_doubt());
}

TEST_F(InstantlyClientTest, ALeadThatIsGoneIsAnAnswerAndNoFailure) {
    const json gone{{"statusCode", 404}, {"error", "Not Found"}, {"message", "Lead not found"}};
    for (int i = 0; i < 3; ++i) answer(404, gone);
    EXPECT_EQ(run(client.get_lead(lead_id(1))).has_value(), false);
    EXPECT_EQ(run(client.update_lead(lead_id(1), {{"phone", "1"}})).has_value(), false);
    EXPECT_FALSE(run(client.delete_lead(lead_id(1))));
}

TEST_F(InstantlyClientTest, A404ThatIsNotTheApisOwnIsNoEvidenceOfDeletion) {
    answers.push_back({404, "<html>nginx</html>", ""});
    EXPECT_EQ(failure_of([&] { return client.get_lead(lead_id(1)); }).failure().kind, FailureKind::transient);
    answer(404, {{"statusCode", 404}, {"error", "Not Found"}, {"message", "Route GET:/api/v2/leads/x not found"}});
    EXPECT_THROW(run(client.get_lead(lead_id(1))), ApiError);
    answers.push_back({404, "", ""});
    EXPECT_THROW(run(client.delete_lead(lead_id(1))), ApiError);
}

TEST_F(InstantlyClientTest, AnAnswerAboutAnotherLeadIsRefused) {
    for (int i = 0; i < 5; ++i) answer(200, lead(2));
    EXPECT_THROW(run(client.get_lead(lead_id(1))), ApiError);
    EXPECT_THROW(run(client.update_lead(lead_id(1), {{"phone", "1"}})), ApiError);
    EXPECT_THROW(run(client.merge_leads(lead_id(2), lead_id(1))), ApiError);
    EXPECT_THROW(run(client.move_to_subsequence(lead_id(1), "s")), ApiError);
    EXPECT_THROW(run(client.remove_from_subsequence(lead_id(1))), ApiError);
}

TEST_F(InstantlyClientTest, EachCallSendsTheDocumentedRequest) {
    const json job{{"id", "65a1b2c3d4e5f60718293a4b"}, {"status", "pending"}};
    answer(200, lead(1));
    answer(200, lead(1));
    answer(200, lead(1));
    answer(202, {{"message", "submitted"}});
    answers.push_back({202, "", ""});
    answer(200, job);
    answer(200, lead(1));
    answer(200, lead(1));
    answer(200, lead(1));
    answer(202, {{"status", "ok"}});
    EXPECT_TRUE(run(client.get_lead(lead_id(1))).has_value());
    EXPECT_TRUE(run(client.update_lead(lead_id(1), {{"phone", "1"}})).has_value());
    EXPECT_TRUE(run(client.delete_lead(lead_id(1))));
    run(client.update_interest({"a@b.c", 2, campaign, {}}));
    run(client.update_interest({"a@b.c", std::nullopt, {}, list}));
    EXPECT_EQ(run(client.move_leads({{lead_id(1)}, campaign, {}, {}, list})).state, JobState::running);
    run(client.merge_leads(lead_id(2), lead_id(1)));
    run(client.move_to_subsequence(lead_id(1), "s"));
    run(client.remove_from_subsequence(lead_id(1)));
    run(client.assign_leads({lead_id(1)}, "u"));

    const auto one = lead_id(1).text;
    const std::vector<std::pair<std::string, json>> expected{
        {"GET /api/v2/leads/" + one, nullptr},
        {"PATCH /api/v2/leads/" + one, {{"phone", "1"}}},
        {"DELETE /api/v2/leads/" + one, nullptr},
        {"POST /api/v2/leads/update-interest-status",
         {{"lead_email", "a@b.c"}, {"interest_value", 2}, {"campaign_id", campaign.text}}},
        {"POST /api/v2/leads/update-interest-status",
         {{"lead_email", "a@b.c"}, {"interest_value", nullptr}, {"list_id", list.text}}},
        {"POST /api/v2/leads/move",
         {{"ids", {one}}, {"campaign", campaign.text}, {"to_list_id", list.text}, {"reset_interest_status", false}}},
        {"POST /api/v2/leads/merge", {{"lead_id", lead_id(2).text}, {"destination_lead_id", one}}},
        {"POST /api/v2/leads/subsequence/move", {{"id", one}, {"subsequence_id", "s"}}},
        {"POST /api/v2/leads/subsequence/remove", {{"id", one}}},
        {"POST /api/v2/leads/bulk-assign", {{"ids", {one}}, {"organization_user_ids", {"u"}}}},
    };
    ASSERT_EQ(seen.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ(seen[i].line, expected[i].first);
        EXPECT_EQ(seen[i].body, expected[i].second);
    }
    EXPECT_EQ(gates, static_cast<int>(expected.size())) << "every request waits for its turn";
}

TEST_F(InstantlyClientTest, WhatWouldReachLeadsItDoesNotNameIsNeverSent) {
    EXPECT_THROW(run(client.update_interest({"a@b.c", 1, {}, {}})), std::invalid_argument);
    EXPECT_THROW(run(client.move_leads({{}, campaign, {}, other_campaign, {}})), std::invalid_argument);
    EXPECT_THROW(run(client.move_leads({{lead_id(1)}, {}, {}, campaign, {}})), std::invalid_argument);
    EXPECT_THROW(run(client.move_leads({{lead_id(1)}, campaign, {}, other_campaign, list})), std::invalid_argument);
    EXPECT_THROW(run(client.assign_leads({}, "u")), std::invalid_argument);
    EXPECT_THROW(run(client.add_leads(campaign, list, {{{"email", "a@b.c"}}})), std::invalid_argument);
    EXPECT_THROW(run(client.add_leads(campaign, {}, {})), std::invalid_argument);
    EXPECT_THROW(run(client.update_lead(lead_id(1), json::object())), std::invalid_argument);
    EXPECT_TRUE(seen.empty());
}

TEST_F(InstantlyClientTest, AJobsStateAndWhatItMovedAreRead) {
    const auto job = [](const char* status, json data) {
        return json{{"id", "j"}, {"status", status}, {"data", std::move(data)}};
    };
    answer(200, job("in-progress", {{"moved_leads", 0}}));
    answer(200, job("success", {{"moved_leads", 3}}));
    answer(200, job("cancelled", nullptr));
    answer(200, job("paused", json::object()));
    answer(200, {{"id", "another"}, {"status", "success"}});
    EXPECT_EQ(run(client.get_job({"j"})).state, JobState::running);
    EXPECT_EQ(seen.at(0).line, "GET /api/v2/background-jobs/j?data_fields=moved_leads");
    const auto success = run(client.get_job({"j"}));
    EXPECT_EQ(success.state, JobState::success);
    EXPECT_EQ(success.moved_leads, 3);
    EXPECT_EQ(run(client.get_job({"j"})).state, JobState::failed);
    EXPECT_EQ(run(client.get_job({"j"})).moved_leads, std::nullopt);
    EXPECT_THROW(run(client.get_job({"j"})), ApiError);
}

TEST_F(InstantlyClientTest, AddedLeadsAreToldByTheirPlaceInTheRequest) {
    answer(200, {{"duplicated_leads", 1},
                 {"skipped_count", 2},
                 {"invalid_email_count", 3},
                 {"incomplete_count", 4},
                 {"in_blocklist", 5},
                 {"duplicate_email_count", 6},
                 {"remaining_in_plan", nullptr},
                 {"created_leads", {{{"index", 1}, {"id", lead_id(7).text}, {"email", "B@example.com"}}}}});
    const auto added =
        run(client.add_leads(campaign, {}, {{{"email", "a@example.com"}}, {{"email", "b@example.com"}}}));
    EXPECT_EQ(seen.at(0).body.at("campaign_id"), campaign.text);
    EXPECT_EQ(seen.at(0).body.at("leads").size(), 2U);
    ASSERT_EQ(added.created.size(), 1U);
    EXPECT_EQ(added.created[0].index, 1U);
    EXPECT_EQ(added.created[0].id, lead_id(7));
    EXPECT_EQ(added.duplicated, 1);
    EXPECT_EQ(added.duplicate_in_request, 6);
    EXPECT_EQ(added.in_blocklist, 5);
    EXPECT_EQ(added.remaining_in_plan, std::nullopt);
}

TEST_F(InstantlyClientTest, IdsOfCreatedLeadsThatCannotBeTheirsAreRefused) {
    const json good{{"index", 0}, {"id", lead_id(1).text}, {"email", "a@example.com"}};
    const auto with = [&](const char* name, json value) {
        auto changed = good;
        changed[name] = std::move(value);
        return changed;
    };
    const std::vector<json> table{json::array({with("index", 1)}),
                                  json::array({with("index", -1)}),
                                  json::array({with("index", nullptr)}),
                                  json::array({with("id", "no uuid")}),
                                  json::array({with("id", nullptr)}),
                                  json::array({with("email", "b@example.com")}),
                                  json::array({good, good}),
                                  json::array({1}),
                                  nullptr};
    for (const auto& created : table) {
        answer(200, {{"created_leads", created}});
        const auto failure = failure_of([&] { return client.add_leads({}, list, {{{"email", "a@example.com"}}}); });
        EXPECT_TRUE(failure.in_doubt()) << created;
    }
}

TEST_F(InstantlyClientTest, ListingsAreReadToTheirEndPageByPage) {
    answer(200, page({{{"id", "1"}, {"name", "One"}, {"status", 1}}}, "2026-01-01T00:00:00+00:00"));
    answer(200, page({{{"id", "1"}, {"name", "One"}}, {{"id", "2"}, {"name", "Two"}}}, "2"));
    answer(200, page({}));
    const auto campaigns = run(client.list_campaigns());
    EXPECT_EQ(seen.at(0).line, "GET /api/v2/campaigns?limit=100");
    EXPECT_EQ(seen.at(1).line, "GET /api/v2/campaigns?limit=100&starting_after=2026-01-01T00%3A00%3A00%2B00%3A00");
    ASSERT_EQ(campaigns.size(), 2U) << "an item that two pages repeat counts once";
    EXPECT_EQ(campaigns[0].name, "One");
    EXPECT_EQ(campaigns[0].status, 1);
    EXPECT_EQ(campaigns[1].raw.at("name"), "Two");

    answer(200, page({{{"id", "l"}, {"name", "List"}}}));
    EXPECT_EQ(run(client.list_lead_lists()).at(0).id.text, "l");
    answer(200, page({{{"id", "x"}, {"label", "Hot"}, {"interest_status", 4711}}}));
    EXPECT_EQ(run(client.list_lead_labels()).at(0).interest_status, 4711);
}

TEST_F(InstantlyClientTest, AListingWhoseCursorDoesNotAdvanceIsAnErrorAndNoLoop) {
    answer(200, page({{{"id", "1"}}}, "1"));
    answer(200, page({{{"id", "2"}}}, "1"));
    EXPECT_THROW(run(client.list_campaigns()), ApiError);
    answer(200, page({json{{"name", "without an id"}}}));
    EXPECT_THROW(run(client.list_lead_lists()), ApiError);
}

TEST_F(InstantlyClientTest, TheWorkspaceAndItsRoomAreTold) {
    answer(200, {{"id", "w"}, {"name", "Acme"}});
    answer(200, {{"subscriptions", {{"outreach", {{"current_lead_count", 12}}}, {"bundle", nullptr}}}});
    answer(200, {{"subscriptions", {{"bundle", {{"current_lead_count", 3'000'000'000}}}}}});
    answer(200, json::object());
    answer(403, {{"message", "missing scope"}});
    answer(401, {{"message", "Invalid API key"}});
    EXPECT_EQ(run(client.current_workspace()).name, "Acme");
    EXPECT_EQ(run(client.lead_count()), 12);
    EXPECT_EQ(run(client.lead_count()), 3'000'000'000);
    EXPECT_EQ(run(client.lead_count()), std::nullopt);
    EXPECT_EQ(run(client.lead_count()), std::nullopt);
    EXPECT_THROW(run(client.lead_count()), ApiError);
}

TEST_F(InstantlyClientTest, AnIdCannotReachAnotherPath) {
    answer(404, {{"message", "not found"}});
    run(client.get_lead({"../campaigns?x=1#y"}));
    EXPECT_EQ(seen.at(0).line, "GET /api/v2/leads/..%2Fcampaigns%3Fx%3D1%23y");
}

TEST_F(InstantlyClientTest, AKeyThatIsNoneIsRefusedWithoutBeingShown) {
    asio::io_context io;
    TransportOptions plain;
    plain.base_url = "http://localhost";
    HttpTransport transport{io.get_executor(), plain};
    for (const char* broken : {"", "key\n", "two words", "caf\xC3\xA9"}) {
        try {
            const Client refused{transport, broken, {}};
            ADD_FAILURE() << broken;
        } catch (const std::invalid_argument& error) {
            EXPECT_TRUE(*broken == '\0' || std::string_view{error.what()}.find(broken) == std::string_view::npos);
        }
    }
}

TEST(PeersWords, AreOneShortPrintableLine) {
    EXPECT_EQ(words_of("", ""), "");
    EXPECT_EQ(words_of(R"({"message":"a\nb"})", ""), "a b");
    EXPECT_EQ(words_of(R"({"nothing":"known"})", ""), R"({"nothing":"known"})");
    EXPECT_EQ(words_of("é" + std::string(300, 'x'), "").size(), 200U);
    EXPECT_EQ(words_of(std::string(199, 'x') + "éé", ""), std::string(199, 'x') + "é") << "cut between characters";
    EXPECT_EQ(words_of("s3cret s3cret", "s3cret"), "*** ***");
}

}  // namespace
}  // namespace leadsync::instantly
