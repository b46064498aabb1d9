#include <filesystem>
#include <fstream>
#include <regex>
#include <string>

#include <gtest/gtest.h>

namespace {

TEST(SyncFolder, IncludesNothingButItselfTheStandardLibraryAndJson) {
    const std::regex include{R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])"};
    const std::regex allowed{R"(sync/[a-z_]+\.hpp|nlohmann/json\.hpp|[a-z_]+)"};
    int includes = 0;
    for (const auto& file : std::filesystem::directory_iterator{LEADSYNC_SOURCE_DIR "/sync"}) {
        std::ifstream text{file.path()};
        std::smatch match;
        for (std::string line; std::getline(text, line);) {
            if (!std::regex_search(line, match, include)) continue;
            ++includes;
            EXPECT_TRUE(std::regex_match(match[2].str(), allowed)) << file.path() << ": " << line;
        }
    }
    EXPECT_GT(includes, 20);
}

}  // namespace
