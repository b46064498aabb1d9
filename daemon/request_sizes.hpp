#pragma once

#include <cstddef>

namespace leadsync::daemon {

/// Leads to a page of `leads/list`. Source: INSTANTLY.md, Reading leads.
inline constexpr int page_limit_max = 100;

/// Leads to a look-up by `ids`.
inline constexpr std::size_t look_up_max = 100;

/// How many leads are asked for one by one at the same time.
inline constexpr std::size_t asked_at_once = 8;

}  // namespace leadsync::daemon
