#include "connectors/postgres/binary_array.hpp"

#include <gtest/gtest.h>
#include <pqxx/pqxx>

#include "tests/support/test_database.hpp"

namespace leadsync::postgres {
namespace {

std::string echoed(BinaryArray& array, const std::string& type) {
    const test_support::TestDatabase database{test_support::TestDatabase::Contents::nothing};
    pqxx::connection connection{database.url()};
    pqxx::work transaction{connection};
    transaction.exec("SET LOCAL timezone = 'UTC'");
    return transaction.exec_params("SELECT $1::" + type + "::text", array.finish())[0][0].c_str();
}

TEST(BinaryArray, TravelsAsThePostgresArrayItStandsFor) {
    using enum BinaryArray::Element;
    BinaryArray texts{text};
    texts.add("plain");
    texts.add_null();
    texts.add("");
    texts.add("quote \" backslash \\ comma , brace } ✓ 'x'");
    EXPECT_EQ(echoed(texts, "text[]"), R"({plain,NULL,"","quote \" backslash \\ comma , brace } ✓ 'x'"})");

    BinaryArray integers{int4};
    integers.add("-2147483648");
    integers.add("42");
    EXPECT_EQ(echoed(integers, "int4[]"), "{-2147483648,42}");

    BinaryArray longs{int8};
    longs.add_int8(-1);
    EXPECT_EQ(echoed(longs, "int8[]"), "{-1}");

    BinaryArray uuids{uuid};
    uuids.add("01959272-5d2b-7a87-a5d7-199e472e6366");
    EXPECT_EQ(echoed(uuids, "uuid[]"), "{01959272-5d2b-7a87-a5d7-199e472e6366}");

    BinaryArray booleans{boolean};
    booleans.add("true");
    booleans.add("false");
    EXPECT_EQ(echoed(booleans, "bool[]"), "{t,f}");

    BinaryArray jsons{jsonb};
    jsons.add(R"({"a":1})");
    EXPECT_EQ(echoed(jsons, "jsonb[]"), R"({"{\"a\": 1}"})");

    BinaryArray instants{timestamptz};
    instants.add("2026-01-02T03:04:05.678Z");
    instants.add("1999-12-31T23:59:59.999Z");
    instants.add("0001-01-01T00:00:00.000Z");
    instants.add_instant(sync::Instant{std::chrono::microseconds{1'000'001}});
    EXPECT_EQ(echoed(instants, "timestamptz[]"), R"({"2026-01-02 03:04:05.678+00","1999-12-31 23:59:59.999+00",)"
                                                 R"("0001-01-01 00:00:00+00","1970-01-01 00:00:01.000001+00"})");

    BinaryArray none{text};
    EXPECT_EQ(echoed(none, "text[]"), "{}");
}

TEST(BinaryArray, RefusesWhatIsNoCanonicalUuidAndHoldsTheOthers) {
    BinaryArray uuids{BinaryArray::Element::uuid};
    uuids.add("01959272-5d2b-7a87-a5d7-199e472e6366");
    for (const auto* text :
         {"not-a-uuid", "", "01959272-5D2B-7A87-A5D7-199E472E6366", "01959272-5d2b-7a87-a5d7-199e472e636g",
          "01959272-5d2b-7a87-a5d7-199e472e636/", "01959272-5d2b-7a87-a5d7-199e472e636\xE9",
          "01959272-5d2b-7a87-a5d7-199e472e636-", "019592725d2b7a87a5d7199e472e63660000",
          "0195927-25d2b-7a87-a5d7-199e472e6366", "01959272-5d2b-7a87-a5d7-199e472e63660"})
        EXPECT_THROW(uuids.add(text), std::invalid_argument) << text;
    uuids.add("fedcba98-7654-4210-8000-000000000009");
    EXPECT_EQ(echoed(uuids, "uuid[]"), "{01959272-5d2b-7a87-a5d7-199e472e6366,fedcba98-7654-4210-8000-000000000009}");
}

}  // namespace
}  // namespace leadsync::postgres
