#include "daemon/workspace_failures.hpp"

#include <exception>
#include <stdexcept>
#include <utility>

#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "connectors/postgres/listener.hpp"

namespace leadsync::daemon {

namespace asio = boost::asio;

asio::awaitable<void> WorkspaceFailures::watch(std::string workspace, asio::awaitable<void> work) {
    ++watched_;
    std::exception_ptr failed;
    std::string why;
    try {
        co_await std::move(work);
    } catch (const postgres::WorkspaceTaken&) {
        throw;
    } catch (const std::runtime_error& error) {
        failed = std::current_exception();
        why = error.what();
    }
    if (!failed) co_return;
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) std::rethrow_exception(failed);
    spdlog::error("workspace {}: {}", workspace, why);
    by_reason_[why].push_back(workspace);
}

void WorkspaceFailures::throw_if_any() const {
    if (by_reason_.empty()) return;
    std::size_t failed = 0;
    std::string told;
    for (const auto& [why, names] : by_reason_) {
        failed += names.size();
        told += fmt::format("{}workspace{} {}: {}", told.empty() ? "" : "; ", names.size() == 1 ? "" : "s",
                            fmt::join(names, ", "), why);
    }
    if (watched_ == 1) throw std::runtime_error{told};
    throw std::runtime_error{fmt::format("{} of {} workspaces failed{}: {}", failed, watched_,
                                         failed < watched_ ? ", the others are done" : "", told)};
}

}  // namespace leadsync::daemon
