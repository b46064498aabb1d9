#include "daemon/change_guard.hpp"

#include <algorithm>
#include <utility>

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;

/// Those who wait are rung; this is in case the last who could ring has failed.
constexpr auto unrung_share = 10s;

}  // namespace

void ChangeGuard::begin(std::int64_t leads, std::int64_t changed) {
    has_begun_ = true;
    // Where nothing was known, nothing can have been edited in bulk since.
    allowed_ = leads > 0 ? sync::allowed(limit_, leads) : std::nullopt;
    changed_ = changed;
    let_in_.clear();
}

void ChangeGuard::know(std::int64_t changed) { changed_ = std::max(changed_, changed); }

ChangeGuard::Share::Share(ChangeGuard& guard, std::int64_t leads, std::optional<std::int64_t> left)
    : guard_{&guard}, leads_{leads}, left_{left} {
    guard_->reserved_ += leads_;
}

ChangeGuard::Share::Share(Share&& other) noexcept
    : guard_{std::exchange(other.guard_, nullptr)}, leads_{other.leads_}, left_{other.left_} {}

ChangeGuard::Share::~Share() {
    if (!guard_) return;
    guard_->reserved_ -= leads_;
    guard_->freed_.set();
}

void ChangeGuard::Share::taken(const std::vector<sync::InstantlyId>& leads) {
    if (!guard_->allowed_) return;
    for (const auto& lead : leads)
        if (guard_->let_in_.insert(lead.text).second) ++guard_->changed_;
}

asio::awaitable<ChangeGuard::Share> ChangeGuard::reserve(std::int64_t leads) {
    while (allowed_ && reserved_ > 0 && changed_ + reserved_ + leads > *allowed_)
        co_await freed_.wait_for(clock_, unrung_share);
    freed_.set();  // there may be enough for another
    std::optional<std::int64_t> left;
    if (allowed_) left = std::max<std::int64_t>(0, *allowed_ - changed_ - reserved_);
    co_return Share{*this, leads, left};
}

}  // namespace leadsync::daemon
