#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <nlohmann/json.hpp>

#include "connectors/instantly/page.hpp"
#include "connectors/instantly/transport.hpp"
#include "sync/lead.hpp"

namespace leadsync::instantly {

class Answer;

/// Ids to a look-up by them. Source: INSTANTLY.md, Reading leads.
inline constexpr std::size_t look_up_max = 100;

/// What to list. Empty members do not narrow.
struct LeadQuery {
    std::optional<sync::CampaignId> campaign;
    std::optional<sync::ListId> list;
    std::vector<sync::InstantlyId> ids;  ///< at most look_up_max
    std::vector<std::string> contacts;   ///< emails, at most look_up_max
    std::optional<std::string> after;    ///< cursor
    int limit = page_limit_max;          ///< 1 to that
};

struct InterestUpdate {
    std::string email;
    std::optional<int> interest;  ///< nothing resets the lead to "Lead"
    std::optional<sync::CampaignId> campaign;
    std::optional<sync::ListId> list;
};

/// A move of chosen leads inside one source to one target. Exactly one source and one target are set.
struct Move {
    std::vector<sync::InstantlyId> leads;
    std::optional<sync::CampaignId> from_campaign;
    std::optional<sync::ListId> from_list;
    std::optional<sync::CampaignId> to_campaign;
    std::optional<sync::ListId> to_list;
};

enum class JobState { running, success, failed };

struct BackgroundJob {
    sync::JobId id;
    JobState state = JobState::running;
    std::string status;              ///< the server's word
    std::optional<int> moved_leads;  ///< `data.moved_leads` where the server tells
};

struct CreatedLead {
    std::size_t index;  ///< position in the request
    sync::InstantlyId id;
};

/// Where `POST /api/v2/leads/add` is not to find a lead of the same email, for one to be made.
enum class Unless {
    in_target,
    in_workspace,  ///< `skip_if_in_workspace`: counts as skipped where one is in any campaign or list
};

/// Answer of `POST /api/v2/leads/add`. A lead without an entry in `created` exists already or was refused.
struct AddedLeads {
    std::vector<CreatedLead> created;
    int duplicated = 0;            ///< in the target already
    int duplicate_in_request = 0;  ///< sent twice in this request
    int skipped = 0;
    int invalid_email = 0;
    int incomplete = 0;
    int in_blocklist = 0;
    std::optional<int> remaining_in_plan;
};

struct Campaign {
    sync::CampaignId id;
    std::string name;
    std::optional<int> status;
    nlohmann::json raw;
};
struct LeadList {
    sync::ListId id;
    std::string name;
    nlohmann::json raw;
};
struct LeadLabel {
    std::string id;
    std::string label;
    std::optional<int> interest_status;
    nlohmann::json raw;
};
struct Workspace {
    std::string id;
    std::string name;
};

/// One workspace of the Instantly API v2, one method per endpoint. Does not retry; the queue does.
/// Every method throws ApiError for a refusal, a broken answer, or none, and std::invalid_argument for a request that
/// would reach leads it does not name. Every request waits for its turn at `gate`.
class Client {
public:
    /// Throws std::invalid_argument when the key cannot be one (empty, blanks, control characters).
    Client(Transport& transport, std::string api_key, Gate gate);

    /// The same workspace, by another gate.
    [[nodiscard]] Client through(Gate gate) const { return {transport_, secret_, std::move(gate)}; }

    /// POST /api/v2/leads/list: one page, ordered by id. Checks that what came back is what was asked for (ids,
    /// campaign, list, ascending and advancing ids); an answer that does not match is an ApiError, never data.
    boost::asio::awaitable<LeadPage> list_leads(LeadQuery query);

    /// The same, its leads to be read one by one; of a query that narrows they are read, for what they say of
    /// themselves is checked too.
    boost::asio::awaitable<ScannedPage> scan_leads(LeadQuery query);

    /// GET /api/v2/leads/{id}. Nothing when the lead is gone (404).
    boost::asio::awaitable<std::optional<sync::RemoteLead>> get_lead(sync::InstantlyId id);

    /// PATCH /api/v2/leads/{id} with the given fields, at least one. Nothing when the lead is gone (404).
    boost::asio::awaitable<std::optional<sync::RemoteLead>> update_lead(sync::InstantlyId id, nlohmann::json fields);

    /// DELETE /api/v2/leads/{id}. False when it was gone already (404), which is success too.
    boost::asio::awaitable<bool> delete_lead(sync::InstantlyId id);

    /// POST /api/v2/leads/update-interest-status, scoped to a campaign or list: without one it would reach every lead
    /// with that email. Asynchronous (202): read back.
    boost::asio::awaitable<void> update_interest(InterestUpdate update);

    /// POST /api/v2/leads/move with `reset_interest_status: false`. Follow the job to its end.
    boost::asio::awaitable<BackgroundJob> move_leads(Move move);

    /// GET /api/v2/background-jobs/{id}.
    boost::asio::awaitable<BackgroundJob> get_job(sync::JobId id);

    /// POST /api/v2/leads: for what `add_leads` cannot serve (a list lead without an email). Not safe to retry.
    boost::asio::awaitable<sync::RemoteLead> create_lead(nlohmann::json lead);

    /// POST /api/v2/leads/add: at most 1,000 leads into one campaign or one list. Safe to retry: an email that is in
    /// that target already counts as duplicate and its id is not returned.
    boost::asio::awaitable<AddedLeads> add_leads(std::optional<sync::CampaignId> campaign,
                                                 std::optional<sync::ListId> list, std::vector<nlohmann::json> leads,
                                                 Unless unless = Unless::in_target);

    /// POST /api/v2/leads/merge: `source` into `destination`, which is answered.
    boost::asio::awaitable<sync::RemoteLead> merge_leads(sync::InstantlyId source, sync::InstantlyId destination);

    /// POST /api/v2/leads/bulk-assign. Asynchronous (202): read back.
    boost::asio::awaitable<void> assign_leads(std::vector<sync::InstantlyId> leads, std::string user_id);

    /// POST /api/v2/leads/subsequence/move.
    boost::asio::awaitable<sync::RemoteLead> move_to_subsequence(sync::InstantlyId id, std::string subsequence_id);

    /// POST /api/v2/leads/subsequence/remove.
    boost::asio::awaitable<sync::RemoteLead> remove_from_subsequence(sync::InstantlyId id);

    /// GET /api/v2/campaigns, /lead-lists, /lead-labels: all of them, page by page.
    boost::asio::awaitable<std::vector<Campaign>> list_campaigns();
    boost::asio::awaitable<std::vector<LeadList>> list_lead_lists();
    boost::asio::awaitable<std::vector<LeadLabel>> list_lead_labels();

    /// GET /api/v2/workspaces/current: whose key this is.
    boost::asio::awaitable<Workspace> current_workspace();

    /// GET /api/v2/workspace-billing/plan-details: how many leads the workspace holds; nothing where it is not
    /// told (the key may lack that scope, and nothing depends on it).
    boost::asio::awaitable<std::optional<std::int64_t>> lead_count();

private:
    boost::asio::awaitable<Answer> send(Request request);
    boost::asio::awaitable<Answer> get(std::string target);
    boost::asio::awaitable<Answer> post(std::string target, nlohmann::json body, std::vector<std::string> leads);
    boost::asio::awaitable<Answer> list(const LeadQuery& query);
    boost::asio::awaitable<std::vector<nlohmann::json>> list_all(std::string path);

    Transport& transport_;
    std::string authorization_;
    std::string secret_;
    Gate gate_;
};

}  // namespace leadsync::instantly
