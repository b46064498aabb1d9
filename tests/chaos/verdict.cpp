#include "tests/chaos/verdict.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tests/sandbox/instant.hpp"
#include "tests/support/agreement.hpp"

namespace leadsync::chaos {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

/// From the look to the write: what is edited on Instantly in between is overwritten unseen, as its API has no
/// conditional write. Nothing longer is forgiven.
constexpr auto unseen_window = 3s;

struct Row {
    std::string instantly_id;  ///< empty: not there
    std::string status;
    std::string error;
    bool placed = false;
    bool deleted = false;
};

std::string lower(std::string text) {
    for (auto& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return text;
}

/// Words that tell a person why a row could not be brought into agreement.
bool is_honest(const std::string& error) {
    for (const auto* words : {"did not create", "deleted on Instantly", "no longer has this lead",
                              "gone on Instantly", "rejected", "no longer on Instantly"})
        if (error.find(words) != std::string::npos) return true;
    return false;
}

class Verdict {
public:
    Verdict(People& people, const Circumstances& circumstances)
        : ledger_{people.ledger()}, circumstances_{circumstances}, workspace_{people.workspace()} {
        for (auto& lead : people.instantly().all_leads()) {
            auto id = lead.at("id").get<std::string>();
            truth_.emplace(std::move(id), std::move(lead));
        }
        for (const auto& request : people.instantly().requests("/leads/"))
            if (request.at("method") == "PATCH") patches_.push_back(request);
        read_rows();
    }

    std::vector<std::string> reach() {
        check_rows();
        check_leads();
        check_agreement();
        check_edits();
        check_no_twins();
        return std::move(broken_);
    }

private:
    template <class... Arguments>
    void break_(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
        broken_.push_back(workspace_ + ": " + fmt::format(format, std::forward<Arguments>(arguments)...));
    }

    void read_rows() {
        pqxx::connection connection{circumstances_.database_url};
        pqxx::work query{connection};
        for (const auto& row : query.exec_params(
                 "SELECT id, coalesce(instantly_id::text, ''), sync_status, coalesce(sync_error, ''), campaign IS "
                 "NOT "
                 "NULL OR list_id IS NOT NULL, deleted_at IS NOT NULL FROM crm.leads WHERE workspace = $1",
                 workspace_)) {
            rows_[row[0].c_str()] = {row[1].c_str(), row[2].c_str(), row[3].c_str(), row[4].as<bool>(),
                                     row[5].as<bool>()};
            if (row[1].size() > 0) rows_by_lead_[row[1].c_str()] = row[0].c_str();
        }
        for (const auto& row : query.exec_params(
                 "SELECT instantly_id, gone_at IS NOT NULL FROM sync.base WHERE workspace = $1 AND deleted_at IS NOT "
                 "NULL",
                 workspace_))
            tombstones_.insert(row[0].c_str());
        for (const auto& row :
             query.exec_params("SELECT lead_id, field FROM crm.conflicts WHERE workspace = $1", workspace_))
            conflicts_.insert({row[0].c_str(), row[1].c_str()});
        for (const auto& row : query.exec_params(
                 "SELECT lead_id, attempts, resends, coalesce(last_error, ''), dead_at IS NOT NULL, held_at IS NOT "
                 "NULL FROM sync.queue WHERE workspace = $1 AND dead_at IS NULL",
                 workspace_))
            break_("lead {} still waits: {} attempts, {} resends, {}", row[0].c_str(), row[1].c_str(), row[2].c_str(),
                   row[3].c_str());
    }

    /// Every row has become a lead or says why not; no row that somebody made has vanished.
    void check_rows() {
        for (const auto& [id, row] : rows_) {
            const bool told = row.status == "error" && is_honest(row.error);
            if (row.instantly_id.empty()) {
                if (row.placed && !told) break_("row {} was not created: {} {}", id, row.status, row.error);
            } else if (!truth_.contains(row.instantly_id)) {
                if (!told && row.status != "deleted")
                    break_("row {} is {}, and its lead {} is gone: {}", id, row.status, row.instantly_id, row.error);
            } else if (row.status != "synced" || row.deleted) {
                break_("row {} of lead {} is {}: {}", id, row.instantly_id, row.status, row.error);
            }
        }
        for (const auto& id : ledger_.rows_inserted) {
            if (rows_.contains(id) || ledger_.rows_gone.contains(id)) continue;
            // Its lead was deleted on Instantly, where the policy takes the row along.
            if (!tells_of_deletion(id)) break_("row {} ({}) has vanished", id, ledger_.emails.at(id));
        }
    }

    bool tells_of_deletion(const std::string& row) {
        pqxx::connection connection{circumstances_.database_url};
        pqxx::work query{connection};
        return !query
                    .exec_params(
                        "SELECT FROM crm.history WHERE workspace = $1 AND lead_id = $2 AND field IS NULL AND "
                        "side = 'remote'",
                        workspace_, row)
                    .empty();
    }

    /// No lead was deleted that nobody wanted deleted, and none is left that was deleted here.
    void check_leads() {
        for (const auto& id : ledger_.leads_known)
            if (!truth_.contains(id) && !ledger_.leads_gone.contains(id))
                break_("lead {} was deleted on Instantly, and nobody wanted that", id);
        for (const auto& id : tombstones_)
            if (circumstances_.pushes_deletes && truth_.contains(id))
                break_("lead {} was deleted here, and is still there", id);
    }

    void check_agreement() {
        std::vector<json> leads;
        for (const auto& [id, lead] : truth_)
            if (!tombstones_.contains(id)) leads.push_back(lead);
        for (const auto& line : test_support::differences(circumstances_.database_url, workspace_, leads)) {
            const auto id = line.substr(5, 36);
            const auto row = rows_by_lead_.find(id);
            // Told by check_rows already where that is wrong.
            if (row != rows_by_lead_.end() && !truth_.contains(id)) continue;
            break_("{}", line);
        }
    }

    [[nodiscard]] std::optional<std::string> standing(const std::string& lead, const std::string& field) const {
        const auto& content = truth_.at(lead);
        constexpr std::string_view prefix{"custom_variables."};
        const bool variable = field.starts_with(prefix);
        const auto& object = variable ? content.value("payload", json::object()) : content;
        const auto found = object.find(variable ? field.substr(prefix.size()) : field);
        if (found == object.end() || !found->is_string()) return std::nullopt;
        return found->get<std::string>();
    }

    /// Whether we wrote that field so soon after `at` that the edit may have come between look and write.
    [[nodiscard]] bool written_soon_after(const std::string& lead, const std::string& field, Time at) const {
        // The map is sent as a whole, whichever of its variables changed.
        const bool variable = field.starts_with("custom_variables.");
        for (const auto& request : patches_) {
            if (request.at("path").get<std::string>().find(lead) == std::string::npos) continue;
            const Time arrived{std::chrono::milliseconds{*sandbox::parse_iso(request.at("time").get<std::string>())}};
            if (arrived < at - 1s || arrived > at + unseen_window + circumstances_.read_lag) continue;
            const auto body = request.value("body", "");
            if (body.find(variable ? "custom_variables" : field) != std::string::npos) return true;
        }
        return false;
    }

    /// The last edit of each side stands, or was overruled by the other with a row in crm.conflicts.
    void check_edits() {
        for (const auto& [id, row] : rows_) {
            if (row.status != "synced" || row.deleted || !truth_.contains(row.instantly_id)) continue;
            std::set<std::string> fields;
            for (const auto& [name, edit] : ledger_.here)
                if (name.first == id) fields.insert(name.second);
            for (const auto& [name, edit] : ledger_.there)
                if (name.first == row.instantly_id) fields.insert(name.second);
            for (const auto& field : fields)
                if (!ledger_.is_exempt(id, field) && !ledger_.is_exempt(row.instantly_id, field))
                    check_edit(id, row.instantly_id, field);
        }
    }

    void check_edit(const std::string& row, const std::string& lead, const std::string& field) {
        const auto find = [&](const auto& edits, const std::string& id) {
            const auto found = edits.find({id, field});
            return found == edits.end() ? std::optional<Ledger::Edit>{} : std::optional{found->second};
        };
        const auto here = find(ledger_.here, row);
        const auto there = find(ledger_.there, lead);
        const auto now = standing(lead, field);
        const bool here_is_last = here && (!there || here->at > there->at);
        const auto& last = here_is_last ? here : there;
        const auto& other = here_is_last ? there : here;
        if (now == last->value) return;
        const bool told = conflicts_.contains({row, field});
        if (other && now == other->value && told) return;
        if (there && written_soon_after(lead, field, there->at) && (!other || now == other->value || told)) return;
        break_("lead {} {}: {} stands; here {}, there {}, {}{}", lead, field, now.value_or("nothing"), shown(here),
               shown(there), told ? "and a conflict tells another story" : "and no conflict tells",
               history_of(row, field));
    }

    /// For whoever looks into it.
    std::string history_of(const std::string& row, const std::string& field) {
        pqxx::connection connection{circumstances_.database_url};
        pqxx::work query{connection};
        std::string story;
        for (const auto& line :
             query.exec_params("SELECT at, coalesce(old, '-'), coalesce(new, '-'), side, rule, coalesce(request, '') "
                               "FROM crm.history WHERE workspace = $1 AND lead_id = $2 AND (field = $3 OR field IS "
                               "NULL) ORDER BY id",
                               workspace_, row, field))
            story += fmt::format("\n    {} {} -> {}, {} {} {}", line[0].c_str(), line[1].c_str(), line[2].c_str(),
                                 line[3].c_str(), line[4].c_str(), line[5].c_str());
        for (const auto& line : query.exec_params(
                 "SELECT created_at, coalesce(base, '-'), coalesce(local, '-'), coalesce(remote, '-'), rule FROM "
                 "crm.conflicts WHERE workspace = $1 AND lead_id = $2 AND field = $3 ORDER BY id",
                 workspace_, row, field))
            story += fmt::format("\n    {} conflict: base {}, here {}, there {}, {}", line[0].c_str(),
                                 line[1].c_str(), line[2].c_str(), line[3].c_str(), line[4].c_str());
        return story;
    }

    static std::string shown(const std::optional<Ledger::Edit>& edit) {
        if (!edit) return "no edit";
        const auto milliseconds = edit->at.time_since_epoch() / 1ms % 1000;
        return fmt::format("\"{}\" at {:%T}.{:03}", edit->value, std::chrono::floor<std::chrono::seconds>(edit->at),
                           milliseconds);
    }

    /// No create made a second lead.
    void check_no_twins() {
        if (circumstances_.lists_lie) return;
        std::map<std::string, std::vector<std::string>> seen;
        for (const auto& [id, lead] : truth_) {
            const auto email = lower(lead.value("email", ""));
            if (email.starts_with("chaos") && !ledger_.made_on_both_sides.contains(email)) seen[email].push_back(id);
            const auto name = lead.value("first_name", "");
            if (email.empty() && name.starts_with("Chaos ")) seen[name].push_back(id);
        }
        for (const auto& [name, ids] : seen)
            if (ids.size() > 1) break_("{} leads were made of one, {}: {}", ids.size(), name, fmt::join(ids, ", "));
    }

    const Ledger& ledger_;
    const Circumstances& circumstances_;
    std::string workspace_;
    std::map<std::string, json> truth_;
    std::map<std::string, Row> rows_;
    std::map<std::string, std::string> rows_by_lead_;
    std::set<std::string> tombstones_;
    std::set<std::pair<std::string, std::string>> conflicts_;
    std::vector<json> patches_;
    std::vector<std::string> broken_;
};

}  // namespace

std::vector<std::string> broken_guarantees(People& people, const Circumstances& circumstances) {
    return Verdict{people, circumstances}.reach();
}

}  // namespace leadsync::chaos
