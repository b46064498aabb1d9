#include "sync/plan.hpp"

#include <algorithm>

namespace leadsync::sync {
namespace {

bool names_variable(const Key& key) { return variable_of(key).has_value(); }

bool contains(const std::vector<Key>& keys, Field field) { return std::ranges::count(keys, key_of(field)) > 0; }

/// The whole map as it is to be: what Instantly holds, overlaid with the local edits. Whether PATCH merges or
/// replaces the map is contradictory (INSTANTLY.md, Writing leads), so every key is sent, and a removed one as "",
/// which counts as absent under both readings.
CustomVariables complete_map(const MergeResult& merged) {
    auto variables = merged.remote.custom_variables;
    for (const auto& key : merged.to_push) {
        const auto name = variable_of(key);
        if (!name) continue;
        const auto found = merged.local.custom_variables.find(*name);
        variables[std::string{*name}] =
            found == merged.local.custom_variables.end() ? nlohmann::json("") : found->second;
    }
    return variables;
}

std::optional<PatchIntent> plan_patch(const MergeResult& merged) {
    PatchIntent intent;
    for (const auto& key : merged.to_push)
        if (const auto field = field_named(key); field && spec(*field).call == Call::patch)
            intent.fields.push_back(*field);
    // A map sent while a write of another key is out could undo that write where PATCH replaces.
    if (std::ranges::any_of(merged.to_push, names_variable) && std::ranges::none_of(merged.awaited, names_variable))
        intent.custom_variables = complete_map(merged);
    if (intent.fields.empty() && !intent.custom_variables) return std::nullopt;
    return intent;
}

void plan_interest(const MergeResult& merged, Plan& plan) {
    const auto& value = merged.local[Field::lt_interest_status];
    const auto& email = merged.local[Field::email];
    const auto& campaign = merged.remote[Field::campaign];
    const auto& list = merged.remote[Field::list_id];
    const auto interest = present(value) ? std::optional{std::stoi(*value)} : std::nullopt;
    const bool scoped = present(email) && (present(campaign) || present(list));
    if (scoped) {
        plan.interest = InterestIntent{*email, interest, present(campaign) ? campaign : std::nullopt,
                                       present(campaign) ? std::nullopt : list};
        return;
    }
    // Without a scope the call would reach every lead of that email; PATCH reaches this one, but cannot clear.
    if (!interest) {
        plan.refused.emplace_back(
            "lt_interest_status can't be cleared: that call needs the lead's email and a campaign or list to be "
            "safe");
        return;
    }
    if (!plan.patch) plan.patch.emplace();
    plan.patch->fields.push_back(Field::lt_interest_status);
}

void plan_move(const MergeResult& merged, Plan& plan) {
    const auto& held = merged.remote;
    const auto& wanted = merged.local;
    const bool to_campaign = contains(merged.to_push, Field::campaign) && present(wanted[Field::campaign]);
    const bool to_list = contains(merged.to_push, Field::list_id) && present(wanted[Field::list_id]);
    if (to_campaign && to_list) {
        plan.refused.emplace_back(
            "campaign and list_id were both set: a lead moves to one of them; set the other to NULL or back");
        return;
    }
    if (!to_campaign && !to_list) {
        plan.refused.emplace_back(
            "no call takes a lead out of its campaign or list: set campaign or list_id to where it should go");
        return;
    }
    MoveIntent intent;
    if (present(held[Field::campaign]))
        intent.from_campaign = held[Field::campaign];
    else
        intent.from_list = held[Field::list_id];
    if (!present(intent.from_campaign) && !present(intent.from_list)) {
        plan.refused.emplace_back(
            "the lead is in no campaign and no list on Instantly, and a move needs one to start from: "
            "add it to one there");
        return;
    }
    (to_campaign ? intent.to_campaign : intent.to_list) = wanted[to_campaign ? Field::campaign : Field::list_id];
    plan.move = intent;
}

}  // namespace

std::optional<MoveIntent> move_between(const Content& base, const Content& local) {
    const auto goes_to = [&](Field field) { return present(local[field]) && !agree(local[field], base[field]); };
    if (goes_to(Field::campaign) == goes_to(Field::list_id)) return std::nullopt;
    MoveIntent intent;
    if (present(base[Field::campaign]))
        intent.from_campaign = base[Field::campaign];
    else if (present(base[Field::list_id]))
        intent.from_list = base[Field::list_id];
    else
        return std::nullopt;
    if (goes_to(Field::campaign))
        intent.to_campaign = local[Field::campaign];
    else
        intent.to_list = local[Field::list_id];
    return intent;
}

Plan plan_push(const MergeResult& merged) {
    const auto out = [&](Field field) { return contains(merged.awaited, field); };
    const auto due = [&](Field field) { return contains(merged.to_push, field); };

    Plan plan{.patch = plan_patch(merged)};
    const bool moving = out(Field::campaign) || out(Field::list_id);
    if (due(Field::lt_interest_status) && !moving) plan_interest(merged, plan);
    if (due(Field::subsequence_id) && !moving)
        plan.subsequence = SubsequenceIntent{merged.local[Field::subsequence_id]};
    const bool scoped_call_open =
        plan.interest || plan.subsequence || out(Field::lt_interest_status) || out(Field::subsequence_id);
    if ((due(Field::campaign) || due(Field::list_id)) && !moving && !scoped_call_open) plan_move(merged, plan);
    return plan;
}

std::map<Key, Value> expectations(const PatchIntent& intent, const Content& local) {
    std::map<Key, Value> expected;
    for (const auto field : intent.fields) expected[key_of(field)] = local[field];
    for (const auto& [name, value] : intent.custom_variables.value_or(CustomVariables{}))
        expected[key_of_variable(name)] = text_of(value);
    return expected;
}

std::map<Key, Value> expectations(const InterestIntent& intent) {
    return {{key_of(Field::lt_interest_status),
             intent.interest ? Value{std::to_string(*intent.interest)} : std::nullopt}};
}

std::map<Key, Value> expectations(const SubsequenceIntent& intent) {
    return {{key_of(Field::subsequence_id), intent.subsequence_id}};
}

std::map<Key, Value> expectations(const MoveIntent& intent) {
    // Only the target is awaited. The place left behind empties by itself, and is taken over as a remote change.
    if (intent.to_campaign) return {{key_of(Field::campaign), intent.to_campaign}};
    return {{key_of(Field::list_id), intent.to_list}};
}

}  // namespace leadsync::sync
