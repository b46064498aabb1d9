#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "connectors/instantly/api_error.hpp"
#include "connectors/instantly/retry_after.hpp"
#include "connectors/instantly/transport.hpp"

namespace leadsync::instantly {

/// Judges one answer: the only place where a status or a broken body becomes an ApiError. A server that says nothing
/// of use after a write (5xx, 408, a 2xx without its JSON) leaves the write in doubt.
class Answer {
public:
    /// `step` begins every message; `secret` is taken out of whatever the peer says. `sent` is the request's body.
    Answer(std::string step, std::string secret, std::string sent, Reply reply);

    [[nodiscard]] int status() const { return reply_.status; }
    /// Capacity behind the body, for whoever reads it in place.
    void leave_room(std::size_t bytes) { reply_.body.reserve(reply_.body.size() + bytes); }
    /// The server's clock, as it said.
    [[nodiscard]] std::optional<std::chrono::sys_seconds> date() const { return parse_http_date(reply_.date); }

    /// The body of a 2xx, as `read` takes it; throws ApiError for any other status, and for what `read` throws as
    /// parse_error (no JSON) or std::invalid_argument (other JSON than asked for).
    template <class Read>
    [[nodiscard]] auto accepted(Read read) const {
        if (reply_.status < 200 || reply_.status > 299) refuse();
        try {
            return read(reply_.body);
        } catch (const nlohmann::json::parse_error&) {
            reject("no JSON:" + peer_words());
        } catch (const std::invalid_argument& other) {
            reject(other.what());
        }
    }
    /// The same as JSON.
    [[nodiscard]] nlohmann::json accepted() const;
    /// The same where the body is of no interest: it may be empty, but no foreign page.
    void acknowledged() const;
    /// Whether it is the API's own 404 about the thing asked for. A proxy's or an unknown route's is none: a lead
    /// must not be taken for deleted because a URL is wrong.
    [[nodiscard]] bool not_found() const;

    /// An answer that was accepted but is not what was asked for: transient, with `reason`.
    [[noreturn]] void reject(const std::string& reason) const;

private:
    [[noreturn]] void refuse() const;
    [[nodiscard]] sync::Exchange exchange() const;
    [[nodiscard]] std::string peer_words() const;

    std::string step_;
    std::string secret_;
    std::string sent_;
    Reply reply_;
};

/// What the peer says in an answer's body: its JSON `message` or `error`, else its text; one line, at most 200
/// characters, without `secret`.
std::string words_of(std::string_view body, std::string_view secret);

/// A body as it may be kept for a person: well-formed, without `secret` and NUL, at most 2,000 characters.
std::string kept_text(std::string_view body, std::string_view secret);

}  // namespace leadsync::instantly
