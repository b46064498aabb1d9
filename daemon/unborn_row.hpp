#pragma once

#include <optional>
#include <vector>

#include "connectors/store/store.hpp"
#include "sync/lead.hpp"

namespace leadsync::daemon {

/// A row that Instantly has no lead for, as far as is known.
struct UnbornRow {
    store::Claim claim;
    sync::Content local;
    std::optional<store::NotedCreate> noted;  ///< an earlier create whose outcome is not known
    bool nowhere_else = false;                ///< sent again, to make a lead only where no other has that email
    sync::Instant noted_at{};                 ///< of the create that is about to leave
};
using UnbornRows = std::vector<UnbornRow>;

}  // namespace leadsync::daemon
