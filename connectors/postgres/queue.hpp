#pragma once

#include <map>
#include <string>

#include <pqxx/pqxx>

#include "connectors/postgres/database.hpp"
#include "connectors/store/queue.hpp"

namespace leadsync::postgres {

/// `sync.queue`, `sync.merges` and `crm.held` as SQL. Claim, finish and give up are one statement each, so that no
/// crash falls between a read and its write.
class Queue final : public store::Queue {
public:
    Queue(pqxx::transaction_base& transaction, const std::string& workspace)
        : transaction_{transaction}, workspace_{workspace} {}

    // queue.cpp
    std::vector<store::Claim> claim(int limit, std::chrono::milliseconds lease, bool creates_too) override;
    std::optional<std::vector<store::Claim>> claim_within(const store::Allowed& allowed, int limit,
                                                          std::chrono::milliseconds lease, bool creates_too,
                                                          std::optional<std::int64_t> token) override;
    std::int64_t draw_lease_token() override;
    std::vector<store::MoveClaim> claim_moves(int limit, int scan, std::chrono::milliseconds lease,
                                              std::chrono::milliseconds aside) override;
    void complete(const std::vector<store::Claim>& claims) override;
    void defer(const std::vector<store::Claim>& claims, std::chrono::milliseconds delay) override;
    void defer_together(const std::vector<store::Claim>& claims, std::chrono::milliseconds delay) override;
    std::vector<store::Claim> give_back(const std::vector<store::Claim>& claims,
                                        std::chrono::milliseconds delay) override;
    std::unordered_set<std::string> renew(const std::vector<store::Claim>& claims,
                                          std::chrono::milliseconds lease) override;
    void put_aside(const std::vector<store::Claim>& claims, std::chrono::milliseconds how_long) override;
    void retry(const std::vector<store::FailedClaim>& failed) override;
    void resent(const std::vector<store::FailedClaim>& failed) override;
    std::vector<sync::LeadId> dead_letter(const std::vector<store::FailedClaim>& failed) override;
    void enqueue(const std::vector<sync::LeadId>& ids) override;
    std::vector<sync::LeadId> look_again(const std::vector<sync::LeadId>& ids,
                                         std::chrono::milliseconds delay) override;
    void forget_dead(const std::vector<sync::LeadId>& ids) override;
    std::vector<store::Claim> release_lease(std::int64_t token) override;
    std::vector<store::Claim> release_all() override;
    std::optional<std::chrono::milliseconds> next_due(bool creates_too) override;
    void has_grown() override;
    bool is_idle() override;
    bool has_creates() override;
    bool fall_asleep() override;
    void wake() override;

    // held.cpp
    void rejected(const std::vector<sync::LeadId>& ids) override;
    std::int64_t backlog(store::HoldKind kind, std::int64_t limit) override;
    std::vector<store::HoldKind> exceeded(const store::Allowed& allowed) override;
    void hold_backlog(store::HoldKind kind, const std::string& why) override;
    void hold(store::HoldKind kind, const std::vector<sync::LeadId>& ids, const std::string& why) override;
    std::vector<sync::LeadId> held(store::HoldKind kind, const std::vector<sync::LeadId>& ids) override;
    std::map<sync::LeadId, store::Approval> deletions_decided(const std::vector<sync::LeadId>& ids) override;

    // queue_merges.cpp
    void merge_leaves(const sync::LeadId& source) override;
    void merge_ended(const sync::LeadId& source, bool merged) override;

private:
    pqxx::result write(const Statement& statement, const std::vector<store::FailedClaim>& failed);
    void add_attempts(const char* outcome, const std::vector<store::FailedClaim>& failed, const pqxx::result& ours);

    pqxx::transaction_base& transaction_;
    const std::string& workspace_;
};

/// A kind of hold as `crm.held` tells it: kind, side, and both in one word for `sync.queue.decided`.
struct HoldName {
    const char* kind;
    const char* side;
    const char* both;
};
HoldName name_of(store::HoldKind kind);
std::optional<store::HoldKind> hold_kind_named(std::string_view both);

/// As the queue's row names them; anything else is nothing, or none.
store::Work work_named(std::string_view name);
store::Approval approval_named(std::string_view name);

}  // namespace leadsync::postgres
