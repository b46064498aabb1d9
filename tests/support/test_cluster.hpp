#pragma once

#include <string>

namespace leadsync::test_support {

/// The PostgreSQL cluster of this test program, started by the first call. It ends with the program, also when that
/// is killed, and leaves nothing behind.
std::string test_cluster_url();

}  // namespace leadsync::test_support
