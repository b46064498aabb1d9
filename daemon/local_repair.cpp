#include "daemon/local_repair.hpp"

#include <spdlog/spdlog.h>

namespace leadsync::daemon {
namespace {

constexpr int leads_at_once = 2000;

}  // namespace

asio::awaitable<bool> LocalRepair::is_due() {
    bool due = false;
    co_await persistence_.until_done("local repair", [&]() -> asio::awaitable<void> {
        due = co_await store_.run(
            [&](store::Transaction& transaction) { return transaction.progress.begin_repair(every_); });
    });
    co_return due;
}

asio::awaitable<void> LocalRepair::run() {
    const bool due = co_await is_due();
    if (!due) co_return;
    store::Repaired found;
    std::int64_t shown_anew = 0;
    std::int64_t edited = 0;
    do {
        co_await persistence_.until_done("local repair", [&]() -> asio::awaitable<void> {
            found = co_await store_.run(
                [&](store::Transaction& transaction) { return transaction.leads.repair(found.last, leads_at_once); });
        });
        shown_anew += found.shown_anew;
        edited += found.edited;
    } while (found.last);
    std::int64_t unborn = 0;
    std::int64_t queued = 0;
    do {
        co_await persistence_.until_done("local repair", [&]() -> asio::awaitable<void> {
            queued = co_await store_.run([&](store::Transaction& transaction) {
                const auto some = transaction.leads.queue_unborn(leads_at_once);
                if (some < leads_at_once) transaction.progress.finish_repair();
                return some;
            });
        });
        unborn += queued;
    } while (queued >= leads_at_once);
    if (edited + unborn > 0) queued_.set();
    if (shown_anew + edited + unborn > 0)
        spdlog::warn(
            "workspace {}: rows were written past the triggers: {} leads are read anew, {} edits are pushed, {} rows "
            "become leads",
            workspace_, shown_anew, edited, unborn);
}

}  // namespace leadsync::daemon
