#include "connectors/instantly/write_bodies.hpp"

#include "connectors/instantly/codec.hpp"

namespace leadsync::instantly {
namespace {

constexpr auto variables_key = "custom_variables";

/// Fields that a create can carry; the target goes beside the leads, a subsequence takes a call of its own.
bool creatable(const sync::FieldSpec& line) {
    using enum sync::Call;
    return line.owner == sync::Owner::both_ways && (line.call == patch || line.call == interest);
}

}  // namespace

nlohmann::json patch_body(const sync::PatchIntent& intent, const sync::Content& local) {
    auto body = nlohmann::json::object();
    for (const auto field : intent.fields) body[std::string{sync::spec(field).name}] = to_json(field, local[field]);
    if (intent.custom_variables) body[variables_key] = to_json(*intent.custom_variables);
    return body;
}

Creation creation_of(const sync::Content& local) {
    Creation creation{.body = nlohmann::json::object()};
    creation.body["email"] = to_json(sync::Field::email, local[sync::Field::email]);
    for (const auto& line : sync::field_table()) {
        if (!creatable(line) || !sync::present(local[line.field])) continue;
        creation.body[std::string{line.name}] = to_json(line.field, local[line.field]);
        creation.expected[sync::key_of(line.field)] = local[line.field];
    }
    const bool in_campaign = sync::present(local[sync::Field::campaign]);
    const auto target = in_campaign ? sync::Field::campaign : sync::Field::list_id;
    creation.place[target] = local[target];
    if (!local.custom_variables.empty()) creation.body[variables_key] = to_json(local.custom_variables);
    for (const auto& [name, value] : local.custom_variables)
        creation.expected[sync::key_of_variable(name)] = sync::text_of(value);
    return creation;
}

}  // namespace leadsync::instantly
