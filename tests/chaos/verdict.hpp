#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "tests/chaos/people.hpp"

namespace leadsync::chaos {

/// What of the round bears on the verdict.
struct Circumstances {
    std::string database_url;
    bool lists_lie = false;
    bool pushes_deletes = false;
    std::chrono::milliseconds read_lag{};
};

/// What of the guarantees (DESIGN §2) does not hold in a workspace that has come to rest, a line each.
std::vector<std::string> broken_guarantees(People& people, const Circumstances& circumstances);

}  // namespace leadsync::chaos
