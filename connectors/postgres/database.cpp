#include "connectors/postgres/database.hpp"

#include "connectors/postgres/connection.hpp"

namespace leadsync::postgres {
namespace {

std::unique_ptr<pqxx::connection> connect(const std::string& url, const Fence* fence) {
    auto connection = open_connection(url);
    pqxx::nontransaction session{*connection};
    session.exec(R"sql(
        SET leadsync.origin = 'sync';
        SET application_name = 'leadsync';
        SET timezone = 'UTC';
        SET client_min_messages = warning)sql");
    session.exec("SET lock_timeout = " + std::to_string(lock_patience.count()));
    if (fence != nullptr) fence->check(session);
    return connection;
}

}  // namespace

Database::Database(std::string url, std::size_t threads) : url_{std::move(url)}, threads_{threads} {}

Database::~Database() {
    threads_.stop();
    threads_.join();
}

std::optional<std::uint64_t> Database::fence_standing() const {
    return fence_ != nullptr ? fence_->standing() : std::optional<std::uint64_t>{0};
}

Database::Borrowed Database::borrow() {
    const auto raised = fence_standing();
    {
        const std::lock_guard lock{mutex_};
        // Those of an older raising go even while it is down: the server may have no room for more of them, and the
        // session that is to take the locks needs it.
        std::erase_if(idle_, [&](const Pooled& one) { return raised != one.raised || !one.connection->is_open(); });
        if (!idle_.empty()) {
            auto pooled = std::move(idle_.back());
            idle_.pop_back();
            return {*this, std::move(pooled)};
        }
    }
    if (!raised) throw locks_are_lost();
    return {*this, {connect(url_, fence_), *raised}};
}

Database::Borrowed::Borrowed(Database& database, Pooled pooled) : database_{database}, pooled_{std::move(pooled)} {}

Database::Borrowed::~Borrowed() {
    if (!pooled_.connection || !pooled_.connection->is_open()) return;
    const std::lock_guard lock{database_.mutex_};
    database_.idle_.push_back(std::move(pooled_));
}

void Database::Borrowed::expect_fence() const {
    if (database_.fence_standing() != pooled_.raised) throw locks_are_lost();
}

}  // namespace leadsync::postgres
