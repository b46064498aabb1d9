#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace leadsync::sandbox {

/// A test's hands inside the sandbox: acts as the Instantly user and reads the truth. Blocking; one connection,
/// opened anew when the server has dropped it. Every call throws std::runtime_error with the server's words when it
/// is refused. `workspace`: the one that is meant; empty: the first (for switches and faults: all of them).
class ControlClient {
public:
    using Json = nlohmann::json;

    explicit ControlClient(std::uint16_t port, std::string workspace = {});
    ~ControlClient();

    /// Sets any fields of a lead; null removes one; `custom_variables` is merged by key. Answers the lead.
    Json edit(std::string_view lead_id, const Json& fields);

    /// Adds a lead, with `campaign` or `list_id` and any other fields. Answers the lead.
    Json add(const Json& fields);
    void remove(std::string_view lead_id);

    /// `to`: {"campaign": …} or {"list_id": …}, optionally "reset_interest_status": true. At once, without a job.
    Json move(std::string_view lead_id, const Json& to);

    /// The truth, whatever the read lag. Nothing when the lead does not exist.
    std::optional<Json> lead(std::string_view lead_id);

    /// In the order of their ids, `limit` leads after `after`.
    std::vector<Json> leads(std::string_view after, std::size_t limit);
    std::vector<Json> all_leads();

    /// {"leads": n, "campaigns": {id: n}, "lists": {id: n}}
    Json counts();

    /// The logged requests whose path contains `path`, oldest first: {time, workspace, method, path, status, body?,
    /// fault?}.
    std::vector<Json> requests(std::string_view path = {});

    /// {"endpoints": {"POST /api/v2/leads/list": n}, "workspaces": {name: {max_per_second, max_per_minute, refused,
    /// leads}}}
    Json statistics();

    /// Forgets the request log, the counts and the maxima of the rate windows.
    void reset_log();

    Json switches();
    void set_switches(const Json& switches);

    /// Switches as at the start, and no faults.
    void reset_switches();
    void add_fault(const Json& fault);
    void clear_faults();

    void add_workspace(const Json& settings);
    void quit();

private:
    struct Connection;
    struct Answer {
        unsigned status;
        std::string body;
    };

    Answer send(std::string_view method, const std::string& path, const Json& body);
    Json call(std::string_view method, std::string_view path, const Json& body = {});
    std::string target(std::string_view path) const;

    std::uint16_t port_;
    std::string workspace_;
    std::unique_ptr<Connection> connection_;
};

}  // namespace leadsync::sandbox
