#pragma once

#include <chrono>
#include <thread>

namespace leadsync::test_support {

/// Whether `predicate` holds before `deadline` is over; asked every 10 ms. The one place where tests wait.
template <class Predicate>
bool eventually(Predicate predicate, std::chrono::milliseconds deadline = std::chrono::seconds{30}) {
    const auto end = std::chrono::steady_clock::now() + deadline;
    while (!predicate()) {
        if (std::chrono::steady_clock::now() >= end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
    return true;
}

}  // namespace leadsync::test_support
