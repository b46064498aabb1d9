#include "tests/chaos/people.hpp"

#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace leadsync::chaos {

using nlohmann::json;
using std::chrono::system_clock;

namespace {

const std::vector<std::string> text_fields{"first_name", "company_name", "personalization", "job_title"};
const std::vector<std::string> variables{"tier", "note", "Größe \"x\""};
const std::vector<std::string> users{"44444444-4444-4444-8444-444444444444", "55555555-5555-4555-8555-555555555555"};

std::string sql_text(const std::string& text) {
    std::string result{"'"};
    for (const char c : text) {
        if (c == '\'') result += '\'';
        result += c;
    }
    return result + "'";
}

bool is_connection_trouble(const std::string& sqlstate) {
    return sqlstate.empty() || sqlstate.starts_with("57") || sqlstate.starts_with("08") || sqlstate.starts_with("53");
}

std::vector<std::string> keys_of(const json& counts) {
    std::vector<std::string> keys;
    for (const auto& [key, count] : counts.items()) keys.push_back(key);
    return keys;
}

}  // namespace

People::People(std::string workspace, std::string database_url, std::uint16_t port, Dice& dice)
    : workspace_{std::move(workspace)},
      database_url_{std::move(database_url)},
      instantly_{port, workspace_},
      dice_{dice} {
    const auto counts = instantly_.counts();
    campaigns_ = keys_of(counts.at("campaigns"));
    lists_ = keys_of(counts.at("lists"));
    if (campaigns_.empty() || lists_.empty())
        throw std::logic_error{"the workspace needs leads in campaigns and lists"};
    for (const auto& lead : instantly_.all_leads()) ledger_.leads_known.insert(lead.at("id").get<std::string>());
}

void People::act() {
    ++edits_;
    try {
        act_on(dice_.below(100));
    } catch (const std::runtime_error& refused) {
        // The lead was deleted between being chosen and being worked on.
        if (std::string_view{refused.what()}.find(" 404 ") == std::string_view::npos) throw;
        ++refused_;
    }
}

void People::act_on(std::uint64_t draw) {
    if (draw < 26)
        edit_text_here();
    else if (draw < 30)
        edit_many_here();
    else if (draw < 36)
        edit_choice_here();
    else if (draw < 40)
        move_here();
    else if (draw < 50)
        insert_here();
    else if (draw < 53)
        delete_here();
    else if (draw < 54)
        merge_here();
    else if (draw < 58)
        decide_here();
    else if (draw < 82)
        edit_text_there();
    else if (draw < 88)
        edit_choice_there();
    else if (draw < 92)
        add_there();
    else if (draw < 96)
        move_there();
    else
        delete_there();
}

// --- in SQL -------------------------------------------------------------------------------------------------------

pqxx::connection& People::connection() {
    while (!connection_ || !connection_->is_open()) {
        try {
            connection_.emplace(database_url_);
        } catch (const pqxx::failure&) {
            connection_.reset();  // the round restarts the server under us, so it is up again soon
        }
    }
    return *connection_;
}

std::optional<bool> People::sql(const std::string& statement) {
    try {
        pqxx::nontransaction{connection()}.exec(statement);
        return true;
    } catch (const pqxx::sql_error& error) {
        if (!is_connection_trouble(error.sqlstate())) {
            ++refused_;
            last_refusal_ = fmt::format("{}: {} ({})", error.sqlstate(), error.what(), statement);
            return false;
        }
    } catch (const pqxx::failure&) {
        // below
    }
    connection_.reset();
    return std::nullopt;
}

pqxx::result People::read(const std::string& query) {
    for (;;) {
        try {
            return pqxx::nontransaction{connection()}.exec(query);
        } catch (const pqxx::failure&) {
            connection_.reset();
        }
    }
}

std::vector<People::Row> People::rows() {
    std::vector<Row> found;
    for (const auto& row :
         read("SELECT id, coalesce(instantly_id::text, ''), coalesce(email, '') FROM crm.leads WHERE "
              "workspace = "
              + sql_text(workspace_) + " AND deleted_at IS NULL ORDER BY id"))
        found.push_back({row[0].c_str(), row[1].c_str(), row[2].c_str()});
    return found;
}

std::optional<People::Row> People::some_row(bool on_instantly) {
    auto all = rows();
    if (on_instantly) std::erase_if(all, [](const Row& row) { return row.instantly_id.empty(); });
    if (all.empty()) return std::nullopt;
    return dice_.one_of(all);
}

std::string People::fresh(const char* side) { return fmt::format("{} {} it's", side, ++values_); }

