#include "daemon/pages.hpp"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "connectors/instantly/api_error.hpp"

namespace leadsync::daemon {
boost::asio::awaitable<instantly::ScannedPage> Pages::fetch(instantly::LeadQuery query) {
    for (;;) {
        query.limit = limit_;
        try {
            auto page = co_await client_.scan_leads(query);
            limit_ = std::min(limit_max_, limit_ * 2);
            co_return page;
        } catch (const instantly::AnswerTooLarge& error) {
            if (limit_ == 1) throw;
            limit_ /= 2;
            spdlog::warn("workspace {}: {}; asking for {} leads", workspace_, error.what(), limit_);
        }
    }
}

boost::asio::awaitable<void> Pages::check_server() {
    instantly::LeadQuery query{.limit = 1};
    co_await client_.list_leads(query);
}

}  // namespace leadsync::daemon
