package import Platform

/// The clear beginning of an epoch, as far as it is of fixed form (docs/format.md, section 4.3): what anybody can read,
/// and what the root key has signed.
package struct EpochHead: Sendable, Equatable {
  /// A slot in force, and the public key that its envelope is sealed to.
  package struct Slot: Sendable, Equatable {
    package let id: ObjectID
    /// X25519, 32 bytes.
    package let publicKey: [UInt8]
    package init(id: ObjectID, publicKey: [UInt8]) {
      self.id = id
      self.publicKey = publicKey
    }
  }
  package static let fixedSize = 208
  package static let slotSize = 64
  package static let signatureSize = 64
  package var number: UInt64
  package var createdSeconds: Int64
  /// Ed25519, 32 bytes.
  package var rootPublicKey: [UInt8]
  /// SHA-256 of the epoch before it; zeros in the first.
  package var previous: Digest
  package var keySet: KeySetID
  package var keySetPublicKey: [UInt8]
  /// X25519, 32 bytes, for all envelopes.
  package var ephemeralKey: [UInt8]
  package var slots: [Slot]
  /// Lengths of the sealed parts behind the head.
  package var envelopesLength: UInt32
  package var sharedLength: UInt32
  package var fullLength: UInt32

  package init(
    number: UInt64, createdSeconds: Int64, rootPublicKey: [UInt8], previous: Digest, keySet: KeySetID,
    keySetPublicKey: [UInt8], ephemeralKey: [UInt8], slots: [Slot], envelopesLength: UInt32, sharedLength: UInt32,
    fullLength: UInt32
  ) {
    self.number = number
    self.createdSeconds = createdSeconds
    self.rootPublicKey = rootPublicKey
    self.previous = previous
    self.keySet = keySet
    self.keySetPublicKey = keySetPublicKey
    self.ephemeralKey = ephemeralKey
    self.slots = slots
    self.envelopesLength = envelopesLength
    self.sharedLength = sharedLength
    self.fullLength = fullLength
  }

  package var size: Int { Self.fixedSize + slots.count * Self.slotSize }

  package func encode(repository: RepositoryID) -> [UInt8] {
    var out = ByteWriter(capacity: size)
    CommonHeader.write(.epoch, repository, to: &out)
    out.u64(number)
    out.i64(createdSeconds)
    out.raw(rootPublicKey)
    out.digest(previous)
    out.raw(keySet.bytes)
    out.raw(keySetPublicKey)
    out.raw(ephemeralKey)
    out.u32(UInt32(slots.count))
    out.u32(envelopesLength)
    out.u32(sharedLength)
    out.u32(fullLength)
    for slot in slots {
      out.id(slot.id)
      out.raw(slot.publicKey)
    }
    return out.bytes
  }

  /// Of a whole epoch object.
  package init(decoding bytes: [UInt8], repository: RepositoryID) throws(FormatError) {
    guard bytes.count <= Limits.epochSizeMax else { throw FormatError("the epoch is too large") }
    self = try bytes.read { (reader) throws(FormatError) in
      try CommonHeader.read(.epoch, of: repository, from: &reader)
      let number = try reader.u64()
      guard (1...Limits.epochNumberMax).contains(number) else { throw FormatError("the epoch's number is impossible") }
      let created = try reader.i64()
      let root = try reader.array(32)
      let previous = try reader.digest()
      let keySet = KeySetID(try reader.array(KeySetID.size))
      let publicKey = try reader.array(32)
      let ephemeral = try reader.array(32)
      let count = Int(try reader.u32())
      guard (1...Limits.epochSlotsMax).contains(count) else { throw FormatError("the epoch has no or too many slots") }
      let lengths = (try reader.u32(), try reader.u32(), try reader.u32())
      var slots: [Slot] = []
      for _ in 0..<count { slots.append(Slot(id: try reader.id(), publicKey: try reader.array(32))) }
      guard Set(slots.map(\.id)).count == count else { throw FormatError("the epoch names a slot twice") }
      // Of UInt32, and therefore without overflow.
      let rest = Int(lengths.0) + Int(lengths.1) + Int(lengths.2) + Self.signatureSize
      guard rest == reader.remaining else { throw FormatError("the epoch is cut off") }
      return EpochHead(
        number: number, createdSeconds: created, rootPublicKey: root, previous: previous, keySet: keySet,
        keySetPublicKey: publicKey, ephemeralKey: ephemeral, slots: slots, envelopesLength: lengths.0,
        sharedLength: lengths.1, fullLength: lengths.2)
    }
  }
}

/// What the envelope for a slot holds: who its holder is, and the keys to the two parts of the epoch.
package struct EnvelopePayload: Sendable, Equatable {
  package var member: MemberID
  /// Ed25519 seed, 32 bytes.
  package var writerSeed: [UInt8]
  /// 32 bytes each: one for each writer key of the member, in their order.
  package var listKeys: [[UInt8]]
  package var sharedKey: [UInt8]
  /// In envelopes of full members.
  package var fullKey: [UInt8]?

  package init(
    member: MemberID, writerSeed: [UInt8], listKeys: [[UInt8]], sharedKey: [UInt8], fullKey: [UInt8]?
  ) {
    self.member = member
    self.writerSeed = writerSeed
    self.listKeys = listKeys
    self.sharedKey = sharedKey
    self.fullKey = fullKey
  }

  package func encode() -> [UInt8] {
    var out = ByteWriter()
    out.raw(member.bytes)
    out.raw(writerSeed)
    out.keys(listKeys)
    out.raw(sharedKey)
    out.u8(fullKey == nil ? 0 : 1)
    if let fullKey { out.raw(fullKey) }
    return out.bytes
  }

  package init(decoding bytes: [UInt8]) throws(FormatError) {
    self = try bytes.read { (reader) throws(FormatError) in
      let member = MemberID(try reader.array(MemberID.size))
      let seed = try reader.array(32)
      let listKeys = try reader.keys()
      let shared = try reader.array(32)
      let full: [UInt8]?
      switch try reader.u8() {
      case 0: full = nil
      case 1: full = try reader.array(32)
      default: throw FormatError("the envelope is damaged")
      }
      try reader.requireEnd()
      return EnvelopePayload(member: member, writerSeed: seed, listKeys: listKeys, sharedKey: shared, fullKey: full)
    }
  }
}

