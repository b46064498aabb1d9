#include "sync/merge.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace leadsync::sync {
namespace {

constexpr std::string_view variable_prefix = "custom_variables.";
constexpr std::array place{Field::campaign, Field::list_id};

/// Collects the outcome of one key after the other.
class Merger {
public:
    Merger(const Base& base, const Content& local, const RemoteLead& remote, const ConflictPolicy& policy,
           const Circumstances& circumstances)
        : base_{base},
          local_{local},
          remote_{remote},
          policy_{policy},
          circumstances_{circumstances},
          result_{.local = local} {}

    MergeResult run() {
        for (const auto& [key, write] : base_.late)
            if (circumstances_.at < write.until) result_.base.late.insert({key, write});
        map_is_out_ = is_map_out();
        place_is_late_ = is_late_place();
        place_overtaken_ = is_overtaken_place();
        place_contested_ =
            has_moved(local_) && is_moved_remotely() && !place_is_late_ && (place_overtaken_ || !is_awaited_place());
        for (const auto& line : field_table()) {
            if (line.owner != Owner::both_ways)
                take_observed(line);
            else if (std::ranges::count(place, line.field) == 0)
                merge_field(line.field);
        }
        merge_place();
        result_.remote.custom_variables = remote_.content.custom_variables;
        for (const auto& name : variable_names()) merge_variable(name);
        return std::move(result_);
    }

private:
    /// One key with all that decides about it.
    struct Question {
        Key key;
        Value base, local, remote;
        Rule rule;
        bool may_clear;
        std::optional<Instant> remote_changed_at;
    };

    /// The key's new base, and whether the row takes the remote value.
    struct Answer {
        Value base;
        bool take_remote = false;
    };

    void take_observed(const FieldSpec& line) {
        const auto& seen = remote_.content[line.field];
        // A row's email identifies it for people; an answer without one does not take it away.
        if (line.owner == Owner::on_insert && !seen) return;
        result_.local[line.field] = seen;
    }

    /// The map of custom variables is written as a whole. As long as one that the write changes shows as it was, what
    /// the others show is from before the write too, and goes under in it: what was sent of them is still to come.
    [[nodiscard]] bool is_map_out() const {
        if (base_.expectations_expired) return false;
        return std::ranges::any_of(base_.expected, [&](const auto& sent) {
            const auto name = variable_of(sent.first);
            if (!name) return false;
            const auto before = text_of(base_.content.custom_variables, *name);
            return !agree(sent.second, before) && agree(text_of(remote_.content.custom_variables, *name), before);
        });
    }

    /// A lead is in one place, campaign or list: where both sides have moved it, both columns go by one decision.
    [[nodiscard]] bool has_moved(const Content& side) const {
        return std::ranges::any_of(place, [&](Field field) { return !agree(side[field], base_.content[field]); });
    }

    /// The column that the row was moved by goes first, for the other follows what becomes of it.
    void merge_place() {
        auto columns = place;
        std::ranges::stable_partition(columns,
                                      [&](Field field) { return !agree(local_[field], base_.content[field]); });
        for (const auto field : columns) merge_field(field);
    }

    [[nodiscard]] bool is_moved_remotely() const {
        return std::ranges::any_of(place, [&](Field field) { return !agree(observed(field), base_.content[field]); });
    }

    /// A field that can't be read stands as it was last agreed.
    [[nodiscard]] const Value& observed(Field field) const {
        return remote_.unreadable.test(index(field)) ? base_.content[field] : remote_.content[field];
    }

    [[nodiscard]] bool is_awaited_place() const {
        return std::ranges::any_of(place, [&](Field field) { return base_.expected.contains(key_of(field)); });
    }

    /// A move of ours is out, and the lead is neither where it was nor where the move takes it: somebody else has
    /// moved it, and whether ours came to anything is of no interest any more.
    [[nodiscard]] bool is_overtaken_place() const {
        return is_awaited_place() && is_moved_remotely() && !arrived_place() && !place_is_late_;
    }

