#include "connectors/instantly/gzip.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <new>

#define ZLIB_CONST  // input is read only
#include <zlib.h>

namespace leadsync::instantly {
namespace {

constexpr int gzip_window = 16 + MAX_WBITS;  // zlib's way to ask for a gzip header and its checksum

}  // namespace

Inflated gunzip(std::string_view packed, std::size_t limit) {
    if (packed.size() > std::numeric_limits<uInt>::max()) return {{}, InflateError::too_large};
    z_stream stream{};
    if (inflateInit2(&stream, gzip_window) != Z_OK) throw std::bad_alloc{};
    const std::unique_ptr<z_stream, int (*)(z_stream*)> closing{&stream, &inflateEnd};

    stream.next_in = reinterpret_cast<const Bytef*>(packed.data());
    stream.avail_in = static_cast<uInt>(packed.size());

    std::string text;
    std::size_t size = 0;
    for (int state = Z_OK; state != Z_STREAM_END;) {
        if (size == text.size()) {
            if (size > limit) return {{}, InflateError::too_large};
            // One byte above the limit tells "exactly the limit" from "more".
            text.resize(std::min(std::max(size * 2, packed.size() * 8), limit + 1));
        }
        const auto room = std::min<std::size_t>(text.size() - size, std::numeric_limits<uInt>::max());
        stream.next_out = reinterpret_cast<Bytef*>(text.data() + size);
        stream.avail_out = static_cast<uInt>(room);
        state = inflate(&stream, Z_NO_FLUSH);
        size += room - stream.avail_out;
        const bool cut = state == Z_BUF_ERROR || (state == Z_OK && stream.avail_in == 0 && stream.avail_out != 0);
        if (cut || (state != Z_OK && state != Z_STREAM_END)) return {{}, InflateError::broken};
    }
    if (stream.avail_in != 0) return {{}, InflateError::broken};
    if (size > limit) return {{}, InflateError::too_large};
    text.resize(size);
    return {std::move(text), std::nullopt};
}

}  // namespace leadsync::instantly
