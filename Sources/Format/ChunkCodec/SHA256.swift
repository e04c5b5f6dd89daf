internal import COpenSSL
package import RepositoryFormat

/// SHA-256 by OpenSSL, with the processor's instructions. One object serves one thread at a time; making it costs
/// more than a short hash, so keep it.
package final class SHA256 {
  private let context: OpaquePointer
  private let algorithm: OpaquePointer

  package init() {
    // Fetched once: an implicit fetch at every start would cost more than hashing a small file.
    guard let algorithm = EVP_MD_fetch(nil, "SHA256", nil), let context = EVP_MD_CTX_new() else {
      fatalError("OpenSSL has no SHA-256")  // reason: an installation without it cannot run any of this
    }
    self.algorithm = algorithm
    self.context = context
    start()
  }

  deinit {
    EVP_MD_CTX_free(context)
    EVP_MD_free(algorithm)
  }

  /// Forgets what was given and begins anew.
  package func start() { require(EVP_DigestInit_ex(context, algorithm, nil)) }

  package func update(_ bytes: UnsafeRawBufferPointer) {
    if !bytes.isEmpty { require(EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)) }
  }

  /// The hash of all that was given; the object begins anew.
  package func finish() -> Digest { finish { Digest($0) } }

  /// The hash of what was given so far; more may be given.
  package func soFar() -> Digest {
    let other = SHA256()
    require(EVP_MD_CTX_copy_ex(other.context, context))
    return other.finish()
  }

  fileprivate func finish<Hash>(_ make: (UnsafeRawBufferPointer) -> Hash) -> Hash {
    let hash = withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { out in
      require(
        EVP_DigestFinal_ex(context, out.baseAddress?.assumingMemoryBound(to: UInt8.self), nil))
      return make(UnsafeRawBufferPointer(out))
    }
    start()
    return hash
  }

  package func hash(_ bytes: UnsafeRawBufferPointer) -> Digest {
    start()
    update(bytes)
    return finish()
  }

  /// For occasional short hashes.
  package static func hash(_ bytes: [UInt8]) -> Digest { bytes.withUnsafeBytes { SHA256().hash($0) } }
}

/// HMAC-SHA-256 (RFC 2104), which alone makes the id of a chunk out of its digest, with the key's two blocks prepared, for one thread at a time.
package final class KeyedHash {
  private let inner: [UInt8]
  private let outer: [UInt8]
  private let sha = SHA256()

  /// A key of 32 bytes.
  package init(key: [UInt8]) {
    precondition(key.count == 32, "the key has 32 bytes")
    let padded = key + [UInt8](repeating: 0, count: 32)
    inner = padded.map { $0 ^ 0x36 }
    outer = padded.map { $0 ^ 0x5C }
  }

  package func hash(_ message: UnsafeRawBufferPointer) -> ObjectID {
    sha.start()
    inner.withUnsafeBytes { sha.update($0) }
    sha.update(message)
    let first = sha.finish()
    outer.withUnsafeBytes { sha.update($0) }
    withDigestBytes(first) { sha.update($0) }
    return sha.finish { ObjectID($0) }
  }

  /// The id of a chunk (docs/format.md, section 5).
  package func chunkID(_ digest: Digest, kind: ChunkKind) -> ObjectID {
    withUnsafeTemporaryAllocation(byteCount: 33, alignment: 8) { message in
      withDigestBytes(digest) { message.copyMemory(from: $0) }
      message[32] = kind.rawValue
      return hash(UnsafeRawBufferPointer(message))
    }
  }
}

/// The 32 bytes of a digest, on the stack.
private func withDigestBytes<Value>(_ digest: Digest, _ body: (UnsafeRawBufferPointer) -> Value) -> Value {
  var words = (digest.w0.bigEndian, digest.w1.bigEndian, digest.w2.bigEndian, digest.w3.bigEndian)
  return withUnsafeBytes(of: &words, body)
}

/// OpenSSL's calls that fail only when memory is out or the library is broken: going on would endanger data.
@inline(__always)
func require(_ result: CInt) {
  guard result == 1 else { fatalError("OpenSSL failed where it cannot") }  // reason: see above
}
