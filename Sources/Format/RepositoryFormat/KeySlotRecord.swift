package import Platform

/// The part of a slot that is readable without a secret (docs/format.md, section 4.2).
package struct SlotHeader: Sendable, Equatable {
  package enum Lock: Sendable, Equatable {
    case password(log2N: UInt8, r: UInt32, p: UInt32)
    case keyFile
  }
  package static let size = 132
  package var lock: Lock
  package var createdSeconds: Int64
  package var salt: [UInt8]
  /// X25519, 32 bytes: envelopes are sealed to it.
  package var publicKey: [UInt8]
  /// To the key that the secret gives, 16 bytes.
  package var commitment: [UInt8]

  package init(lock: Lock, createdSeconds: Int64, salt: [UInt8], publicKey: [UInt8], commitment: [UInt8]) {
    self.lock = lock
    self.createdSeconds = createdSeconds
    self.salt = salt
    self.publicKey = publicKey
    self.commitment = commitment
  }

  /// All bytes before the sealed payload.
  package func encode(repository: RepositoryID) -> [UInt8] {
    var out = ByteWriter(capacity: Self.size)
    CommonHeader.write(.slot, repository, to: &out)
    switch lock {
    case .password(let log2N, let r, let p):
      out.u8(1)
      out.u8(log2N)
      out.zeros(2)
      out.u32(r)
      out.u32(p)
    case .keyFile:
      out.u8(2)
      out.zeros(11)
    }
    out.i64(createdSeconds)
    out.raw(salt)
    out.raw(publicKey)
    out.raw(commitment)
    return out.bytes
  }

  /// Of a whole slot; the sealed payload is what follows the first `size` bytes.
  package init(decoding bytes: [UInt8], repository: RepositoryID) throws(FormatError) {
    guard bytes.count <= Limits.slotSizeMax else { throw FormatError("the key slot is too large") }
    self = try bytes.read { (reader) throws(FormatError) in
      try CommonHeader.read(.slot, of: repository, from: &reader)
      let lock = try Self.readLock(&reader)
      let header = SlotHeader(
        lock: lock, createdSeconds: try reader.i64(), salt: try reader.array(32), publicKey: try reader.array(32),
        commitment: try reader.array(16))
      guard reader.remaining == SlotPayload.size + 16 else { throw FormatError("the key slot is cut off") }
      return header
    }
  }

  private static func readLock(_ reader: inout ByteReader) throws(FormatError) -> Lock {
    let kind = try reader.u8()
    let log2N = try reader.u8()
    try reader.zeros(2)
    let r = try reader.u32()
    let p = try reader.u32()
    switch kind {
    case 1:
      guard Limits.scryptLog2Range.contains(log2N), Limits.scryptFactorRange.contains(r),
        Limits.scryptFactorRange.contains(p), (UInt64(r) * UInt64(p)) << UInt64(log2N) <= Limits.scryptCostMax
      else { throw FormatError("the slot demands an absurd amount of work for its password") }
      return .password(log2N: log2N, r: r, p: p)
    case 2:
      guard log2N == 0, r == 0, p == 0 else { throw FormatError("the slot is damaged") }
      return .keyFile
    default: throw FormatError("the slot is of an unknown kind")
    }
  }
}

/// What a slot seals.
package struct SlotPayload: Sendable, Equatable {
  package static let size = 64
  /// X25519, 32 bytes.
  package var privateKey: [UInt8]
  /// Of the repository that the slot was made for, 32 bytes: whoever knows the secret has said that this is the one.
  package var rootPublicKey: [UInt8]

  package init(privateKey: [UInt8], rootPublicKey: [UInt8]) {
    self.privateKey = privateKey
    self.rootPublicKey = rootPublicKey
  }

  package func encode() -> [UInt8] { privateKey + rootPublicKey }

  package init(decoding bytes: [UInt8]) throws(FormatError) {
    self = try bytes.read { (reader) throws(FormatError) in
      let payload = SlotPayload(privateKey: try reader.array(32), rootPublicKey: try reader.array(32))
      try reader.requireEnd()
      return payload
    }
  }
}
