internal import COpenSSL
internal import Platform

/// A 12-byte nonce: what is sealed, and its number (docs/format.md, section 1).
package struct Nonce: Sendable {
  let domain: UInt32
  let counter: UInt64
  package init(_ domain: UInt32 = 0, _ counter: UInt64 = 0) {
    self.domain = domain
    self.counter = counter
  }
  package static func block(_ number: UInt32) -> Nonce { Nonce(1, UInt64(number)) }
  package static let directory = Nonce(2)
  package static func frame(_ number: UInt64) -> Nonce { Nonce(3, number) }

  var bytes: [UInt8] {
    var out = ByteWriter(capacity: 12)
    out.u32(domain)
    out.u64(counter)
    return out.bytes
  }
}

/// Sealed bytes were changed, or the key is another one.
package struct AuthenticationFailure: Error, Equatable { package init() {} }

/// AES-256-GCM, one context for one thread at a time. A nonce must never serve twice with one key: every key here
/// is random or derived for one object, and nonces within it are numbers.
package final class AESGCM {
  package static let tagSize = 16
  private let context: OpaquePointer
  private let cipher: OpaquePointer

  package init() {
    guard let cipher = EVP_CIPHER_fetch(nil, "AES-256-GCM", nil), let context = EVP_CIPHER_CTX_new() else {
      fatalError("OpenSSL has no AES-256-GCM")  // reason: an installation without it cannot run any of this
    }
    self.cipher = cipher
    self.context = context
  }

  deinit {
    EVP_CIPHER_CTX_free(context)
    EVP_CIPHER_free(cipher)
  }

  /// Writes the ciphertext and the tag to `out`, which has room for 16 bytes more than `plain`.
  package func seal(
    _ plain: UnsafeRawBufferPointer, key: [UInt8], nonce: Nonce, authenticating extra: [UInt8],
    into out: UnsafeMutableRawPointer
  ) {
    precondition(key.count == 32, "the key has 32 bytes")
    require(EVP_EncryptInit_ex(context, cipher, nil, key, nonce.bytes))
    var written: CInt = 0
    if !extra.isEmpty { require(EVP_EncryptUpdate(context, nil, &written, extra, CInt(extra.count))) }
    let target = out.assumingMemoryBound(to: UInt8.self)
    if let source = plain.baseAddress?.assumingMemoryBound(to: UInt8.self), plain.count > 0 {
      require(EVP_EncryptUpdate(context, target, &written, source, CInt(plain.count)))
    }
    require(EVP_EncryptFinal_ex(context, target + plain.count, &written))
    require(yo_gcm_get_tag(context, out + plain.count))
  }

  /// Opens ciphertext and tag into `out`, which has room for 16 bytes less than `sealed`.
  package func open(
    _ sealed: UnsafeRawBufferPointer, key: [UInt8], nonce: Nonce, authenticating extra: [UInt8],
    into out: UnsafeMutableRawPointer
  ) throws(AuthenticationFailure) {
    precondition(key.count == 32, "the key has 32 bytes")
    let length = sealed.count - Self.tagSize
    guard length >= 0, let source = sealed.baseAddress else { throw AuthenticationFailure() }
    require(EVP_DecryptInit_ex(context, cipher, nil, key, nonce.bytes))
    var written: CInt = 0
    if !extra.isEmpty { require(EVP_DecryptUpdate(context, nil, &written, extra, CInt(extra.count))) }
    let target = out.assumingMemoryBound(to: UInt8.self)
    if length > 0 {
      require(
        EVP_DecryptUpdate(context, target, &written, source.assumingMemoryBound(to: UInt8.self), CInt(length)))
    }
    require(yo_gcm_set_tag(context, source + length))
    guard EVP_DecryptFinal_ex(context, target + length, &written) == 1 else { throw AuthenticationFailure() }
  }

  /// `seal` for small things.
  package func seal(_ plain: [UInt8], key: [UInt8], nonce: Nonce = Nonce(), authenticating extra: [UInt8]) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: plain.count + Self.tagSize) { out, count in
      guard let base = out.baseAddress else { return }
      plain.withUnsafeBytes { seal($0, key: key, nonce: nonce, authenticating: extra, into: base) }
      count = plain.count + Self.tagSize
    }
  }

  /// `open` for small things.
  package func open(
    _ sealed: [UInt8], key: [UInt8], nonce: Nonce = Nonce(), authenticating extra: [UInt8]
  ) throws(AuthenticationFailure) -> [UInt8] {
    guard sealed.count >= Self.tagSize else { throw AuthenticationFailure() }
    var plain = [UInt8](repeating: 0, count: max(1, sealed.count - Self.tagSize))
    let result: Result<Void, AuthenticationFailure> = plain.withUnsafeMutableBytes { out in
      guard let base = out.baseAddress else { return .failure(AuthenticationFailure()) }
      return sealed.withUnsafeBytes { raw in
        do throws(AuthenticationFailure) {
          return .success(try open(raw, key: key, nonce: nonce, authenticating: extra, into: base))
        } catch {
          return .failure(error)
        }
      }
    }
    try result.get()
    return Array(plain.prefix(sealed.count - Self.tagSize))
  }
}
