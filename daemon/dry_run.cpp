#include "daemon/dry_run.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "connectors/instantly/api_error.hpp"
#include "connectors/instantly/client.hpp"
#include "connectors/postgres/preview.hpp"
#include "daemon/deletions.hpp"
#include "daemon/observation.hpp"
#include "daemon/pace.hpp"
#include "daemon/persistence.hpp"
#include "daemon/planned_sends.hpp"
#include "daemon/push_context.hpp"
#include "daemon/rate_limit_transport.hpp"
#include "daemon/tasks.hpp"
#include "sync/guard.hpp"

namespace leadsync::daemon {
namespace {

using postgres::Preview;
using postgres::QueuedLead;
using store::Approval;
using store::HoldKind;
using store::Transaction;
using store::Work;
using sync::Field;
using sync::InstantlyId;
using sync::LeadId;
using sync::Observation;

constexpr int attempts_max = 5;
constexpr double share_at_least = 0.05;  // of the rate, beside a daemon that uses it all

constexpr std::array<std::string_view, 16> step_names{
    "new",          "adopted",     "changed",  "deleted_on_instantly",
    "create",       "patch",       "interest", "assign",
    "move",         "subsequence", "delete",   "merge",
    "stop_syncing", "bring_back",  "give_up",  "hold"};

using Gone = std::vector<std::pair<LeadId, InstantlyId>>;

/// One workspace, step by step.
class DryRun {
public:
    DryRun(instantly::Transport& transport, postgres::Database& database, Clock& clock, Dice dice,
           const WorkspaceConfig& config, std::size_t leads_kept)
        : database_{database},
          clock_{clock},
          dice_{std::move(dice)},
          config_{config},
          client_{transport, config.api_key.reveal(), [this] { return pace_->lane(sync::Lane::rest)(); }},
          sends_{plan_, leads_kept} {
        plan_.workspace = config.name;
    }

    asio::awaitable<WorkspacePlan> run() {
        co_await look_at_rows();
        co_await expect_right_key();
        co_await read_pages();
        co_await look_up_queued();
        co_await look_into_absent();
        plan_creates();
        plan_removals();
        sends_.finish();
        co_return std::move(plan_);
    }

private:
    // --- what is here ---

    asio::awaitable<void> look_at_rows() {
        bool driven = false;
        co_await read([&](Transaction& transaction, Preview& preview) {
            leads_here_ = transaction.leads.count();
            pinned_ = preview.pinned();
            driven = preview.is_driven();
            for (auto& lead : preview.queue()) {
                auto id = lead.claim.id.text;
                order_.push_back(id);
                queue_.emplace(std::move(id), std::move(lead));
            }
            hold_avalanches(transaction);
            load_creates(transaction);
        });
        for (auto& [id, lead] : queue_)
            if (lead.claim.work == Work::reconcile && is_due(lead))
                to_look_up_.emplace(lead.claim.instantly_id.text, &lead);
        changes_allowed_ = sync::allowed(config_.guard.changes, leads_here_);
        const auto& rate = config_.rate;
        const auto share = driven ? std::min(rate.share, std::max(1 - rate.share, share_at_least)) : rate.share;
        pace_.emplace(clock_, sync::RateLimits{rate.per_second, rate.per_minute, share}, nullptr);
    }

    static bool is_due(const QueuedLead& lead) { return !lead.held && !lead.dead; }

    /// See Pusher::hold_avalanches.
    void hold_avalanches(Transaction& transaction) {
        // What is deleted here and waits to be deleted there is a part of what there was.
        const auto leads =
            leads_here_ + transaction.queue.backlog(HoldKind::remove, std::numeric_limits<std::int64_t>::max());
        const auto check = [&](Work work, const char* what, std::optional<std::int64_t> allowed) {
            if (!allowed) return;
            std::vector<QueuedLead*> waiting;
            for (const auto& id : order_) {
                auto& lead = queue_.at(id);
                const bool undecided = is_due(lead) && lead.edited && !lead.decided && !lead.leased;
                const bool sent = work == Work::reconcile && lead.awaited;
                if (lead.claim.work == work && undecided && !sent) waiting.push_back(&lead);
            }
            if (static_cast<std::int64_t>(waiting.size()) <= *allowed) return;
            const auto why = fmt::format("more than {} leads were {} at once", *allowed, what);
            std::vector<LeadId> ids;
            for (auto* lead : waiting) {
                lead->held = true;
                ids.push_back(lead->claim.id);
            }
            const auto emails = emails_of(transaction, ids);
            for (const auto* lead : waiting)
                sends_.add(Step::hold, {.id = lead->claim.id.text,
                                        .instantly_id = lead->claim.instantly_id.text,
                                        .email = email_in(emails, lead->claim.id),
                                        .note = why});
        };
        check(Work::create, "created", sync::allowed(config_.guard.creates, leads));
        check(Work::reconcile, "edited", sync::allowed(config_.guard.changes, leads));
        if (config_.deletes.local == sync::LocalDeletes::push)
            check(Work::remove, "deleted", sync::allowed_deletes(config_.guard.deletes, leads));
    }

