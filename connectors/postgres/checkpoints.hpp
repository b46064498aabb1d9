#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <pqxx/pqxx>

namespace leadsync::postgres {

/// Where a sweep stands: what it has durably processed.
struct Checkpoint {
    std::optional<std::string> cursor;  ///< id of the last lead processed; nothing at the start
    std::int64_t pages = 0;
    std::int64_t leads = 0;
    double started_seconds_ago = 0;
};

/// Checkpoints of one workspace, by name. Save them in the transaction that holds the rows of the page.
class Checkpoints {
public:
    explicit Checkpoints(std::string workspace) : workspace_{std::move(workspace)} {}

    /// The sweep that is under way, or one that starts now.
    Checkpoint open(pqxx::work& transaction, const std::string& name);

    /// One more page is processed.
    void advance(pqxx::work& transaction, const std::string& name, const std::string& cursor, std::int64_t leads);

    /// The sweep is complete. When it began is told to `crm.workspaces`: nothing there is older than that.
    void finish_sweep(pqxx::work& transaction, const std::string& name);

private:
    std::string workspace_;
};

}  // namespace leadsync::postgres