void People::edit_text_here() {
    const auto row = some_row(false);
    if (!row) return;
    const bool variable = dice_.chance(0.3);
    const auto& name = variable ? dice_.one_of(variables) : dice_.one_of(text_fields);
    const auto field = variable ? "custom_variables." + name : name;
    const bool empties = dice_.chance(0.1);
    const auto value = fresh("here");
    const auto at = system_clock::now();
    std::string assignment;
    if (variable)
        assignment = empties ? fmt::format("custom_variables = custom_variables - {}", sql_text(name))
                             : fmt::format("custom_variables = custom_variables || {}::jsonb",
                                           sql_text(json{{name, value}}.dump()));
    else
        assignment = fmt::format("{} = {}", name, empties ? "NULL" : sql_text(value));
    const auto done = sql(fmt::format("UPDATE crm.leads SET {} WHERE workspace = {} AND id = '{}'", assignment,
                                      sql_text(workspace_), row->id));
    if (!done || empties) ledger_.exempt(row->id, field);
    if (done.value_or(false) && !empties) ledger_.here[{row->id, field}] = {at, value};
}

void People::edit_many_here() {
    auto all = rows();
    if (all.empty()) return;
    const auto first = dice_.below(all.size());
    const auto count = std::min<std::size_t>(1 + dice_.below(15), all.size() - first);
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < count; ++i) ids.push_back(sql_text(all[first + i].id));
    const auto& field = dice_.one_of(text_fields);
    const auto value = fresh("here");
    const auto at = system_clock::now();
    const auto done = sql(fmt::format("UPDATE crm.leads SET {} = {} WHERE workspace = {} AND id IN ({})", field,
                                      sql_text(value), sql_text(workspace_), fmt::join(ids, ",")));
    for (std::size_t i = 0; i < count; ++i) {
        if (!done) ledger_.exempt(all[first + i].id, field);
        if (done.value_or(false)) ledger_.here[{all[first + i].id, field}] = {at, value};
    }
}

void People::edit_choice_here() {
    const auto row = some_row(true);
    if (!row || row->email.empty()) return;
    static constexpr std::array interests{"NULL", "1", "2", "-1", "0"};
    const auto assignment = dice_.chance(0.6) ? fmt::format("lt_interest_status = {}", dice_.one_of(interests))
                                              : fmt::format("assigned_to = {}", sql_text(dice_.one_of(users)));
    sql(fmt::format("UPDATE crm.leads SET {} WHERE workspace = {} AND id = '{}'", assignment, sql_text(workspace_),
                    row->id));
}

void People::move_here() {
    const auto row = some_row(false);
    if (!row) return;
    const bool to_campaign = dice_.chance(0.7) && !row->email.empty();
    const auto place = some(to_campaign ? campaigns_ : lists_);
    sql(fmt::format("UPDATE crm.leads SET campaign = {}, list_id = {} WHERE workspace = {} AND id = '{}'",
                    to_campaign ? sql_text(place) : "NULL", to_campaign ? "NULL" : sql_text(place),
                    sql_text(workspace_), row->id));
}

void People::insert_here() {
    const auto number = ++values_;
    const bool nobody = dice_.chance(0.1);  // a lead of a list needs no email
    const auto email = fmt::format("chaos{}@{}.example", number, workspace_);
    const auto campaign = some(campaigns_);
    const bool to_list = nobody || dice_.chance(0.2);
    const auto name = fmt::format("Chaos {}", number);
    const auto id = fmt::format("cccccccc-0000-4000-8000-{:012d}", number);
    const auto at = system_clock::now();
    const auto done = sql(fmt::format(
        "INSERT INTO crm.leads (workspace, id, email, campaign, list_id, first_name, custom_variables) VALUES ({}, "
        "'{}', {}, {}, {}, {}, '{{\"tier\": \"gold\"}}')",
        sql_text(workspace_), id, nobody ? "NULL" : sql_text(email), to_list ? "NULL" : sql_text(campaign),
        to_list ? sql_text(some(lists_)) : "NULL", sql_text(name)));
    ledger_.emails[id] = nobody ? name : email;
    if (!done) return;
    if (!*done) throw std::logic_error{"a good row was refused: " + last_refusal_};
    ledger_.rows_inserted.insert(id);
    ledger_.here[{id, "first_name"}] = {at, name};
    ledger_.here[{id, "custom_variables.tier"}] = {at, "gold"};
    if (to_list || !dice_.chance(0.2)) return;
    // The same lead, made in Instantly at the same time: to be adopted, not doubled.
    auto lead = instantly_.add({{"email", "CHAOS" + email.substr(5)}, {"campaign", campaign}});
    ledger_.leads_known.insert(lead.at("id").get<std::string>());
    ledger_.made_on_both_sides.insert(email);
}

void People::delete_here() {
    const auto row = some_row(false);
    if (!row) return;
    // Also when nobody knows whether it was carried out.
    ledger_.exempt(row->id);
    ledger_.rows_gone.insert(row->id);
    if (!row->instantly_id.empty()) ledger_.leads_gone.insert(row->instantly_id);
    sql(fmt::format("DELETE FROM crm.leads WHERE workspace = {} AND id = '{}'", sql_text(workspace_), row->id));
    // A create that was on its way, or a lead that was adopted: its id is not known here.
    for (const auto& lead : instantly_.all_leads())
        if (lead.value("email", "") == row->email || lead.value("first_name", "") == ledger_.emails[row->id])
            ledger_.leads_gone.insert(lead.at("id").get<std::string>());
}

