#include "tests/sandbox/request_log.hpp"

#include <algorithm>

#include "tests/sandbox/instant.hpp"

namespace leadsync::sandbox {
namespace {

constexpr std::size_t kept_requests = 20'000;

Json to_json(const LoggedRequest& request) {
    const auto monotonic = std::chrono::duration_cast<std::chrono::microseconds>(request.tick.time_since_epoch());
    Json json{{"time", to_iso(request.unix_ms)},
              {"monotonic_us", monotonic.count()},
              {"workspace", request.workspace},
              {"method", request.method},
              {"path", request.path},
              {"status", request.status}};
    if (!request.body.empty()) json["body"] = request.body;
    if (!request.fault.empty()) json["fault"] = request.fault;
    return json;
}

}  // namespace

void RequestLog::add(LoggedRequest request, std::string_view endpoint) {
    const auto count = counts_.find(endpoint);
    if (count == counts_.end()) {
        counts_.emplace(endpoint, 1);
    } else {
        ++count->second;
    }
    kept_.push_back(std::move(request));
    if (kept_.size() > kept_requests) kept_.pop_front();
}

void RequestLog::clear() {
    kept_.clear();
    counts_.clear();
}

Json RequestLog::requests(std::string_view path, std::string_view workspace, std::size_t limit) const {
    auto list = Json::array();
    for (auto request = kept_.rbegin(); request != kept_.rend() && list.size() < limit; ++request) {
        if (request->path.find(path) == request->path.npos) continue;
        if (!workspace.empty() && request->workspace != workspace) continue;
        list.push_back(to_json(*request));
    }
    std::reverse(list.begin(), list.end());
    return list;
}

Json RequestLog::counts() const {
    auto json = Json::object();
    for (const auto& [endpoint, count] : counts_) json[endpoint] = count;
    return json;
}

}  // namespace leadsync::sandbox
