#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string>

#include "connectors/instantly/codec.hpp"

namespace leadsync::instantly {
namespace {

/// Writes compact text while it reads, and gives up where that takes more than copying.
class Compactor {
public:
    explicit Compactor(std::string_view text) : rest_{text} { out_.reserve(text.size()); }

    std::optional<std::string> document() {
        skip_blanks();
        if (!value(0)) return std::nullopt;
        skip_blanks();
        return rest_.empty() ? std::optional{std::move(out_)} : std::nullopt;
    }

private:
    static constexpr int levels_max = 8;
    static constexpr std::size_t members_max = 16;
    static constexpr std::size_t digits_max = 15;  // a whole number in 64 bits beyond doubt

    struct Member {
        std::string_view key;
        std::size_t begin = 0;  ///< where its text stands in out_
        std::size_t end = 0;
    };

    void skip_blanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \n\r\t"), rest_.size())); }

    bool take(char c) {
        if (!rest_.starts_with(c)) return false;
        rest_.remove_prefix(1);
        out_ += c;
        return true;
    }
    std::string_view take(std::size_t length) {
        const auto taken = rest_.substr(0, length);
        rest_.remove_prefix(length);
        out_ += taken;
        return taken;
    }

    bool value(int level) {
        if (rest_.starts_with('{')) return level < levels_max && object(level);
        if (rest_.starts_with('"')) return text().has_value();
        for (const std::string_view word : {"true", "false", "null"})
            if (rest_.starts_with(word)) return take(word.size()), true;
        return number();
    }

    bool object(int level) {
        std::array<Member, members_max> members;
        std::size_t count = 0;
        take('{');
        skip_blanks();
        if (take('}')) return true;
        const auto begin = out_.size();
        while (true) {
            if (count == members_max) return false;
            auto& member = members[count++];
            member.begin = out_.size();
            const auto key = text();
            skip_blanks();
            if (!key || !take(':')) return false;
            skip_blanks();
            if (!value(level + 1)) return false;
            member.key = key->substr(1, key->size() - 2);  // with its quotes, "a " would come before "a"
            member.end = out_.size();
            skip_blanks();
            if (rest_.starts_with('}')) break;
            if (!take(',')) return false;
            skip_blanks();
        }
        return in_order({members.data(), count}, begin) && take('}');
    }

    /// Puts the members written since `begin` in the order of their keys. False when a key comes twice.
    bool in_order(std::span<Member> members, std::size_t begin) {
        if (!std::ranges::is_sorted(members, {}, &Member::key)) {
            std::ranges::sort(members, {}, &Member::key);
            const auto written = out_.substr(begin);
            out_.resize(begin);
            for (const auto& member : members) {
                if (out_.size() > begin) out_ += ',';
                out_.append(written, member.begin - begin, member.end - member.begin);
            }
        }
        return std::ranges::adjacent_find(members, {}, &Member::key) == members.end();
    }

    /// A text with its quotes.
    std::optional<std::string_view> text() {
        if (!rest_.starts_with('"')) return std::nullopt;
        const auto end = rest_.find('"', 1);
        if (end == std::string_view::npos || rest_.substr(0, end).find('\\') != std::string_view::npos)
            return std::nullopt;
        return take(end + 1);
    }

    bool number() {
        const auto sign = static_cast<std::size_t>(rest_.starts_with('-'));
        const auto end = std::min(rest_.find_first_not_of("0123456789", sign), rest_.size());
        const auto digits = rest_.substr(sign, end - sign);
        if (digits.empty() || digits.size() > digits_max || (digits.front() == '0' && end > 1)) return false;
        take(end);
        return true;
    }

    std::string_view rest_;
    std::string out_;
};

}  // namespace

std::optional<std::string> compacted(std::string_view text) { return Compactor{text}.document(); }

}  // namespace leadsync::instantly
