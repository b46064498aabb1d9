#include "tests/sandbox/faults.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace leadsync::sandbox {
namespace {

constexpr std::array<std::pair<FaultKind, std::string_view>, 9> kinds{{{FaultKind::status, "status"},
                                                                       {FaultKind::reset, "reset"},
                                                                       {FaultKind::lost, "lost"},
                                                                       {FaultKind::cut, "cut"},
                                                                       {FaultKind::garbage, "garbage"},
                                                                       {FaultKind::cdn, "cdn"},
                                                                       {FaultKind::empty, "empty"},
                                                                       {FaultKind::ignored, "ignored"},
                                                                       {FaultKind::hang, "hang"}}};

FaultKind kind_named(const std::string& name) {
    const auto found = std::ranges::find(kinds, name, &std::pair<FaultKind, std::string_view>::second);
    if (found == kinds.end()) throw std::invalid_argument{"there is no fault " + name};
    return found->first;
}

template <class F, class Visit>
void for_each_property(F& fault, Visit visit) {
    visit("path", fault.path);
    visit("method", fault.method);
    visit("probability", fault.probability);
    visit("count", fault.count);
    visit("skip", fault.skip);
    visit("status", fault.status);
    visit("acted", fault.acted);
    visit("retry_after_s", fault.retry_after_s);
    visit("bytes", fault.bytes);
    visit("body", fault.body);
    visit("ms", fault.ms);
}

}  // namespace

std::string_view name_of(FaultKind kind) {
    return std::ranges::find(kinds, kind, &std::pair<FaultKind, std::string_view>::first)->second;
}

Fault fault_from(const Json& json) {
    try {
        Fault fault;
        fault.kind = kind_named(json.at("kind").get<std::string>());
        for (const auto& [key, value] : json.items()) {
            bool known = key == "kind";
            for_each_property(fault, [&, &key = key, &value = value](std::string_view name, auto& target) {
                if (name != key) return;
                known = true;
                target = value.template get<std::decay_t<decltype(target)>>();
            });
            if (!known) throw std::invalid_argument{"a fault has no " + key};
        }
        return fault;
    } catch (const Json::exception& error) {
        throw std::invalid_argument{"not a fault: " + json.dump() + ": " + error.what()};
    }
}

std::optional<Fault> Faults::draw(std::string_view method, std::string_view path) {
    for (auto& fault : faults_) {
        if (fault.count == 0 || path.find(fault.path) == path.npos) continue;
        if (!fault.method.empty() && fault.method != method) continue;
        if (fault.skip > 0) {
            --fault.skip;
            continue;
        }
        if (fault.probability < 1 && std::uniform_real_distribution{}(random_) >= fault.probability) continue;
        if (fault.count > 0) --fault.count;
        return fault;
    }
    return std::nullopt;
}

Json Faults::to_json() const {
    auto list = Json::array();
    for (const auto& fault : faults_) {
        Json json{{"kind", std::string{name_of(fault.kind)}}};
        for_each_property(fault, [&](std::string_view name, const auto& value) { json[std::string{name}] = value; });
        list.push_back(std::move(json));
    }
    return list;
}

}  // namespace leadsync::sandbox
