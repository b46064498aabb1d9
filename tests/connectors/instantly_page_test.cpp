#include <algorithm>
#include <ostream>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <rapidcheck/gtest.h>

#include "connectors/instantly/codec.hpp"
#include "connectors/instantly/page.hpp"
#include "connectors/instantly/quick_page.hpp"
#include "tests/sandbox/population.hpp"

namespace leadsync::instantly {
namespace {

using nlohmann::json;
using sync::RemoteLead;

constexpr std::string_view id = "01959272-5d2b-7a87-a5d7-199e472e6366";

/// What reading a body comes to: a page, or how it was refused.
struct Outcome {
    std::string refusal;
    LeadPage page;
};

template <class Read>
Outcome outcome_of(Read read, const std::string& body) {
    try {
        return {"", read(body)};
    } catch (const json::parse_error&) {
        return {"no JSON", {}};
    } catch (const std::invalid_argument& refused) {
        return {refused.what(), {}};
    }
}

LeadPage by_tree(const std::string& body) { return lead_page_of(parse_json(body)); }

/// How two leads differ; nothing when they are the same. `content_hash` tells 1 from 1.0, which compare equal.
std::string difference(const RemoteLead& lead, const RemoteLead& expected) {
    if (lead.id != expected.id) return "id " + lead.id.text;
    for (const auto& spec : sync::field_table())
        if (lead.content[spec.field] != expected.content[spec.field])
            return std::string{spec.name} + " " + lead.content[spec.field].value_or("absent");
    if (lead.content.custom_variables != expected.content.custom_variables) return "custom variables";
    if (lead.extra != expected.extra) return "extra " + lead.extra.dump();
    if (lead.unreadable != expected.unreadable) return "unreadable " + lead.unreadable.to_string();
    return lead.content_hash == expected.content_hash ? "" : "content_hash";
}

/// As a sweep reads a page none of whose leads is known: scanned, then lead by lead.
LeadPage in_two_steps(const std::string& body) {
    auto roomy = body;
    roomy.reserve(body.size() + room_behind);
    auto scan = quick_scan(roomy);
    if (!scan) return parse_lead_page(body);
    ScannedPage scanned{std::move(scan->leads), std::move(scan->next), [&] { return parse_lead_page(body); }};
    LeadPage page;
    try {
        for (std::size_t i = 0; i < scanned.leads.size(); ++i) {
            page.leads.push_back(scanned.take(i));
            EXPECT_EQ(page.leads.back().id, scanned.leads[i].id);
            EXPECT_EQ(page.leads.back().raw_hash, scanned.leads[i].raw_hash);
        }
    } catch (const NotPlain&) {
        return scanned.whole();
    }
    page.next = scanned.next;
    return page;
}

std::string difference(const Outcome& outcome, const Outcome& expected_outcome) {
    const auto& [refusal, page] = outcome;
    const auto& [expected_refusal, expected] = expected_outcome;
    if (refusal != expected_refusal) return "refused: " + refusal + "; by the tree: " + expected_refusal;
    if (page.next != expected.next) return "next " + page.next.value_or("nothing");
    if (page.unusable != expected.unusable) return "unusable";
    if (page.leads.size() != expected.leads.size()) return std::to_string(page.leads.size()) + " leads";
    for (std::size_t i = 0; i < page.leads.size(); ++i)
        if (const auto what = difference(page.leads[i], expected.leads[i]); !what.empty()) return what;
    return "";
}

/// What becomes of the body, at once or in two steps, when it is another thing than by the tree; nothing when it is
/// the same.
std::string disagreement(const std::string& body) {
    const auto expected = outcome_of(by_tree, body);
    const auto at_once = outcome_of(parse_lead_page, body);
    if (const auto what = difference(at_once, expected); !what.empty()) return what;
    const auto stepwise = outcome_of(in_two_steps, body);
    if (const auto what = difference(stepwise, expected); !what.empty()) return "in two steps: " + what;
    for (std::size_t i = 0; i < at_once.page.leads.size(); ++i)
        if (at_once.page.leads[i].raw_hash != stepwise.page.leads[i].raw_hash) return "in two steps: raw_hash";
    return "";
}

/// A lead that is known by its bytes is taken for what it was, while the page that it comes in is read otherwise:
/// what the tree makes of a lead with the bytes of one of `known`, when it is another thing.
std::string mistaken_identity(const std::string& body, const LeadPage& known) {
    auto roomy = body;
    roomy.reserve(body.size() + room_behind);
    const auto scan = quick_scan(roomy);
    const auto by_the_tree = outcome_of(by_tree, body);
    if (!scan || !by_the_tree.refusal.empty() || by_the_tree.page.leads.size() != scan->leads.size()) return "";
    for (std::size_t i = 0; i < scan->leads.size(); ++i)
        for (const auto& lead : known.leads)
            if (lead.raw_hash == scan->leads[i].raw_hash)
                if (const auto what = difference(by_the_tree.page.leads[i], lead); !what.empty()) return what;
    return "";
}

/// Whether simdjson has read it all.
bool is_plain(const std::string& body) {
    const auto page = parse_lead_page(body);
    return !page.leads.empty()
           && std::ranges::all_of(page.leads, [](const auto& lead) { return lead.raw_hash != 0; });
}

std::string page_of(const std::string& items, const std::string& others = "") {
    return R"({"items":[)" + items + "]" + others + "}";
}

std::string lead_with(const std::string& members) {
    return R"({"id":")" + std::string{id} + "\"" + (members.empty() ? "" : ",") + members + "}";
}

std::string page_with(const std::string& members) { return page_of(lead_with(members)); }

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(InstantlyPage, ThePagesOfTheSandboxAreReadWithoutATree) {
    const sandbox::Catalog catalog{{}};
    const sandbox::Population population{{.leads = 300, .odd_share = 0.3}, catalog};
    for (std::uint32_t first = 0; first < population.size(); first += 100) {
        std::string items;
        for (auto rank = first; rank < first + 100; ++rank) {
            if (rank > first) items += ',';
            population.append_json(rank, items);
        }
        const auto body = page_of(items, R"(,"next_starting_after":"next")");
        EXPECT_EQ(disagreement(body), "");
        EXPECT_TRUE(is_plain(body));
        EXPECT_EQ(parse_lead_page(body).leads.size(), 100U);
        EXPECT_EQ(parse_lead_page(body).next, "next");
    }
}

/// Every kind of value, well-formed or not, in every kind of place.
TEST(InstantlyPage, AnyValueInAnyPlaceIsReadAsByTheTree) {
    std::vector<std::string> values{
        R"("")",
        R"("text")",
        R"("01959272-5d2b-7a87-a5d7-19a0c5e1fc64")",
        R"("01959272-5D2B-7A87-A5D7-19A0C5E1FC64")",
        R"("01959272-5d2b-7a87-a5d7-19a0c5e1fc6g")",
        R"("01959272-5d2b-7a87-a5d7-19a0c5e1fc6\u0034")",
        R"("2025-03-14T02:18:43.371Z")",
        R"("2025-03-31T02:18:43.371Z")",
        R"("2025-02-30T02:18:43.371Z")",
        R"("2025-02-29T02:18:43.371Z")",
        R"("2024-02-29T02:18:43.371Z")",
        R"("2025-04-30T02:18:43.371Z")",
        R"("2025-04-31T02:18:43.371Z")",
        R"("2025-03-14T02:18:43+02:00")",
        R"("true")",
        "true",
        "false",
        "null",
        "0",
        "-0",
        "-0.0",
        "1",
        "-3",
        "12.0",
        "1.50",
        "1e2",
        "1E+2",
        "1e-2",
        "2147483647",
        "2147483648",
        "-2147483648",
        "-2147483649",
        "9007199254740993",
        "999999999999999",
        "1000000000000000",
        "9223372036854775807",
        "-9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "18446744073709551616",
        "123456789012345678901234567890",
        "0.1234567890123456789",
        "1e308",
        "1e999",
        "-1e999",
        "1e-999",
        "[]",
        "{}",
        "[ ]",
        "{ }",
        R"([1,"x",null,[true],{"a":1}])",
        R"({"b":1,"a":"x"})",
        R"({ "b" : { "d" : 1 , "c" : [ ] } , "a" : "x" })",
        R"({"b":1,"b":2})",
        R"({"a ":1,"a!":2,"a":3,"a#":4,"":5," ":6})",
        R"({"b":{"c":1,"c":2},"a":0})",
        R"({"a":"\"\\\/\b\f\n\r\t","\u0061":1})",
        R"({"ab":1,"a":2,"é":3,"a\u0000":4,"":5})",
        R"({"a":-0,"b":1.0,"c":1e2,"d":1e999})",
        R"({"a":[{"b":[{"c":[{"d":{"e":{"f":{"g":{"h":{"i":{}}}}}}}]}]}]})",
        R"({"01":1,"02":1,"03":1,"04":1,"05":1,"06":1,"07":1,"08":1,"09":1,"10":1,"11":1,"12":1,"13":1,"14":1,"15":1,"16":1})",
        R"({"16":1,"02":1,"03":1,"04":1,"05":1,"06":1,"07":1,"08":1,"09":1,"10":1,"11":1,"12":1,"13":1,"14":1,"15":1,"17":1,"01":1})",
        "{\"a\":\"\x7F\"}",
        R"("\u00e9\u20AC\ud83d\ude00")",
        R"("\ud83d")",
        R"("\ude00\ud83d")",
        R"("\ud83d\ud83d\ude00")",
        R"("a\u0000b")",
        R"({"k\u0000":["\u0000"]})",
        "\"é😀 \x7F\"",
        "\"\xFF\"",
        "\"a\xC3\"",
        "\"\xED\xA0\x80\"",
        // What is no JSON.
        "",
        " ",
        "01",
        "-",
        "+1",
        "1.",
        ".1",
        "1e",
        "1e+",
        "--1",
        "0x1",
        "1 2",
        "1a",
        "tru",
        "truex",
        "true false",
        "nul",
        "NaN",
        "Infinity",
        "'a'",
        "\\",
        "1\\",
        "\f1",
        "\xEF\xBB\xBF"
        "1",
        R"("a)",
        R"("a\")",
        R"("\x")",
        R"("\u12")",
        R"("\u12G4")",
        R"("\u")",
        R"("\ud83d\u")",
        R"("a""b")",
        R"("a" "b")",
        R"("a"b)",
        R"("a"\)",
        R"("a":1)",
        R"("a":{)",
        R"("a":1})",
        R"("a":1}})",
        "\"a\x01\"",
        "\"a\nb\"",
        "[",
        "]",
        "{",
        "}",
        "[}",
        "{]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1",
        "{1:2}",
        R"({"a"})",
        R"({"a":})",
        R"({"a" 1})",
        R"({"a":1,})",
        R"({,"a":1})",
        R"({"a":1 "b":2})",
        R"({"a":1]})",
        R"({"a":[1})",
        R"({"a":01})",
        R"({"a":"\x"})",
        R"({"a":--1,"b":1})",
        ":1",
        ",",
        "1,2",
        "//x",
        "/**/1",
    };
    for (std::size_t depth = 120; depth <= 130; ++depth) values.push_back(nested(depth));
    values.push_back(nested(2'000));
    const std::vector<std::pair<std::string, std::string>> places{
        {R"({"items":[{"id":)", "}]}"},
        {R"({"items":[{"id":"01959272-5d2b-7a87-a5d7-199e472e6366","first_name":)", R"(,"phone":"1"}]})"},
        {R"({"items":[{"esp_code":)", R"(,"id":"01959272-5d2b-7a87-a5d7-199e472e6366"}]})"},
        {R"({"items":[{"is_website_visitor":)", R"(,"id":"01959272-5d2b-7a87-a5d7-199e472e6366"}]})"},
        {R"({"items":[{"campaign": )", R"( , "id":"01959272-5d2b-7a87-a5d7-199e472e6366"}]})"},
        {R"({"items":[{"timestamp_created":)", R"(,"id":"01959272-5d2b-7a87-a5d7-199e472e6366"}]})"},
        {R"({"items":[{"status_summary":)", R"(,"id":"01959272-5d2b-7a87-a5d7-199e472e6366"}]})"},
        {R"({"items":[{"new_in_the_api":)", R"(,"id":"01959272-5d2b-7a87-a5d7-199e472e6366"}]})"},
        {R"({"items":[{"id":"01959272-5d2b-7a87-a5d7-199e472e6366","payload":)", "}]}"},
        {R"({"items":[{"id":"01959272-5d2b-7a87-a5d7-199e472e6366","payload":{"a":)", R"(,"b":"2"}}]})"},
        {R"({"items":[{"id":"01959272-5d2b-7a87-a5d7-199e472e6366","payload":{"b":"2","email":)", "}}]}"},
        {R"({"items":[)", "]}"},
        {R"({"items":[{"id":"01959272-5d2b-7a87-a5d7-199e472e6366"},)", "]}"},
        {R"({"items":)", "}"},
        {R"({"items":[],"next_starting_after":)", "}"},
        {R"({"items":[{"id":"01959272-5d2b-7a87-a5d7-199e472e6366"}],"next_starting_after":)", "}"},
        {R"({"other":)", R"(,"items":[{"id":"01959272-5d2b-7a87-a5d7-199e472e6366"}]})"},
        {"", ""},
        {"", R"({"items":[]})"},
        {R"({"items":[]})", ""},
    };
    for (const auto& [before, after] : places)
        for (const auto& value : values)
            EXPECT_EQ(disagreement(before + value + after), "") << before << value.substr(0, 200) << after;
}

struct Body {
    const char* what;
    std::string text;
    bool plain;
};

TEST(InstantlyPage, WhatIsNotPlainIsLeftToTheTree) {
    const std::string lead = lead_with("");
    const std::vector<Body> table{
        {"a lead", page_of(lead), true},
        {"blanks everywhere", "\r\n\t { \"items\" : [ " + lead + " ] , \"next_starting_after\" : \"a\" } \n", true},
        {"escapes in keys", page_with(R"("first\u005fname":"a","new\n":1,"payload":{"\u0065mail":1,"a\"":2})"), true},
        {"the same field by another spelling", page_with(R"("first_name":"a","first\u005fname":"b")"), false},
        {"a field twice", page_with(R"("status":1,"status":2)"), false},
        {"a field, then null", page_with(R"("status":1,"status":null)"), false},
        {"an unreadable field, then a good one", page_with(R"("status":"x","status":2)"), false},
        {"an unknown key twice", page_with(R"("new":1,"new":2)"), false},
        {"an unknown key, then null", page_with(R"("new":1,"new":null)"), false},
        {"null, then an unknown key", page_with(R"("new":null,"new":1)"), true},
        {"an id twice", page_with(R"("id":"01959272-5d2b-7a87-a5d7-199e472e6367")"), false},
        {"payload twice", page_with(R"("payload":{"a":1},"payload":{"b":2})"), false},
        {"payload, then null", page_with(R"("payload":{"a":1},"payload":null)"), false},
        {"a variable twice", page_with(R"("payload":{"a":1,"a":2})"), false},
        {"a variable, then a nested one", page_with(R"("payload":{"a":1,"a":{}})"), false},
        {"a nested variable, then one", page_with(R"("payload":{"a":[],"a":1})"), false},
        {"a mirror twice", page_with(R"("payload":{"email":1,"email":[2]})"), true},
        {"U+0000 in a key", page_with(R"("a\u0000":1,"a\ufffd":2)"), false},
        {"U+0000 in a variable's key", page_with(R"("payload":{"a\u0000":1,"a\ufffd":2})"), false},
        {"U+0000 in texts",
         page_with(R"("first_name":"\u0000","new":["\u0000"],"payload":{"a":"\u0000","b":[{"\u0000":"\u0000"}]})"),
         true},
        {"a lone surrogate", page_with(R"("first_name":"\ud83d")"), true},
        {"invalid UTF-8", page_with("\"first_name\":\"\xFF\""), false},
        {"a number beyond a double",
         page_with(R"("new":1e999,"first_name":1e999,"status":1e999,"payload":{"a":1e999})"), true},
        {"an integer beyond 64 bits", page_with(R"("new":18446744073709551616,"payload":{"a":-9223372036854775809})"),
         true},
        {"a byte order mark", "\xEF\xBB\xBF" + page_of(lead), false},
        {"an item that is no lead", page_of(lead + R"(,{"id":"7"})"), false},
        {"a payload that is no object", page_of(lead_with(R"("payload":[])") + "," + lead), false},
        {"items twice", R"({"items":[],"items":[)" + lead + "]}", false},
        {"another member twice", page_of(lead, R"(,"a":1,"a":2,"next_starting_after":7,"next_starting_after":"x")"),
         true},
    };
    for (const auto& [what, text, plain] : table) {
        SCOPED_TRACE(what);
        EXPECT_EQ(disagreement(text), "");
        EXPECT_EQ(is_plain(text), plain);
    }
}

TEST(InstantlyPage, ACutBodyIsRefused) {
    const auto body = page_of(lead_with(R"("first_name":"é\n","status_summary":{"a":[1]},"payload":{"a":-1.5})"),
                              R"(,"next_starting_after":"x")");
    for (std::size_t size = 0; size < body.size(); ++size) {
        EXPECT_EQ(disagreement(body.substr(0, size)), "") << body.substr(0, size);
        EXPECT_THROW(parse_lead_page(body.substr(0, size)), json::parse_error);
    }
    for (const auto* foreign : {"<html></html>", "error code: 1010", "null", "[]", R"({"message":"no"})"})
        EXPECT_EQ(disagreement(foreign), "") << foreign;
    EXPECT_THROW(parse_lead_page("<html></html>"), json::parse_error);
    EXPECT_THROW(parse_lead_page(R"({"message":"no"})"), std::invalid_argument);
}

TEST(InstantlyPage, TheBodyNeedsNoRoomBehindIt) {
    auto body = page_with(R"("first_name":"a")");
    body.shrink_to_fit();
    EXPECT_EQ(disagreement(body), "");
    body.reserve(body.size() + 64);
    EXPECT_EQ(disagreement(body), "");
    EXPECT_TRUE(is_plain(body));
}

TEST(InstantlyPage, AHugeLeadIsOneLikeAnyOther) {
    const auto body = page_with(R"("payload":{"large":")" + std::string(5'000'000, 'x') + R"(","more":["\n"]})");
    EXPECT_EQ(disagreement(body), "");
    EXPECT_TRUE(is_plain(body));
}

TEST(InstantlyPage, EqualBytesHaveAnEqualRawHash) {
    const auto one = lead_with(R"("first_name":"a")");
    const auto page = parse_lead_page(page_of(one + " , " + lead_with(R"("first_name":"b")") + "\n," + one + "\t"));
    ASSERT_EQ(page.leads.size(), 3U);
    EXPECT_EQ(page.leads[0].raw_hash, page.leads[2].raw_hash);
    EXPECT_NE(page.leads[0].raw_hash, page.leads[1].raw_hash);
    EXPECT_EQ(page.leads[0].raw_hash, parse_lead_page(page_of(one)).leads[0].raw_hash);
}

/// JSON text of all forms, most of it plain.
class AnyJson {
public:
    std::string value(int depth = 0) const {
        const auto kind = *rc::gen::inRange(0, depth > 3 ? 9 : 13);
        if (kind < 4) return text();
        if (kind < 7) return number();
        if (kind < 9) return *rc::gen::element<std::string>("true", "false", "null");
        return kind < 11 ? object(depth) : array(depth);
    }

    std::string object(int depth = 0) const {
        std::string members;
        for (int left = *rc::gen::inRange(0, 5); left > 0; --left)
            members += key() + blank() + ":" + blank() + value(depth + 1) + (left > 1 ? "," + blank() : blank());
        return "{" + blank() + members + "}";
    }

    static std::string text() {
        static const std::vector<std::string> parts{"a",
                                                    "b",
                                                    " ",
                                                    "é",
                                                    "😀",
                                                    "x@y.z",
                                                    R"(\n)",
                                                    R"(\")",
                                                    R"(\\)",
                                                    R"(\/)",
                                                    R"(\u0041)",
                                                    R"(\ud83d\ude00)",
                                                    R"(\ud83d)",
                                                    R"(\udc00)",
                                                    R"(\u0000)",
                                                    "\x7F",
                                                    "{",
                                                    "]",
                                                    ",",
                                                    ":",
                                                    "a rather long text that no short string holds",
                                                    "2025-03-14T02:18:43.371Z",
                                                    "01959272-5d2b-7a87-a5d7-19a0c5e1fc64"};
        std::string result = "\"";
        for (int left = *rc::gen::inRange(0, 4); left > 0; --left) result += *rc::gen::elementOf(parts);
        if (*rc::gen::inRange(0, 200) == 0) result += "\xC3";
        return result + "\"";
    }

    static std::string number() {
        const auto digits = [] {
            std::string result(static_cast<std::size_t>(*rc::gen::inRange(1, 22)), '0');
            for (auto& digit : result) digit = *rc::gen::inRange('0', static_cast<char>('9' + 1));
            return result;
        };
        std::string result = *rc::gen::element<std::string>("", "-");
        const auto whole = digits();
        const auto first = whole.find_first_not_of('0');
        result += first == std::string::npos ? "0" : whole.substr(first);
        if (*rc::gen::inRange(0, 3) == 0) result += "." + digits();
        if (*rc::gen::inRange(0, 4) == 0)
            result += *rc::gen::element<std::string>("e", "E+", "e-") + std::to_string(*rc::gen::inRange(0, 500));
        return result;
    }

    static std::string blank() { return *rc::gen::element<std::string>("", "", "", " ", "\n\t"); }

    static std::string key() {
        if (*rc::gen::inRange(0, 3) == 0) return text();
        return "\"" + std::string(static_cast<std::size_t>(*rc::gen::inRange(1, 20)), 'k') + "\"";
    }

private:
    std::string array(int depth) const {
        std::string items;
        for (int left = *rc::gen::inRange(0, 4); left > 0; --left)
            items += value(depth + 1) + blank() + (left > 1 ? "," : "");
        return "[" + blank() + items + "]";
    }
};

std::string any_lead() {
    const AnyJson any;
    std::string members;
    const auto add = [&](const std::string& key, const std::string& value) {
        members +=
            (members.empty() ? "" : ",") + AnyJson::blank() + key + AnyJson::blank() + ":" + AnyJson::blank() + value;
    };
    if (*rc::gen::inRange(0, 40) != 0) add(R"("id")", "\"" + std::string{id} + "\"");
    for (int left = *rc::gen::inRange(0, 6); left > 0; --left) {
        const auto& spec =
            sync::field_table()[static_cast<std::size_t>(*rc::gen::inRange(0, static_cast<int>(sync::field_count)))];
        add("\"" + std::string{spec.name} + "\"", any.value());
    }
    if (*rc::gen::inRange(0, 2) == 0) add(R"("status_summary")", any.object());
    if (*rc::gen::inRange(0, 3) == 0) add(AnyJson::key(), any.value());
    if (*rc::gen::inRange(0, 2) == 0) {
        std::string variables;
        for (int left = *rc::gen::inRange(0, 5); left > 0; --left) {
            const auto key = *rc::gen::inRange(0, 3) == 0 ? std::string{R"("firstName")"} : AnyJson::key();
            variables += key + ":" + any.value() + (left > 1 ? "," : "");
        }
        add(R"("payload")", "{" + variables + "}");
    }
    if (*rc::gen::inRange(0, 60) == 0) add(R"("payload")", any.value());
    return "{" + members + AnyJson::blank() + "}";
}

std::string any_page() {
    const AnyJson any;
    std::string items;
    for (int left = *rc::gen::inRange(0, 40) == 0 ? 0 : *rc::gen::inRange(1, 4); left > 0; --left)
        items += (*rc::gen::inRange(0, 40) == 0 ? any.value() : any_lead()) + (left > 1 ? "," : "");
    std::string others;
    if (*rc::gen::inRange(0, 3) == 0) others += ",\"next_starting_after\":" + AnyJson::text();
    if (*rc::gen::inRange(0, 10) == 0) others += "," + AnyJson::key() + ":" + any.value();
    return page_of(items, others);
}

RC_GTEST_PROP(InstantlyPageProperties, AnyPageIsReadAsByTheTree, ()) {
    const auto body = any_page();
    RC_CLASSIFY(outcome_of(parse_lead_page, body).refusal.empty() && is_plain(body), "plain");
    RC_LOG() << body << "\n";
    RC_ASSERT(disagreement(body) == "");
}

/// Bytes of a page changed at random: what is no JSON any more is refused, as by the tree, and nothing crashes.
TEST(InstantlyPage, AgreesWithTheTreeOnMutatedPages) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 dice{seed};
    const auto up_to = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>{0, n}(dice); };
    const auto source = page_of(
        lead_with(R"("first_name":"é","status":-1,"status_summary":{"b":{"c":true},"a":"\n"},"new":[1.5e3,null])")
            + "," + lead_with(R"("email":"a","payload":{"email":"\u0041","a":{"b":[]},"c":0.5,"d":"\ud83d\ude00"})"),
        R"(,"next_starting_after":"x","more":{"a":[[]]})");
    const auto known = parse_lead_page(source);
    const std::string alphabet = "\"\"\\{}[],:0123456789eE+-.tfn u\n\xC3\xA9\xFF\xED";
    int accepted = 0;
    int refused = 0;
    for (int round = 0; round < 20'000; ++round) {
        std::string text = source;
        for (auto changes = up_to(3) + 1; changes > 0 && !text.empty(); --changes) {
            const auto at = up_to(text.size() - 1);
            const auto kind = up_to(3);
            if (kind == 0)
                text.erase(at, up_to(3));
            else if (kind == 1)
                text.insert(at, 1, alphabet[up_to(alphabet.size() - 1)]);
            else
                text[at] = alphabet[up_to(alphabet.size() - 1)];
        }
        ASSERT_EQ(disagreement(text), "") << text;
        ASSERT_EQ(mistaken_identity(text, known), "") << text;
        ++(outcome_of(parse_lead_page, text).refusal.empty() ? accepted : refused);
    }
    EXPECT_GT(accepted, 1'000);
    EXPECT_GT(refused, 1'000);
}

}  // namespace
}  // namespace leadsync::instantly
