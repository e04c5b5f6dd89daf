package import Platform

/// The first 8 bytes of the hash of a key set's public key.
package struct KeySetID: Hashable, Sendable, CustomStringConvertible {
  package let bytes: [UInt8]
  package init(_ bytes: [UInt8]) {
    precondition(bytes.count == 8, "a key set id has 8 bytes")
    self.bytes = bytes
  }
  package var description: String { Hex.encode(bytes) }
}

/// What a key may do.
package enum KeyRole: UInt8, Sendable, CustomStringConvertible {
  case full = 1
  case writeOnly = 2
  package var description: String { self == .full ? "full" : "write-only" }
}

/// The secrets of a key set (docs/format.md, section 4.1). All arrays have 32 bytes.
package struct KeySetRecord: Sendable, Equatable {
  package var publicKey: [UInt8]
  package var idKey: [UInt8]
  package var indexKey: [UInt8]
  package var chunkerSeed: [UInt8]
  package var privateKey: [UInt8]?
  package init(
    publicKey: [UInt8], idKey: [UInt8], indexKey: [UInt8], chunkerSeed: [UInt8], privateKey: [UInt8]?
  ) {
    self.publicKey = publicKey
    self.idKey = idKey
    self.indexKey = indexKey
    self.chunkerSeed = chunkerSeed
    self.privateKey = privateKey
  }
}

/// What a slot seals: all secrets that its holder gets.
package struct SlotPayload: Sendable, Equatable {
  package var role: KeyRole
  package var writerPrivateKey: [UInt8]
  package var writerCertificate: [UInt8]
  package var listKey: [UInt8]
  package var rootPublicKey: [UInt8]
  package var rootPrivateKey: [UInt8]?
  package var keySets: [KeySetRecord]

  package init(
    role: KeyRole, writerPrivateKey: [UInt8], writerCertificate: [UInt8], listKey: [UInt8], rootPublicKey: [UInt8],
    rootPrivateKey: [UInt8]?, keySets: [KeySetRecord]
  ) {
    self.role = role
    self.writerPrivateKey = writerPrivateKey
    self.writerCertificate = writerCertificate
    self.listKey = listKey
    self.rootPublicKey = rootPublicKey
    self.rootPrivateKey = rootPrivateKey
    self.keySets = keySets
  }

  package func encode() -> [UInt8] {
    var out = ByteWriter()
    out.u8(role.rawValue)
    out.raw(writerPrivateKey)
    out.raw(writerCertificate)
    out.raw(listKey)
    out.raw(rootPublicKey)
    Self.optional(rootPrivateKey, to: &out)
    out.u8(UInt8(keySets.count))
    for set in keySets {
      out.raw(set.publicKey)
      out.raw(set.idKey)
      out.raw(set.indexKey)
      out.raw(set.chunkerSeed)
      Self.optional(set.privateKey, to: &out)
    }
    return out.bytes
  }

  package init(decoding bytes: [UInt8]) throws(FormatError) {
    self = try bytes.read { (reader) throws(FormatError) in
      guard let role = KeyRole(rawValue: try reader.u8()) else { throw FormatError("the slot has an unknown role") }
      let writer = try reader.array(32)
      let certificate = try reader.array(64)
      let list = try reader.array(32)
      let root = try reader.array(32)
      let rootPrivate = try Self.optional(from: &reader)
      let count = Int(try reader.u8())
      guard (1...Limits.keySetsMax).contains(count) else { throw FormatError("the slot has no or too many key sets") }
      var sets: [KeySetRecord] = []
      for _ in 0..<count {
        sets.append(
          KeySetRecord(
            publicKey: try reader.array(32), idKey: try reader.array(32), indexKey: try reader.array(32),
            chunkerSeed: try reader.array(32), privateKey: try Self.optional(from: &reader)))
      }
      try reader.requireEnd()
      let isFull = role == .full
      guard (rootPrivate != nil) == isFull, sets.allSatisfy({ ($0.privateKey != nil) == isFull }) else {
        throw FormatError("the slot's keys do not fit its role")
      }
      return SlotPayload(
        role: role, writerPrivateKey: writer, writerCertificate: certificate, listKey: list, rootPublicKey: root,
        rootPrivateKey: rootPrivate, keySets: sets)
    }
  }

  private static func optional(_ key: [UInt8]?, to out: inout ByteWriter) {
    out.u8(key == nil ? 0 : 1)
    if let key { out.raw(key) }
  }
  private static func optional(from reader: inout ByteReader) throws(FormatError) -> [UInt8]? {
    switch try reader.u8() {
    case 0: return nil
    case 1: return try reader.array(32)
    default: throw FormatError("the slot is damaged")
    }
  }
}

