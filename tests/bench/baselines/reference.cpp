// The yardstick of ./run bench: pages of leads into one table as a straight C++ program does it. No merge, no
// history, no queue, no durable cursor. It shares leadsync's transport, pool of connections and binary arrays, so
// that what is measured beside it is what leadsync does with a lead, not how it speaks to either side.
#include <array>
#include <cstdio>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <simdjson.h>
#include <xxhash.h>

#include "connectors/instantly/transport.hpp"
#include "connectors/postgres/binary_array.hpp"
#include "connectors/postgres/database.hpp"
#include "daemon/tasks.hpp"

namespace leadsync::bench {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace ondemand = simdjson::ondemand;
using postgres::BinaryArray;
using Arrays = std::vector<pqxx::binarystring>;

constexpr std::size_t writers = 2;

constexpr const char* schema = R"sql(
    CREATE SCHEMA IF NOT EXISTS reference;
    CREATE TABLE IF NOT EXISTS reference.leads (
        id uuid PRIMARY KEY, hash int8 NOT NULL, email text, first_name text, last_name text, company_name text,
        campaign uuid, list_id uuid, timestamp_updated timestamptz, raw jsonb COMPRESSION lz4 NOT NULL)
)sql";

struct Field {
    std::string_view name;
    sync::Kind kind;
};
constexpr std::array<Field, 7> fields{{{"email", sync::Kind::text},
                                       {"first_name", sync::Kind::text},
                                       {"last_name", sync::Kind::text},
                                       {"company_name", sync::Kind::text},
                                       {"campaign", sync::Kind::uuid},
                                       {"list_id", sync::Kind::uuid},
                                       {"timestamp_updated", sync::Kind::timestamp}}};

/// Views of its page's body, and of what its parser has unescaped.
struct Row {
    std::string_view id;
    std::uint64_t hash = 0;
    std::array<std::optional<std::string_view>, fields.size()> values;
    std::string_view raw;
};

struct Page {
    std::vector<Row> rows;
    std::optional<std::string> next;
};

Row row_of(ondemand::object lead) {
    Row row;
    row.raw = lead.raw_json();
    row.hash = XXH3_64bits(row.raw.data(), row.raw.size());
    lead.reset();
    for (ondemand::field member : lead) {
        const std::string_view key = member.unescaped_key();
        if (key == "id") row.id = member.value().get_string();
        for (std::size_t i = 0; i < fields.size(); ++i) {
            if (key != fields.at(i).name) continue;
            std::string_view text;
            if (!member.value().get_string().get(text) && !text.empty()) row.values.at(i) = text;
        }
    }
    return row;
}

Page page_of(ondemand::parser& parser, std::string& body) {
    body.reserve(body.size() + simdjson::SIMDJSON_PADDING);
    ondemand::document document = parser.iterate(body);
    Page page;
    for (ondemand::object lead : document["items"].get_array()) page.rows.push_back(row_of(lead));
    std::string_view next;
    if (!document["next_starting_after"].get_string().get(next)) page.next = next;
    return page;
}

/// Those whose hash is not the stored one.
std::vector<Row> changed(pqxx::work& transaction, std::span<const Row> rows) {
    static const postgres::Statement statement{"changed", R"sql(
        SELECT u.n - 1 FROM unnest($1::uuid[], $2::int8[]) WITH ORDINALITY AS u(id, hash, n)
        WHERE NOT EXISTS (SELECT FROM reference.leads l WHERE l.id = u.id AND l.hash = u.hash)
    )sql"};
    BinaryArray ids{BinaryArray::Element::uuid};
    BinaryArray hashes{BinaryArray::Element::int8};
    for (const auto& row : rows) {
        ids.add(row.id);
        hashes.add_int8(static_cast<std::int64_t>(row.hash));
    }
    std::vector<Row> result;
    for (const auto& found : execute(transaction, statement, ids.finish(), hashes.finish()))
        result.push_back(rows[found[0].as<std::size_t>()]);
    return result;
}

