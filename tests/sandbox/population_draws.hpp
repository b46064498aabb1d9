#pragma once

#include "tests/sandbox/population.hpp"

namespace leadsync::sandbox {

/// One number for each property that is drawn. A number, once used, keeps its meaning: tests know leads by their
/// seed.
enum class Population::Draw : std::uint64_t {
    home = 1,
    no_email,
    twin,
    first_name,
    last_name,
    company,
    capitals,
    plus_tag,
    domain,
    stage,
    status,
    odd,
    created,
    updated,
    opens,
    replies,
    clicks,
    interest,
    verification,
    enrichment,
    assigned,
    visitor,
    personalization,
    website,
    phone,
    job_title,
    value,
    stale_mirror,
    variables,
    sent_step,
    subsequence,
    esp,
    uploaded_by
};

}  // namespace leadsync::sandbox
