#pragma once

#include <optional>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>

#include "tests/sandbox/control.hpp"
#include "tests/sandbox/gate.hpp"

namespace leadsync::sandbox {

/// Serves one connection until the client closes it: request by request, in their order. `tls` null: plain HTTP.
/// Everything referred to must outlive the coroutine.
boost::asio::awaitable<void> serve_connection(boost::asio::ip::tcp::socket socket, boost::asio::ssl::context* tls,
                                              Gate& gate, Control& control);

}  // namespace leadsync::sandbox
