#pragma once

#include <set>
#include <string>
#include <vector>

#include "daemon/push_context.hpp"
#include "daemon/sending.hpp"

namespace leadsync::daemon {

/// Moves leads between campaigns and lists: one job for each source and target, followed to its end; one job at a
/// time in each campaign and list, for Instantly answers 409 while one holds it.
class Mover {
public:
    explicit Mover(PushContext& context) : context_{context} {}

    /// The campaigns and lists that a batch has to itself, until it goes.
    class Reservation {
    public:
        explicit Reservation(std::set<std::string>& all) : all_{all} {}
        ~Reservation() {
            for (const auto& place : ours_) all_.erase(place);
        }
        Reservation(const Reservation&) = delete;
        Reservation& operator=(const Reservation&) = delete;

    private:
        friend class Mover;
        std::set<std::string>& all_;
        std::vector<std::string> ours_;
    };

    /// Reserves what the batch's moves need. A move whose place is taken is left for later.
    [[nodiscard]] std::unique_ptr<Reservation> reserve(std::vector<Sending>& sendings);

    /// Sends the reserved moves and follows them.
    boost::asio::awaitable<void> move(const std::vector<Sending*>& sendings);

private:
    boost::asio::awaitable<void> move_together(std::vector<Sending*> leads);
    boost::asio::awaitable<std::string> follow(sync::JobId job, std::size_t sent);

    PushContext& context_;
    std::set<std::string> taken_;
};

}  // namespace leadsync::daemon
