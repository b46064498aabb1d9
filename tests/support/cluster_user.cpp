// cluster_user DATA_DIR: uses the embedded cluster of DATA_DIR until SIGTERM; prints its URL when it is up.
#include <csignal>
#include <iostream>

#include "connectors/postgres/embedded_cluster.hpp"

int main(int count, char** arguments) {
    if (count != 2) return 2;
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop, nullptr);
    try {
        const leadsync::postgres::EmbeddedCluster cluster{arguments[1], {.durable = false}};
        std::cout << cluster.url() << std::endl;
        int signal = 0;
        sigwait(&stop, &signal);
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
    return 0;
}
