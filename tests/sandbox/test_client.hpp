#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/sandbox/control_client.hpp"
#include "tests/sandbox/documented_lead.hpp"
#include "tests/sandbox/server.hpp"

namespace leadsync::sandbox {

using TestJson = nlohmann::json;

struct Answer {
    unsigned status = 0;
    std::map<std::string, std::string> headers;  // lower-case names
    std::string body;

    TestJson json() const { return TestJson::parse(body); }
};

/// A plain blocking client of the API over one keep-alive connection.
class TestClient {
public:
    using Headers = std::map<std::string, std::string>;

    explicit TestClient(std::uint16_t port, const std::string& api_key = WorkspaceSettings{}.api_key);
    ~TestClient();

    /// Throws boost::system::system_error when no whole answer arrives. An empty header value leaves the header out.
    Answer send(const std::string& method, const std::string& path, const std::string& body = {},
                const Headers& headers = {});

    Answer get(const std::string& path) { return send("GET", path); }
    Answer remove(const std::string& path) { return send("DELETE", path); }
    Answer post(const std::string& path, const TestJson& body) { return send_json("POST", path, body); }
    Answer patch(const std::string& path, const TestJson& body) { return send_json("PATCH", path, body); }
    Answer send_json(const std::string& method, const std::string& path, const TestJson& body) {
        return send(method, path, body.dump(), {{"Content-Type", "application/json"}});
    }

    TestJson lead(const std::string& id) { return get("/api/v2/leads/" + id).json(); }
    TestJson list(const TestJson& body) { return post("/api/v2/leads/list", body).json(); }

private:
    struct Connection;

    std::uint16_t port_;
    std::string api_key_;
    std::unique_ptr<Connection> connection_;
};

/// True once `holds` does; false after ten seconds.
inline bool eventually(const std::function<bool()>& holds) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{10};
    while (std::chrono::steady_clock::now() < deadline) {
        if (holds()) return true;
        std::this_thread::yield();
    }
    return false;
}

inline ServerSettings small_server() {
    ServerSettings settings;
    settings.workspaces[0].leads = 250;
    settings.switches.rate_limit = false;
    return settings;
}

/// A sandbox with 250 leads that refuses no request for its rate.
class SandboxTest : public testing::Test {
protected:
    std::string campaign(std::size_t index) { return catalog_id("/api/v2/campaigns", index); }
    std::string list_of(std::size_t index) { return catalog_id("/api/v2/lead-lists", index); }

    std::string catalog_id(const std::string& path, std::size_t index) {
        return client.get(path).json().at("items").at(index).at("id");
    }

    /// Ids of leads that are in the campaign, in order.
    std::vector<std::string> leads_in(const std::string& campaign_id, std::size_t count) {
        std::vector<std::string> ids;
        const auto page = client.list({{"campaign", campaign_id}, {"limit", count}});
        for (const auto& lead : page.at("items")) ids.push_back(lead.at("id"));
        EXPECT_EQ(ids.size(), count);
        return ids;
    }

    Server server{small_server()};
    TestClient client{server.port()};
    ControlClient control{server.port()};
    const std::string example{documented_lead_id};
};

}  // namespace leadsync::sandbox
