#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/chaos/dice.hpp"
#include "tests/sandbox/control_client.hpp"
#include "tests/sandbox/server.hpp"
#include "tests/support/process.hpp"

namespace leadsync::chaos {

/// The daemon of a round, which is killed and started again.
class Victim {
public:
    Victim(std::string config_file, std::vector<std::string>& broken)
        : config_file_{std::move(config_file)}, broken_{broken} {}

    void start();
    void kill();
    /// As an operator does it; a daemon that does not end within ten seconds with status 0 is a finding.
    void stop();
    /// A daemon that has ended by itself is a finding, and is started again.
    void look_after();

    [[nodiscard]] int kills() const { return kills_; }
    /// What it said last.
    [[nodiscard]] std::string last_words(std::size_t lines) const;

private:
    std::string config_file_;
    std::vector<std::string>& broken_;
    std::unique_ptr<test_support::Process> process_;
    std::string log_;
    int kills_ = 0;
};

/// What goes wrong around the daemon.
class Mishaps {
public:
    Mishaps(std::string database_url, sandbox::Server& server, Dice& dice);

    /// How the server is for this round: facts that are contradictory or unknown.
    void draw_nature(const std::vector<sandbox::ControlClient*>& workspaces);
    /// Faults for the next second or so.
    void draw_faults(const std::vector<sandbox::ControlClient*>& workspaces);
    /// Everything works from here on.
    void end(const std::vector<sandbox::ControlClient*>& workspaces);

    void cut_database_connections();
    void restart_database();
    void restart_instantly();

    /// Rows are hidden and lists come empty in this round: what is there can't be known then.
    [[nodiscard]] bool lists_lie() const { return lists_lie_; }
    [[nodiscard]] std::chrono::milliseconds read_lag() const { return read_lag_; }
    [[nodiscard]] int database_restarts() const { return database_restarts_; }
    [[nodiscard]] int cuts() const { return cuts_; }

private:
    void refuse_some(sandbox::ControlClient& workspace, nlohmann::json& switches);
    void lose_a_place(sandbox::ControlClient& workspace, nlohmann::json& switches);

    std::string database_url_;
    sandbox::Server& server_;
    Dice& dice_;
    bool lists_lie_ = false;
    std::chrono::milliseconds read_lag_{};
    int database_restarts_ = 0;
    int cuts_ = 0;
};

}  // namespace leadsync::chaos
