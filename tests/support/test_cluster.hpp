#pragma once

#include <string>

namespace leadsync::test_support {

/// The PostgreSQL cluster of this test program, started by the first call. It ends with the program, also when that
/// is killed, and leaves nothing behind.
std::string test_cluster_url();

enum class ServerEnd { fast, crash };

/// Stops that cluster's server under its clients, as an administrator (`fast`) or a crash would, and starts it again.
/// What was committed survives a crash only when `synchronous_commit` is on.
void restart_test_cluster(ServerEnd end);

}  // namespace leadsync::test_support
