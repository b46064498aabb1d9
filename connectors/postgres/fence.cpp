#include "connectors/postgres/fence.hpp"

namespace leadsync::postgres {
namespace {

constexpr auto start_of = "SELECT pid || ' ' || extract(epoch FROM backend_start) FROM pg_stat_activity WHERE pid = ";

}  // namespace

pqxx::broken_connection locks_are_lost() {
    return pqxx::broken_connection{
        "the locks of the workspaces are lost: nothing is read or written before they are taken again"};
}

void Fence::raise(pqxx::connection& holder) {
    pqxx::nontransaction session{holder};
    auto name = session.exec1(std::string{start_of} + "pg_backend_pid()")[0].as<std::string>();
    const std::lock_guard lock{mutex_};
    holder_ = std::move(name);
    ++raised_;
}

void Fence::lower() {
    const std::lock_guard lock{mutex_};
    holder_.clear();
}

std::optional<std::uint64_t> Fence::standing() const {
    const std::lock_guard lock{mutex_};
    return holder_.empty() ? std::nullopt : std::optional{raised_};
}

void Fence::check(pqxx::transaction_base& session) const {
    std::string expected;
    {
        const std::lock_guard lock{mutex_};
        expected = holder_;
    }
    if (expected.empty()) throw locks_are_lost();
    const auto pid = expected.substr(0, expected.find(' '));
    const auto rows = session.exec(start_of + pid);
    if (rows.empty() || rows[0][0].as<std::string>("") != expected)
        throw pqxx::broken_connection{"the session that holds the locks of the workspaces is gone"};
}

}  // namespace leadsync::postgres
