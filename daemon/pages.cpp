#include "daemon/pages.hpp"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "sync/id_space.hpp"

namespace leadsync::daemon {
namespace {

/// So many answers in a row that are none, by a server that answers otherwise, are no accident.
constexpr int trial_rejections_max = 2;

/// An id that no lead has, behind the page's first lead and before its last.
std::optional<std::string> made_up_within(const instantly::ScannedPage& page) {
    if (page.leads.size() < 2) return std::nullopt;
    const auto& first = page.leads.front().id.text;
    const auto& last = page.leads.back().id.text;
    const auto place = sync::place_of(first);
    auto at = sync::id_at(place + (sync::place_of(last) - place) / 2);
    return first < at && at < last ? std::optional{std::move(at)} : std::nullopt;
}

}  // namespace

bool is_no_answer(const instantly::ApiError& error) {
    return error.failure().kind == sync::FailureKind::lead || error.status() == 200;
}

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

boost::asio::awaitable<std::optional<UnknownCursor>> Pages::try_unknown_cursor(const instantly::ScannedPage& first) {
    instantly::LeadQuery query{.after = made_up_within(first)};
    if (!query.after) co_return std::nullopt;
    const auto last = first.leads.back().id.text;
    for (int rejections = 0;;) {
        try {
            const auto page = co_await fetch(query);
            const bool comes_back = !page.leads.empty() && page.leads.front().id.text <= last;
            co_return comes_back ? UnknownCursor::accepted : UnknownCursor::nothing;
        } catch (const instantly::ApiError& error) {
            if (!is_no_answer(error)) throw;
            spdlog::info("workspace {}: cursor {} is refused: {}", workspace_, *query.after, error.what());
        }
        if (++rejections == trial_rejections_max) co_return UnknownCursor::refused;
        co_await check_server();
    }
}

}  // namespace leadsync::daemon
