#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "daemon/clock.hpp"
#include "daemon/tasks.hpp"
#include "sync/guard.hpp"
#include "sync/ids.hpp"

namespace leadsync::daemon {

/// How many leads that were edited on Instantly are still taken in without asking: `guard.changes`, counted from the
/// beginning of a sweep over all of its ranges and the looks beside it. A lead counts once, however often it is
/// edited. On one thread.
class ChangeGuard {
public:
    ChangeGuard(Clock& clock, sync::GuardLimit limit) : clock_{clock}, limit_{limit} {}

    /// A sweep begins, or goes on: its edits so far, of a workspace of so many leads.
    void begin(std::int64_t leads, std::int64_t changed);
    [[nodiscard]] bool has_begun() const { return has_begun_; }
    /// What is durably known of the sweep's edits; never fewer than before.
    void know(std::int64_t changed);
    /// Whether the lead counts already. Where any number may change, none does.
    [[nodiscard]] bool has_let_in(const sync::InstantlyId& lead) const { return let_in_.contains(lead.text); }

    /// An answer's part: nobody else may use it up while the answer is written.
    class Share {
    public:
        Share(ChangeGuard& guard, std::int64_t leads, std::optional<std::int64_t> left);
        ~Share();
        Share(Share&& other) noexcept;
        Share(const Share&) = delete;
        Share& operator=(const Share&) = delete;
        Share& operator=(Share&&) = delete;

        /// How many leads of the answer that do not count yet may be taken in. Nothing: all.
        [[nodiscard]] std::optional<std::int64_t> left() const { return left_; }
        /// Edits of these leads are written.
        void taken(const std::vector<sync::InstantlyId>& leads);

    private:
        ChangeGuard* guard_;
        std::int64_t leads_;
        std::optional<std::int64_t> left_;
    };
    /// For an answer of so many leads; waits while others may yet leave enough.
    boost::asio::awaitable<Share> reserve(std::int64_t leads);

private:
    Clock& clock_;
    sync::GuardLimit limit_;
    bool has_begun_ = false;
    std::optional<std::int64_t> allowed_;
    std::int64_t changed_ = 0;
    std::unordered_set<std::string> let_in_;  ///< those of `changed_` that are known by id
    std::int64_t reserved_ = 0;
    Signal freed_;
};

}  // namespace leadsync::daemon