    void load_creates(Transaction& transaction) {
        std::vector<LeadId> ids;
        for (const auto& id : order_)
            if (queue_.at(id).claim.work == Work::create && is_due(queue_.at(id))) ids.push_back({id});
        for (auto& row : transaction.leads.rows(ids)) {
            auto id = row.id.text;
            to_create_.emplace(std::move(id), std::move(row.content));
        }
    }

    using Emails = std::unordered_map<std::string, sync::Value>;

    static Emails emails_of(Transaction& transaction, const std::vector<LeadId>& ids) {
        Emails emails;
        for (const auto& row : transaction.leads.rows(ids)) emails.emplace(row.id.text, row.content[Field::email]);
        return emails;
    }

    static sync::Value email_in(const Emails& emails, const LeadId& id) {
        const auto found = emails.find(id.text);
        return found == emails.end() ? std::nullopt : found->second;
    }

    // --- what is there ---

    asio::awaitable<void> expect_right_key() {
        std::optional<instantly::Workspace> workspace;
        try {
            auto call = [&] { return client_.current_workspace(); };
            workspace = co_await persist(call);
        } catch (const instantly::ApiError& error) {
            if (error.status() != 403) throw;  // the key may lack that scope
        }
        if (workspace && pinned_ && *pinned_ != workspace->id)
            throw std::runtime_error{fmt::format(
                "workspace {}: the API key belongs to Instantly workspace \"{}\" ({}), not to the one these leads "
                "came from; mend the key, or give the other workspace a name of its own in the config",
                config_.name, workspace->name, workspace->id)};
    }

    asio::awaitable<void> read_pages() {
        std::optional<std::string> after;
        do {
            const auto requested_at = clock_.wall();
            auto page = co_await read_page(after);
            std::vector<InstantlyId> ids;
            for (const auto& lead : page.leads) ids.push_back(lead.id);
            ++plan_.pages;
            plan_.leads += static_cast<std::int64_t>(ids.size());
            auto observations = observations_of(page, requested_at, clock_.wall());
            co_await read([&](Transaction& transaction, Preview& preview) {
                take_in(transaction, std::move(observations));
                // A page with items that could not be read says nothing of what is missing in it.
                if (config_.deletes.remote == sync::RemoteDeletes::ignore || !page.unusable.empty()) return;
                std::ranges::move(preview.absent(after, page.next, ids, requested_at - PusherTiming{}.patience),
                                  std::back_inserter(absent_));
            });
            after = page.next;
        } while (after);
    }

    asio::awaitable<instantly::LeadPage> read_page(std::optional<std::string> after) {
        for (;;) {
            instantly::LeadQuery query{.after = after, .limit = page_limit_};
            try {
                auto call = [&] { return client_.list_leads(query); };
                auto page = co_await persist(call);
                page_limit_ = std::min(instantly::page_limit_max, page_limit_ * 2);
                co_return page;
            } catch (const instantly::AnswerTooLarge&) {
                if (page_limit_ == 1) throw;
                page_limit_ /= 2;
            }
        }
    }

    /// Queued leads that no page has shown: as the reconciler looks them up.
    asio::awaitable<void> look_up_queued() {
        std::vector<QueuedLead*> hidden;
        for (const auto& id : order_)
            if (to_look_up_.contains(queue_.at(id).claim.instantly_id.text)) hidden.push_back(&queue_.at(id));
        for (std::size_t from = 0; from < hidden.size(); from += instantly::look_up_max) {
            Gone batch;
            for (std::size_t i = from; i < std::min(hidden.size(), from + instantly::look_up_max); ++i)
                batch.emplace_back(hidden[i]->claim.id, hidden[i]->claim.instantly_id);
            const auto gone = co_await look_up(std::move(batch));
            co_await read([&](Transaction& transaction, Preview& /*preview*/) {
                for (const auto& [id, instantly_id] : gone) settle_gone(transaction, queue_.at(id.text));
            });
        }
    }

