package import Platform
package import RepositoryFormat

/// The next epoch while it is being made: all of what it will say, of which a change alters some. Whoever holds a full
/// key can make one, and nobody else: the root key signs it.
package struct EpochDraft: Sendable {
  package let repository: RepositoryID
  package let root: [UInt8]
  package let number: UInt64
  package private(set) var members: [RosterMember]
  private let rootKey: KeyPair
  private let previous: Digest
  private var keySets: [KeySet]
  private var secrets: [MemberID: FullPart.Member]
  private var slotKeys: [ObjectID: [UInt8]]

  /// A new repository's first, without members. `repository` is made from the root key.
  package init(rootKey: KeyPair, repository: RepositoryID) {
    self.repository = repository
    self.rootKey = rootKey
    root = rootKey.publicKey
    number = 1
    previous = [UInt8](repeating: 0, count: 32).withUnsafeBytes { Digest($0) }
    members = []
    keySets = [KeySet.generate()]
    secrets = [:]
    slotKeys = [:]
  }

  /// What follows the keyring's epoch; nil for a write-only key.
  package init?(after keyring: Keyring) {
    guard let authority = keyring.authority, keyring.epoch.number < Limits.epochNumberMax else { return nil }
    repository = keyring.repository
    rootKey = authority.root
    root = keyring.rootPublicKey
    number = keyring.epoch.number + 1
    previous = keyring.epoch.digest
    members = keyring.roster.members
    keySets = keyring.keySets
    secrets = authority.secrets
    slotKeys = authority.slotKeys
  }

  // MARK: Changes

  package mutating func add(
    _ role: KeyRole, label: String, hosts: [String] = [], slot: SlotKey, created: Timestamp
  ) {
    let writer = KeyPair.generate(.ed25519)
    let id = MemberID(System.random(MemberID.size))
    members.append(
      RosterMember(
        id: id, role: role, state: .inForce(slot: slot.id), createdSeconds: created.seconds,
        label: Array(label.utf8.prefix(Limits.labelSizeMax)), hosts: hosts,
        writers: [WriterKey(publicKey: writer.publicKey, since: number)]))
    secrets[id] = FullPart.Member(writerSeed: writer.privateKey, listKeys: [System.random(32)])
    slotKeys[slot.id] = slot.pair.publicKey
  }

  /// Gives a member another slot in the place of its own.
  package mutating func setSlot(_ slot: SlotKey, of id: MemberID) {
    guard let index = members.firstIndex(where: { $0.id == id }), let old = members[index].slot else { return }
    members[index].state = .inForce(slot: slot.id)
    slotKeys[old] = nil
    slotKeys[slot.id] = slot.pair.publicKey
  }

  /// New keys for everybody: to seal, to sign and to list. `ends` says where the chains of writers stand.
  package mutating func rotate(_ ends: [[UInt8]: ChainEnd]) throws(FormatError) {
    guard keySets.count < Limits.keySetsMax else {
      throw FormatError("the keys were rotated \(Limits.keySetsMax - 1) times, which is the most there can be")
    }
    keySets.insert(KeySet.generate(), at: 0)
    for index in members.indices where members[index].isInForce {
      end(index, ends)
      let writer = KeyPair.generate(.ed25519)
      members[index].writers.insert(WriterKey(publicKey: writer.publicKey, since: number), at: 0)
      let listKeys = secrets[members[index].id]?.listKeys ?? []
      secrets[members[index].id] = FullPart.Member(
        writerSeed: writer.privateKey, listKeys: [System.random(32)] + listKeys)
    }
  }

  package mutating func remove(_ id: MemberID, _ ends: [[UInt8]: ChainEnd]) {
    guard let index = members.firstIndex(where: { $0.id == id }), members[index].isInForce else { return }
    takeSecrets(index)
    end(index, ends)
    members[index].state = .removed(epoch: number)
  }

  /// `lasts` says what of each of the member's writer keys still counts: the others' records up to there do, and nothing
  /// of a key that is not in it.
  package mutating func revoke(_ id: MemberID, _ lasts: [[UInt8]: ChainEnd]) {
    guard let index = members.firstIndex(where: { $0.id == id }) else { return }
    takeSecrets(index)
    end(index, lasts)
    members[index].state = .revoked(epoch: number)
    for key in members[index].writers.indices {
      let writer = members[index].writers[key]
      let last = lasts[writer.publicKey] ?? .nothing
      guard let end = writer.end, last.sequence < end.last.sequence else { continue }
      members[index].writers[key].end = WriterKey.End(epoch: end.epoch, last: last)
    }
  }

  /// Lets more count of keys that the epoch before this one took out of force: what came while it was being made. True
  /// when there was any.
  package mutating func extend(_ ends: [[UInt8]: ChainEnd]) -> Bool {
    var isChanged = false
    for index in members.indices {
      if case .revoked = members[index].state { continue }
      for key in members[index].writers.indices {
        let writer = members[index].writers[key]
        guard let end = writer.end, end.epoch == number - 1, let last = ends[writer.publicKey],
          last.sequence > end.last.sequence
        else { continue }
        members[index].writers[key].end = WriterKey.End(epoch: end.epoch, last: last)
        isChanged = true
      }
    }
    return isChanged
  }

  private mutating func takeSecrets(_ index: Int) {
    if let slot = members[index].slot { slotKeys[slot] = nil }
    secrets[members[index].id] = nil
  }

  private mutating func end(_ index: Int, _ ends: [[UInt8]: ChainEnd]) {
    let writer = members[index].writers[0]
    if writer.end != nil { return }
    members[index].writers[0].end = WriterKey.End(epoch: number, last: ends[writer.publicKey] ?? .nothing)
  }

  // MARK: Sealing

  /// The epoch's object.
  package func seal(created: Timestamp) throws(FormatError) -> [UInt8] {
    let inForce = members.filter(\.isInForce)
    guard inForce.count <= Limits.epochSlotsMax, members.count <= Limits.membersMax else {
      throw FormatError("a repository has at most \(Limits.epochSlotsMax) keys")
    }
    let shared = SharedPart(
      keySets: keySets.map { set in
        var record = set.record
        record.privateKey = nil
        return record
      }, members: members)
    let full = FullPart(
      rootPrivateKey: rootKey.privateKey, privateKeys: keySets.compactMap(\.record.privateKey),
      members: inForce.compactMap { secrets[$0.id] })
    let sharedKey = System.random(32)
    let fullKey = System.random(32)
    let envelopes = try inForce.map { member throws(FormatError) in
      guard let own = secrets[member.id] else { throw FormatError("the keys of a member are missing") }
      return EnvelopePayload(
        member: member.id, writerSeed: own.writerSeed, listKeys: own.listKeys, sharedKey: sharedKey,
        fullKey: member.role == .full ? fullKey : nil
      ).encode()
    }
    let (plainShared, plainFull) = (shared.encode(), full.encode())
    let ephemeral = KeyPair.generate(.x25519)
    let head = EpochHead(
      number: number, createdSeconds: created.seconds, rootPublicKey: root, previous: previous, keySet: keySets[0].id,
      keySetPublicKey: keySets[0].record.publicKey, ephemeralKey: ephemeral.publicKey,
      slots: inForce.compactMap { member in
        member.slot.flatMap { slot in slotKeys[slot].map { EpochHead.Slot(id: slot, publicKey: $0) } }
      },
      envelopesLength: UInt32(envelopes.reduce(0) { $0 + 4 + KeyCommitment.size + $1.count + AESGCM.tagSize }),
      sharedLength: UInt32(plainShared.count + AESGCM.tagSize), fullLength: UInt32(plainFull.count + AESGCM.tagSize))
    try shared.check(head)
    let start = head.encode(repository: repository)
    var out = ByteWriter()
    out.raw(start)
    for (slot, envelope) in zip(head.slots, envelopes) {
      try seal(envelope, for: slot, ephemeral, authenticating: start, to: &out)
    }
    let cipher = AESGCM()
    out.raw(cipher.seal(plainShared, key: sharedKey, authenticating: start))
    out.raw(cipher.seal(plainFull, key: fullKey, authenticating: start))
    out.raw(Ed25519.sign(SignedEpoch.context + out.bytes, privateKey: rootKey.privateKey))
    guard out.count <= Limits.epochSizeMax else { throw FormatError("there are too many keys for one epoch") }
    return out.bytes
  }

  private func seal(
    _ envelope: [UInt8], for slot: EpochHead.Slot, _ ephemeral: KeyPair, authenticating start: [UInt8],
    to out: inout ByteWriter
  ) throws(FormatError) {
    guard
      let key = EnvelopeSealing.key(
        privateKey: ephemeral.privateKey, peer: slot.publicKey, ephemeral: ephemeral.publicKey,
        recipient: slot.publicKey, repository)
    else { throw FormatError("a slot's public key is unusable") }
    let sealed = AESGCM().seal(envelope, key: key, authenticating: start)
    out.u32(UInt32(KeyCommitment.size + sealed.count))
    out.raw(KeyCommitment.make(key))
    out.raw(sealed)
  }
}
