#include "sync/fields.hpp"

#include <set>

#include <gtest/gtest.h>

namespace leadsync::sync {
namespace {

TEST(FieldTable, NamesAreUniqueAndFoundAgain) {
    std::set<std::string_view> names;
    for (const auto& line : field_table()) {
        EXPECT_TRUE(names.insert(line.name).second) << line.name;
        EXPECT_EQ(field_named(line.name), line.field);
    }
    EXPECT_EQ(field_named("no_such_field"), std::nullopt);
}

TEST(FieldTable, AFieldIsWrittenByACallExactlyWhenItGoesBothWays) {
    for (const auto& line : field_table())
        EXPECT_EQ(line.owner == Owner::both_ways, line.call != Call::none) << line.name;
}

TEST(Canonical, BringsValuesToOneForm) {
    struct Case {
        Kind kind;
        const char* value;
        std::optional<std::string> canonical;
    };
    const Case cases[] = {
        {Kind::integer, "-12", "-12"},
        {Kind::integer, "007", "7"},
        {Kind::integer, "2147483647", "2147483647"},
        {Kind::integer, "2147483648", std::nullopt},
        {Kind::integer, "1.5", std::nullopt},
        {Kind::integer, "", std::nullopt},
        {Kind::uuid, "01959272-5D2B-7A87-A5D7-199E472E6366", "01959272-5d2b-7a87-a5d7-199e472e6366"},
        {Kind::uuid, "019592725d2b7a87a5d7199e472e6366", std::nullopt},
        {Kind::uuid, "01959272-5d2b-7a87-a5d7-199e472e636g", std::nullopt},
        {Kind::timestamp, "2025-03-14T02:18:43.371Z", "2025-03-14T02:18:43.371Z"},
        {Kind::timestamp, "2025-03-14T02:18:43Z", "2025-03-14T02:18:43.000Z"},
        {Kind::timestamp, "2025-03-14T02:18:43.371999Z", "2025-03-14T02:18:43.371Z"},
        {Kind::timestamp, "2025-03-14T00:18:43.5+02:00", "2025-03-13T22:18:43.500Z"},
        {Kind::timestamp, "2025-02-29T00:00:00Z", std::nullopt},
        {Kind::timestamp, "2025-03-14T25:00:00Z", std::nullopt},
        {Kind::timestamp, "2025-03-14", std::nullopt},
        {Kind::timestamp, "yesterday, at about noon", std::nullopt},
        {Kind::boolean, "true", "true"},
        {Kind::boolean, "yes", std::nullopt},
        {Kind::text, "  as it came\n", "  as it came\n"},
    };
    for (const auto& [kind, value, expected] : cases) EXPECT_EQ(canonical(kind, value), expected) << value;
}

TEST(Agreement, AbsentAndEmptyTextAreOne) {
    EXPECT_TRUE(agree(std::nullopt, ""));
    EXPECT_TRUE(agree("a", "a"));
    EXPECT_FALSE(agree("a", "A"));
    EXPECT_FALSE(agree("0", std::nullopt)) << "interest 0 is Out of Office, not unset";
}

TEST(Form, IsBlanksPunctuationAndCase) {
    EXPECT_TRUE(same_but_for_form(" Ada  Lovelace", "ADA LOVELACE"));
    EXPECT_TRUE(same_but_for_form("(030) 123-4", "0301234"));
    EXPECT_TRUE(same_but_for_form("+491234", "491234"));
    EXPECT_FALSE(same_but_for_form("Zoë", "Zoe"));
    EXPECT_FALSE(same_but_for_form("Ada", "Grace"));
    EXPECT_FALSE(same_but_for_form("--", "..")) << "nothing is left to know it by";
    EXPECT_FALSE(same_but_for_form(std::nullopt, "Ada"));
}

TEST(Form, IsNotTheSignOrThePointOfANumber) {
    EXPECT_FALSE(same_but_for_form("-1", "1"));
    EXPECT_FALSE(same_but_for_form("1.5", "15"));
    EXPECT_FALSE(same_but_for_form(" -1", "1"));
    EXPECT_TRUE(same_but_for_form(" 15", "15"));
    EXPECT_FALSE(same_but_for_form("1,500", "1.500"));
}

}  // namespace
}  // namespace leadsync::sync