void People::merge_here() {
    const auto source = some_row(true);
    const auto destination = some_row(true);
    if (!source || !destination || source->id == destination->id) return;
    for (const auto& row : {source, destination}) ledger_.exempt(row->id);
    if (sql(fmt::format("SELECT crm.merge_leads({}, '{}', '{}')", sql_text(workspace_), source->id, destination->id))
        == std::optional{false})
        return;
    ledger_.rows_gone.insert(source->id);
    ledger_.leads_gone.insert(source->instantly_id);
}

void People::decide_here() {
    sql(
        fmt::format("UPDATE crm.conflicts SET resolution = '{}' WHERE id IN (SELECT id FROM crm.conflicts WHERE "
                    "workspace = {} AND resolution IS NULL AND resolved_at IS NULL LIMIT 1)",
                    dice_.chance(0.5) ? "local" : "remote", sql_text(workspace_)));
    sql(
        fmt::format("UPDATE crm.held SET decision = 'approve' WHERE id IN (SELECT id FROM crm.held WHERE workspace = "
                    "{} AND decision IS NULL LIMIT 1)",
                    sql_text(workspace_)));
}

bool People::see_to_what_is_left(int visit) {
    const auto name = sql_text(workspace_);
    const auto waiting = read(fmt::format(
        "SELECT (SELECT count(*) FROM crm.conflicts WHERE workspace = {0} AND resolution IS NULL AND resolved_at IS "
        "NULL) + (SELECT count(*) FROM crm.held WHERE workspace = {0} AND decision IS NULL) + (SELECT count(*) FROM "
        "sync.queue q JOIN crm.leads l USING (workspace) WHERE q.lead_id = l.id AND q.workspace = {0} AND q.dead_at "
        "IS "
        "NOT NULL AND l.deleted_at IS NULL AND {1} < 3)",
        name, visit))[0][0]
                             .as<int>();
    if (waiting == 0) return false;
    sql(
        fmt::format("UPDATE crm.conflicts SET resolution = '{}' WHERE workspace = {} AND resolution IS NULL AND "
                    "resolved_at IS NULL",
                    dice_.chance(0.5) ? "local" : "remote", name));
    sql(fmt::format("UPDATE crm.held SET decision = 'approve' WHERE workspace = {} AND decision IS NULL", name));
    // An edit revives what was given up on.
    if (visit < 3)
        sql(fmt::format(
            "UPDATE crm.leads l SET last_name = 'Retried {}' FROM sync.queue q WHERE q.workspace = {} AND "
            "l.workspace = q.workspace AND l.id = q.lead_id AND q.dead_at IS NOT NULL AND l.deleted_at IS "
            "NULL",
            visit, name));
    return true;
}

// --- in Instantly -------------------------------------------------------------------------------------------------

std::optional<std::string> People::some_lead() {
    const auto leads = instantly_.all_leads();
    if (leads.empty()) return std::nullopt;
    return dice_.one_of(leads).at("id").get<std::string>();
}

void People::edit_text_there() {
    const auto id = some_lead();
    if (!id) return;
    const bool variable = dice_.chance(0.3);
    const auto& name = variable ? dice_.one_of(variables) : dice_.one_of(text_fields);
    const auto field = variable ? "custom_variables." + name : name;
    const bool empties = dice_.chance(0.1);
    const auto value = fresh("there");
    const json set = empties ? json(nullptr) : json(value);
    const auto at = system_clock::now();
    instantly_.edit(*id, variable ? json{{"custom_variables", {{name, set}}}} : json{{name, set}});
    if (empties)
        ledger_.exempt(*id, field);
    else
        ledger_.there[{*id, field}] = {at, value};
}

void People::edit_choice_there() {
    const auto id = some_lead();
    if (!id) return;
    if (dice_.chance(0.6))
        instantly_.edit(*id, {{"lt_interest_status", static_cast<int>(dice_.below(4)) - 1}});
    else
        instantly_.edit(*id, {{"status", dice_.below(4)}, {"email_open_count", dice_.below(9)}});
}

void People::add_there() {
    json fields{{"email", fmt::format("there{}@{}.example", ++values_, workspace_)}, {"first_name", fresh("there")}};
    if (dice_.chance(0.7))
        fields["campaign"] = some(campaigns_);
    else
        fields["list_id"] = some(lists_);
    ledger_.leads_known.insert(instantly_.add(fields).at("id").get<std::string>());
}

void People::move_there() {
    const auto lead = some_lead();
    if (!lead) return;
    const bool to_campaign = dice_.chance(0.7);
    instantly_.move(*lead, {{to_campaign ? "campaign" : "list_id", some(to_campaign ? campaigns_ : lists_)}});
}

void People::delete_there() {
    const auto lead = some_lead();
    if (!lead) return;
    ledger_.leads_gone.insert(*lead);
    instantly_.remove(*lead);
}

}  // namespace leadsync::chaos
