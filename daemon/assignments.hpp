#pragma once

#include <vector>

#include <boost/asio/awaitable.hpp>

#include "connectors/instantly/client.hpp"
#include "daemon/sending.hpp"

namespace leadsync::daemon {

/// Takes the assignee out of the patches of leads that are assigned to the same user, where one request for all of
/// them is worth it.
void gather_assignments(std::vector<Sending>& sendings);

/// Sends what was gathered, a request for each user. Each lead is told what became of it.
boost::asio::awaitable<void> assign(const std::vector<Sending*>& sendings, instantly::Client& client);

}  // namespace leadsync::daemon
