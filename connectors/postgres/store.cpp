#include "connectors/postgres/store.hpp"

#include "connectors/postgres/leads.hpp"
#include "connectors/postgres/progress.hpp"
#include "connectors/postgres/queue.hpp"

namespace leadsync::postgres {
namespace {

void with_tables(pqxx::transaction_base& transaction, const std::string& workspace,
                 const std::function<void(store::Transaction&)>& step) {
    Leads leads{transaction, workspace};
    Queue queue{transaction, workspace};
    Progress progress{transaction, workspace};
    store::Transaction all{leads, queue, progress};
    step(all);
}

}  // namespace

std::string one_line(const std::exception& error) {
    std::string message = error.what();
    while (message.ends_with('\n')) message.pop_back();
    for (auto& c : message)
        if (c == '\n') c = ' ';
    return "PostgreSQL: " + message;
}

bool is_away(const pqxx::failure& error) {
    if (dynamic_cast<const pqxx::broken_connection*>(&error) != nullptr) return true;
    const auto* answer = dynamic_cast<const pqxx::sql_error*>(&error);
    return answer != nullptr && answer->sqlstate().starts_with("57P0");  // shut down, crashed, starting up
}

void Store::run_blocking(const std::function<void(store::Transaction&)>& step) {
    database_.run_blocking([&](pqxx::work& transaction) { with_tables(transaction, workspace_, step); });
}

boost::asio::awaitable<void> Store::transact(std::function<void(store::Transaction&)> step, Scope scope) {
    auto work = [&](pqxx::transaction_base& transaction) { with_tables(transaction, workspace_, step); };
    try {
        if (scope == Scope::transaction)
            co_await database_.run(work);
        else
            co_await database_.run<SingleStatement>(work);
    } catch (const pqxx::failure& error) {
        throw store::StoreError{one_line(error)};
    }
}

}  // namespace leadsync::postgres
