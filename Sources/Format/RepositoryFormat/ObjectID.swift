package import Platform

/// The name of an object of the repository, or of a chunk. Of an object it is the SHA-256 of its bytes, of a chunk a
/// keyed hash, which only `KeyedHash` makes (docs/format.md, section 5).
package struct ObjectID: Hash256, Comparable {
  package let w0, w1, w2, w3: UInt64

  /// From 32 bytes.
  @inline(__always)
  package init(_ bytes: UnsafeRawBufferPointer) {
    (w0, w1, w2, w3) = words(bytes)
  }

  /// The name of the object whose bytes have this SHA-256: of a key slot, a record or note of snapshots, an index
  /// segment, a pack (docs/format.md, section 2). Never of a chunk.
  @inline(__always)
  package init(nameOf digest: Digest) {
    (w0, w1, w2, w3) = (digest.w0, digest.w1, digest.w2, digest.w3)
  }

  /// All zeros: stands where an id is not known yet; no object has it.
  package static let zero = ObjectID(w0: 0, w1: 0, w2: 0, w3: 0)
  private init(w0: UInt64, w1: UInt64, w2: UInt64, w3: UInt64) {
    (self.w0, self.w1, self.w2, self.w3) = (w0, w1, w2, w3)
  }

  package init?(_ bytes: [UInt8]) {
    guard bytes.count == 32 else { return nil }
    self = bytes.withUnsafeBytes { ObjectID($0) }
  }

  package init?(hex: some StringProtocol) {
    guard hex.utf8.count == 64, let bytes = Hex.decode(hex) else { return nil }
    self.init(bytes)
  }

  /// The first eight characters: enough to tell a person which one is meant.
  package var short: String { String(hex.prefix(8)) }

  package static func < (a: ObjectID, b: ObjectID) -> Bool {
    (a.w0, a.w1, a.w2, a.w3) < (b.w0, b.w1, b.w2, b.w3)
  }

  /// Ids are uniform: one word is as good a hash as all four.
  package func hash(into hasher: inout Hasher) { hasher.combine(w0) }
}

extension ByteReader {
  package mutating func id() throws(FormatError) -> ObjectID { ObjectID(try take(32)) }
}
extension ByteWriter {
  package mutating func id(_ id: ObjectID) { hash(id) }
}
