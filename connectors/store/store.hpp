#pragma once

#include <functional>
#include <optional>
#include <stdexcept>
#include <type_traits>

#include <boost/asio/awaitable.hpp>

#include "connectors/store/leads.hpp"
#include "connectors/store/progress.hpp"
#include "connectors/store/queue.hpp"

namespace leadsync::store {

/// The store could not do it: unreachable, restarted, out of space. Nothing of the transaction stands, unless it was
/// the answer to its commit that got lost; the same may succeed later. what() is one line.
class StoreError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// What one transaction can reach: one workspace's tables.
struct Transaction {
    Leads& leads;
    Queue& queue;
    Progress& progress;
};

/// The durable state of one workspace. PostgreSQL is the one in use; the simulation has a model of it, and one
/// contract suite (tests/connectors/store_contract.cpp) holds both to the same behaviour.
class Store {
public:
    virtual ~Store() = default;

    /// Runs `work(Transaction&)` in one transaction, commits, and resumes the caller on its own executor. What `work`
    /// throws rolls back and surfaces here; StoreError when the store itself failed. No transaction spans a request.
    template <class Work>
    auto run(Work work) -> boost::asio::awaitable<std::invoke_result_t<Work&, Transaction&>> {
        return run_in(Scope::transaction, std::move(work));
    }

    /// The same for `work` that is one statement, with no transaction around it: a third of the turns to the server.
    /// After a StoreError nobody knows whether it was carried out.
    template <class Work>
    auto run_statement(Work work) -> boost::asio::awaitable<std::invoke_result_t<Work&, Transaction&>> {
        return run_in(Scope::statement, std::move(work));
    }

protected:
    enum class Scope { transaction, statement };

    /// May run `step` on another thread; not twice.
    virtual boost::asio::awaitable<void> transact(std::function<void(Transaction&)> step, Scope scope) = 0;

private:
    template <class Work>
    auto run_in(Scope scope, Work work) -> boost::asio::awaitable<std::invoke_result_t<Work&, Transaction&>> {
        using Result = std::invoke_result_t<Work&, Transaction&>;
        if constexpr (std::is_void_v<Result>) {
            std::function<void(Transaction&)> step = [&](Transaction& transaction) { work(transaction); };
            co_await transact(std::move(step), scope);
        } else {
            std::optional<Result> result;
            std::function<void(Transaction&)> step = [&](Transaction& transaction) {
                result.emplace(work(transaction));
            };
            co_await transact(std::move(step), scope);
            co_return std::move(*result);
        }
    }
};

}  // namespace leadsync::store
