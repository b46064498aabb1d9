#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "connectors/instantly/codec.hpp"

namespace leadsync::instantly {
namespace {

using nlohmann::json;
using sync::Field;
using sync::Value;

constexpr const char* id = "01959272-5d2b-7a87-a5d7-199e472e6366";

/// A lead with nothing but an id and the given members.
json lead_with(json members) {
    members["id"] = id;
    return members;
}

/// The example lead of the API's documentation (shared/seeds).
json documented_lead() {
    return {{"id", id},
            {"timestamp_created", "2025-03-14T02:18:43.371Z"},
            {"timestamp_updated", "2025-03-14T02:18:43.371Z"},
            {"organization", "01959272-5d2b-7a87-a5d7-199f18e7bfc7"},
            {"campaign", "01959272-5d2b-7a87-a5d7-19a0c5e1fc64"},
            {"status", 1},
            {"email", "example@example.com"},
            {"personalization", "Hello, how are you?"},
            {"website", "https://example.com"},
            {"last_name", "Doe"},
            {"first_name", "John"},
            {"company_name", "Example Inc."},
            {"phone", "+1234567890"},
            {"email_open_count", 0},
            {"email_reply_count", 0},
            {"email_click_count", 0},
            {"company_domain", "example.com"},
            {"status_summary",
             {{"from", "campaign"},
              {"stepID", "01959272-5d2b-7a87-a5d7-19a16e3e6e6d"},
              {"timestamp_executed", "2025-03-14T02:18:43.371Z"}}},
            {"payload",
             {{"firstName", "John"},
              {"lastName", "Doe"},
              {"companyName", "Acme Corp"},
              {"website", "https://example.com"},
              {"phone", "+1234567890"},
              {"personalization", "Hi {{first_name}}, I noticed you work at {{company_name}}..."},
              {"property1", nullptr},
              {"property2", nullptr}}},
            {"status_summary_subseq",
             {{"from", "campaign"},
              {"stepID", "01959272-5d2b-7a87-a5d7-19a2b3a9c292"},
              {"timestampExecuted", "2025-03-14T02:18:43.371Z"}}},
            {"last_step_from", "campaign"},
            {"last_step_id", "01959272-5d2b-7a87-a5d7-19a341212045"},
            {"last_step_timestamp_executed", "2025-03-14T02:18:43.371Z"},
            {"email_opened_step", 1},
            {"email_opened_variant", 1},
            {"email_replied_step", 1},
            {"email_replied_variant", 1},
            {"email_clicked_step", 1},
            {"email_clicked_variant", 1},
            {"lt_interest_status", 1},
            {"subsequence_id", "01959272-5d2b-7a87-a5d7-19a4a1eedf0d"},
            {"verification_status", 1},
            {"pl_value_lead", "High"},
            {"timestamp_added_subsequence", "2025-03-14T02:18:43.371Z"},
            {"timestamp_last_contact", "2025-03-14T02:18:43.371Z"},
            {"timestamp_last_open", "2025-03-14T02:18:43.371Z"},
            {"timestamp_last_reply", "2025-03-14T02:18:43.371Z"},
            {"timestamp_last_interest_change", "2025-03-14T02:18:43.371Z"},
            {"timestamp_last_click", "2025-03-14T02:18:43.371Z"},
            {"enrichment_status", 1},
            {"list_id", "01959272-5d2b-7a87-a5d7-19a53f860c5e"},
            {"last_contacted_from", "email"},
            {"uploaded_by_user", "01959272-5d2b-7a87-a5d7-19a694ff3588"},
            {"upload_method", "manual"},
            {"assigned_to", "01959272-5d2b-7a87-a5d7-19a7ec8d1ed6"},
            {"is_website_visitor", true},
            {"timestamp_last_touch", "2025-03-14T02:18:43.371Z"},
            {"esp_code", 1}};
}

TEST(InstantlyCodec, TheDocumentedLeadLandsInItsFields) {
    const auto lead = parse_lead(documented_lead());
    EXPECT_EQ(lead.id.text, id);
    EXPECT_EQ(lead.content[Field::email], "example@example.com");
    EXPECT_EQ(lead.content[Field::personalization], "Hello, how are you?");
    EXPECT_EQ(lead.content[Field::lt_interest_status], "1");
    EXPECT_EQ(lead.content[Field::email_open_count], "0");
    EXPECT_EQ(lead.content[Field::is_website_visitor], "true");
    EXPECT_EQ(lead.content[Field::campaign], "01959272-5d2b-7a87-a5d7-19a0c5e1fc64");
    EXPECT_EQ(lead.content[Field::timestamp_last_touch], "2025-03-14T02:18:43.371Z");
    EXPECT_EQ(json::parse(*lead.content[Field::status_summary]), documented_lead()["status_summary"]);
    const sync::CustomVariables variables{{"property1", nullptr}, {"property2", nullptr}};
    EXPECT_EQ(lead.content.custom_variables, variables) << "mirrors of standard fields are dropped";
    EXPECT_TRUE(lead.extra.empty()) << lead.extra;
    EXPECT_TRUE(lead.unreadable.none());
    const std::set<Field> undocumented{Field::job_title, Field::esg_code};  // newer than that page
    for (const auto& spec : sync::field_table())
        EXPECT_EQ(lead.content[spec.field].has_value(), !undocumented.contains(spec.field)) << spec.name;
}

TEST(InstantlyCodec, WhatIsReadCanBeWrittenBack) {
    const auto source = documented_lead();
    const auto lead = parse_lead(source);
    for (const auto& spec : sync::field_table()) {
        if (!lead.content[spec.field]) continue;
        EXPECT_EQ(to_json(spec.field, lead.content[spec.field]), source.at(spec.name)) << spec.name;
    }
    EXPECT_EQ(to_json(Field::phone, std::nullopt), json{});
    EXPECT_THROW(to_json(Field::lt_interest_status, "many"), std::invalid_argument);
    EXPECT_THROW(to_json(Field::assigned_to, "nobody"), std::invalid_argument);
    EXPECT_EQ(to_json(sync::CustomVariables{}), json::object());
    EXPECT_EQ(to_json(sync::CustomVariables{{"a", 1}, {"b", nullptr}}), (json{{"a", 1}, {"b", nullptr}}));
}

TEST(InstantlyCodec, AbsenceAndNullAreAbsence) {
    auto nulls = json::object();
    for (const auto& spec : sync::field_table()) nulls[spec.name] = nullptr;
    nulls["payload"] = nullptr;
    nulls["new_in_the_api"] = nullptr;
    const auto lead = parse_lead(lead_with(nulls));
    EXPECT_EQ(lead.content, sync::Content{});
    EXPECT_TRUE(lead.extra.empty());
    EXPECT_TRUE(lead.unreadable.none());
    EXPECT_EQ(lead.content_hash, parse_lead(lead_with(json::object())).content_hash);
}

struct Case {
    const char* what;
    Field field;
    json value;
    Value expected;
    bool unreadable = false;
};

TEST(InstantlyCodec, OddValuesAreReadOrSetAsideButNeverGuessed) {
    const std::vector<Case> table{
        {"text", Field::phone, "1", "1"},
        {"empty text", Field::phone, "", ""},
        {"integer as text", Field::phone, 4912345, "4912345"},
        {"fraction as text", Field::pl_value_lead, 1.5, "1.5"},
        {"boolean as text", Field::first_name, true, "true"},
        {"object for text", Field::first_name, json::object(), {}, true},
        {"array for text", Field::email, json::array({"a@b.c"}), {}, true},
        {"status that no enum knows", Field::status, 0, "0"},
        {"negative", Field::status, -3, "-3"},
        {"integer beyond the enum", Field::lt_interest_status, 4711, "4711"},
        {"integer with a fraction of zero", Field::esp_code, 12.0, "12"},
        {"largest", Field::esp_code, 2147483647, "2147483647"},
        {"smallest", Field::esp_code, -2147483648LL, "-2147483648"},
        {"too large", Field::esp_code, 2147483648LL, {}, true},
        {"too small", Field::esp_code, -2147483649LL, {}, true},
        {"far too large", Field::esp_code, 18446744073709551615ULL, {}, true},
        {"huge", Field::esp_code, 1e300, {}, true},
        {"fractional", Field::esp_code, 1.5, {}, true},
        {"text for an integer", Field::status, "1", {}, true},
        {"boolean for an integer", Field::status, true, {}, true},
        {"integer for a boolean", Field::is_website_visitor, 1, {}, true},
        {"text for a boolean", Field::is_website_visitor, "true", {}, true},
        {"upper-case UUID", Field::campaign, "01959272-5D2B-7A87-A5D7-19A0C5E1FC64",
         "01959272-5d2b-7a87-a5d7-19a0c5e1fc64"},
        {"empty UUID", Field::campaign, "", {}},
        {"no UUID", Field::campaign, "none", {}, true},
        {"number for a UUID", Field::campaign, 7, {}, true},
        {"time with an offset", Field::timestamp_created, "2025-03-14T02:18:43+02:00", "2025-03-14T00:18:43.000Z"},
        {"last day of a month", Field::timestamp_created, "2024-02-29T23:59:59.999Z", "2024-02-29T23:59:59.999Z"},
        {"no such day", Field::timestamp_created, "2025-02-29T23:59:59.999Z", {}, true},
        {"no such hour", Field::timestamp_created, "2025-02-21T24:59:59.999Z", {}, true},
        {"empty time", Field::timestamp_last_open, "", {}},
        {"no time", Field::timestamp_last_open, "yesterday", {}, true},
        {"number for a time", Field::timestamp_last_open, 1741918723, {}, true},
        {"any JSON", Field::status_summary, json::array({1, "x"}), R"([1,"x"])"},
        {"text where JSON belongs", Field::status_summary, "x", R"("x")"},
        {"NUL", Field::first_name, std::string{"a\0b", 3}, "a\uFFFDb"},
        {"NUL in JSON", Field::status_summary, json{{std::string{"k\0", 2}, json::array({std::string{"\0", 1}})}},
         "{\"k\uFFFD\":[\"\uFFFD\"]}"},
    };
    for (const auto& [what, field, value, expected, unreadable] : table) {
        SCOPED_TRACE(what);
        const std::string name{sync::spec(field).name};
        const auto lead = parse_lead(lead_with({{name, value}}));
        EXPECT_EQ(lead.content[field], expected);
        EXPECT_EQ(lead.unreadable.test(sync::index(field)), unreadable);
        EXPECT_EQ(lead.unreadable.count(), unreadable ? 1U : 0U);
        EXPECT_EQ(lead.extra, unreadable ? (json{{name, value}}) : json::object());
    }
}

TEST(InstantlyCodec, UnknownKeysGoToExtra) {
    const auto lead = parse_lead(lead_with({{"new_in_the_api", {1, 2}}, {"extra", std::string{"\0", 1}}}));
    EXPECT_EQ(lead.extra, (json{{"new_in_the_api", {1, 2}}, {"extra", "\uFFFD"}}));
}

TEST(InstantlyCodec, CustomVariablesKeepTheirTypesAndNestedOnesAreSetAside) {
    const auto lead = parse_lead(lead_with({{"payload",
                                             {{"text", "42"},
                                              {"number", 42},
                                              {"real", 1.5},
                                              {"yes", true},
                                              {"none", nullptr},
                                              {"email", "mirror@example.com"},
                                              {"campaign", "mirror"},
                                              {"list_id", "mirror"},
                                              {"jobTitle", "mirror"},
                                              {"object", {{"a", 1}}},
                                              {"array", {1, 2}},
                                              {std::string{"nul\0key", 7}, std::string{"nul\0", 4}},
                                              {"", "an empty key"}}}}));
    const sync::CustomVariables expected{{"text", "42"},      {"number", 42},    {"real", 1.5},
                                         {"yes", true},       {"none", nullptr}, {"nul\uFFFDkey", "nul\uFFFD"},
                                         {"", "an empty key"}};
    EXPECT_EQ(lead.content.custom_variables, expected);
    EXPECT_EQ(lead.extra, (json{{"payload", {{"object", {{"a", 1}}}, {"array", {1, 2}}}}}));
}

TEST(InstantlyCodec, APayloadThatIsNoObjectIsNotTakenForTheRemovalOfAllVariables) {
    EXPECT_THROW(parse_lead(lead_with({{"payload", "text"}})), std::invalid_argument);
    EXPECT_THROW(parse_lead(lead_with({{"payload", json::array()}})), std::invalid_argument);
}

TEST(InstantlyCodec, ACustomVariableMayBeFiveMegabytesLong) {
    const std::string large(5'000'000, 'x');
    const auto text = lead_with({{"payload", {{"large", large}}}}).dump();
    const auto lead = parse_lead(parse_json(text));
    EXPECT_EQ(lead.content.custom_variables.at("large"), large);
}

TEST(InstantlyCodec, WithoutAUsableIdThereIsNoLead) {
    const std::vector<json> table{json::object(),   json{{"id", nullptr}}, json{{"id", 7}},
                                  json{{"id", ""}}, json{{"id", "7"}},     json::array(),
                                  json(nullptr),    json("text"),          json{{"id", {{"id", id}}}}};
    for (const auto& item : table) EXPECT_THROW(parse_lead(item), std::invalid_argument) << item;
    EXPECT_EQ(parse_lead(json{{"id", "01959272-5D2B-7A87-A5D7-199E472E6366"}}).id.text, id);
}

TEST(InstantlyCodec, AConstantLeadIsLeftAsItIs) {
    const auto source = documented_lead();
    const auto first = parse_lead(source);
    EXPECT_EQ(source, documented_lead());
    EXPECT_EQ(parse_lead(source).content, first.content);
    EXPECT_EQ(parse_lead(documented_lead()).content_hash, first.content_hash);
}

TEST(InstantlyCodec, EqualContentHasAnEqualHashAndAnyDifferenceAnother) {
    const std::vector<json> all_different{
        json::object(),
        {{"first_name", ""}},
        {{"first_name", "a"}},
        {{"last_name", "a"}},
        {{"first_name", "a"}, {"last_name", "b"}},
        {{"first_name", "ab"}},
        {{"status", 1}},
        {{"status", 2}},
        {{"status", "1"}},
        {{"first_name", json::array()}},
        {{"unknown", 1}},
        {{"unknown", "1"}},
        {{"payload", {{"a", 42}}}},
        {{"payload", {{"a", "42"}}}},
        {{"payload", {{"a", 42.0}}}},
        {{"payload", {{"a", true}}}},
        {{"payload", {{"a", "true"}}}},
        {{"payload", {{"a", nullptr}}}},
        {{"payload", {{"a", "null"}}}},
        {{"payload", {{"a", ""}}}},
        {{"payload", {{"a", "1"}, {"b", "2"}}}},
        {{"payload", {{"a", "1b"}, {"b", ""}}}},
        {{"payload", {{"a", "2"}, {"b", "1"}}}},
        {{"payload", {{"a", {1}}}}},
    };
    std::set<std::uint64_t> hashes;
    for (const auto& members : all_different)
        EXPECT_TRUE(hashes.insert(parse_lead(lead_with(members)).content_hash).second) << members;
    auto other_id = lead_with(json::object());
    other_id["id"] = "01959272-5d2b-7a87-a5d7-199e472e6367";
    EXPECT_TRUE(hashes.insert(parse_lead(other_id).content_hash).second);

    const auto one =
        parse_lead(parse_json(std::string{R"({"id":")"} + id + R"(","status":1,"payload":{"a":1,"b":-2}})"));
    const auto same =
        parse_lead(json{{"payload", {{"b", -2}, {"a", 1}, {"email", "mirror"}}}, {"status", 1}, {"id", id}});
    EXPECT_EQ(one.content_hash, same.content_hash);
}

TEST(InstantlyJson, WhatServersSendThoughAStrictParserRefusesIsMended) {
    const std::vector<std::pair<std::string, std::string>> table{
        {"\"a\xFFz\"", "a\uFFFDz"},
        {"\"a\xC3\"", "a\uFFFD"},
        {"\"\xC3\xA9\"", "é"},
        {"\"\xED\xA0\x80\"", "\uFFFD\uFFFD\uFFFD"},
        {"\"\xF0\x9F\x98\x80\"", "😀"},
        {"\"\xF0\x9F\x98\"", "\uFFFD\uFFFD\uFFFD"},
        {"\"\xC0\xAF\"", "\uFFFD\uFFFD"},
        {R"("\ud83d\ude00")", "😀"},
        {R"("a\ud83dz")", "a\uFFFDz"},
        {R"("\ude00")", "\uFFFD"},
        {R"("\ude00\ud83d")", "\uFFFD\uFFFD"},
        {R"("\ud83d\ud83d\ude00")", "\uFFFD😀"},
        {R"("\ud83d\n")", "\uFFFD\n"},
        {R"("\\ud83d")", "\\ud83d"},
        {R"("\u00e9\u0041\u20AC")", "éA€"},
        {R"("\"\\\/\b\f\n\r\t")", "\"\\/\b\f\n\r\t"},
        {R"("\u0000")", std::string(1, '\0')},
        {"1e999", "1e999"},
        {"-1e999", "-1e999"},
    };
    for (const auto& [text, expected] : table) EXPECT_EQ(parse_json(text), json(expected)) << text;
    EXPECT_EQ(parse_json("\xEF\xBB\xBF {} "), json::object()) << "a byte order mark";
}

TEST(InstantlyJson, WhatIsNoJsonIsRefused) {
    for (const std::string text : {"",
                                   " ",
                                   "{",
                                   "}",
                                   "[",
                                   "[1",
                                   "[1,",
                                   "[1,]",
                                   "[,1]",
                                   R"({"a")",
                                   R"({"a":)",
                                   R"({"a":1)",
                                   R"({"a":1,)",
                                   R"({"a":1,})",
                                   R"({a:1})",
                                   R"({"a" 1})",
                                   R"("a)",
                                   "\"a\nb\"",
                                   R"("\x")",
                                   R"("\u12")",
                                   R"("\u12G4")",
                                   R"("\)",
                                   "01",
                                   "1.",
                                   ".1",
                                   "-",
                                   "+1",
                                   "1e",
                                   "1e+",
                                   "--1",
                                   "0x1",
                                   "1 2",
                                   "tru",
                                   "nul",
                                   "True",
                                   "NaN",
                                   "Infinity",
                                   "<html></html>",
                                   "error code: 1010",
                                   "{} x",
                                   "\xFF",
                                   "'a'"})
        EXPECT_THROW(parse_json(text), json::parse_error) << text;
    EXPECT_THROW(parse_json(std::string_view{"\0", 1}), json::parse_error);
    EXPECT_THROW(parse_json(std::string_view{"1\0", 2}), json::parse_error);
}

