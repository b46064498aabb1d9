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

ConflictPolicy any_policy() { return {.fallback = *rc::gen::element(Rule::local, Rule::remote)}; }

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

}  // namespace
}  // namespace leadsync::sync
