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

Database::Borrowed Database::borrow() {
    {
        const std::lock_guard lock{mutex_};
        while (!idle_.empty()) {
            auto connection = std::move(idle_.back());
            idle_.pop_back();
            if (connection->is_open()) return {*this, std::move(connection)};
        }
    }
    return {*this, connect(url_, fence_)};
}

Database::Borrowed::Borrowed(Database& database, std::unique_ptr<pqxx::connection> connection)
    : database_{database}, connection_{std::move(connection)} {}

Database::Borrowed::~Borrowed() {
    if (!connection_ || !connection_->is_open()) return;
    const std::lock_guard lock{database_.mutex_};
    database_.idle_.push_back(std::move(connection_));
}

}  // namespace leadsync::postgres
