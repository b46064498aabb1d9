#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace leadsync::daemon {

/// Every key a config may hold, as a path: `workspaces[].rate.share`. The loader asks nothing else what is allowed,
/// and a test compares it with config/leadsync.schema.json.
const std::vector<std::string>& config_keys();

/// The keys directly below `section` ("" for the top level), whose list indexes are left out: `workspaces[].rate`.
std::vector<std::string> keys_of(std::string_view section);

/// The one of `allowed` that `word` is a misspelling of; "" when none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& allowed);

}  // namespace leadsync::daemon
