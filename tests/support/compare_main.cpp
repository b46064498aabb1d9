#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tests/sandbox/control_client.hpp"
#include "tests/support/agreement.hpp"

/// Compares a database with the truth of a sandbox: prints the differences, and ends with 1 when there are any.
int main(int argc, char** argv) {
    CLI::App app{"Compares crm.leads with the truth of a sandbox"};
    std::string url;
    std::string workspace;
    std::uint16_t port = 0;
    app.add_option("--database", url)->required();
    app.add_option("--workspace", workspace)->required();
    app.add_option("--sandbox-port", port)->required();
    CLI11_PARSE(app, argc, argv);
    try {
        leadsync::sandbox::ControlClient instantly{port};
        const auto truth = instantly.all_leads();
        const auto found = leadsync::test_support::differences(url, workspace, truth);
        for (const auto& line : found) fmt::print("{}\n", line);
        fmt::print("{} leads compared, {} differences\n", truth.size(), found.size());
        return found.empty() ? 0 : 1;
    } catch (const std::exception& error) {
        fmt::print(stderr, "leadsync-compare: {}\n", error.what());
        return 2;
    }
}
