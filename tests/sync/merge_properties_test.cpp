#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "sync/merge.hpp"
#include "sync/plan.hpp"

namespace leadsync::sync {
namespace {

/// Few values, so that the interesting coincidences (changed alike, changed back) come up often.
rc::Gen<Value> any_value() {
    return rc::gen::element<Value>(std::nullopt, Value{""}, Value{"1"}, Value{"2"}, Value{"3"});
}

rc::Gen<Content> any_content() {
    return rc::gen::exec([] {
        Content content;
        for (const auto field : {Field::phone, Field::first_name, Field::website}) content[field] = *any_value();
        for (const auto* name : {"tier", "score"}) {
            const auto kind = *rc::gen::inRange(0, 5);
            if (kind == 1) content.custom_variables[name] = *rc::gen::inRange(0, 3);
            if (kind == 2) content.custom_variables[name] = std::to_string(*rc::gen::inRange(0, 3));
            if (kind == 3) content.custom_variables[name] = nullptr;
            if (kind == 4) content.custom_variables[name] = "";
        }
        return content;
    });
}

ConflictPolicy any_policy() { return {.fallback = *rc::gen::element(Rule::local, Rule::remote, Rule::newest)}; }

/// Every rule, with and without fields that an empty value may clear.
ConflictPolicy every_policy() {
    ConflictPolicy policy{.fallback = *rc::gen::element(Rule::local, Rule::remote, Rule::newest, Rule::manual)};
    if (*rc::gen::arbitrary<bool>()) policy.clearable.insert(Field::phone);
    if (*rc::gen::arbitrary<bool>()) policy.fields[Field::website] = Rule::manual;
    policy.custom_variables_clearable = *rc::gen::arbitrary<bool>();
    if (*rc::gen::arbitrary<bool>()) policy.custom_variables = Rule::manual;
    return policy;
}

const std::vector<Key>& merged_keys() {
    static const std::vector<Key> keys{"phone", "first_name", "website", "custom_variables.tier",
                                       "custom_variables.score"};
    return keys;
}

/// Conflicts that wait for a person, or have their word.
std::map<Key, OpenConflict> any_open() {
    std::map<Key, OpenConflict> open;
    std::int64_t id = 0;
    for (const auto& key : merged_keys()) {
        const auto kind = *rc::gen::inRange(0, 6);
        if (kind > 2) continue;
        OpenConflict conflict{++id, *any_value(), *any_value(), {}};
        if (kind == 1) conflict.resolution = Side::local;
        if (kind == 2) conflict.resolution = Side::remote;
        open.emplace(key, conflict);
    }
    return open;
}

bool holds(const std::vector<Key>& keys, const Key& key) { return std::ranges::count(keys, key) > 0; }

const std::vector<Field>& merged_fields() {
    static const std::vector<Field> fields{Field::phone, Field::first_name, Field::website};
    return fields;
}

bool same(const Content& one, const Content& other) {
    for (const auto field : merged_fields())
        if (!agree(one[field], other[field])) return false;
    for (const auto* name : {"tier", "score"})
        if (!agree(text_of(one.custom_variables, name), text_of(other.custom_variables, name))) return false;
    return true;
}

/// Instantly after the patch of a plan, with the whole custom-variable map merged or replaced.
void apply(const PatchIntent& patch, const Content& local, bool replaces, Content& instantly) {
    for (const auto field : patch.fields) instantly[field] = local[field];
    if (!patch.custom_variables) return;
    if (replaces) instantly.custom_variables.clear();
    for (const auto& [name, value] : *patch.custom_variables) instantly.custom_variables[name] = value;
}

RC_GTEST_PROP(ThreeWayMergeProperty, MergingTheSameAnswerAgainChangesNothing, ()) {
    const auto policy = any_policy();
    const RemoteLead seen{.content = *any_content()};
    const auto once = merge({*any_content()}, *any_content(), seen, policy);
    const auto twice = merge(once.base, once.local, seen, policy);
    RC_ASSERT(twice.local == once.local);
    RC_ASSERT(twice.base.content == once.base.content);
    RC_ASSERT(twice.to_push == once.to_push);
    RC_ASSERT(twice.conflicts.empty());
}

RC_GTEST_PROP(ThreeWayMergeProperty, NoValueIsLostInSilence, ()) {
    const auto base = *any_content();
    const auto local = *any_content();
    const RemoteLead seen{.content = *any_content()};
    const auto merged = merge({base}, local, seen, any_policy());
    for (const auto field : merged_fields()) {
        const bool edited_here = !agree(local[field], base[field]);
        const bool edited_there = !agree(seen.content[field], base[field]);
        const bool told = std::ranges::count(merged.conflicts, key_of(field), &Conflict::key) == 1;
        if (edited_here && !agree(merged.local[field], local[field])) RC_ASSERT(told);
        if (edited_there && !agree(merged.local[field], seen.content[field])) RC_ASSERT(told);
    }
}

RC_GTEST_PROP(ThreeWayMergeProperty, SendingWhatIsLeftBringsBothSidesTogether, ()) {
    const bool replaces = *rc::gen::arbitrary<bool>();
    const auto policy = any_policy();
    RemoteLead instantly{.content = *any_content()};
    auto merged = merge({*any_content()}, *any_content(), instantly, policy);
    if (const auto plan = plan_push(merged); plan.patch) {
        apply(*plan.patch, merged.local, replaces, instantly.content);
        for (const auto& [key, value] : expectations(*plan.patch, merged.local)) merged.base.expected[key] = value;
    }
    const auto after = merge(merged.base, merged.local, instantly, policy);
    RC_ASSERT(same(after.local, instantly.content));
    RC_ASSERT(same(after.base.content, instantly.content));
    RC_ASSERT(after.to_push.empty());
    RC_ASSERT(after.awaited.empty());
    RC_ASSERT(after.conflicts.empty());
}

RC_GTEST_PROP(ThreeWayMergeProperty, AnyNumberOfLateAnswersDoesNotUndoAWrite, ()) {
    const auto old = *any_content();
    const auto local = *any_content();
    auto merged = merge({old}, local, {.content = old}, {});
    if (const auto plan = plan_push(merged); plan.patch)
        for (const auto& [key, value] : expectations(*plan.patch, merged.local)) merged.base.expected[key] = value;
    for (int late = *rc::gen::inRange(1, 4); late > 0; --late) {
        merged = merge(merged.base, merged.local, {.content = old}, {});
        RC_ASSERT(same(merged.local, local));
        RC_ASSERT(merged.to_push.empty());
    }
}

RC_GTEST_PROP(ThreeWayMergeProperty, WithoutNewEditsNothingIsEverSentTwice, ()) {
    RemoteLead instantly{.content = *any_content()};
    auto merged = merge({*any_content()}, *any_content(), instantly, any_policy());
    int patches = 0;
    for (int round = 0; round < 5; ++round) {
        if (const auto plan = plan_push(merged); plan.patch) {
            ++patches;
            apply(*plan.patch, merged.local, round % 2 == 0, instantly.content);
            for (const auto& [key, value] : expectations(*plan.patch, merged.local))
                merged.base.expected[key] = value;
        }
        merged = merge(merged.base, merged.local, instantly, {});
    }
    RC_ASSERT(patches <= 1);
}

RC_GTEST_PROP(ThreeWayMergeProperty, AParkedKeyKeepsBothItsValuesWhateverIsSentBesides, ()) {
    const bool replaces = *rc::gen::arbitrary<bool>();
    RemoteLead instantly{.content = *any_content()};
    const auto local = *any_content();
    const auto there = instantly.content;
    auto merged = merge({*any_content()}, local, instantly, every_policy(),
                        {.at = {}, .local_edited_at = {}, .open = any_open()});
    if (const auto plan = plan_push(merged); plan.patch)
        apply(*plan.patch, merged.local, replaces, instantly.content);
    for (const auto& key : merged.parked) {
        RC_ASSERT(agree(value_of(merged.local, key), value_of(local, key)));
        RC_ASSERT(agree(value_of(instantly.content, key), value_of(there, key)));
        RC_ASSERT(!holds(merged.to_push, key));
    }
}

RC_GTEST_PROP(ThreeWayMergeProperty, ACompleteMapNeverOverwritesWhatAnotherWriteIsAboutToShow, ()) {
    Base base{*any_content()};
    for (const auto& key : merged_keys())
        if (*rc::gen::inRange(0, 3) == 0) base.expected[key] = *any_value();
    const RemoteLead instantly{.content = *any_content()};
    const auto merged = merge(base, *any_content(), instantly, every_policy());
    const auto plan = plan_push(merged);
    const auto* map = plan.patch && plan.patch->custom_variables ? &*plan.patch->custom_variables : nullptr;
    for (const auto& key : merged.awaited) {
        RC_ASSERT(!holds(merged.to_push, key));
        if (variable_of(key)) RC_ASSERT(map == nullptr);
    }
    if (map == nullptr) return;
    for (const auto& [name, value] : instantly.content.custom_variables)
        if (!holds(merged.to_push, key_of_variable(name))) RC_ASSERT(map->at(name) == value);
}

RC_GTEST_PROP(ThreeWayMergeProperty, EveryDifferenceIsPushedAwaitedOrParkedAndOnlyOneOfThem, ()) {
    Base base{*any_content()};
    base.expectations_expired = *rc::gen::arbitrary<bool>();
    for (const auto& key : merged_keys())
        if (*rc::gen::inRange(0, 3) == 0) base.expected[key] = *any_value();
    const RemoteLead instantly{.content = *any_content()};
    const auto merged =
        merge(base, *any_content(), instantly, every_policy(), {.at = {}, .local_edited_at = {}, .open = any_open()});
    for (const auto& key : merged_keys()) {
        const int places = (holds(merged.to_push, key) ? 1 : 0) + (holds(merged.awaited, key) ? 1 : 0)
                           + (holds(merged.parked, key) ? 1 : 0);
        RC_ASSERT(places <= 1);
        const bool differs = !agree(value_of(merged.local, key), value_of(instantly.content, key));
        if (differs) RC_ASSERT(places == 1);
        if (!differs) RC_ASSERT(!holds(merged.to_push, key) && !holds(merged.parked, key));
    }
}

RC_GTEST_PROP(ThreeWayMergeProperty, NoLocalValueIsReplacedUnlessAConflictOrTheHistoryTells, ()) {
    const auto base = *any_content();
    const auto local = *any_content();
    const auto merged = merge({base}, local, {.content = *any_content()}, every_policy(),
                              {.at = {}, .local_edited_at = {}, .open = any_open()});
    for (const auto& key : merged_keys()) {
        if (agree(value_of(merged.local, key), value_of(local, key))) continue;
        RC_ASSERT(std::ranges::count(merged.changes, key, &Change::key) == 1);
        const auto change = *std::ranges::find(merged.changes, key, &Change::key);
        RC_ASSERT(change.before == value_of(local, key));
        const bool edited_here = !agree(value_of(local, key), value_of(base, key));
        const bool told = std::ranges::count(merged.conflicts, key, &Conflict::key) == 1
                          || change.rule == std::string_view{"resolution"};
        if (edited_here) RC_ASSERT(told);
    }
}

RC_GTEST_PROP(ThreeWayMergeProperty, ADecidedConflictIsReportedSettledOrAgreedAndAnOpenOneStaysOpen, ()) {
    const auto open = any_open();
    const auto merged = merge({*any_content()}, *any_content(), {.content = *any_content()}, every_policy(),
                              {.at = {}, .local_edited_at = {}, .open = open});
    for (const auto& [key, conflict] : open) {
        const auto update = std::ranges::find(merged.conflict_updates, conflict.id, &ConflictUpdate::id);
        const bool closed =
            update != merged.conflict_updates.end() && update->outcome != ConflictUpdate::Outcome::still_open;
        RC_ASSERT(closed != holds(merged.parked, key));
        if (conflict.resolution) RC_ASSERT(closed);
    }
}

RC_GTEST_PROP(ThreeWayMergeProperty, TwoAutomationsComeToRest, ()) {
    const auto policy = every_policy();
    RemoteLead instantly{.content = *any_content()};
    Content local = instantly.content;
    Base base{instantly.content};
    std::map<Key, OpenConflict> open;
    int sent = 0;
    for (int round = 0; round < 40; ++round) {
        if (round % 2 == 0)
            local[Field::phone] = "here";
        else
            instantly.content[Field::phone] = *rc::gen::element(Value{"there"}, Value{});
        auto merged = merge(base, local, instantly, policy, {.at = {}, .local_edited_at = {}, .open = open});
        for (const auto& conflict : merged.conflicts)
            if (!conflict.resolution) open[conflict.key] = {1, conflict.local, conflict.remote, {}};
        for (const auto& update : merged.conflict_updates)
            if (update.outcome != ConflictUpdate::Outcome::still_open) open.clear();
        if (const auto plan = plan_push(merged); plan.patch) {
            ++sent;
            apply(*plan.patch, merged.local, false, instantly.content);
            for (const auto& [key, value] : expectations(*plan.patch, merged.local))
                merged.base.expected[key] = value;
        }
        local = merged.local;
        base = merged.base;
    }
    RC_ASSERT(sent <= 2 * policy.flips_max);
}

}  // namespace
}  // namespace leadsync::sync
