#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "connectors/instantly/write_bodies.hpp"
#include "daemon/verdicts.hpp"

namespace leadsync::daemon {

/// Rows that Instantly has no lead for. What is there already, by email and target, is adopted; the rest goes through
/// `/leads/add`, which is safe to repeat, and leads without an email through `POST /leads`, which is not.
class Creator {
public:
    Creator(PushContext& context, Verdicts& verdicts) : context_{context}, verdicts_{verdicts} {}

    boost::asio::awaitable<void> create(Claims claims);

private:
    struct Row {
        store::Claim claim;
        sync::Content local;
    };
    using Rows = std::vector<Row>;

    boost::asio::awaitable<void> add(Rows rows);
    boost::asio::awaitable<void> adopt_existing(Rows& rows);
    boost::asio::awaitable<void> settle_added(Rows rows, std::vector<instantly::Creation> creations,
                                              instantly::AddedLeads answer);

    boost::asio::awaitable<void> post(Row row, std::optional<sync::Instant> attempted_at);
    boost::asio::awaitable<std::optional<sync::RemoteLead>> find_posted(sync::Content local, sync::Instant since);
    boost::asio::awaitable<void> tie(Row row, instantly::Creation creation, sync::InstantlyId lead);

    PushContext& context_;
    Verdicts& verdicts_;
};

}  // namespace leadsync::daemon
