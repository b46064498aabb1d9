#include "tests/chaos/round.hpp"

#include <array>
#include <fstream>
#include <thread>

#include <fmt/format.h>
#include <pqxx/pqxx>

#include "tests/chaos/verdict.hpp"
#include "tests/support/eventually.hpp"

namespace leadsync::chaos {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr auto turmoil_lasts = 6s;
constexpr auto rest_within = 60s;

}  // namespace

Round::Round(std::uint64_t seed) : dice_{seed} {
    report_.workspaces = 2 + dice_.below(2);
    for (std::size_t i = 0; i < report_.workspaces; ++i) {
        sandbox::WorkspaceSettings settings;
        settings.name = fmt::format("team-{}", i + 1);
        settings.api_key = fmt::format("chaos-key-{}", i + 1);
        settings.seed = seed * 8 + i;
        settings.leads = static_cast<std::uint32_t>(40 + dice_.below(180));
        settings.list_share = 0.3;  // so that every workspace has leads in lists
        settings.campaigns = 3;
        settings.lists = 2;
        settings.documented_lead = false;
        workspaces_.push_back(settings);
    }
    sandbox::ServerSettings settings;
    settings.workspaces = workspaces_;
    server_ = std::make_unique<sandbox::Server>(settings);
    for (const auto& workspace : workspaces_)
        people_.push_back(std::make_unique<People>(workspace.name, database_.url(), server_->port(), dice_));
    mishaps_ = std::make_unique<Mishaps>(database_.url(), *server_, dice_);
    write_config();
    victim_ = std::make_unique<Victim>((folder_.path() / "leadsync.yaml").string(), report_.broken);
}

void Round::write_config() {
    constexpr std::array rules{"local", "remote", "newest", "manual"};
    pushes_deletes_ = dice_.chance(0.5);
    std::ofstream file{folder_.path() / "leadsync.yaml"};
    file << "database: { url: \"" << database_.url() << "\" }\nlog: { format: json }\nworkspaces:\n";
    for (const auto& workspace : workspaces_) {
        file << "  - name: " << workspace.name << "\n    api_key: " << workspace.api_key
             << "\n    base_url: " << server_->url()
             << "\n    rate: { per_second: 100, per_minute: 6000, share: 0.9 }\n"
                "    freshness: { new: 200ms, rest: 1s }\n"
             << "    conflicts: { default: " << one_of(rules) << ", custom_variables: " << one_of(rules)
             << ", first_name: " << one_of(rules) << " }\n"
             << "    deletes: { remote: " << (dice_.chance(0.5) ? "mark" : "delete")
             << ", local: " << (pushes_deletes_ ? "push" : "ignore") << " }\n"
             << "    guard: { deletes: " << (dice_.chance(0.3) ? "3" : "off")
             << ", creates: " << (dice_.chance(0.3) ? "3" : "off")
             << ", changes: " << (dice_.chance(0.3) ? "10" : "off") << " }\n";
    }
}

Report Round::run() {
    mishaps_->draw_nature(doors());
    victim_->start();
    // Rows of a workspace that was never configured are refused.
    const auto all_known = [&] {
        return value("SELECT count(*) FROM crm.workspaces") == std::to_string(workspaces_.size());
    };
    if (!test_support::eventually(all_known)) throw std::runtime_error{"the daemon does not start"};
    turmoil();
    quiet();
    victim_->stop();
    for (const auto& people : people_) {
        const auto found = broken_guarantees(*people, {.database_url = database_.url(),
                                                       .lists_lie = mishaps_->lists_lie(),
                                                       .pushes_deletes = pushes_deletes_,
                                                       .read_lag = mishaps_->read_lag()});
        report_.broken.insert(report_.broken.end(), found.begin(), found.end());
        report_.edits += people->edits();
    }
    const auto statistics = people_.front()->instantly().statistics();
    for (const auto& [endpoint, count] : statistics.at("endpoints").items())
        report_.requests += count.get<std::size_t>();
    for (const auto& [name, workspace] : statistics.at("workspaces").items())
        report_.most_in_a_second =
            std::max(report_.most_in_a_second, workspace.at("max_per_second").get<std::size_t>());
    report_.kills = victim_->kills();
    report_.database_restarts = mishaps_->database_restarts();
    report_.cuts = mishaps_->cuts();
    if (!report_.broken.empty()) report_.log = victim_->last_words(40);
    return std::move(report_);
}

