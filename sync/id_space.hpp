#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace leadsync::sync {

/// Where leads lie among the ids, for cutting what is still to be read in two (DESIGN §5). Ids made of time lie close
/// together where many leads were added, random ones lie evenly: how close they are further on is not known, only how
/// close they are on the page that was read last.

/// The first 64 bits of a UUID as a number; ids are in order of them. A text that is no UUID is at 0.
std::uint64_t place_of(std::string_view id);
/// An id at that place that no lead has: a well-formed UUIDv7 without chance in it.
std::string id_at(std::uint64_t place);
bool is_made_up(std::string_view id);

/// Another UUID, made of this one and of nothing else: version 8, its bits mixed.
std::string id_made_of(std::string_view id);

/// Leads in order of id, as read in a row.
struct Stretch {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::size_t leads = 0;
};

/// How many leads lie between the two ids, `end` left out: to the last, if they lie as close as in the stretch.
double leads_between(const std::string& begin, const std::optional<std::string>& end, const Stretch& stretch);

/// Where to cut what is left between `cursor` and `end`: in the middle, but no more than `reach` leads behind the
/// cursor, for behind a crowd there may be nothing for long. Nothing when a part would have fewer than `least` leads.
std::optional<std::string> cut_between(const std::string& cursor, const std::optional<std::string>& end,
                                       const Stretch& stretch, double least, double reach);

}  // namespace leadsync::sync
