#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sandbox/catalog.hpp"
#include "tests/sandbox/dice.hpp"
#include "tests/sandbox/lead.hpp"
#include "tests/sandbox/words.hpp"

namespace leadsync::sandbox {

struct PopulationSettings {
    std::uint64_t seed = 1;
    std::uint32_t leads = 1000;
    double old_id_share = 0.3;  ///< Leads from before 2025-10-15, whose ids are random.
    double list_share = 0.2;
    double odd_share = 0.02;  ///< Leads with status 0 or keys that nobody has documented.
};

/// The pristine leads of a workspace. Only their sorted ids are kept; everything else about a lead follows from its
/// place in that order and its id, and is computed when asked for. So a million leads cost 16 MB.
class Population {
public:
    /// `catalog` must outlive the population.
    Population(const PopulationSettings& settings, const Catalog& catalog);

    std::uint32_t size() const { return static_cast<std::uint32_t>(ids_.size()); }
    const Uuid& id(std::uint32_t rank) const { return ids_[rank]; }
    std::optional<std::uint32_t> rank_of(const Uuid& id) const;

    /// How many ids sort before `id`.
    std::uint32_t rank_before(const Uuid& id) const;

    Home home(std::uint32_t rank) const;
    Facts facts(std::uint32_t rank) const;

    /// Empty for a list lead without email.
    std::string email(std::uint32_t rank) const;
    std::string_view first_name(std::uint32_t rank) const;
    std::string_view last_name(std::uint32_t rank) const;

    /// The leads that have this email (lower case).
    std::vector<std::uint32_t> with_email(std::string_view email) const;

    /// The answer text of the lead.
    void append_json(std::uint32_t rank, std::string& out) const;

private:
    enum class Draw : std::uint64_t;

    Dice dice(std::uint32_t rank) const { return Dice{mix(ids_[rank].low ^ seed_)}; }
    bool in_list(std::uint32_t rank) const;
    bool has_email(std::uint32_t rank) const;
    std::uint32_t person(std::uint32_t rank) const;
    std::size_t company(std::uint32_t person) const;
    void append_email(std::uint32_t person, std::string& out) const;
    void append_domain(std::uint32_t person, std::string& out) const;
    void append_website(std::uint32_t person, std::string& out) const;
    void append_profile(std::uint32_t rank, std::string& out) const;
    void append_personalization(const Dice& dice, std::string& out) const;
    void append_payload(std::uint32_t rank, std::string& out) const;
    void append_sending(std::uint32_t rank, const Facts& facts, std::string& out) const;
    void append_closing(std::uint32_t rank, const Facts& facts, std::string& out) const;

    std::uint64_t seed_;
    double list_share_;
    double odd_share_;
    std::vector<Uuid> campaigns_;
    std::vector<Uuid> lists_;
    std::vector<Uuid> users_;
    std::string organization_;  ///< Ready to be appended.
    const Words& words_ = Words::get();
    std::vector<Uuid> ids_;
};

}  // namespace leadsync::sandbox