/// The part of a slot that is readable without a secret (docs/format.md, section 4.2).
package struct SlotHeader: Sendable, Equatable {
  package enum Lock: Sendable, Equatable {
    case password(log2N: UInt8, r: UInt32, p: UInt32)
    case keyFile
  }
  package var keySet: KeySetID
  package var lock: Lock
  package var role: KeyRole
  package var createdSeconds: Int64
  package var salt: [UInt8]
  package var writerPublicKey: [UInt8]
  package var label: [UInt8]

  package init(
    keySet: KeySetID, lock: Lock, role: KeyRole, createdSeconds: Int64, salt: [UInt8], writerPublicKey: [UInt8],
    label: [UInt8]
  ) {
    self.keySet = keySet
    self.lock = lock
    self.role = role
    self.createdSeconds = createdSeconds
    self.salt = salt
    self.writerPublicKey = writerPublicKey
    self.label = label
  }

  /// All bytes before the sealed payload of `sealedLength` bytes.
  package func encode(repository: RepositoryID, sealedLength: Int) -> [UInt8] {
    var out = ByteWriter()
    CommonHeader.write(.slot, repository, to: &out)
    out.raw(keySet.bytes)
    switch lock {
    case .password(let log2N, let r, let p):
      out.u8(1)
      out.u8(role.rawValue)
      out.u8(log2N)
      out.u8(0)
      out.u32(r)
      out.u32(p)
    case .keyFile:
      out.u8(2)
      out.u8(role.rawValue)
      out.zeros(10)
    }
    out.i64(createdSeconds)
    out.raw(salt)
    out.raw(writerPublicKey)
    let label = label.prefix(Limits.labelSizeMax)
    out.u8(UInt8(label.count))
    out.raw(Array(label))
    out.u32(UInt32(sealedLength))
    return out.bytes
  }

  /// The header and the length of it; the sealed payload is the rest of `bytes`.
  package static func decode(_ bytes: [UInt8], repository: RepositoryID) throws(FormatError) -> (SlotHeader, Int) {
    guard bytes.count <= Limits.slotSizeMax else { throw FormatError("the key slot is too large") }
    return try bytes.read { (reader) throws(FormatError) in
      try CommonHeader.read(.slot, of: repository, from: &reader)
      let keySet = KeySetID(try reader.array(8))
      let kind = try reader.u8()
      guard let role = KeyRole(rawValue: try reader.u8()) else { throw FormatError("the slot has an unknown role") }
      let lock = try Self.readLock(kind, &reader)
      let created = try reader.i64()
      let salt = try reader.array(32)
      let writer = try reader.array(32)
      let label = try reader.array(Int(try reader.u8()))
      let length = Int(try reader.u32())
      guard length == reader.remaining else { throw FormatError("the key slot is cut off") }
      let header = SlotHeader(
        keySet: keySet, lock: lock, role: role, createdSeconds: created, salt: salt, writerPublicKey: writer,
        label: label)
      return (header, reader.position)
    }
  }

  private static func readLock(_ kind: UInt8, _ reader: inout ByteReader) throws(FormatError) -> Lock {
    let log2N = try reader.u8()
    try reader.zeros(1)
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
