#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "tests/sandbox/catalog.hpp"
#include "tests/sandbox/faults.hpp"
#include "tests/sandbox/lead_edit.hpp"
#include "tests/sandbox/lead_store.hpp"
#include "tests/sandbox/rate_windows.hpp"
#include "tests/sandbox/switches.hpp"

namespace leadsync::sandbox {

struct WorkspaceSettings {
    std::string name = "acme";
    std::string api_key = "c2FuZGJveDpsZWFkc3luYw==";
    std::uint64_t seed = 1;
    std::uint32_t leads = 1000;
    std::uint32_t campaigns = 5;
    std::uint32_t lists = 3;
    double old_id_share = 0.3;
    double list_share = 0.2;
    double odd_share = 0.02;
    bool documented_lead = true;  ///< One of the leads is the example of the API's documentation.
};

struct Job {
    std::string id;
    std::string entity_id;
    std::string entity_type;
    std::string status = "pending";
    int progress = 0;
    std::int64_t created = 0;
    std::int64_t updated = 0;
    Json data = Json::object();
};

/// One API key's world: its leads and what surrounds them, its rate windows, its switches, and what is still to
/// happen there. What is due happens when settle() is called, which every request does first: nobody can tell.
class Workspace {
public:
    explicit Workspace(WorkspaceSettings settings);

    Workspace(const Workspace&) = delete;
    Workspace& operator=(const Workspace&) = delete;

    void settle(const Moment& now);
    void later(Tick due, std::function<void(const Moment&)> action);

    /// The truth about a lead. Nothing when it does not exist.
    std::optional<Json> lead(const Uuid& id) const;
    void put(const Uuid& id, const Json& lead, const Moment& now);
    void erase(const Uuid& id, const Moment& now);

    /// Ids made here sort after every id made before.
    Uuid next_lead_id(const Moment& now);
    Job& add_job(std::string_view entity_type, const Uuid& entity, const Moment& now);
    const Job* job(std::string_view id) const;
    const std::deque<Job>& jobs() const { return jobs_; }

    /// While a campaign or list is held by a move, adding, moving and deleting there is refused with 409.
    void hold(const Uuid& container) { ++held_[container]; }
    void release(const Uuid& container) { --held_[container]; }
    void refuse_if_held(const Home& home) const;

    /// How many more leads the plan allows; nothing: no limit.
    std::optional<std::int64_t> remaining_in_plan() const;

    bool next_write_is_ignored();
    std::uint64_t random_bits() { return mix(random_state_++); }

    const WorkspaceSettings settings;
    const Catalog catalog;
    LeadStore leads;
    RateWindows windows;
    Switches switches;
    Faults faults;

private:
    std::multimap<Tick, std::function<void(const Moment&)>> pending_;
    std::deque<Job> jobs_;
    std::map<Uuid, int> held_;
    std::int64_t last_id_ms_ = 0;
    std::uint64_t last_id_sequence_ = 0;
    std::uint64_t random_state_;
    std::int64_t writes_ = 0;
};

}  // namespace leadsync::sandbox