void upsert(pqxx::work& transaction, std::span<const Row> rows) {
    static const postgres::Statement statement{"upsert", R"sql(
        INSERT INTO reference.leads (id, hash, raw, email, first_name, last_name, company_name, campaign, list_id,
                                     timestamp_updated)
        SELECT id, hash, raw, email, first_name, last_name, company_name, campaign, list_id, updated
        FROM unnest($1::uuid[], $2::int8[], $3::jsonb[], $4::text[], $5::text[], $6::text[], $7::text[], $8::uuid[],
                    $9::uuid[], $10::timestamptz[])
             AS u(id, hash, raw, email, first_name, last_name, company_name, campaign, list_id, updated)
        ON CONFLICT (id) DO UPDATE
            SET hash = excluded.hash, raw = excluded.raw, email = excluded.email, first_name = excluded.first_name,
                last_name = excluded.last_name, company_name = excluded.company_name, campaign = excluded.campaign,
                list_id = excluded.list_id, timestamp_updated = excluded.timestamp_updated
    )sql"};
    BinaryArray ids{BinaryArray::Element::uuid};
    BinaryArray hashes{BinaryArray::Element::int8};
    BinaryArray raws{BinaryArray::Element::jsonb};
    for (const auto& row : rows) {
        ids.add(row.id);
        hashes.add_int8(static_cast<std::int64_t>(row.hash));
        raws.add(row.raw);
    }
    Arrays arrays{ids.finish(), hashes.finish(), raws.finish()};
    for (std::size_t i = 0; i < fields.size(); ++i) {
        BinaryArray column{BinaryArray::element_of(fields.at(i).kind)};
        for (const auto& row : rows) row.values.at(i) ? column.add(*row.values.at(i)) : column.add_null();
        arrays.push_back(column.finish());
    }
    execute(transaction, statement, pqxx::prepare::make_dynamic_params(arrays));
}

struct Options {
    std::string url;
    std::string key;
    std::string database;
    std::vector<std::string> cuts;
};

/// Ids from `begin` to `end`, a page after the other.
struct Cursor {
    std::optional<std::string> begin;
    std::optional<std::string> end;
};

class Pipeline {
public:
    Pipeline(asio::io_context& io, const Options& options)
        : key_{options.key},
          database_{unless_scanned(options.database), writers},
          transport_{io.get_executor(), {.base_url = options.url, .user_agent = "leadsync-bench"}} {
        database_.run_blocking([](pqxx::work& transaction) { transaction.exec(schema); });
        for (std::size_t i = 0; i <= options.cuts.size(); ++i) {
            auto& cursor = cursors_.emplace_back();
            if (i > 0) cursor.begin = options.cuts[i - 1];
            if (i < options.cuts.size()) cursor.end = options.cuts[i];
        }
    }

    asio::awaitable<void> run() {
        std::vector<asio::awaitable<void>> readers;
        for (const auto& cursor : cursors_) readers.push_back(read(cursor));
        co_await daemon::all(std::move(readers));
        fmt::print(R"({{"leads":{},"written":{}}})"
                   "\n",
                   leads_, written_);
    }

private:
    /// The statements are planned while the table is empty, and kept: a scan of it would be the plan for good.
    static std::string unless_scanned(const std::string& url) { return url + "&options=-c%20enable_seqscan%3Doff"; }

    asio::awaitable<void> read(Cursor cursor) {
        ondemand::parser parser;
        for (auto after = cursor.begin;;) {
            auto request = request_for(after);
            auto reply = co_await transport_.send(std::move(request), {});
            if (reply.status != 200) throw std::runtime_error{fmt::format("the server answers {}", reply.status)};
            auto page = page_of(parser, reply.body);
            if (cursor.end) std::erase_if(page.rows, [&](const Row& row) { return row.id > *cursor.end; });
            if (!page.rows.empty()) {
                const auto written = co_await database_.run([&](pqxx::work& transaction) {
                    const auto rows = changed(transaction, page.rows);
                    if (!rows.empty()) upsert(transaction, rows);
                    return rows.size();
                });
                written_ += written;
            }
            leads_ += page.rows.size();
            if (!page.next || (cursor.end && *page.next >= *cursor.end)) co_return;
            after = page.next;
        }
    }

    [[nodiscard]] instantly::Request request_for(const std::optional<std::string>& after) const {
        auto body = std::string{R"({"limit":100)"};
        if (after) body += fmt::format(R"(,"starting_after":"{}")", *after);
        return {http::verb::post, "/api/v2/leads/list", body + "}", "Bearer " + key_, true};
    }

    std::string key_;
    postgres::Database database_;
    instantly::HttpTransport transport_;
    std::vector<Cursor> cursors_;
    std::size_t leads_ = 0;
    std::size_t written_ = 0;
};

}  // namespace
}  // namespace leadsync::bench

int main(int argc, char** argv) {
    using namespace leadsync::bench;
    CLI::App app{"Reads a workspace into one table, as straight as it goes. See ./run bench."};
    Options options;
    app.add_option("--url", options.url, "of the API")->required();
    app.add_option("--key", options.key)->required();
    app.add_option("--database", options.database, "URL with a query part")->required();
    app.add_option("--cut", options.cuts, "Ids at which a further cursor begins, in order");
    CLI11_PARSE(app, argc, argv);
    try {
        asio::io_context io{1};
        Pipeline pipeline{io, options};
        std::exception_ptr failure;
        asio::co_spawn(io, pipeline.run(), [&](const std::exception_ptr& error) { failure = error; });
        io.run();
        if (failure) std::rethrow_exception(failure);
    } catch (const std::exception& error) {
        fmt::print(stderr, "leadsync-bench-reference: {}\n", error.what());
        return 1;
    }
    return 0;
}
