#pragma once

#include <nlohmann/json.hpp>

#include "sync/plan.hpp"

namespace leadsync::instantly {

/// Body of `PATCH /leads/{id}` for the fields and variables that a plan names.
nlohmann::json patch_body(const sync::PatchIntent& intent, const sync::Content& local);

/// A row as an item of `POST /leads/add`, and what a later look-up is to show of it.
struct Creation {
    nlohmann::json body;
    std::map<sync::Key, sync::Value> expected;  ///< all that is sent but the place
    sync::Content place;                        ///< where it is made
};
Creation creation_of(const sync::Content& local);

}  // namespace leadsync::instantly
