#pragma once

#include <string>
#include <string_view>

namespace leadsync::sandbox {

std::string gzip(std::string_view text);

}  // namespace leadsync::sandbox