    /// See gone_leads.hpp.
    void settle_gone(Transaction& transaction, const QueuedLead& lead) {
        const auto& claim = lead.claim;
        if (claim.expecting || (claim.merge_into && claim.merge_sent_ago)) return;
        const auto known = transaction.leads.load({claim.instantly_id}, store::Lock::none, clock_.wall());
        if (known.empty()) return;
        PlannedLead planned{claim.id.text, claim.instantly_id.text, known.front().local[Field::email], {}, {}};
        const auto decided = transaction.queue.deletions_decided({claim.id});
        if (const auto deletion = decided.find(claim.id); deletion != decided.end()) {
            decided_gone_.insert(claim.id.text);
            if (deletion->second == Approval::approved) sends_.add(Step::gone, std::move(planned));
        } else if (sync::has_local_edits(known.front()) || claim.merge_into) {
            planned.note = "Instantly no longer has this lead (404)";
            sends_.add(Step::give_up, std::move(planned));
        }
    }

    /// What a sweep does not find may be gone: see Deletions.
    asio::awaitable<void> look_into_absent() {
        Gone confirmed;
        for (std::size_t from = 0; from < absent_.size(); from += instantly::look_up_max) {
            Gone batch;
            for (std::size_t i = from; i < std::min(absent_.size(), from + instantly::look_up_max); ++i)
                if (!decided_gone_.contains(absent_[i].first.text)) batch.push_back(absent_[i]);
            if (batch.empty()) continue;
            const auto gone = co_await look_up(std::move(batch));
            confirmed.insert(confirmed.end(), gone.begin(), gone.end());
        }
        if (confirmed.empty()) co_return;
        const auto allowed = sync::allowed_deletes(config_.guard.deletes, leads_here_);
        const auto count = static_cast<std::int64_t>(confirmed.size());
        const bool too_many = allowed && count > *allowed;
        std::vector<LeadId> ids;
        for (const auto& [id, instantly_id] : confirmed) ids.push_back(id);
        Emails emails;
        std::unordered_set<std::string> held;
        co_await read([&](Transaction& transaction, Preview& /*preview*/) {
            emails = emails_of(transaction, ids);
            for (const auto& id : transaction.queue.held(HoldKind::remote_deletion, ids)) held.insert(id.text);
        });
        for (const auto& [id, instantly_id] : confirmed) {
            PlannedLead planned{id.text, instantly_id.text, email_in(emails, id), {}, {}};
            if (too_many)
                planned.note = fmt::format("{} leads are gone on Instantly, more than the {} that may go at once",
                                           count, *allowed);
            if (!held.contains(id.text)) sends_.add(too_many ? Step::hold : Step::gone, planned);
        }
    }

    /// Looks leads up by id, asks for each that the list does not show, takes in what is there, and answers the rest.
    asio::awaitable<Gone> look_up(Gone batch) {
        const auto requested_at = clock_.wall();
        instantly::LeadQuery query;
        for (const auto& [id, instantly_id] : batch) query.ids.push_back(instantly_id);
        auto list = [&] { return client_.list_leads(query); };
        auto page = co_await persist(list);
        std::unordered_set<std::string> listed;
        for (const auto& lead : page.leads) listed.insert(lead.id.text);
        std::erase_if(batch, [&](const auto& lead) { return listed.contains(lead.second.text); });
        Gone gone;
        auto ask = [&](const std::pair<LeadId, InstantlyId>& lead) -> asio::awaitable<void> {
            auto get = [&] { return client_.get_lead(lead.second); };
            auto found = co_await persist(get);
            if (found)
                page.leads.push_back(std::move(*found));
            else
                gone.push_back(lead);
        };
        co_await for_each_of(batch, asked_at_once, ask);
        auto observations = observations_of(page, requested_at, clock_.wall());
        co_await read([&](Transaction& transaction, Preview&) { take_in(transaction, std::move(observations)); });
        co_return gone;
    }

    // --- what meets ---

