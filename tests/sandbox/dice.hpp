#pragma once

#include <cstdint>

namespace leadsync::sandbox {

/// A good bit mixer (the finaliser of splitmix64).
constexpr std::uint64_t mix(std::uint64_t value) {
    value += 0x9E37'79B9'7F4A'7C15;
    value = (value ^ (value >> 30)) * 0xBF58'476D'1CE4'E5B9;
    value = (value ^ (value >> 27)) * 0x94D0'49BB'1331'11EB;
    return value ^ (value >> 31);
}

/// Random draws that are looked up by number instead of drawn in turn: any one property of a lead can be computed
/// without the others, and adding a property changes no other.
class Dice {
public:
    constexpr explicit Dice(std::uint64_t base) : base_{base} {}

    template <class Draw>
    constexpr std::uint64_t bits(Draw draw) const {
        return mix(base_ + static_cast<std::uint64_t>(draw) * 0xD134'2543'DE82'EF95);
    }
    template <class Draw>
    constexpr std::uint64_t below(Draw draw, std::uint64_t limit) const {
        return bits(draw) % limit;
    }
    template <class Draw>
    constexpr bool chance(Draw draw, double probability) const {
        return static_cast<double>(bits(draw) >> 11) * 0x1p-53 < probability;
    }

private:
    std::uint64_t base_;
};

}  // namespace leadsync::sandbox
