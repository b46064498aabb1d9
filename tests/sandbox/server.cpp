#include "tests/sandbox/server.hpp"

#include <csignal>
#include <thread>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "tests/sandbox/session.hpp"

namespace leadsync::sandbox {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

std::optional<asio::ssl::context> tls_context(const std::optional<TlsFiles>& files) {
    if (!files) return std::nullopt;
    std::optional<asio::ssl::context> context{asio::ssl::context::tls_server};
    context->use_certificate_chain_file(files->certificate);
    context->use_private_key_file(files->key, asio::ssl::context::pem);
    return context;
}

}  // namespace

/// What outlives a stop.
struct Server::State {
    explicit State(const ServerSettings& settings)
        : world{settings.workspaces, settings.switches},
          tls{tls_context(settings.tls)},
          stop_on_signal{settings.stop_on_signal} {}

    World world;
    std::optional<asio::ssl::context> tls;
    bool stop_on_signal;
};

/// What serves: its destructor drops every connection, because destroying the context destroys their coroutines.
struct Server::Running {
    Running(State& shared, std::uint16_t port)
        : state{shared}, acceptor{io, tcp::endpoint{asio::ip::address_v4::loopback(), port}} {
        asio::co_spawn(io, accept(), asio::detached);
        if (state.stop_on_signal) {
            signals.add(SIGTERM);
            signals.add(SIGINT);
            signals.async_wait([this](auto, int) { io.stop(); });
        }
        thread = std::thread{[this] { io.run(); }};
    }

    ~Running() {
        io.stop();
        if (thread.joinable()) thread.join();
    }

    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

    asio::awaitable<void> accept() {
        while (true) {
            auto [error, socket] = co_await acceptor.async_accept(asio::as_tuple(asio::use_awaitable));
            if (error) continue;
            auto* tls = state.tls ? &*state.tls : nullptr;
            asio::co_spawn(io, serve_connection(std::move(socket), tls, gate, control), asio::detached);
        }
    }

    State& state;
    Gate gate{state.world};
    asio::io_context io{1};
    // Posted, so that the client that asked to quit gets its answer first.
    Control control{state.world, [this] { asio::post(io, [this] { asio::post(io, [this] { io.stop(); }); }); }};
    tcp::acceptor acceptor;
    asio::signal_set signals{io};
    std::thread thread;
};

Server::Server(ServerSettings settings) : state_{std::make_unique<State>(settings)}, port_{settings.port} { start(); }

Server::~Server() = default;

void Server::start() {
    if (running_) return;
    running_ = std::make_unique<Running>(*state_, port_);
    port_ = running_->acceptor.local_endpoint().port();
}

void Server::stop() { running_.reset(); }

void Server::wait() {
    if (running_) running_->thread.join();
    stop();
}

std::string Server::url() const {
    return (state_->tls ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port_);
}

}  // namespace leadsync::sandbox
