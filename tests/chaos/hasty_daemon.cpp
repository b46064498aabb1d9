// leadsync-hasty CONFIG: `leadsync run` whose waits are those of a server on this machine. Everything else is the
// daemon's own.
#include <csignal>
#include <iostream>

#include "daemon/daemon.hpp"
#include "daemon/logging.hpp"

namespace {

using namespace std::chrono_literals;

leadsync::daemon::SyncOptions hasty() {
    leadsync::daemon::PusherTiming timing;
    timing.lease = 10s;
    timing.read_back = 100ms;
    timing.patience = 3s;
    timing.move_patience = 5s;
    timing.job_poll_first = 50ms;
    timing.job_poll_max = 400ms;
    timing.busy = 100ms;
    timing.creates_hold = 1s;
    timing.backoff = {50ms, 1s};
    timing.reading = timing.backoff;
    timing.pause = {200ms, 1s};
    return {.patience = {}, .timing = timing};
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 2) return 2;
    std::signal(SIGPIPE, SIG_IGN);
    try {
        const auto config = leadsync::daemon::load_config(arguments[1]);
        leadsync::daemon::set_up_logging(config.log);
        leadsync::daemon::Daemon{config, hasty()}.run(
            [file = config.file] { return leadsync::daemon::load_config(file); });
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
    return 0;
}
