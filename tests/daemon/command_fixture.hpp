#pragma once

#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <pqxx/pqxx>

#include "tests/sandbox/control_client.hpp"
#include "tests/sandbox/server.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/test_database.hpp"

namespace leadsync::daemon {

/// The program itself, as a user starts it.
class Command : public testing::Test {
protected:
    void write_config(const std::string& extra = "", const std::string& workspace_extra = "") {
        std::ofstream file{directory_.path() / "leadsync.yaml"};
        file << "database: { url: \"" << database_.url() << "\" }\nlog: { format: json }\n"
             << extra << "workspaces:\n  - name: acme\n    api_key: ${SANDBOX_KEY}\n    base_url: " << server_->url()
             << "\n    rate: { per_second: 100, per_minute: 6000, share: 1 }\n"
             << workspace_extra;
    }

    void serve(std::uint32_t leads, int latency_ms = 0) {
        sandbox::ServerSettings settings;
        settings.workspaces.front().leads = leads;
        settings.switches.latency_ms = latency_ms;
        settings.switches.rate_limit = false;
        server_.emplace(settings);
        instantly_.emplace(server_->port());
        write_config();
    }

    std::unique_ptr<test_support::Process> start(std::vector<std::string> arguments,
                                                 std::string key = sandbox::WorkspaceSettings{}.api_key) {
        arguments.insert(arguments.begin(), LEADSYNC_PROGRAM);
        return std::make_unique<test_support::Process>(
            arguments, test_support::ProcessOptions{.environment = {{"SANDBOX_KEY", std::move(key)}},
                                                    .folder = directory_.path()});
    }

    struct Outcome {
        int status;
        std::string output;
        std::string errors;
    };
    Outcome run(const std::vector<std::string>& arguments,
                const std::string& key = sandbox::WorkspaceSettings{}.api_key) {
        const auto process = start(arguments, key);
        const auto status = process->wait(std::chrono::seconds{60});
        return {status.value_or(-1), process->output(), process->errors()};
    }

    /// What a listing prints with `--json`.
    nlohmann::json listed(std::vector<std::string> arguments) {
        arguments.emplace_back("--json");
        return nlohmann::json::parse(run(arguments).output);
    }

    /// As a user of the database.
    void sql(const std::string& statement) {
        pqxx::connection connection{database_.url()};
        pqxx::nontransaction{connection}.exec(statement);
    }

    std::string value(const std::string& query) {
        pqxx::connection connection{database_.url()};
        pqxx::work transaction{connection};
        const auto rows = transaction.exec(query);
        return rows.empty() ? "no row" : rows[0][0].as<std::string>("null");
    }

    test_support::TemporaryDirectory directory_;
    test_support::TestDatabase database_{test_support::TestDatabase::Contents::nothing};
    std::optional<sandbox::Server> server_;
    std::optional<sandbox::ControlClient> instantly_;
};

}  // namespace leadsync::daemon
