#include "tests/sandbox/certificate.hpp"

#include <cstdio>
#include <memory>
#include <stdexcept>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace leadsync::sandbox {
namespace {

template <class T, void (*Free)(T*)>
struct Freer {
    void operator()(T* pointer) const { Free(pointer); }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY, EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509, X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION, X509_EXTENSION_free>>;

struct FileCloser {
    void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

constexpr long day_s = 24 * 60 * 60;

void require(bool done, const char* step) {
    if (!done) throw std::runtime_error{std::string{"certificate: "} + step + " failed"};
}

void add_extension(X509* certificate, int kind, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
    const Extension extension{X509V3_EXT_conf_nid(nullptr, &context, kind, value)};
    require(extension && X509_add_ext(certificate, extension.get(), -1) == 1, "extension");
}

Certificate self_signed(EVP_PKEY* key) {
    Certificate certificate{X509_new()};
    auto* x509 = certificate.get();
    X509_set_version(x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -day_s);
    X509_gmtime_adj(X509_getm_notAfter(x509), day_s);
    X509_set_pubkey(x509, key);
    auto* name = X509_get_subject_name(x509);
    const unsigned char common_name[] = "leadsync-sandbox";
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common_name, -1, -1, 0);
    X509_set_issuer_name(x509, name);
    add_extension(x509, NID_basic_constraints, "CA:TRUE");
    add_extension(x509, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");
    require(X509_sign(x509, key, EVP_sha256()) > 0, "signature");
    return certificate;
}

File open(const std::filesystem::path& path) {
    File file{std::fopen(path.c_str(), "w")};
    require(file != nullptr, path.c_str());
    return file;
}

}  // namespace

TlsFiles make_certificate(const std::filesystem::path& directory) {
    const Key key{EVP_EC_gen("P-256")};
    require(key != nullptr, "key");
    const auto certificate = self_signed(key.get());
    const auto certificate_path = directory / "certificate.pem";
    const auto key_path = directory / "key.pem";
    require(PEM_write_X509(open(certificate_path).get(), certificate.get()) == 1, "writing the certificate");
    require(PEM_write_PrivateKey(open(key_path).get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1,
            "writing the key");
    return {certificate_path.string(), key_path.string()};
}

}  // namespace leadsync::sandbox
