// OpenSSL 3's EVP interface. The macros below are function-like in the headers, which Swift does not import.
#ifndef YESTER_COPENSSL_H
#define YESTER_COPENSSL_H
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

static inline int yo_gcm_set_tag(EVP_CIPHER_CTX *context, const void *tag) {
  return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, (void *)tag);
}
static inline int yo_gcm_get_tag(EVP_CIPHER_CTX *context, void *tag) {
  return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, tag);
}
#endif
