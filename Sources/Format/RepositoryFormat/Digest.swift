package import Platform

/// 32 bytes of a hash, held as four words, so that comparing and hashing are cheap.
package protocol Hash256: Hashable, Sendable, CustomStringConvertible {
  /// The bytes in big-endian words: comparing words compares bytes.
  var w0: UInt64 { get }
  var w1: UInt64 { get }
  var w2: UInt64 { get }
  var w3: UInt64 { get }
}

extension Hash256 {
  package var bytes: [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(32)
    for word in [w0, w1, w2, w3] { withUnsafeBytes(of: word.bigEndian) { out.append(contentsOf: $0) } }
    return out
  }

  package var hex: String { Hex.encode(bytes) }
  package var description: String { hex }
}

/// The SHA-256 of some bytes, without any key: everybody who has the bytes can make it. It is no `ObjectID`, for what is
/// named with a key cannot be found by it.
package struct Digest: Hash256 {
  package let w0, w1, w2, w3: UInt64

  /// From 32 bytes.
  @inline(__always)
  package init(_ bytes: UnsafeRawBufferPointer) {
    (w0, w1, w2, w3) = words(bytes)
  }

  /// Hashes are uniform: one word is as good as all four.
  package func hash(into hasher: inout Hasher) { hasher.combine(w0) }
}

/// The words of 32 bytes.
@inline(__always)
func words(_ bytes: UnsafeRawBufferPointer) -> (UInt64, UInt64, UInt64, UInt64) {
  precondition(bytes.count == 32, "a hash has 32 bytes")
  return (
    UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
    UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
    UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)),
    UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self))
  )
}

extension ByteReader {
  package mutating func digest() throws(FormatError) -> Digest { Digest(try take(32)) }
}
extension ByteWriter {
  package mutating func digest(_ digest: Digest) { hash(digest) }

  mutating func hash(_ hash: some Hash256) {
    for word in [hash.w0, hash.w1, hash.w2, hash.w3] {
      withUnsafeBytes(of: word.bigEndian) { raw($0) }
    }
  }
}
