#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sandbox/lead.hpp"

namespace leadsync::sandbox {

enum class FaultKind {
    status,   ///< `status` with an error body; `acted`: after doing what was asked
    reset,    ///< the connection is closed without an answer, nothing was done
    lost,     ///< done, then the connection is closed without an answer
    cut,      ///< done, but only the first `bytes` of the answer's body arrive
    garbage,  ///< done, but the 200 carries `body`, which is no JSON
    cdn,      ///< 403, text, no JSON: the request never reached the API
    empty,    ///< a list answers without items
    ignored,  ///< a write is answered as if done, and not stored
    hang,     ///< the answer comes `ms` later
};

/// When and how requests go wrong.
struct Fault {
    FaultKind kind = FaultKind::status;
    std::string path;    ///< Substring of the path; empty: every path.
    std::string method;  ///< Empty: every method.
    double probability = 1;
    std::int64_t count = -1;  ///< How many more requests it hits; negative: no end.
    std::int64_t skip = 0;    ///< How many matching requests are spared first.
    unsigned status = 503;
    bool acted = false;
    int retry_after_s = -1;  ///< With `status`: the Retry-After header; negative: none.
    std::size_t bytes = 100;
    std::string body = "<html>upstream error</html>";
    int ms = 1000;
};

/// Throws std::invalid_argument on an unknown kind or key.
Fault fault_from(const Json& json);
std::string_view name_of(FaultKind kind);

/// The faults in force. The first one that matches and whose dice agree hits the request.
class Faults {
public:
    explicit Faults(std::uint64_t seed) : random_{seed} {}

    void add(Fault fault) { faults_.push_back(std::move(fault)); }
    void clear() { faults_.clear(); }
    void reseed(std::uint64_t seed) { random_.seed(seed); }
    std::optional<Fault> draw(std::string_view method, std::string_view path);
    Json to_json() const;

private:
    std::vector<Fault> faults_;
    std::mt19937_64 random_;
};

}  // namespace leadsync::sandbox
