#pragma once

#include <condition_variable>
#include <dlfcn.h>
#include <mutex>
#include <netdb.h>
#include <string_view>

// Stands in for getaddrinfo in the whole program: to be included by one of its source files.

namespace leadsync::test_support {

/// A name server that keeps silent when it is asked for `silent.test`, as long as this lives: whoever looks it up
/// waits. One at a time. Any other name is looked up as ever.
class SilentNames {
public:
    static constexpr std::string_view name = "silent.test";

    SilentNames() {
        const std::lock_guard lock{state().mutex};
        state().is_silent = true;
        state().asked = 0;
    }
    ~SilentNames() { speak(); }
    SilentNames(const SilentNames&) = delete;
    SilentNames& operator=(const SilentNames&) = delete;

    /// Those who wait are told that there is no such name.
    void speak() {
        const std::lock_guard lock{state().mutex};
        state().is_silent = false;
        state().spoken.notify_all();
    }

    /// How often it was asked.
    [[nodiscard]] int asked() const {
        const std::lock_guard lock{state().mutex};
        return state().asked;
    }

    static int answer() {
        std::unique_lock lock{state().mutex};
        ++state().asked;
        state().spoken.wait(lock, [] { return !state().is_silent; });
        return EAI_NONAME;
    }

private:
    struct State {
        std::mutex mutex;
        std::condition_variable spoken;
        bool is_silent = false;
        int asked = 0;
    };
    static State& state() {
        static State state;
        return state;
    }
};

}  // namespace leadsync::test_support

extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** found) {
    using leadsync::test_support::SilentNames;
    if (node != nullptr && SilentNames::name == node) return SilentNames::answer();
    static const auto real = reinterpret_cast<decltype(&::getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
    return real(node, service, hints, found);
}
