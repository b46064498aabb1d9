#pragma once

#include <string_view>

namespace leadsync::sandbox {

/// The example lead of the API's own documentation, key by key, and the containers that its answer names.
extern const std::string_view documented_lead;

inline constexpr std::string_view documented_lead_id = "01959272-5d2b-7a87-a5d7-199e472e6366";
inline constexpr std::string_view documented_organization = "01959272-5d2b-7a87-a5d7-199f18e7bfc7";
inline constexpr std::string_view documented_campaign = "01959272-5d2b-7a87-a5d7-19a0c5e1fc64";
inline constexpr std::string_view documented_list = "01959272-5d2b-7a87-a5d7-19a53f860c5e";
inline constexpr std::string_view documented_user = "01959272-5d2b-7a87-a5d7-19a694ff3588";
inline constexpr std::string_view documented_assignee = "01959272-5d2b-7a87-a5d7-19a7ec8d1ed6";

}  // namespace leadsync::sandbox
