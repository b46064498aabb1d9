#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "connectors/instantly/transport.hpp"
#include "tests/sandbox/dice.hpp"
#include "tests/sandbox/gate.hpp"
#include "tests/sandbox/world.hpp"
#include "tests/simulation/virtual_time.hpp"

namespace leadsync::simulation {

/// The sandbox without its sockets: requests take their time to arrive, are acted on whether or not their sender
/// still lives, and answers take their time to come back, if they come.
class SimulatedInstantly final : public instantly::Transport {
public:
    /// `random` gives a number below its argument.
    SimulatedInstantly(VirtualTime& time, const sandbox::WorkspaceSettings& settings,
                       std::function<std::uint64_t(std::uint64_t)> random);

    boost::asio::awaitable<instantly::Reply> send(instantly::Request request, instantly::Gate gate) override;

    /// Awaited as a request is about to leave, and when its answer is there: a crash may fall in between.
    std::function<boost::asio::awaitable<void>()> step;

    // --- the Instantly user ---

    sandbox::Workspace& workspace() { return *world_.workspaces().front(); }
    /// What is due has happened.
    sandbox::Workspace& settled();
    [[nodiscard]] std::vector<std::string> lead_ids();
    void edit(const std::string& id, const sandbox::Json& fields);
    std::string add(const sandbox::Json& fields);
    void move(const std::string& id, const std::string& campaign, const std::string& list);
    void remove(const std::string& id);

    /// Requests that change something, so far.
    [[nodiscard]] std::size_t writes() const { return writes_; }
    [[nodiscard]] std::size_t requests() const { return requests_; }

    /// Leads whose interest was set by an email that several had: it is everybody's then.
    std::set<std::string> set_together;

    /// A write of ours has arrived: the lead's id, the key, and how long until it takes effect.
    std::function<void(const std::string&, const std::string&, std::chrono::milliseconds after)> wrote;
    std::function<void(const std::string&)> tell;  ///< what happens, for a person

private:
    struct Exchange;

    [[nodiscard]] sandbox::Moment moment() const;
    void serve(Exchange& exchange);
    void report_write(const Exchange& exchange);

    VirtualTime& time_;
    std::function<std::uint64_t(std::uint64_t)> random_;
    sandbox::World world_;
    sandbox::Gate gate_{world_};
    std::string authorization_;
    std::size_t writes_ = 0;
    std::size_t requests_ = 0;
};

}  // namespace leadsync::simulation
