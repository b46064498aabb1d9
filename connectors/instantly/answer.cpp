#include "connectors/instantly/answer.hpp"

#include <algorithm>

#include <boost/beast/http/status.hpp>

#include "connectors/instantly/codec.hpp"

namespace leadsync::instantly {

using nlohmann::json;

namespace {

constexpr std::size_t words_max = 200;
constexpr std::size_t kept_max = 2000;

json json_or_null(std::string_view body) {
    try {
        return parse_json(body);
    } catch (const json::parse_error&) {
        return nullptr;
    }
}

/// `message` may be a list of complaints, `error` an object with a message of its own.
std::string text_in(const json& body) {
    if (body.is_string()) return body.get<std::string>();
    if (body.is_array()) {
        std::string all;
        for (const auto& item : body) all.append(all.empty() ? "" : "; ").append(text_in(item));
        return all;
    }
    if (!body.is_object()) return {};
    for (const char* key : {"message", "error"}) {
        const auto found = body.find(key);
        if (found == body.end()) continue;
        if (auto text = text_in(*found); !text.empty()) return text;
    }
    return {};
}

void take_out(std::string& text, std::string_view secret) {
    if (secret.empty()) return;
    for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at))
        text.replace(at, secret.size(), "***");
}

/// One line of printable text, cut between characters.
std::string printable(std::string_view text) {
    std::string line;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool blank = byte <= 0x20 || byte == 0x7F;
        if (blank && (line.empty() || line.back() == ' ')) continue;
        const bool continues = (byte & 0xC0U) == 0x80U;
        if (line.size() >= words_max && !continues) break;
        line.push_back(blank ? ' ' : c);
    }
    while (line.ends_with(' ')) line.pop_back();
    return line;
}

}  // namespace

std::string words_of(std::string_view body, std::string_view secret) {
    std::string words = text_in(json_or_null(body));
    if (words.empty()) words = body;
    take_out(words, secret);
    return printable(well_formed(words));
}

std::string kept_text(std::string_view body, std::string_view secret) {
    std::string text{body};
    take_out(text, secret);
    text = well_formed(text);
    if (text.size() <= kept_max) return text;
    auto end = kept_max;
    while ((static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;  // between characters
    return text.substr(0, end) + "…";
}

Answer::Answer(std::string step, std::string secret, std::string sent, Reply reply)
    : step_{std::move(step)}, secret_{std::move(secret)}, sent_{std::move(sent)}, reply_{std::move(reply)} {}

sync::Exchange Answer::exchange() const {
    return {step_, kept_text(sent_, secret_), std::to_string(reply_.status) + " " + kept_text(reply_.body, secret_)};
}

std::string Answer::peer_words() const {
    const auto words = words_of(reply_.body, secret_);
    return words.empty() ? "" : " \"" + words + "\"";
}

void Answer::refuse() const {
    namespace http = boost::beast::http;
    const auto reason = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(reply_.status)));
    auto message = step_ + ": " + std::to_string(reply_.status);
    message.append(" ").append(reason.data(), reason.size()).append(peer_words());
    const auto kind =
        reply_.refusals > 0 ? sync::FailureKind::refused : sync::kind_of_status(reply_.status, reply_.body);
    sync::Failure failure{kind,       std::move(message), reply_.retry_after, reply_.status == 429,
                          exchange(), reply_.refusals};
    throw ApiError{std::move(failure), reply_.status, reply_.status >= 500 || reply_.status == 408};
}

void Answer::reject(const std::string& reason) const {
    const auto message = step_ + ": " + std::to_string(reply_.status) + ", but " + reason;
    sync::Failure failure{sync::FailureKind::transient, message, reply_.retry_after, false, exchange()};
    throw ApiError{std::move(failure), reply_.status, true};
}

json Answer::accepted() const {
    return accepted([](const std::string& body) { return parse_json(body); });
}

void Answer::acknowledged() const {
    if (reply_.status > 299 || !reply_.body.empty())
        static_cast<void>(accepted());
    else if (reply_.status < 200)
        refuse();
}

bool Answer::not_found() const {
    if (reply_.status != 404) return false;
    const auto body = json_or_null(reply_.body);
    if (!body.is_object()) reject("not from the API:" + peer_words());
    if (text_in(body).starts_with("Route ")) refuse();
    return true;
}

}  // namespace leadsync::instantly
