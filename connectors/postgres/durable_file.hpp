#pragma once

#include <filesystem>
#include <string_view>

namespace leadsync::postgres {

/// Replaces `file` (0600) by `text` in one step that a crash or a power cut does not leave half done.
/// Throws std::system_error.
void write_durably(const std::filesystem::path& file, std::string_view text);

/// Makes the names in `folder` (after a rename in it) survive a power cut. Throws std::system_error.
void sync_folder(const std::filesystem::path& folder);

}  // namespace leadsync::postgres
