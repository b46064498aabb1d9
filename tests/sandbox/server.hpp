#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/sandbox/switches.hpp"
#include "tests/sandbox/workspace.hpp"

namespace leadsync::sandbox {

struct TlsFiles {
    std::string certificate;  ///< PEM
    std::string key;          ///< PEM
};

struct ServerSettings {
    std::uint16_t port = 0;  ///< 0: any free one.
    std::vector<WorkspaceSettings> workspaces{WorkspaceSettings{}};
    Switches switches;
    std::optional<TlsFiles> tls;
    bool stop_on_signal = false;  ///< SIGTERM and SIGINT stop it.
};

/// The Instantly API on a port of the loopback interface, served by a thread of its own.
/// The members may be called from any one thread; what happens inside is reached over HTTP only.
class Server {
public:
    /// Makes the leads and starts. Throws boost::system::system_error when the port is taken.
    explicit Server(ServerSettings settings = {});
    ~Server();

    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// Drops every connection; the leads stay, and start() serves them again on the same port.
    void stop();
    void start();

    /// Returns when a signal or POST /control/quit has stopped the server.
    void wait();

    std::uint16_t port() const { return port_; }
    std::string url() const;

private:
    struct State;
    struct Running;

    std::unique_ptr<State> state_;
    std::uint16_t port_;
    std::unique_ptr<Running> running_;
};

}  // namespace leadsync::sandbox