    /// Leads that the pusher would look up are merged even if nothing has changed on Instantly.
    void take_in(Transaction& transaction, std::vector<Observation> observations) {
        std::vector<InstantlyId> ids;
        for (const auto& observation : observations) ids.push_back(observation.lead.id);
        const auto known = transaction.leads.look_up(ids);
        std::vector<Observation> unknown;
        std::vector<Observation> queued;
        std::vector<Observation> others;
        ObserveOptions options{.policy = config_.conflicts};
        options.dry_run = true;
        auto looking = options;
        looking.everything = true;
        for (auto& observation : observations) {
            const auto& id = observation.lead.id.text;
            if (!known.contains(id)) {
                unknown.push_back(std::move(observation));
            } else if (const auto found = to_look_up_.find(id); found != to_look_up_.end()) {
                const auto& claim = found->second->claim;
                if (claim.approval == Approval::rejected && claim.approval_of)
                    looking.rejected.emplace(claim.id, *claim.approval_of);
                if (claim.resends + 1 >= sync::lost_writes_max) looking.form_is_believed.insert(claim.id);
                to_look_up_.erase(found);
                queued.push_back(std::move(observation));
            } else {
                others.push_back(std::move(observation));
            }
        }
        take(observe(transaction, std::move(queued), looking, clock_.wall()));
        if (changes_allowed_) options.changes_left = std::max<std::int64_t>(0, *changes_allowed_ - edits_let_in_);
        auto seen = observe(transaction, others, options, clock_.wall());
        edits_let_in_ += static_cast<std::int64_t>(seen.pulled);
        if (seen.held > 0) {
            options.changes_left.reset();
            tell_held(transaction, seen, observe(transaction, std::move(others), options, clock_.wall()));
        }
        take(std::move(seen));
        options.changes_left.reset();
        options.adopted = adopted_;
        take(observe(transaction, std::move(unknown), options, clock_.wall()));
    }

    /// Leads whose remote edits the guard does not let in: those in `all` that are not in `seen`. What is held
    /// already is no news.
    void tell_held(Transaction& transaction, const ObserveResult& seen, const ObserveResult& all) {
        std::unordered_set<std::string> known;
        for (const auto& lead : seen.merged) known.insert(lead.id.text);
        std::vector<LeadId> ids;
        for (const auto& lead : all.merged) ids.push_back(lead.id);
        for (const auto& id : transaction.queue.held(HoldKind::remote_change, ids)) known.insert(id.text);
        for (const auto& lead : all.merged) {
            const auto queued = queue_.find(lead.id.text);
            const bool decided = queued != queue_.end() && queued->second.decided;
            if (decided || known.contains(lead.id.text)) continue;
            auto planned = named(lead.id, lead.instantly_id, lead.result);
            planned.note = "too many leads were edited on Instantly at once";
            planned.changes = changes_of(lead.result);
            sends_.add(Step::hold, std::move(planned));
        }
    }

    void take(ObserveResult seen) {
        for (const auto& id : seen.still_there)
            if (!queue_.contains(id.text)) plan_removal({.id = id});
        for (const auto& row : seen.new_leads)
            sends_.add(Step::appear, {row.id.text, row.instantly_id.text, row.local[Field::email], {}, {}});
        for (auto& lead : seen.merged) {
            if (lead.adopted) {
                adopted_.insert(lead.id.text);
                sends_.add(Step::adopt,
                           {lead.id.text, lead.instantly_id.text, lead.result.local[Field::email], {}, {}});
            }
            plan_lead(lead.id, lead.instantly_id, std::move(lead.result));
        }
    }

    static PlannedLead named(const LeadId& id, const InstantlyId& instantly_id, const sync::MergeResult& result) {
        return {id.text, instantly_id.text, result.local[Field::email], {}, {}};
    }

    static std::vector<PlannedChange> changes_of(const sync::MergeResult& result) {
        std::vector<PlannedChange> changes;
        for (const auto& change : result.changes)
            changes.push_back({change.key, change.before, change.after, std::string{change.rule}});
        return changes;
    }

    void plan_lead(const LeadId& id, const InstantlyId& instantly_id, sync::MergeResult result) {
        const auto planned = named(id, instantly_id, result);
        for (const auto& conflict : result.conflicts)
            plan_.conflicts.push_back({planned.id, planned.email, conflict});
        if (!result.changes.empty()) {
            auto pulled = planned;
            pulled.changes = changes_of(result);
            sends_.add(Step::pull, std::move(pulled));
        }
        const auto queued = queue_.find(id.text);
        if (queued != queue_.end() && !is_due(queued->second)) return;
        if (queued != queue_.end() && !result.lost.empty()
            && queued->second.claim.resends + 1 >= sync::lost_writes_max) {
            auto given_up = planned;
            given_up.note = "sent often enough, and never stored: edit the lead to have it sent again";
            return sends_.add(Step::give_up, std::move(given_up));
        }
        const bool anything = sends_.push(planned, std::move(result));
        if (queued == queue_.end() || anything || !queued->second.claim.merge_into) return;
        const auto& sent_ago = queued->second.claim.merge_sent_ago;
        if (sent_ago && *sent_ago < PusherTiming{}.patience) return;  // it may not show yet
        auto merged = planned;
        merged.note = "into " + queued->second.claim.merge_into->text;
        sends_.count("POST /leads/merge");
        sends_.add(Step::merge, std::move(merged));
    }

