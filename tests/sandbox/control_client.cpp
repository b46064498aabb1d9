#include "tests/sandbox/control_client.hpp"

#include <sstream>
#include <stdexcept>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

namespace leadsync::sandbox {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

constexpr std::size_t truth_page = 2000;

}  // namespace

struct ControlClient::Connection {
    explicit Connection(std::uint16_t port) {
        stream.connect(asio::ip::tcp::endpoint{asio::ip::address_v4::loopback(), port});
        stream.socket().set_option(asio::ip::tcp::no_delay{true});
    }

    Answer exchange(const http::request<http::string_body>& request) {
        http::write(stream, request);
        http::response_parser<http::string_body> parser;
        parser.body_limit(boost::none);
        http::read(stream, buffer, parser);
        return {parser.get().result_int(), std::move(parser.get().body())};
    }

    asio::io_context io{1};
    beast::tcp_stream stream{io};
    beast::flat_buffer buffer;
};

ControlClient::ControlClient(std::uint16_t port, std::string workspace)
    : port_{port}, workspace_{std::move(workspace)} {}

ControlClient::~ControlClient() = default;

std::string ControlClient::target(std::string_view path) const {
    std::string target = "/control" + std::string{path};
    if (!workspace_.empty()) target += (path.find('?') == path.npos ? "?workspace=" : "&workspace=") + workspace_;
    return target;
}

ControlClient::Answer ControlClient::send(std::string_view method, const std::string& path, const Json& body) {
    http::request<http::string_body> request{http::string_to_verb({method.data(), method.size()}), path, 11};
    request.set(http::field::host, "localhost");
    if (!body.is_null()) {
        request.set(http::field::content_type, "application/json");
        request.body() = body.dump();
    }
    request.prepare_payload();
    const bool fresh = !connection_;
    try {
        if (fresh) connection_ = std::make_unique<Connection>(port_);
        return connection_->exchange(request);
    } catch (const boost::system::system_error&) {
        connection_.reset();
        // An idle connection dies with the server's stop(): that is no failure of this request.
        if (fresh) throw;
        return send(method, path, body);
    }
}

ControlClient::Json ControlClient::call(std::string_view method, std::string_view path, const Json& body) {
    const auto answer = send(method, target(path), body);
    if (answer.status == 200) return Json::parse(answer.body);
    throw std::runtime_error{std::string{method} + ' ' + target(path) + ": " + std::to_string(answer.status) + ' '
                             + answer.body};
}

ControlClient::Json ControlClient::edit(std::string_view lead_id, const Json& fields) {
    return call("PATCH", "/leads/" + std::string{lead_id}, fields);
}

ControlClient::Json ControlClient::add(const Json& fields) { return call("POST", "/leads", fields); }

void ControlClient::remove(std::string_view lead_id) { call("DELETE", "/leads/" + std::string{lead_id}); }

ControlClient::Json ControlClient::move(std::string_view lead_id, const Json& to) {
    return call("POST", "/leads/" + std::string{lead_id} + "/move", to);
}

std::optional<ControlClient::Json> ControlClient::lead(std::string_view lead_id) {
    const auto answer = send("GET", target("/leads/" + std::string{lead_id}), {});
    if (answer.status == 404) return std::nullopt;
    if (answer.status != 200) throw std::runtime_error{"GET lead " + std::string{lead_id} + ": " + answer.body};
    return Json::parse(answer.body);
}

std::vector<ControlClient::Json> ControlClient::leads(std::string_view after, std::size_t limit) {
    auto path = "/leads?limit=" + std::to_string(limit);
    if (!after.empty()) path += "&after=" + std::string{after};
    const auto answer = send("GET", target(path), {});
    if (answer.status != 200) throw std::runtime_error{"GET leads: " + answer.body};
    std::vector<Json> leads;
    std::istringstream lines{answer.body};
    for (std::string line; std::getline(lines, line);) leads.push_back(Json::parse(line));
    return leads;
}

std::vector<ControlClient::Json> ControlClient::all_leads() {
    std::vector<Json> all;
    while (true) {
        auto page = leads(all.empty() ? std::string{} : all.back().at("id").get<std::string>(), truth_page);
        if (page.empty()) return all;
        std::move(page.begin(), page.end(), std::back_inserter(all));
    }
}

ControlClient::Json ControlClient::counts() { return call("GET", "/counts"); }

std::vector<ControlClient::Json> ControlClient::requests(std::string_view path) {
    return call("GET", "/requests?limit=100000&path=" + std::string{path}).get<std::vector<Json>>();
}

ControlClient::Json ControlClient::statistics() { return call("GET", "/statistics"); }
void ControlClient::reset_log() { call("DELETE", "/requests"); }
ControlClient::Json ControlClient::switches() { return call("GET", "/switches"); }
void ControlClient::set_switches(const Json& switches) { call("POST", "/switches", switches); }
void ControlClient::reset_switches() { call("DELETE", "/switches"); }
void ControlClient::add_fault(const Json& fault) { call("POST", "/faults", fault); }
void ControlClient::clear_faults() { call("DELETE", "/faults"); }
void ControlClient::add_workspace(const Json& settings) { call("POST", "/workspaces", settings); }
void ControlClient::quit() { call("POST", "/quit"); }

}  // namespace leadsync::sandbox
