#pragma once

#include <string>

namespace leadsync::test_support {

/// A database of its own for one test, with every migration applied, dropped at the end.
///
/// The first one of a program starts a private PostgreSQL cluster, which ends with the program, however that ends;
/// set LEADSYNC_TEST_CLUSTER_URL to use a server that runs already. Because the cluster costs a second or two,
/// register a test program as one CTest test (add_test), not each of its cases (gtest_discover_tests).
class TestDatabase {
public:
    enum class Contents { migrated, nothing };

    explicit TestDatabase(Contents contents = Contents::migrated);
    ~TestDatabase();
    TestDatabase(const TestDatabase&) = delete;
    TestDatabase& operator=(const TestDatabase&) = delete;

    /// Whether it lets clients in; those that are there are thrown out when it does not.
    void accept_connections(bool accept) const;

    /// For libpq, with the rights of a superuser.
    [[nodiscard]] const std::string& url() const { return url_; }

private:
    std::string name_;
    std::string url_;
};

}  // namespace leadsync::test_support