    /// A move that was overtaken before has come through after all. Where a person is asked, both columns wait.
    [[nodiscard]] bool is_late_place() const {
        return !arrived_place() && !is_place_open()
               && std::ranges::any_of(place, [&](Field field) { return is_late(key_of(field), observed(field)); });
    }

    /// What shows is what was sent before somebody else's value showed.
    [[nodiscard]] bool is_late(const Key& key, const Value& remote) const {
        const auto late = base_.late.find(key);
        return late != base_.late.end() && shows(remote, late->second.value)
               && !shows(remote, value_of(base_.content, key));
    }

    /// The column that shows that a move of ours has come through.
    [[nodiscard]] std::optional<Field> arrived_place() const {
        for (const auto field : place) {
            const auto out = base_.expected.find(key_of(field));
            if (out != base_.expected.end() && agree(observed(field), out->second)) return field;
        }
        return std::nullopt;
    }

    /// A move of ours has come through, and the row wants to be elsewhere by now. What the move left behind is its
    /// own doing then, and no edit made there that the row would have to follow.
    [[nodiscard]] bool is_left_behind_by_old_move() const {
        const auto arrived = arrived_place();
        return arrived && !agree(local_[*arrived], observed(*arrived));
    }

    [[nodiscard]] static bool is_place(const Key& key) {
        return std::ranges::any_of(place, [&](Field field) { return key == spec(field).name; });
    }

    void merge_field(Field field) {
        const Value& base = base_.content[field];
        const Value& remote = observed(field);
        result_.remote[field] = remote;
        const auto answer = decide({key_of(field), base, local_[field], remote, policy_.of(field),
                                    policy_.may_clear(field), changed_at(field)});
        result_.base.content[field] = answer.base;
        if (answer.take_remote) result_.local[field] = remote;
    }

    void merge_variable(const std::string& name) {
        const auto& remote = remote_.content.custom_variables;
        const auto answer =
            decide({key_of_variable(name), text_of(base_.content.custom_variables, name),
                    text_of(local_.custom_variables, name), text_of(remote, name), policy_.of_custom_variables(),
                    policy_.custom_variables_clearable, instant_of(remote_.content[Field::timestamp_updated])});
        remember_variable(result_.base.content.custom_variables, name, answer.base);
        if (!answer.take_remote) return;
        if (const auto found = remote.find(name); found != remote.end())
            result_.local.custom_variables[name] = found->second;
        else
            result_.local.custom_variables.erase(name);
    }

