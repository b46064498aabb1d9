#pragma once

#include "connectors/store/queue.hpp"
#include "tests/simulation/model_state.hpp"

namespace leadsync::simulation {

/// The queue of connectors/postgres/ as values.
class ModelQueue final : public store::Queue {
public:
    explicit ModelQueue(ModelTransaction& transaction) : transaction_{transaction} {}

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
    void has_grown() override {}
    bool is_idle() override;
    bool has_creates() override;
    bool fall_asleep() override;
    void wake() override;
    void rejected(const std::vector<sync::LeadId>& ids) override;
    std::int64_t backlog(store::HoldKind kind, std::int64_t limit) override;
    std::vector<store::HoldKind> exceeded(const store::Allowed& allowed) override;
    void hold_backlog(store::HoldKind kind, const std::string& why) override;
    void hold(store::HoldKind kind, const std::vector<sync::LeadId>& ids, const std::string& why) override;
    std::vector<sync::LeadId> held(store::HoldKind kind, const std::vector<sync::LeadId>& ids) override;
    std::map<sync::LeadId, store::Approval> deletions_decided(const std::vector<sync::LeadId>& ids) override;
    void merge_leaves(const sync::LeadId& source) override;
    void merge_ended(const sync::LeadId& source, bool merged) override;

private:
    [[nodiscard]] bool is_claimable(const sync::LeadId& id, bool creates_too) const;
    [[nodiscard]] std::vector<sync::LeadId> due(int limit, bool creates_too) const;
    [[nodiscard]] store::Claim lease_one(const sync::LeadId& id, std::chrono::milliseconds lease,
                                         std::optional<std::int64_t> token = std::nullopt);
    /// The queued lead, its lease ended, if it is the claim's still; and whether nobody edited it since.
    struct Released {
        ModelQueued* lead = nullptr;
        bool unchanged = false;
    };
    Released release(const store::Claim& claim);
    void add_attempt(const sync::LeadId& id, const std::string& error);
    [[nodiscard]] std::vector<sync::LeadId> undecided(store::HoldKind kind) const;
    bool note_held(store::HoldKind kind, const sync::LeadId& id, const std::string& why);
    void show_held(const sync::LeadId& id, const std::string& why);

    ModelTransaction& transaction_;
};

}  // namespace leadsync::simulation
