#pragma once

#include <cstdint>
#include <random>

namespace leadsync::chaos {

class Dice {
public:
    explicit Dice(std::uint64_t seed) : engine_{seed} {}

    std::uint64_t below(std::uint64_t end) {
        return std::uniform_int_distribution<std::uint64_t>{0, end - 1}(engine_);
    }
    bool chance(double probability) { return std::bernoulli_distribution{probability}(engine_); }
    template <class Items>
    const auto& one_of(const Items& items) {
        return items[below(items.size())];
    }

private:
    std::mt19937_64 engine_;
};

}  // namespace leadsync::chaos