TEST(InstantlyJson, NestingHasABound) {
    const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    EXPECT_NO_THROW(parse_json(nested(100)));
    EXPECT_THROW(parse_json(nested(1'000)), json::parse_error);
    EXPECT_THROW(parse_json(std::string(10'000'000, '[')), json::parse_error);
    EXPECT_NO_THROW(parse_json(json(std::string(1'000, '{')).dump()));
}

TEST(InstantlyJson, NumbersKeepTheirTypes) {
    EXPECT_TRUE(parse_json("42").is_number_unsigned());
    EXPECT_TRUE(parse_json("-42").is_number_integer());
    EXPECT_TRUE(parse_json("42.0").is_number_float());
    EXPECT_EQ(parse_json("18446744073709551615").get<std::uint64_t>(), 18446744073709551615ULL);
    EXPECT_EQ(parse_json("-9223372036854775808").get<std::int64_t>(), std::numeric_limits<std::int64_t>::min());
    EXPECT_DOUBLE_EQ(parse_json("18446744073709551616").get<double>(), 18446744073709551616.0);
    EXPECT_DOUBLE_EQ(parse_json("-1.5e-3").get<double>(), -0.0015);
    EXPECT_EQ(parse_json("-0"), json(0));
}

/// What nlohmann's parser accepts reads the same here, whatever a document looks like; what it refuses is refused too
/// or mended, and nothing crashes.
TEST(InstantlyJson, AgreesWithNlohmannOnMutatedDocuments) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 dice{seed};
    const auto up_to = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>{0, n}(dice); };
    const std::string source =
        json{{"items", {documented_lead(), {{"a", -1.5e10}, {"é😀", "\t\"\\\u0001"}, {"b", {true, false, nullptr}}}}}}
            .dump(-1, ' ', true);
    const std::string alphabet = "\"\\{}[],:0123456789eE+-.tfn u\xC3\xA9\xFF\xED";
    int accepted = 0;
    for (int round = 0; round < 3'000; ++round) {
        std::string text = source.substr(0, round % 3 == 0 ? up_to(source.size()) : std::string::npos);
        for (auto changes = up_to(4); changes > 0 && !text.empty(); --changes) {
            const auto at = up_to(text.size() - 1);
            if (up_to(2) == 0)
                text.erase(at, up_to(3));
            else
                text[at] = alphabet[up_to(alphabet.size() - 1)];
        }
        const json theirs = json::parse(text, nullptr, false);
        if (theirs.is_discarded()) {
            try {
                parse_json(text);
            } catch (const json::parse_error&) {
                // refused, or mended above
            }
        } else {
            ++accepted;
            ASSERT_EQ(parse_json(text), theirs) << text;
        }
    }
    EXPECT_GT(accepted, 100);
}

/// The vendor's own document where it lies; it is not part of the project.
class VendorDocument : public testing::Test {
protected:
    void SetUp() override {
        const auto path = std::filesystem::path{LEADSYNC_SOURCE_DIR} / "../shared/api/openapi.lead-sync.json";
        if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not here";
        std::ifstream file{path};
        document_ = json::parse(file);
    }
    [[nodiscard]] const json& lead_properties() const {
        return document_.at("components").at("schemas").at("Lead").at("properties");
    }
    [[nodiscard]] const json& body_properties(const char* path, const char* method) const {
        const auto& body = document_.at("paths").at(path).at(method).at("requestBody");
        return body.at("content").at("application/json").at("schema").at("properties");
    }

private:
    json document_;
};

std::string type_of(const json& property) {
    const auto& type = property.at("type");
    if (!type.is_array()) return type;
    return type.at(0) == "null" ? type.at(1) : type.at(0);
}

TEST_F(VendorDocument, EveryPropertyOfALeadHasItsField) {
    std::set<std::string> names{"id", "payload"};
    for (const auto& spec : sync::field_table()) names.emplace(spec.name);
    std::set<std::string> documented;
    for (const auto& [name, property] : lead_properties().items()) documented.insert(name);
    EXPECT_EQ(names, documented);
}

TEST_F(VendorDocument, KindsOfFieldsAgreeWithDocumentedTypes) {
    for (const auto& spec : sync::field_table()) {
        const auto& property = lead_properties().at(std::string{spec.name});
        const auto type = type_of(property);
        const bool is_time = property.value("format", "") == "date-time";
        switch (spec.kind) {
            case sync::Kind::text:
            case sync::Kind::uuid:
                EXPECT_TRUE(type == "string" && !is_time) << spec.name;
                break;
            case sync::Kind::timestamp:
                EXPECT_TRUE(type == "string" && is_time) << spec.name;
                break;
            case sync::Kind::integer:
                EXPECT_EQ(type, "number") << spec.name;
                break;
            case sync::Kind::boolean:
                EXPECT_EQ(type, "boolean") << spec.name;
                break;
            case sync::Kind::json:
                EXPECT_EQ(type, "object") << spec.name;
                break;
        }
    }
}

TEST_F(VendorDocument, ADocumentedExampleOfEveryPropertyCanBeRead) {
    auto example = json::object();
    for (const auto& [name, property] : lead_properties().items())
        if (property.contains("example")) example[name] = property.at("example");
    const auto lead = parse_lead(example);
    EXPECT_TRUE(lead.unreadable.none()) << lead.extra;
    EXPECT_TRUE(lead.extra.empty()) << lead.extra;
}

TEST_F(VendorDocument, ThePatchTakesTheFieldsThatArePatched) {
    std::set<std::string> ours{"lt_interest_status", "custom_variables"};
    for (const auto& spec : sync::field_table())
        if (spec.call == sync::Call::patch) ours.emplace(spec.name);
    std::set<std::string> documented;
    for (const auto& [name, property] : body_properties("/api/v2/leads/{id}", "patch").items())
        documented.insert(name);
    EXPECT_EQ(ours, documented);
}

TEST_F(VendorDocument, EveryKeyThatIsSentIsKnown) {  // an unknown key is ignored, and the wrong leads are reached
    const std::vector<std::pair<const char*, std::set<std::string>>> sent{
        {"/api/v2/leads/list", {"limit", "campaign", "list_id", "ids", "contacts", "starting_after"}},
        {"/api/v2/leads/move",
         {"ids", "campaign", "list_id", "to_campaign_id", "to_list_id", "reset_interest_status"}},
        {"/api/v2/leads/add", {"campaign_id", "list_id", "leads"}},
        {"/api/v2/leads/merge", {"lead_id", "destination_lead_id"}},
        {"/api/v2/leads/bulk-assign", {"ids", "organization_user_ids"}},
        {"/api/v2/leads/update-interest-status", {"lead_email", "interest_value", "campaign_id", "list_id"}},
        {"/api/v2/leads/subsequence/move", {"id", "subsequence_id"}},
        {"/api/v2/leads/subsequence/remove", {"id"}},
    };
    for (const auto& [path, keys] : sent)
        for (const auto& key : keys) EXPECT_TRUE(body_properties(path, "post").contains(key)) << path << " " << key;
}

}  // namespace
}  // namespace leadsync::instantly