std::vector<sandbox::ControlClient*> Round::doors() {
    std::vector<sandbox::ControlClient*> doors;
    for (const auto& people : people_) doors.push_back(&people->instantly());
    return doors;
}

void Round::turmoil() {
    const auto end = steady_clock::now() + turmoil_lasts;
    auto next_faults = steady_clock::now() + milliseconds{dice_.below(1'500)};
    auto next_kill = steady_clock::now() + milliseconds{300 + dice_.below(2'500)};
    auto next_cut = steady_clock::now() + milliseconds{dice_.below(3'000)};
    while (steady_clock::now() < end) {
        dice_.one_of(people_)->act();
        const auto now = steady_clock::now();
        if (now >= next_faults) {
            mishaps_->draw_faults(doors());
            next_faults = now + milliseconds{300 + dice_.below(1'500)};
        }
        if (now >= next_cut) {
            const auto draw = dice_.below(3);
            if (draw == 0)
                mishaps_->restart_database();
            else if (draw == 1)
                mishaps_->cut_database_connections();
            else
                mishaps_->restart_instantly();
            next_cut = now + milliseconds{1'000 + dice_.below(3'000)};
        }
        if (now >= next_kill) {
            victim_->kill();
            victim_->start();
            next_kill = now + milliseconds{300 + dice_.below(2'500)};
        }
        victim_->look_after();
        // Now and then a lot happens at once.
        if (!dice_.chance(0.3)) std::this_thread::sleep_for(milliseconds{dice_.below(60)});
    }
}

/// Nothing fails any more, and what waits for people is decided: everything comes to rest.
void Round::quiet() {
    mishaps_->end(doors());
    constexpr int visits = 6;
    for (int visit = 0; visit < visits; ++visit) {
        if (!comes_to_rest()) return;
        bool any = false;
        for (const auto& people : people_) any = people->see_to_what_is_left(visit) || any;
        if (!any) return;
    }
    report_.broken.emplace_back("what is decided again and again does not come to rest");
}

/// Queues are empty but for what waits for people, and two sweeps that began after that are over: what one finds
/// missing is dealt with before the next begins.
bool Round::comes_to_rest() {
    const auto deadline = steady_clock::now() + rest_within;
    const auto left = [&] { return std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now()); };
    const std::string waiting{" FROM sync.queue WHERE dead_at IS NULL AND held_at IS NULL"};
    const auto drained = [&] {
        victim_->look_after();
        return value("SELECT count(*)" + waiting) == "0";
    };
    const auto swept_since = [&](const std::string& instant) {
        return test_support::eventually(
            [&] {
                return value("SELECT coalesce(min(fresh_as_of), '-infinity') > '" + instant + "' FROM crm.workspaces")
                       == "t";
            },
            left());
    };
    for (;;) {
        const bool quiet = test_support::eventually(drained, left());
        if (!quiet) {
            report_.broken.push_back("does not come to rest: "
                                     + value("SELECT string_agg(queue::text, '; ')" + waiting));
            return false;
        }
        // Of a lead that was written lately a sweep's silence says nothing (hasty_daemon.cpp, patience).
        const auto then = value("SELECT clock_timestamp() + interval '3.5 seconds'");
        if (!swept_since(then) || !swept_since(value("SELECT max(fresh_as_of) FROM crm.workspaces"))) {
            report_.broken.push_back("no sweep is completed: "
                                     + value("SELECT string_agg(workspaces::text, '; ') FROM crm.workspaces"));
            return false;
        }
        // A sweep may have brought in what has to be pushed.
        if (drained()) return true;
    }
}

std::string Round::value(const std::string& query) {
    pqxx::connection connection{database_.url()};
    pqxx::nontransaction reading{connection};
    return reading.exec(query)[0][0].as<std::string>("null");
}

}  // namespace leadsync::chaos