    // --- what is only here ---

    /// See Creator::create.
    void plan_creates() {
        for (const auto& id : order_) {
            const auto found = to_create_.find(id);
            if (found == to_create_.end() || adopted_.contains(id)) continue;
            const auto& local = found->second;
            const bool to_campaign = sync::present(local[Field::campaign]);
            const bool to_list = sync::present(local[Field::list_id]);
            if (!to_campaign && !to_list) continue;
            PlannedLead planned{id, "", local[Field::email], {}, {}};
            if (queue_.at(id).claim.approval == Approval::rejected)
                planned.note = "its creation was rejected; edit the row to ask again";
            else if (to_campaign && to_list)
                planned.note = "a new lead goes to a campaign or to a list: set one of campaign and list_id to NULL";
            else if (to_campaign && !sync::present(local[Field::email]))
                planned.note = "a lead in a campaign needs an email: insert it again with one";
            if (planned.note.empty())
                sends_.create(planned, local, queue_.at(id).claim.attempts > 0);
            else
                sends_.add(Step::give_up, std::move(planned));
        }
    }

    void plan_removals() {
        for (const auto& id : order_) {
            const auto& lead = queue_.at(id);
            if (lead.claim.work == Work::remove && is_due(lead)) plan_removal(lead.claim);
        }
    }

    /// See Remover::remove.
    void plan_removal(const store::Claim& claim) {
        PlannedLead planned{claim.id.text, claim.instantly_id.text, std::nullopt, {}, {}};
        if (claim.approval == Approval::rejected) {
            sends_.add(Step::restore, std::move(planned));
        } else if (config_.deletes.local == sync::LocalDeletes::push) {
            sends_.count("DELETE /leads/{id}");
            sends_.add(Step::remove, std::move(planned));
        } else {
            sends_.add(Step::forget, std::move(planned));
        }
    }

    // --- ways out ---

    asio::awaitable<void> read(std::function<void(Transaction&, Preview&)> step) {
        return postgres::read_only(database_, config_.name, std::move(step));
    }

    /// A read may be repeated: what passes by itself is waited out, a few times.
    template <class Call>
    std::invoke_result_t<Call&> persist(Call& call) {
        for (int attempt = 1;; ++attempt) {
            std::optional<sync::Failure> failure;
            try {
                co_return co_await call();
            } catch (const instantly::AnswerTooLarge&) {
                throw;
            } catch (const instantly::ApiError& error) {
                if (error.failure().kind != sync::FailureKind::transient || attempt == attempts_max) throw;
                failure = error.failure();
            }
            const auto wait = sync::retry_delay(*failure, attempt, dice_(), {});
            if (failure->rate_limited) pace_->refused(std::max(wait, rate_limit_hold));
            spdlog::warn("workspace {}: {}; attempt {}, next in {} ms", config_.name, failure->message, attempt,
                         wait.count());
            co_await clock_.sleep_for(wait);
        }
    }

    postgres::Database& database_;
    Clock& clock_;
    Dice dice_;
    const WorkspaceConfig& config_;
    std::optional<Pace> pace_;
    instantly::Client client_;
    WorkspacePlan plan_;
    PlannedSends sends_;

    std::int64_t leads_here_ = 0;
    std::optional<std::string> pinned_;
    std::vector<std::string> order_;                           ///< of the queue, the longest due first
    std::unordered_map<std::string, QueuedLead> queue_;        ///< by our id
    std::unordered_map<std::string, QueuedLead*> to_look_up_;  ///< by their id, until an answer has shown it
    std::unordered_map<std::string, sync::Content> to_create_;
    std::unordered_set<std::string> adopted_;
    std::unordered_set<std::string> decided_gone_;  ///< an operator has decided about the deletion
    Gone absent_;
    std::optional<std::int64_t> changes_allowed_;
    std::int64_t edits_let_in_ = 0;
    int page_limit_ = instantly::page_limit_max;
};

}  // namespace

std::string_view name_of(Step step) { return step_names.at(static_cast<std::size_t>(step)); }

boost::asio::awaitable<WorkspacePlan> dry_run(instantly::Transport& transport, postgres::Database& database,
                                              Clock& clock, Dice dice, const WorkspaceConfig& config,
                                              std::size_t leads_kept) {
    DryRun run{transport, database, clock, std::move(dice), config, leads_kept};
    co_return co_await run.run();
}

}  // namespace leadsync::daemon
