// The C++ half of what ./run bench measures of an edit in PostgreSQL: `edits` makes them and tells when each was
// committed, `floor` answers each with one request, with as little in between as can be.
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <thread>

#include <CLI/CLI.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <fmt/format.h>
#include <pqxx/pqxx>

#include "connectors/instantly/origin.hpp"

namespace leadsync::bench {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using std::chrono::milliseconds;

struct Options {
    std::string database;
    std::string table;
    std::string idle = "true";
    int edits = 100;
    int pause_ms = 100;
    std::string url;
    std::string key;
};

/// Of the clock that the sandbox's log tells as `monotonic_us`.
std::int64_t monotonic_us() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

class Editor {
public:
    explicit Editor(const Options& options) : options_{options}, connection_{options.database} {
        connection_.prepare("edit",
                            fmt::format("UPDATE {} SET job_title = $1 WHERE instantly_id = $2", options.table));
    }

    void run() {
        const auto leads = chosen();
        for (std::size_t i = 0; i < leads.size(); ++i) {
            until_idle();
            pause();
            pqxx::work transaction{connection_};
            transaction.exec_prepared("edit", fmt::format("edit {}", i), leads[i]);
            transaction.commit();
            std::cout << fmt::format(R"({{"id":"{}","committed_us":{}}})", leads[i], monotonic_us()) << std::endl;
        }
    }

private:
    std::vector<std::string> chosen() {
        pqxx::work transaction{connection_};
        std::vector<std::string> ids;
        const auto found = transaction.exec_params(
            fmt::format("SELECT instantly_id FROM {} ORDER BY instantly_id DESC LIMIT $1", options_.table),
            options_.edits);
        for (const auto& row : found) ids.emplace_back(row[0].c_str());
        return ids;
    }

    void until_idle() {
        for (;;) {
            pqxx::work transaction{connection_};
            if (transaction.exec("SELECT " + options_.idle)[0][0].as<bool>()) return;
            std::this_thread::sleep_for(milliseconds{50});
        }
    }

    /// Not in step with anything that looks now and then.
    void pause() {
        std::uniform_int_distribution<int> draw{options_.pause_ms / 2, options_.pause_ms * 3 / 2};
        std::this_thread::sleep_for(milliseconds{draw(dice_)});
    }

    const Options& options_;
    pqxx::connection connection_;
    std::mt19937 dice_{7};  // NOLINT: the same pauses every time
};

constexpr const char* floor_schema = R"sql(
    CREATE SCHEMA floor;
    CREATE TABLE floor.leads (instantly_id uuid PRIMARY KEY, job_title text);
    INSERT INTO floor.leads SELECT gen_random_uuid() FROM generate_series(1, 1000);
    CREATE FUNCTION floor.ring() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN PERFORM pg_notify('floor', new.instantly_id::text); RETURN NULL; END$$;
    CREATE TRIGGER ring AFTER UPDATE ON floor.leads FOR EACH ROW EXECUTE FUNCTION floor.ring();
)sql";

/// One connection to the API that stays open.
class Api {
public:
    explicit Api(const Options& options) : authorization_{"Bearer " + options.key} {
        const auto origin = instantly::parse_origin(options.url);
        asio::ip::tcp::resolver resolver{io_};
        asio::connect(socket_, resolver.resolve(origin.host, origin.port));
        socket_.set_option(asio::ip::tcp::no_delay{true});
        host_ = origin.host;
    }

    void get(const std::string& target) {
        http::request<http::empty_body> request{http::verb::get, target, 11};
        request.set(http::field::host, host_);
        request.set(http::field::user_agent, "leadsync-bench");
        request.set(http::field::authorization, authorization_);
        http::write(socket_, request);
        http::response<http::string_body> answer;
        http::read(socket_, buffer_, answer);
    }

private:
    asio::io_context io_;
    asio::ip::tcp::socket socket_{io_};
    boost::beast::flat_buffer buffer_;
    std::string authorization_;
    std::string host_;
};

/// LISTEN, one SELECT, one request, until it is killed.
class Floor : pqxx::notification_receiver {
public:
    Floor(pqxx::connection& connection, const Options& options)
        : pqxx::notification_receiver{connection, "floor"}, api_{options} {
        connection.prepare("look", "SELECT job_title FROM floor.leads WHERE instantly_id = $1");
    }

    void operator()(const std::string& id, int /*sender*/) override {
        {
            pqxx::nontransaction session{conn()};
            session.exec_prepared1("look", id);
        }
        api_.get("/api/v2/leads/" + id);
    }

private:
    Api api_;
};

void serve_floor(const Options& options) {
    pqxx::connection connection{options.database};
    {
        pqxx::work transaction{connection};
        transaction.exec(floor_schema);
        transaction.commit();
    }
    const Floor floor{connection, options};
    std::cout << "listening" << std::endl;
    for (;;) connection.await_notification();
}

}  // namespace
}  // namespace leadsync::bench

int main(int argc, char** argv) {
    using namespace leadsync::bench;
    const std::map<std::string, std::function<void(const Options&)>> modes{
        {"edits", [](const Options& options) { Editor{options}.run(); }}, {"floor", serve_floor}};
    CLI::App app{"Edits, and the floor of how fast one can be answered. See ./run bench."};
    Options options;
    std::string mode;
    app.add_option("mode", mode)->required()->check(CLI::IsMember({"edits", "floor"}));
    app.add_option("--database", options.database)->required();
    app.add_option("--table", options.table, "what is edited");
    app.add_option("--idle", options.idle, "SQL that is true when the next edit may come")->capture_default_str();
    app.add_option("--edits", options.edits)->capture_default_str();
    app.add_option("--pause-ms", options.pause_ms, "before each, half as much more or less")->capture_default_str();
    app.add_option("--url", options.url, "of the API");
    app.add_option("--key", options.key);
    CLI11_PARSE(app, argc, argv);
    try {
        modes.at(mode)(options);
    } catch (const std::exception& error) {
        fmt::print(stderr, "leadsync-bench-latency {}: {}\n", mode, error.what());
        return 1;
    }
    return 0;
}
