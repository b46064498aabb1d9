#include "tests/chaos/mishaps.hpp"

#include <array>
#include <csignal>

#include <fmt/format.h>
#include <pqxx/pqxx>

#include "tests/support/test_cluster.hpp"

namespace leadsync::chaos {

using namespace std::chrono_literals;
using nlohmann::json;

namespace {

/// Of the switches that change within a round: nothing goes wrong.
json calm() {
    return {{"job_outcome", "success"},
            {"hidden_share", 0},
            {"empty_lists", false},
            {"revoked", false},
            {"unpaid", false},
            {"plan_limit", -1},
            {"per_second", 100},
            {"ignore_writes_every", 0},
            {"scopes", {"all:all"}},
            {"refused_ids", json::array()},
            {"gone_places", json::array()}};
}

}  // namespace

// --- the daemon ---------------------------------------------------------------------------------------------------

void Victim::start() {
    process_ = std::make_unique<test_support::Process>(std::vector<std::string>{LEADSYNC_HASTY, config_file_});
}

void Victim::kill() {
    process_->kill();
    log_ += process_->errors();
    ++kills_;
}

void Victim::stop() {
    process_->send(SIGTERM);
    const auto status = process_->wait(10s);
    if (!status)
        broken_.emplace_back("the daemon was still there 10 s after SIGTERM");
    else if (*status != 0)
        broken_.push_back(fmt::format("the daemon ended with status {} after SIGTERM", *status));
    if (!status) process_->kill();
    log_ += process_->errors();
}

void Victim::look_after() {
    if (process_->running()) return;
    log_ += process_->errors();
    broken_.push_back(
        fmt::format("the daemon ended by itself with status {}: {}", process_->wait().value_or(-1), last_words(1)));
    start();
}

std::string Victim::last_words(std::size_t lines) const {
    auto text = log_;
    if (process_ && process_->running()) text += process_->errors();
    while (!text.empty() && text.back() == '\n') text.pop_back();
    auto begin = text.size();
    for (std::size_t i = 0; i < lines && begin != std::string::npos && begin > 0; ++i)
        begin = text.rfind('\n', begin - 1);
    return begin == std::string::npos ? text : text.substr(begin == 0 ? 0 : begin + 1);
}

// --- Instantly ----------------------------------------------------------------------------------------------------

Mishaps::Mishaps(std::string database_url, sandbox::Server& server, Dice& dice)
    : database_url_{std::move(database_url)}, server_{server}, dice_{dice} {}

void Mishaps::draw_nature(const std::vector<sandbox::ControlClient*>& workspaces) {
    lists_lie_ = dice_.chance(0.3);
    if (dice_.chance(0.4)) read_lag_ = std::chrono::milliseconds{dice_.below(800)};
    static constexpr std::array cursors{"accept", "accept", "accept", "400", "404", "empty", "ignore"};
    const json nature{{"latency_ms", dice_.below(15)},
                      {"latency_spread_ms", dice_.below(30)},
                      {"gzip", dice_.chance(0.5)},
                      {"clock_ahead_ms", dice_.below(500)},
                      {"limit_over_100", dice_.chance(0.5) ? "400" : "empty"},
                      {"unknown_cursor", cursors.at(dice_.below(cursors.size()))},
                      {"read_lag_ms", read_lag_.count()},
                      {"interest_delay_ms", dice_.below(400)},
                      {"assign_delay_ms", dice_.below(400)},
                      {"job_delay_ms", dice_.below(600)},
                      {"interest_status_code", dice_.chance(0.5) ? 200 : 202},
                      {"custom_variables", dice_.chance(0.5) ? "replace" : "merge"},
                      {"null_removes", dice_.chance(0.5)},
                      {"empty_removes", dice_.chance(0.5)},
                      {"numbers_as_text", dice_.chance(0.3)},
                      {"normalise_trim", dice_.chance(0.5)},
                      {"normalise_email", dice_.chance(0.5)},
                      {"normalise_phone", dice_.chance(0.5)},
                      {"normalise_website", dice_.chance(0.5)},
                      {"retry_after", dice_.chance(0.5)}};
    for (auto* workspace : workspaces) workspace->set_switches(nature);
}

void Mishaps::refuse_some(sandbox::ControlClient& workspace, json& switches) {
    const auto after = fmt::format("{:02x}000000-0000-4000-8000-000000000000", dice_.below(256));
    for (const auto& lead : workspace.leads(after, 1 + dice_.below(3)))
        switches["refused_ids"].push_back(lead.at("id"));
}

/// As if somebody deleted it: it is listed no more, nor are its leads by it.
void Mishaps::lose_a_place(sandbox::ControlClient& workspace, json& switches) {
    const auto counts = workspace.counts();
    std::vector<std::string> places;
    for (const auto* kind : {"campaigns", "lists"})
        for (const auto& [place, leads] : counts.at(kind).items()) places.push_back(place);
    switches["gone_places"].push_back(dice_.one_of(places));
}

void Mishaps::draw_faults(const std::vector<sandbox::ControlClient*>& workspaces) {
    static constexpr std::array kinds{"status", "reset", "lost", "cut", "garbage", "cdn", "empty", "ignored", "hang"};
    static constexpr std::array outcomes{"success", "failed", "moved_nothing", "partial"};
    for (auto* workspace : workspaces) {
        workspace->clear_faults();
        auto switches = calm();
        if (dice_.chance(0.7)) {
            for (std::uint64_t i = 0; i <= dice_.below(3); ++i) {
                json fault{{"kind", dice_.one_of(kinds)},
                           {"probability", 0.05 + 0.05 * static_cast<double>(dice_.below(8))}};
                if (fault["kind"] == "empty" && !lists_lie_) fault["kind"] = "hang";
                if (fault["kind"] == "hang") fault["ms"] = dice_.below(1'500);
                if (fault["kind"] == "status" && dice_.chance(0.3))
                    fault["acted"] = true;
                else if (fault["kind"] == "status" && dice_.chance(0.4))
                    fault["status"] = dice_.chance(0.5) ? 429 : 409;
                workspace->add_fault(fault);
            }
            if (dice_.chance(0.4)) switches["job_outcome"] = dice_.one_of(outcomes);
            if (dice_.chance(0.15)) switches["ignore_writes_every"] = 2 + dice_.below(5);
            if (dice_.chance(0.1)) switches["plan_limit"] = 1;
            if (dice_.chance(0.05)) switches["revoked"] = true;
            if (dice_.chance(0.05)) switches["unpaid"] = true;
            if (dice_.chance(0.05)) switches["scopes"] = {"leads:read"};
            if (dice_.chance(0.1)) switches["per_second"] = 10;  // others use the workspace too
            if (dice_.chance(0.15)) refuse_some(*workspace, switches);
            if (dice_.chance(0.1)) lose_a_place(*workspace, switches);
            if (lists_lie_ && dice_.chance(0.4)) switches["hidden_share"] = 0.2;
            if (lists_lie_ && dice_.chance(0.2)) switches["empty_lists"] = true;
        }
        workspace->set_switches(switches);
    }
}

void Mishaps::end(const std::vector<sandbox::ControlClient*>& workspaces) {
    for (auto* workspace : workspaces) {
        workspace->clear_faults();
        workspace->set_switches(calm());
    }
}

void Mishaps::restart_instantly() {
    server_.stop();
    server_.start();
    ++cuts_;
}

// --- PostgreSQL ---------------------------------------------------------------------------------------------------

void Mishaps::cut_database_connections() {
    pqxx::connection administrator{database_url_};
    pqxx::nontransaction{administrator}.exec(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
        "pg_backend_pid()");
    ++cuts_;
}

void Mishaps::restart_database() {
    test_support::restart_test_cluster(dice_.chance(0.5) ? test_support::ServerEnd::fast
                                                         : test_support::ServerEnd::crash);
    ++database_restarts_;
}

}  // namespace leadsync::chaos