    /// When Instantly says that the field was changed last: of most fields it tells only of the lead as a whole.
    [[nodiscard]] std::optional<Instant> changed_at(Field field) const {
        const auto& content = remote_.content;
        if (field == Field::lt_interest_status)
            if (const auto at = instant_of(content[Field::timestamp_last_interest_change])) return at;
        return instant_of(content[Field::timestamp_updated]);
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

    Answer decide(const Question& question) {
        const auto& key = question.key;
        std::optional<Value> expected;
        if (const auto out = base_.expected.find(key); out != base_.expected.end()) expected.emplace(out->second);
        if (is_late_write(question, expected)) return resume(question, expected);
        expected = without_overtaken(question, std::move(expected));
        if (is_place(key) && !expected && is_left_behind_by_old_move()) expected.emplace(question.remote);
        auto plan = plan_key(question.base, question.local, question.remote, expected, base_.expectations_expired);
        if (plan.write_lost && circumstances_.form_is_believed && expected && agree(question.local, *expected)
            && same_but_for_form(question.remote, *expected)) {
            plan.write_lost = false;
            plan.normalised = true;
            plan.base = *expected;
            plan.decision = agree(question.local, question.remote) ? Decision::agreed : Decision::take_remote;
        }
        keep_flips(key);
        if (plan.still_expected || (expected && rides_along(question, expected)))
            result_.base.expected[key] = *expected;
        if (plan.normalised && is_other_than_form(*expected, question.remote)) may_come_late(key, *expected);
        if (plan.write_lost) result_.lost.push_back(key);
        if (plan.decision == Decision::await) {
            result_.awaited.push_back(key);
            return {plan.base};
        }
        if (const auto open = circumstances_.open.find(key); open != circumstances_.open.end())
            return settle(open->second, question, plan);
        if (const auto verdict = is_place(key) ? verdict_on_place() : std::nullopt)
            if (plan.decision != Decision::agreed) return follow(*verdict, question, plan);
        switch (plan.decision) {
            case Decision::agreed:
            case Decision::await:
                return {question.remote};
            case Decision::take_remote:
                // What a server makes of a value that was sent is its word on it, also when that is nothing.
                if (!plan.normalised && keeps_value(question)) return keep_value(question, plan);
                if (plan.normalised) tell_if_overruled(question);
                return take(question, plan, plan.normalised ? "normalised" : "edit");
            case Decision::push_local:
                if (place_contested_ && is_place(key)) break;
                return push(question, plan);
            case Decision::conflict:
                break;
        }
        if (keeps_value(question) && question.rule != Rule::manual) return keep_value(question, plan);
        return conflict(question, plan, question.rule, winner(question));
    }

    [[nodiscard]] bool is_late_write(const Question& question, const std::optional<Value>& expected) const {
        if (is_place(question.key)) return place_is_late_;
        if (circumstances_.open.contains(question.key)) return false;
        return is_late(question.key, question.remote) && !(expected && shows(question.remote, *expected));
    }

    /// A write that was overtaken shows after all. It overran the edit there that the row has taken meanwhile, and
    /// what the row holds goes out again. Somebody may also have set that very value: the record tells of it.
    Answer resume(const Question& question, const std::optional<Value>& expected) {
        const auto& key = question.key;
        keep_flips(key);
        const bool is_out = is_place(key) ? is_awaited_place() : expected.has_value();
        if (is_out && !base_.expectations_expired) {
            if (expected) result_.base.expected[key] = *expected;
            result_.awaited.push_back(key);
            return {question.base};
        }
        if (expected) result_.lost.push_back(key);
        if (agree(question.local, question.remote)) return {question.remote};
        const KeyPlan plan{.decision = Decision::push_local, .base = question.remote};
        if (!is_late(key, question.remote)) return push(question, plan);
        if (flips_too_often(key, Side::local)) return conflict(question, plan, Rule::flip_flop, std::nullopt);
        return conflict(question, plan, Rule::late_write, Side::local);
    }

    /// What is still expected of a key, apart from a write that is overtaken: it is not waited for, but may come
    /// late.
    std::optional<Value> without_overtaken(const Question& question, std::optional<Value> expected) {
        const auto& key = question.key;
        const bool in_map = rides_along(question, expected);
        if (!(in_map && !agree(question.remote, question.base)) && !(place_overtaken_ && is_place(key)))
            return expected;
        if (in_map || expected) may_come_late(key, expected.value_or(question.base));
        return std::nullopt;
    }

    /// A variable that the map which is out leaves as it was, or does not know of.
    [[nodiscard]] bool rides_along(const Question& question, const std::optional<Value>& expected) const {
        if (!map_is_out_ || !variable_of(question.key)) return false;
        return expected ? agree(*expected, question.base) : !question.base;
    }

    void may_come_late(const Key& key, const Value& value) {
        if (base_.expectations_expired) return;
        result_.base.late.insert_or_assign(key, LateWrite{value, circumstances_.at + late_write_window});
    }

    /// A key that waits for a person stays as it is on both sides; with their word it is settled.
    Answer settle(const OpenConflict& open, const Question& question, const KeyPlan& plan) {
        using Outcome = ConflictUpdate::Outcome;
        const auto report = [&](Outcome outcome) {
            result_.conflict_updates.push_back({open.id, question.local, question.remote, outcome});
        };
        if (agree(question.local, question.remote)) {
            report(Outcome::agreed);
            return {question.remote};
        }
        const auto resolution = is_place(question.key) ? place_resolution() : open.resolution;
        if (resolution == Side::remote) {
            report(Outcome::settled);
            result_.base.flips.erase(question.key);
            result_.changes.push_back({question.key, question.local, question.remote, "resolution"});
            return {question.remote, true};
        }
        if (resolution == Side::local) {
            report(Outcome::settled);
            result_.base.flips.erase(question.key);
            result_.to_push.push_back(question.key);
            return {question.remote};
        }
        if (open.local != question.local || open.remote != question.remote) report(Outcome::still_open);
        result_.parked.push_back(question.key);
        return {plan.base};
    }

    /// What a conflict on the other column of the place says of both.
    struct Verdict {
        std::optional<Side> side;  ///< nothing: the place waits for a person
        bool is_word;              ///< a person's, or to be
    };
    [[nodiscard]] std::optional<Verdict> verdict_on_place() const {
        if (is_place_open()) return Verdict{place_resolution(), true};
        const auto conflict =
            std::ranges::find_if(result_.conflicts, [](const Conflict& known) { return is_place(known.key); });
        if (conflict == result_.conflicts.end()) return std::nullopt;
        return Verdict{conflict->resolution, false};
    }

    /// A place is not taken by half: what the other column's conflict decides, or leaves to a person, goes for both.
    Answer follow(const Verdict& verdict, const Question& question, const KeyPlan& plan) {
        if (plan.decision != Decision::take_remote)
            return verdict.is_word ? conflict(question, plan, Rule::manual, verdict.side)
                                   : conflict(question, plan, question.rule, winner(question));
        if (!verdict.side) {
            result_.parked.push_back(question.key);
            return {plan.base};
        }
        // Where it goes by ours, what shows here is about to be left; what was left there already is left.
        if (verdict.side == Side::local && !present(question.local)) return {question.remote};
        return take(question, plan, verdict.is_word ? "resolution" : "edit");
    }

    [[nodiscard]] bool is_place_open() const {
        return std::ranges::any_of(place, [&](Field field) { return circumstances_.open.contains(key_of(field)); });
    }

    /// A lead is in one place: a word on one of its columns is meant for both, and the campaign's counts first.
    [[nodiscard]] std::optional<Side> place_resolution() const {
        for (const auto field : place) {
            const auto open = circumstances_.open.find(key_of(field));
            if (open != circumstances_.open.end() && open->second.resolution) return open->second.resolution;
        }
        return std::nullopt;
    }

    [[nodiscard]] static bool keeps_value(const Question& question) {
        return !question.may_clear && !present(question.remote) && present(question.local);
    }

    [[nodiscard]] std::optional<Side> winner(const Question& question) const {
        switch (question.rule) {
            case Rule::remote:
                return Side::remote;
            case Rule::manual:
            case Rule::flip_flop:
                return std::nullopt;
            case Rule::newest: {
                const auto& here = circumstances_.local_edited_at;
                const auto& there = question.remote_changed_at;
                return here && there && *there > *here ? Side::remote : Side::local;
            }
            case Rule::local:
            case Rule::keep_value:
            case Rule::late_write:
                break;
        }
        return Side::local;
    }

    Answer conflict(const Question& question, const KeyPlan& plan, Rule rule, std::optional<Side> resolution) {
        result_.conflicts.push_back({question.key, plan.base, question.local, question.remote, rule, resolution});
        if (resolution == Side::remote) {
            result_.changes.push_back({question.key, question.local, question.remote, name_of(rule)});
            return {question.remote, true};
        }
        if (resolution == Side::local) {
            result_.to_push.push_back(question.key);
            return {question.remote};
        }
        result_.parked.push_back(question.key);
        return {plan.base};
    }

    /// Sent back: an automation there that goes on emptying the field is argued with a few times only.
    Answer keep_value(const Question& question, const KeyPlan& plan) {
        if (flips_too_often(question.key, Side::remote) || flips_too_often(question.key, Side::local))
            return conflict(question, plan, Rule::flip_flop, std::nullopt);
        return conflict(question, plan, Rule::keep_value, Side::local);
    }

    Answer take(const Question& question, const KeyPlan& plan, std::string_view rule) {
        if (flips_too_often(question.key, Side::remote))
            return conflict(question, plan, Rule::flip_flop, std::nullopt);
        result_.changes.push_back({question.key, question.local, question.remote, rule});
        return {question.remote, true};
    }

    [[nodiscard]] static bool is_other_than_form(const Value& sent, const Value& shown) {
        const auto blank = [](const Value& value) {
            return value.value_or("").find_first_not_of(" \t\r\n") == std::string::npos;
        };
        return !same_but_for_form(sent, shown) && !(blank(sent) && blank(shown));
    }

    /// Another value than was sent, in more than its form, may be the server's, or an edit made there while ours was
    /// on its way, or never left. It stands, and ours stays readable.
    void tell_if_overruled(const Question& question) {
        if (!is_other_than_form(question.local, question.remote)) return;
        result_.conflicts.push_back(
            {question.key, question.base, question.local, question.remote, Rule::remote, Side::remote});
    }

    Answer push(const Question& question, const KeyPlan& plan) {
        if (flips_too_often(question.key, Side::local))
            return conflict(question, plan, Rule::flip_flop, std::nullopt);
        result_.to_push.push_back(question.key);
        return {plan.base};
    }

    void keep_flips(const Key& key) {
        const auto known = base_.flips.find(key);
        if (known != base_.flips.end() && circumstances_.at - known->second.since < flip_window)
            result_.base.flips.insert(*known);
    }

    bool flips_too_often(const Key& key, Side side) {
        auto [flip, fresh] = result_.base.flips.try_emplace(key, Flip{side, 0, circumstances_.at});
        if (!fresh && flip->second.last != side) {
            flip->second.last = side;
            ++flip->second.count;
        }
        if (flip->second.count <= policy_.flips_max) return false;
        result_.base.flips.erase(flip);
        return true;
    }

    [[nodiscard]] std::set<std::string> variable_names() const {
        std::set<std::string> names;
        for (const auto* side :
             {&base_.content.custom_variables, &local_.custom_variables, &remote_.content.custom_variables})
            for (const auto& [name, value] : *side) names.insert(name);
        for (const auto& [key, value] : base_.expected)
            if (const auto name = variable_of(key)) names.emplace(*name);
        for (const auto& [key, conflict] : circumstances_.open)
            if (const auto name = variable_of(key)) names.emplace(*name);
        return names;
    }

    const Base& base_;
    const Content& local_;
    const RemoteLead& remote_;
    const ConflictPolicy& policy_;
    const Circumstances& circumstances_;
    bool map_is_out_ = false;
    bool place_contested_ = false;
    bool place_overtaken_ = false;
    bool place_is_late_ = false;
    MergeResult result_;
};

}  // namespace

Key key_of(Field field) { return Key{spec(field).name}; }

Key key_of_variable(std::string_view name) { return Key{variable_prefix}.append(name); }

std::optional<std::string_view> variable_of(std::string_view key) {
    if (!key.starts_with(variable_prefix)) return std::nullopt;
    return key.substr(variable_prefix.size());
}

Value value_of(const Content& content, std::string_view key) {
    if (const auto name = variable_of(key)) return text_of(content.custom_variables, *name);
    const auto field = field_named(key);
    return field ? content[*field] : std::nullopt;
}

void set_value(Content& content, std::string_view key, const Value& value) {
    if (const auto name = variable_of(key)) {
        if (value)
            content.custom_variables[std::string{*name}] = *value;
        else
            content.custom_variables.erase(std::string{*name});
    } else if (const auto field = field_named(key)) {
        content[*field] = value;
    }
}

bool shows(const Value& shown, const Value& sent) { return agree(shown, sent) || same_but_for_form(shown, sent); }

bool shows_all(const Content& content, const std::map<Key, Value>& values) {
    return std::ranges::all_of(
        values, [&](const auto& value) { return shows(value_of(content, value.first), value.second); });
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
        const bool as_sent = agree(remote, *expected);
        const bool arrived = as_sent || !agree(remote, base);
        if (!arrived && !expired) {
            plan.decision = Decision::await;
            plan.still_expected = true;
            return plan;
        }
        if (arrived)
            plan.base = *expected;
        else
            plan.write_lost = true;
        plan.normalised = arrived && !as_sent;
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

MergeResult merge(const Base& base, const Content& local, const RemoteLead& remote, const ConflictPolicy& policy,
                  const Circumstances& circumstances) {
    return Merger{base, local, remote, policy, circumstances}.run();
}

}  // namespace leadsync::sync
