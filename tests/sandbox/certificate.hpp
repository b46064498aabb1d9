#pragma once

#include <filesystem>

#include "tests/sandbox/server.hpp"

namespace leadsync::sandbox {

/// Writes a fresh self-signed certificate for 127.0.0.1 and localhost, valid for a day, and its key into `directory`.
TlsFiles make_certificate(const std::filesystem::path& directory);

}  // namespace leadsync::sandbox
