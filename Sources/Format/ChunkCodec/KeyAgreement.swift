internal import RepositoryFormat
internal import COpenSSL
internal import Platform

/// A key pair for X25519 (RFC 7748) or Ed25519 (RFC 8032): raw keys of 32 bytes.
package struct KeyPair: Sendable {
  package enum Algorithm: String, Sendable { case x25519 = "X25519", ed25519 = "ED25519" }
  package let privateKey: [UInt8]
  package let publicKey: [UInt8]

  package static func generate(_ algorithm: Algorithm) -> KeyPair {
    // Any 32 bytes are a private key of either curve.
    let secret = System.random(32)
    guard let pair = KeyPair(algorithm, privateKey: secret) else {
      fatalError("OpenSSL cannot make keys")  // reason: an installation without these curves cannot run any of this
    }
    return pair
  }

  package init?(_ algorithm: Algorithm, privateKey: [UInt8]) {
    guard let key = EVP_PKEY_new_raw_private_key_ex(nil, algorithm.rawValue, nil, privateKey, privateKey.count)
    else { return nil }
    defer { EVP_PKEY_free(key) }
    var publicKey = [UInt8](repeating: 0, count: 32)
    var length = 32
    guard EVP_PKEY_get_raw_public_key(key, &publicKey, &length) == 1, length == 32 else { return nil }
    self.privateKey = privateKey
    self.publicKey = publicKey
  }
}

package enum X25519 {
  /// The shared secret; nil for a public key that gives none (of small order).
  package static func sharedSecret(privateKey: [UInt8], publicKey: [UInt8]) -> [UInt8]? {
    guard let mine = EVP_PKEY_new_raw_private_key_ex(nil, "X25519", nil, privateKey, privateKey.count) else {
      return nil
    }
    defer { EVP_PKEY_free(mine) }
    guard let theirs = EVP_PKEY_new_raw_public_key_ex(nil, "X25519", nil, publicKey, publicKey.count) else {
      return nil
    }
    defer { EVP_PKEY_free(theirs) }
    guard let context = EVP_PKEY_CTX_new(mine, nil) else { return nil }
    defer { EVP_PKEY_CTX_free(context) }
    var secret = [UInt8](repeating: 0, count: 32)
    var length = 32
    guard EVP_PKEY_derive_init(context) == 1, EVP_PKEY_derive_set_peer(context, theirs) == 1,
      EVP_PKEY_derive(context, &secret, &length) == 1, length == 32
    else { return nil }
    return secret
  }
}

package enum Ed25519 {
  package static func sign(_ message: [UInt8], privateKey: [UInt8]) -> [UInt8] {
    var signature = [UInt8](repeating: 0, count: 64)
    var length = 64
    guard let key = EVP_PKEY_new_raw_private_key_ex(nil, "ED25519", nil, privateKey, privateKey.count),
      let context = EVP_MD_CTX_new()
    else { fatalError("OpenSSL cannot sign") }  // reason: the key has 32 bytes, and any 32 bytes are a key
    defer {
      EVP_MD_CTX_free(context)
      EVP_PKEY_free(key)
    }
    require(EVP_DigestSignInit(context, nil, nil, nil, key))
    require(EVP_DigestSign(context, &signature, &length, message, message.count))
    return signature
  }

  package static func verify(_ signature: [UInt8], of message: [UInt8], publicKey: [UInt8]) -> Bool {
    guard signature.count == 64, publicKey.count == 32,
      let key = EVP_PKEY_new_raw_public_key_ex(nil, "ED25519", nil, publicKey, 32)
    else { return false }
    defer { EVP_PKEY_free(key) }
    guard let context = EVP_MD_CTX_new() else { return false }
    defer { EVP_MD_CTX_free(context) }
    return EVP_DigestVerifyInit(context, nil, nil, nil, key) == 1
      && EVP_DigestVerify(context, signature, 64, message, message.count) == 1
  }
}

package enum KeyDerivation {
  /// HKDF-SHA-256 (RFC 5869), 32 bytes: one extract, one expand.
  package static func hkdf(_ secret: [UInt8], salt: [UInt8], info: [UInt8]) -> [UInt8] {
    // HMAC pads a key below the block size with zeros, and hashes a longer one.
    let extract = hmac(key: salt, secret)
    return hmac(key: extract, info + [1])
  }
  package static func hkdf(_ secret: [UInt8], salt: [UInt8], _ info: String) -> [UInt8] {
    hkdf(secret, salt: salt, info: Array(info.utf8))
  }

  private static func hmac(key: [UInt8], _ message: [UInt8]) -> [UInt8] {
    let short = key.count > 64 ? SHA256.hash(key).bytes : key
    let padded = short + [UInt8](repeating: 0, count: 64 - short.count)
    let inner = SHA256.hash(padded.map { $0 ^ 0x36 } + message)
    return SHA256.hash(padded.map { $0 ^ 0x5C } + inner.bytes).bytes
  }

  /// scrypt (RFC 7914), 32 bytes; nil when the memory for it is not to be had.
  package static func scrypt(password: [UInt8], salt: [UInt8], log2N: UInt8, r: UInt32, p: UInt32) -> [UInt8]? {
    var out = [UInt8](repeating: 0, count: 32)
    let memory = UInt64(128) * UInt64(r) * ((1 << UInt64(log2N)) + UInt64(p) + 2) + (1 << 20)
    let result = password.withUnsafeBytes { raw in
      EVP_PBE_scrypt(
        raw.baseAddress?.assumingMemoryBound(to: CChar.self) ?? UnsafePointer(bitPattern: 1), raw.count, salt,
        salt.count, 1 << UInt64(log2N), UInt64(r), UInt64(p), memory, &out, 32)
    }
    return result == 1 ? out : nil
  }
}