/// What all members know: how to write, and who else does. `keySets` have no private keys.
package struct SharedPart: Sendable, Equatable {
  /// The current one first.
  package var keySets: [KeySetRecord]
  package var members: [RosterMember]

  package init(keySets: [KeySetRecord], members: [RosterMember]) {
    self.keySets = keySets
    self.members = members
  }

  package func encode() -> [UInt8] {
    var out = ByteWriter()
    out.varint(keySets.count)
    for set in keySets {
      out.raw(set.publicKey)
      out.raw(set.idKey)
      out.raw(set.indexKey)
      out.raw(set.chunkerSeed)
    }
    out.varint(members.count)
    for member in members { member.encode(to: &out) }
    return out.bytes
  }

  /// Throws also where the roster contradicts itself or the head of its epoch.
  package init(decoding bytes: [UInt8], of head: EpochHead) throws(FormatError) {
    try self.init(decoding: bytes, epoch: head.number)
    try check(head)
  }

  /// Whether it fits together is still to be checked.
  package init(decoding bytes: [UInt8], epoch number: UInt64) throws(FormatError) {
    self = try bytes.read { (reader) throws(FormatError) in
      var sets: [KeySetRecord] = []
      for _ in 0..<(try reader.count(limit: Limits.keySetsMax)) {
        sets.append(
          KeySetRecord(
            publicKey: try reader.array(32), idKey: try reader.array(32), indexKey: try reader.array(32),
            chunkerSeed: try reader.array(32), privateKey: nil))
      }
      var members: [RosterMember] = []
      for _ in 0..<(try reader.count(limit: Limits.membersMax)) {
        members.append(try RosterMember(&reader, epoch: number))
      }
      try reader.requireEnd()
      return SharedPart(keySets: sets, members: members)
    }
  }

  package func check(_ head: EpochHead) throws(FormatError) {
    guard keySets.first?.publicKey == head.keySetPublicKey, Set(keySets.map(\.publicKey)).count == keySets.count else {
      throw FormatError("the epoch contradicts itself about its key sets")
    }
    let writers = members.flatMap { $0.writers.map(\.publicKey) }
    let slots = members.compactMap(\.slot)
    guard Set(members.map(\.id)).count == members.count, Set(writers).count == writers.count,
      slots.count == head.slots.count, Set(slots) == Set(head.slots.map(\.id)),
      members.contains(where: { $0.role == .full && $0.isInForce })
    else { throw FormatError("the epoch contradicts itself about its members") }
  }
}

/// What only full members know.
package struct FullPart: Sendable, Equatable {
  /// What a member in force writes and lists with. All arrays have 32 bytes.
  package struct Member: Sendable, Equatable {
    package var writerSeed: [UInt8]
    /// One for each writer key of the member, in their order.
    package var listKeys: [[UInt8]]
    package init(writerSeed: [UInt8], listKeys: [[UInt8]]) {
      self.writerSeed = writerSeed
      self.listKeys = listKeys
    }
  }
  package var rootPrivateKey: [UInt8]
  /// X25519, in the order of the shared part's key sets.
  package var privateKeys: [[UInt8]]
  /// In the order of the shared part's members in force.
  package var members: [Member]

  package init(rootPrivateKey: [UInt8], privateKeys: [[UInt8]], members: [Member]) {
    self.rootPrivateKey = rootPrivateKey
    self.privateKeys = privateKeys
    self.members = members
  }

  package func encode() -> [UInt8] {
    var out = ByteWriter()
    out.raw(rootPrivateKey)
    for key in privateKeys { out.raw(key) }
    for member in members {
      out.raw(member.writerSeed)
      out.keys(member.listKeys)
    }
    return out.bytes
  }

  package init(decoding bytes: [UInt8], of shared: SharedPart) throws(FormatError) {
    self = try bytes.read { (reader) throws(FormatError) in
      let root = try reader.array(32)
      var keys: [[UInt8]] = []
      for _ in shared.keySets { keys.append(try reader.array(32)) }
      var members: [Member] = []
      for member in shared.members where member.isInForce {
        let secrets = Member(writerSeed: try reader.array(32), listKeys: try reader.keys())
        guard secrets.listKeys.count == member.writers.count else {
          throw FormatError("the epoch contradicts itself about a member's keys")
        }
        members.append(secrets)
      }
      try reader.requireEnd()
      return FullPart(rootPrivateKey: root, privateKeys: keys, members: members)
    }
  }
}

extension ByteWriter {
  fileprivate mutating func keys(_ keys: [[UInt8]]) {
    varint(keys.count)
    for key in keys { raw(key) }
  }
}

extension ByteReader {
  /// Keys of 32 bytes, at least one.
  fileprivate mutating func keys() throws(FormatError) -> [[UInt8]] {
    let count = try count(limit: Limits.keySetsMax)
    guard count > 0 else { throw FormatError("a key is missing") }
    var out: [[UInt8]] = []
    for _ in 0..<count { out.append(try array(32)) }
    return out
  }
}
