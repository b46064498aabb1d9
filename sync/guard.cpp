#include "sync/guard.hpp"

#include <algorithm>
#include <cmath>

namespace leadsync::sync {

std::optional<std::int64_t> allowed(const GuardLimit& limit, std::int64_t in_workspace) {
    if (limit.leads) return limit.leads;
    if (!limit.part) return std::nullopt;
    const auto part = static_cast<std::int64_t>(std::floor(static_cast<double>(in_workspace) * *limit.part));
    return std::max(part, part_floor);
}

std::optional<std::int64_t> allowed_deletes(const GuardLimit& limit, std::int64_t in_workspace) {
    const auto by_limit = allowed(limit, in_workspace);
    if (!by_limit) return std::nullopt;
    return std::min(*by_limit, std::max<std::int64_t>(in_workspace - 1, 0));
}

}  // namespace leadsync::sync
