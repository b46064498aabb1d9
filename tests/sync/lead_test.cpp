#include "sync/lead.hpp"

#include <gtest/gtest.h>

namespace leadsync::sync {
namespace {

TEST(CustomVariable, ComparesAsTextWhateverItsType) {
    EXPECT_EQ(text_of(nlohmann::json(42)), text_of(nlohmann::json("42")));
    EXPECT_EQ(text_of(nlohmann::json(42.0)), "42");
    EXPECT_EQ(text_of(nlohmann::json(-0.5)), "-0.5");
    EXPECT_EQ(text_of(nlohmann::json(true)), "true");
    EXPECT_EQ(text_of(nlohmann::json(nullptr)), std::nullopt);
    EXPECT_EQ(text_of(CustomVariables{}, "absent"), std::nullopt);
}

TEST(InstantlyId, SaysWhenItWasMadeOnlyInVersion7) {
    EXPECT_TRUE(is_time_ordered({"01959272-5d2b-7a87-a5d7-199e472e6366"}));
    EXPECT_FALSE(is_time_ordered({"c7d0b5a3-4f4e-4c52-9a3e-2f6a6d0c9b11"}));
    EXPECT_FALSE(is_time_ordered({""}));
}

}  // namespace
}  // namespace leadsync::sync
