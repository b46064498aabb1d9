#include "tests/sandbox/gzip.hpp"

#include <stdexcept>
#include <vector>
#include <zlib.h>

namespace leadsync::sandbox {
namespace {

constexpr int gzip_window_bits = 15 + 16;  // zlib's way to ask for the gzip format
constexpr int memory_level = 8;

}  // namespace

std::string gzip(std::string_view text) {
    z_stream stream{};
    if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, gzip_window_bits, memory_level, Z_DEFAULT_STRATEGY) != Z_OK) {
        throw std::runtime_error{"gzip: deflateInit2 failed"};
    }
    std::vector<Bytef> input{text.begin(), text.end()};
    std::vector<Bytef> output(deflateBound(&stream, input.size()));
    stream.next_in = input.data();
    stream.avail_in = static_cast<uInt>(input.size());
    stream.next_out = output.data();
    stream.avail_out = static_cast<uInt>(output.size());
    const int result = deflate(&stream, Z_FINISH);
    output.resize(stream.total_out);
    deflateEnd(&stream);
    if (result != Z_STREAM_END) throw std::runtime_error{"gzip: deflate failed"};
    return {output.begin(), output.end()};
}

}  // namespace leadsync::sandbox
