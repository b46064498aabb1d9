#include "sync/merge.hpp"

#include <set>

namespace leadsync::sync {
namespace {

constexpr std::string_view variable_prefix = "custom_variables.";

/// Collects the outcome of one key after the other.
class Merger {
public:
    Merger(const Base& base, const Content& local, const RemoteLead& remote, const ConflictPolicy& policy)
        : base_{base}, local_{local}, remote_{remote}, policy_{policy}, result_{.local = local} {}

    MergeResult run() {
        for (const auto& line : field_table()) {
            if (line.owner == Owner::both_ways)
                merge_field(line.field);
            else
                take_observed(line);
        }
        for (const auto& name : variable_names()) merge_variable(name);
        return std::move(result_);
    }

private:
    void take_observed(const FieldSpec& line) {
        const auto& seen = remote_.content[line.field];
        // A row's email identifies it for people; an answer without one does not take it away.
        if (line.owner == Owner::on_insert && !seen) return;
        result_.local[line.field] = seen;
    }

    void merge_field(Field field) {
        const Value& base = base_.content[field];
        const bool readable = !remote_.unreadable.test(index(field));
        const Value& remote = readable ? remote_.content[field] : base;
        const auto winner = decide(key_of(field), base, local_[field], remote, policy_.of(field));
        result_.base.content[field] = winner.base;
        if (winner.take_remote) result_.local[field] = remote;
    }

    void merge_variable(const std::string& name) {
        const auto& remote = remote_.content.custom_variables;
        const auto winner =
            decide(key_of_variable(name), text_of(base_.content.custom_variables, name),
                   text_of(local_.custom_variables, name), text_of(remote, name), policy_.of_custom_variables());
        remember_variable(result_.base.content.custom_variables, name, winner.base);
        if (!winner.take_remote) return;
        if (const auto found = remote.find(name); found != remote.end())
            result_.local.custom_variables[name] = found->second;
        else
            result_.local.custom_variables.erase(name);
    }

    /// The base keeps a variable with the type it has on a side that holds this very value.
    void remember_variable(CustomVariables& variables, const std::string& name, const Value& value) const {
        if (!value) return;
        for (const auto* side : {&remote_.content.custom_variables, &base_.content.custom_variables}) {
            if (text_of(*side, name) != value) continue;
            variables[name] = side->find(name)->second;
            return;
        }
        variables[name] = *value;
    }

    struct Winner {
        Value base;
        bool take_remote = false;
    };

    Winner decide(const Key& key, const Value& base, const Value& local, const Value& remote, Rule rule) {
        std::optional<Value> expected;
        if (const auto out = base_.expected.find(key); out != base_.expected.end()) expected.emplace(out->second);
        const auto plan = plan_key(base, local, remote, expected, base_.expectations_expired);
        if (plan.still_expected) result_.base.expected[key] = *expected;
        if (plan.write_lost) result_.lost.push_back(key);
        switch (plan.decision) {
            case Decision::agreed:
                return {remote};
            case Decision::take_remote:
                return {remote, true};
            case Decision::push_local:
                result_.to_push.push_back(key);
                return {plan.base};
            case Decision::await:
                result_.awaited.push_back(key);
                return {plan.base};
            case Decision::conflict:
                break;
        }
        result_.conflicts.push_back({key, plan.base, local, remote, rule});
        if (rule == Rule::remote) return {remote, true};
        result_.to_push.push_back(key);
        return {remote};
    }

    [[nodiscard]] std::set<std::string> variable_names() const {
        std::set<std::string> names;
        for (const auto* side :
             {&base_.content.custom_variables, &local_.custom_variables, &remote_.content.custom_variables})
            for (const auto& [name, value] : *side) names.insert(name);
        for (const auto& [key, value] : base_.expected)
            if (const auto name = variable_of(key)) names.emplace(*name);
        return names;
    }

    const Base& base_;
    const Content& local_;
    const RemoteLead& remote_;
    const ConflictPolicy& policy_;
    MergeResult result_;
};

}  // namespace

Key key_of(Field field) { return Key{spec(field).name}; }

Key key_of_variable(std::string_view name) { return Key{variable_prefix}.append(name); }

std::optional<std::string_view> variable_of(std::string_view key) {
    if (!key.starts_with(variable_prefix)) return std::nullopt;
    return key.substr(variable_prefix.size());
}

std::string_view name_of(Decision decision) {
    switch (decision) {
        case Decision::agreed:
            return "agreed";
        case Decision::take_remote:
            return "take_remote";
        case Decision::push_local:
            return "push_local";
        case Decision::conflict:
            return "conflict";
        case Decision::await:
            return "await";
    }
    return "agreed";
}

KeyPlan plan_key(const Value& base, const Value& local, const Value& remote, const std::optional<Value>& expected,
                 bool expired) {
    KeyPlan plan{.base = base};
    if (expected) {
        const bool arrived = agree(remote, *expected) || !agree(remote, base);
        if (!arrived && !expired) {
            plan.decision = Decision::await;
            plan.still_expected = true;
            return plan;
        }
        if (arrived)
            plan.base = *expected;
        else
            plan.write_lost = true;
    }
    if (agree(local, remote))
        plan.decision = Decision::agreed;
    else if (agree(remote, plan.base))
        plan.decision = Decision::push_local;
    else if (agree(local, plan.base))
        plan.decision = Decision::take_remote;
    else
        plan.decision = Decision::conflict;
    return plan;
}

MergeResult merge(const Base& base, const Content& local, const RemoteLead& remote, const ConflictPolicy& policy) {
    return Merger{base, local, remote, policy}.run();
}

}  // namespace leadsync::sync
