#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <pqxx/pqxx>

#include "connectors/postgres/fence.hpp"

namespace leadsync::postgres {

/// How long a statement waits for a row that somebody writes. Less than PostgreSQL waits before it looks for
/// deadlocks
/// (`deadlock_timeout`, 1 s): where a user's statement and ours wait for each other, ours is to give way.
inline constexpr std::chrono::milliseconds lock_patience{500};

/// A pool of connections, each used by one database thread at a time. All writes through it are leadsync's own: the
/// capture triggers pass them by.
class Database {
public:
    /// `url` is a libpq URL or connection string. Connects when first used.
    Database(std::string url, std::size_t threads);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    /// Runs `work(pqxx::work&)` in one transaction on a database thread, commits, and resumes the caller on its own
    /// executor. What `work` throws rolls back and surfaces here. The empty slot shields the transaction from
    /// cancellation: it ends first. With `SingleStatement` as its scope it is one statement, in no transaction.
    template <class Scope = pqxx::work, class Work>
    auto run(Work work) -> boost::asio::awaitable<std::invoke_result_t<Work&, Scope&>> {
        auto task = on_connection<Scope>(std::move(work));
        co_return co_await boost::asio::co_spawn(
            threads_, std::move(task),
            boost::asio::bind_cancellation_slot(boost::asio::cancellation_slot{}, boost::asio::use_awaitable));
    }

    /// The same, blocking: for what runs before or without the event loop.
    template <class Work>
    auto run_blocking(Work work) -> std::invoke_result_t<Work&, pqxx::work&> {
        auto connection = borrow();
        return transact<pqxx::work>(connection, work);
    }

    /// Where other work that blocks may run.
    [[nodiscard]] boost::asio::any_io_executor executor() { return threads_.get_executor(); }

    [[nodiscard]] const std::string& url() const { return url_; }

    /// Works only as `fence` stands, and where it lets it: while it is down, all work fails as if the server were
    /// away (pqxx::broken_connection), and what had begun behind an earlier raising is not committed. To be called
    /// before any work. The fence outlives this.
    void stay_behind(const Fence& fence) { fence_ = &fence; }

private:
    struct Pooled {
        std::unique_ptr<pqxx::connection> connection;
        std::uint64_t raised = 0;  ///< the raising of the fence that it was made behind
    };

    /// Gives the connection back when it goes, unless it broke.
    class Borrowed {
    public:
        Borrowed(Database& database, Pooled pooled);
        ~Borrowed();
        Borrowed(Borrowed&&) = default;
        Borrowed(const Borrowed&) = delete;
        pqxx::connection& operator*() { return *pooled_.connection; }

        /// Throws pqxx::broken_connection when the fence does not stand any more as it did.
        void expect_fence() const;

    private:
        Database& database_;
        Pooled pooled_;
    };

    template <class Scope, class Work>
    auto on_connection(Work work) -> boost::asio::awaitable<std::invoke_result_t<Work&, Scope&>> {
        auto connection = borrow();
        co_return transact<Scope>(connection, work);
    }

    template <class Scope, class Work>
    static auto transact(Borrowed& connection, Work& work) -> std::invoke_result_t<Work&, Scope&> {
        Scope transaction{*connection};
        if constexpr (std::is_void_v<std::invoke_result_t<Work&, Scope&>>) {
            work(transaction);
            connection.expect_fence();
            transaction.commit();
        } else {
            auto result = work(transaction);
            connection.expect_fence();
            transaction.commit();
            return result;
        }
    }

    Borrowed borrow();
    /// See Fence::standing(); always the same without one.
    [[nodiscard]] std::optional<std::uint64_t> fence_standing() const;

    std::string url_;
    const Fence* fence_ = nullptr;
    std::mutex mutex_;
    std::vector<Pooled> idle_;
    boost::asio::thread_pool threads_;
};

/// The scope of one statement, which commits by itself. Another after it would not be one with it: std::logic_error.
class SingleStatement : public pqxx::nontransaction {
public:
    explicit SingleStatement(pqxx::connection& connection)
        : pqxx::internal::namedclass{"statement"}, pqxx::nontransaction{connection} {}

    void begin_statement() {
        if (std::exchange(has_begun_, true)) throw std::logic_error{"a second statement outside a transaction"};
    }

private:
    bool has_begun_ = false;
};

/// A statement with the name under which each connection prepares it once. Both are string literals.
struct Statement {
    const char* name;
    std::string sql;
};

/// Runs a prepared statement.
template <class... Arguments>
pqxx::result execute(pqxx::transaction_base& transaction, const Statement& statement, Arguments&&... arguments) {
    if (auto* const single = dynamic_cast<SingleStatement*>(&transaction)) single->begin_statement();
    transaction.conn().prepare(statement.name, statement.sql);  // libpqxx keeps it when it is known already
    return transaction.exec_prepared(statement.name, std::forward<Arguments>(arguments)...);
}

}  // namespace leadsync::postgres
