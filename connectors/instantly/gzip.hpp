#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace leadsync::instantly {

enum class InflateError { broken, too_large };

struct Inflated {
    std::string text;
    std::optional<InflateError> error;
};

/// Unpacks a complete gzip text. Stops as soon as it would grow beyond `limit` bytes, whatever it claims to hold.
Inflated gunzip(std::string_view packed, std::size_t limit);

}  // namespace leadsync::instantly
