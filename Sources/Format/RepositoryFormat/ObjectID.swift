package import Platform

/// 32 bytes: a SHA-256, or the keyed hash of a chunk. Held as four words, so that comparing and hashing are cheap.
package struct ObjectID: Hashable, Sendable, Comparable, CustomStringConvertible {
  package static let size = 32
  /// The bytes in big-endian words: comparing words compares bytes.
  package let w0, w1, w2, w3: UInt64

  /// From 32 bytes.
  @inline(__always)
  package init(_ bytes: UnsafeRawBufferPointer) {
    precondition(bytes.count == 32, "an id has 32 bytes")
    w0 = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self))
    w1 = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    w2 = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
    w3 = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self))
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

  package var bytes: [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(32)
    for word in [w0, w1, w2, w3] { withUnsafeBytes(of: word.bigEndian) { out.append(contentsOf: $0) } }
    return out
  }

  package var hex: String { Hex.encode(bytes) }
  /// The first eight characters: enough to tell a person which one is meant.
  package var short: String { String(hex.prefix(8)) }
  package var description: String { hex }

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
  package mutating func id(_ id: ObjectID) {
    for word in [id.w0, id.w1, id.w2, id.w3] {
      withUnsafeBytes(of: word.bigEndian) { raw($0) }
    }
  }
}
