#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/chaos/dice.hpp"
#include "tests/chaos/mishaps.hpp"
#include "tests/chaos/people.hpp"
#include "tests/sandbox/server.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/test_database.hpp"

namespace leadsync::chaos {

/// What a round came to.
struct Report {
    std::vector<std::string> broken;  ///< guarantees that do not hold; empty: all do
    std::size_t workspaces = 0;
    std::size_t edits = 0;
    int kills = 0;
    int database_restarts = 0;
    int cuts = 0;
    std::size_t requests = 0;
    std::size_t most_in_a_second = 0;  ///< of any workspace, counted at the server
    std::string log;                   ///< the daemon's last words, when something is broken
};

/// A world of its own: an Instantly server with two or three workspaces, an empty database, the daemon. Turmoil, then
/// quiet, then the verdict. The seed decides what people and mishaps do; how it meets the daemon is the machine's.
class Round {
public:
    explicit Round(std::uint64_t seed);
    Report run();

private:
    void write_config();
    void turmoil();
    void quiet();
    bool comes_to_rest();
    std::vector<sandbox::ControlClient*> doors();
    std::string value(const std::string& query);
    template <class Items>
    const char* one_of(const Items& items) {
        return dice_.one_of(items);
    }

    Dice dice_;
    test_support::TemporaryDirectory folder_;
    test_support::TestDatabase database_;
    std::vector<sandbox::WorkspaceSettings> workspaces_;
    std::unique_ptr<sandbox::Server> server_;
    std::vector<std::unique_ptr<People>> people_;
    bool pushes_deletes_ = false;
    Report report_;
    std::unique_ptr<Mishaps> mishaps_;
    std::unique_ptr<Victim> victim_;
};

}  // namespace leadsync::chaos
