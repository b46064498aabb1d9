#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "daemon/workspace_sync.hpp"
#include "tests/simulation/model_store.hpp"
#include "tests/simulation/simulated_instantly.hpp"
#include "tests/simulation/user_edits.hpp"
#include "tests/simulation/virtual_time.hpp"

namespace leadsync::simulation {

/// What a run came to.
struct Outcome {
    std::vector<std::string> broken;  ///< properties that did not hold; empty: all did
    int crashes = 0;
    std::size_t requests = 0;
    std::size_t edits = 0;
};

/// The whole engine on virtual time, between a model of the store and the sandbox without its sockets: a seeded
/// random world with people who edit on both sides, every fault of the sandbox, a store that fails, and crashes
/// between any two steps. The same seed is the same run.
class SimulatedWorld {
public:
    explicit SimulatedWorld(std::uint64_t seed, bool verbose = false);
    ~SimulatedWorld();

    /// Turmoil, then quiet; then what has to hold (DESIGN §2) is checked.
    Outcome run();

private:
    struct Engine;

    // how it goes on
    void start_engine();
    void stop_engine();
    void run_until(sync::SteadyTime end);
    boost::asio::awaitable<void> step();
    boost::asio::awaitable<void> store_delay();

    // what people do
    void draw_settings();
    void draw_faults();
    void turmoil();
    void someone_acts();
    void local_edit(const std::optional<sync::LeadId>& id);
    void edit_what_is_in_hand();
    void local_insert();
    void local_delete();
    void local_merge();
    void operator_decides();
    void remote_edit();
    void remote_add();
    void remote_move();
    void remote_delete();
    void quiet();

    // what is drawn
    std::uint64_t random(std::uint64_t below) {
        return std::uniform_int_distribution<std::uint64_t>{0, below - 1}(dice_);
    }
    bool chance(double probability) { return std::bernoulli_distribution{probability}(dice_); }
    template <class Items>
    const auto& one_of(const Items& items) {
        return items[random(items.size())];
    }
    std::optional<sync::LeadId> some_row(bool on_instantly);
    std::optional<std::string> some_remote_lead();
    std::string some_campaign();
    std::string some_list();

    // what has to hold
    void check(Outcome& outcome);
    void check_agreement(Outcome& outcome);
    void check_edits(Outcome& outcome);
    void check_no_twins(Outcome& outcome);
    void check_no_arguing(Outcome& outcome);
    void check_no_phantoms(Outcome& outcome) const;
    void check_patience(Outcome& outcome) const;
    void check_quiet(Outcome& outcome) const;
    void check_leases(sync::Instant quiet_since);

    [[nodiscard]] sync::Value base_value(const sync::LeadId& id, const sync::Key& key) const;
    [[nodiscard]] bool is_agreed_on(const sync::LeadId& id, const sync::Key& key, const sync::Value& value) const;
    void note_here(const sync::LeadId& id, const sync::Key& key, const sync::Value& value);
    void note_there(const std::string& instantly_id, const sync::Key& key, const sync::Value& before,
                    const sync::Value& value);
    [[nodiscard]] sync::Value value_there(const std::string& instantly_id, const sync::Key& key);
    void tell(const std::string& what);
    [[nodiscard]] std::optional<sync::RemoteLead> truth(const std::string& instantly_id);

    std::mt19937_64 dice_;
    bool verbose_;
    VirtualTime time_;
    std::uint64_t ids_ = 0;
    daemon::WorkspaceConfig config_;
    std::unique_ptr<SimulatedInstantly> instantly_;
    std::unique_ptr<ModelStore> store_;
    std::unique_ptr<Engine> engine_;
    UserEdits edits_;
    double crash_probability_ = 0;
    double store_failure_probability_ = 0;
    int page_limit_ = 100;    ///< few leads are several pages in some worlds
    int batch_ = 100;         ///< in some worlds so small that moves are gathered
    bool lists_lie_ = false;  ///< rows are hidden and lists come empty: what is there can't be known
    bool crash_due_ = false;
    bool turmoil_ = true;
    Outcome outcome_;
    std::size_t writes_at_quiet_end_ = 0;
    std::uint64_t new_emails_ = 0;
    std::set<std::string> made_on_both_sides_;  ///< emails; moved apart before they met, they stay two leads
};

}  // namespace leadsync::simulation
