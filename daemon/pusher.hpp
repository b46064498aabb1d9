#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "connectors/instantly/client.hpp"
#include "connectors/postgres/database.hpp"
#include "connectors/postgres/mirror.hpp"
#include "connectors/postgres/queue.hpp"
#include "daemon/pace.hpp"
#include "daemon/tasks.hpp"
#include "daemon/workspace_state.hpp"
#include "sync/failure.hpp"
#include "sync/plan.hpp"
#include "sync/policy.hpp"

namespace leadsync::daemon {

/// How the pusher waits. All of it may be shortened by a test.
struct PusherTiming {
    std::chrono::milliseconds poll{5'000};       ///< looks at the queue this often although nobody rang
    std::chrono::milliseconds lease{300'000};    ///< a batch is ours this long
    std::chrono::milliseconds read_back{2'000};  ///< from a write to looking whether it shows
    std::chrono::milliseconds patience{30'000};  ///< how long a write may take to show before it is sent again
    std::chrono::milliseconds move_patience{120'000};
    std::chrono::milliseconds job_poll_first{300};  ///< doubles up to job_poll_max
    std::chrono::milliseconds job_poll_max{5'000};
    std::chrono::milliseconds busy{1'000};  ///< until a lead or a campaign that is busy is tried again
    sync::Backoff backoff{};
};

/// Brings local changes to Instantly: claims due leads, looks before it pushes, sends what the plan says, and comes
/// back until a look-up shows that it arrived (DESIGN §4, §6).
class Pusher {
public:
    Pusher(instantly::Client& client, postgres::Database& database, const postgres::Mirror& mirror,
           WorkspaceState& state, Pace& pace, Signal& edited, sync::LocalDeletes local_deletes, PusherTiming timing);

    /// Works the queue off. Returns only after stop(), with every batch in hand finished.
    boost::asio::awaitable<void> run();

    /// Works until nothing is pending but leads given up on. For one-shot runs.
    boost::asio::awaitable<void> drain();

    /// Claims nothing more.
    void stop();

private:
    struct Sending;
    struct LookUp;
    using Claims = std::vector<postgres::Claim>;

    boost::asio::awaitable<void> worker();
    boost::asio::awaitable<std::chrono::milliseconds> work_once();
    boost::asio::awaitable<void> settle(Claims claims);
    boost::asio::awaitable<void> give_back(Claims claims);

    boost::asio::awaitable<void> reconcile(Claims claims);
    boost::asio::awaitable<LookUp> look_up(const Claims& claims);
    boost::asio::awaitable<void> give_up_on(Claims claims, std::string reason);

    boost::asio::awaitable<void> send(std::vector<Sending> sendings);
    void reserve_moves(std::vector<Sending>& sendings);
    boost::asio::awaitable<void> send_lead(Sending& sending);
    boost::asio::awaitable<void> send_move(std::vector<Sending*> leads);
    boost::asio::awaitable<std::string> follow(sync::JobId job, std::size_t sent);
    boost::asio::awaitable<void> record(std::vector<Sending>& sendings);

    boost::asio::awaitable<void> create(Claims claims);
    boost::asio::awaitable<void> create_in_target(std::vector<Sending> rows);
    boost::asio::awaitable<void> adopt_existing(std::vector<Sending>& rows);
    boost::asio::awaitable<void> remove(Claims claims);

    boost::asio::awaitable<void> fail(Claims claims, sync::Failure failure);
    void write_verdict(pqxx::work& transaction, const postgres::Claim& claim, const sync::Verdict& verdict,
                       const sync::Failure& failure);
    boost::asio::awaitable<void> heed(const sync::Verdict& verdict, const sync::Failure& failure);

    instantly::Client& client_;
    postgres::Database& database_;
    const postgres::Mirror& mirror_;
    WorkspaceState& state_;
    Pace& pace_;
    Signal& edited_;
    sync::LocalDeletes local_deletes_;
    PusherTiming timing_;
    postgres::Queue queue_;
    std::set<std::string> moving_;  // campaigns and lists that a move of ours holds: one move at a time each
    std::chrono::steady_clock::time_point creates_held_until_;
    std::chrono::steady_clock::time_point paused_until_;
    int pauses_ = 0;
    bool stopping_ = false;
};

}  // namespace leadsync::daemon
