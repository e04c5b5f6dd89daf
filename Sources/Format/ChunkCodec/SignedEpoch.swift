package import Platform
package import RepositoryFormat

/// An epoch whose signature by the root key was checked (docs/format.md, section 4.3). Only then anything in it is read.
package struct SignedEpoch: Sendable {
  static let context = Array("yester epoch 1".utf8)
  package let head: EpochHead
  package let name: EpochName
  private let repository: RepositoryID
  private let bytes: [UInt8]

  /// `number` is that of the object's name.
  package init(
    _ bytes: [UInt8], number: UInt64, repository: RepositoryID, root: [UInt8]
  ) throws(FormatError) {
    head = try EpochHead(decoding: bytes, repository: repository)
    guard head.number == number else { throw FormatError("it is epoch \(head.number), under another name") }
    let end = bytes.count - EpochHead.signatureSize
    guard head.rootPublicKey == root,
      Ed25519.verify(Array(bytes[end...]), of: Self.context + bytes[..<end], publicKey: root)
    else { throw FormatError("it is damaged or forged: the root key of the repository has not signed it") }
    name = EpochName(number: number, digest: SHA256.hash(bytes))
    self.repository = repository
    self.bytes = bytes
  }

  package func names(_ slot: ObjectID) -> Bool { head.slots.contains { $0.id == slot } }

  /// Nil when the slot is not in force in this epoch.
  package func open(by slot: SlotKey) throws(FormatError) -> Keyring? {
    guard let index = head.slots.firstIndex(where: { $0.id == slot.id }) else { return nil }
    guard head.slots[index].publicKey == slot.pair.publicKey else {
      throw FormatError("the epoch names another key for the slot")
    }
    let payload = try EnvelopePayload(decoding: openEnvelope(index, slot.pair))
    let sharedStart = head.size + Int(head.envelopesLength)
    let fullStart = sharedStart + Int(head.sharedLength)
    let shared = try SharedPart(
      decoding: unseal(sharedStart..<fullStart, payload.sharedKey, "what all members know"), of: head)
    guard KeySet.id(ofPublicKey: head.keySetPublicKey) == head.keySet else {
      throw FormatError("the epoch names its key set wrongly")
    }
    var full: FullPart?
    if let key = payload.fullKey {
      let range = fullStart..<(fullStart + Int(head.fullLength))
      full = try FullPart(decoding: unseal(range, key, "what full members know"), of: shared)
    }
    return try keyring(slot, payload, shared, full)
  }

  private func keyring(
    _ slot: SlotKey, _ payload: EnvelopePayload, _ shared: SharedPart, _ full: FullPart?
  ) throws(FormatError) -> Keyring {
    guard let member = shared.members.first(where: { $0.id == payload.member }), member.slot == slot.id,
      let writer = KeyPair(.ed25519, privateKey: payload.writerSeed), writer.publicKey == member.writers[0].publicKey,
      payload.listKeys.count == member.writers.count, (full != nil) == (member.role == .full)
    else { throw FormatError("the epoch contradicts itself about the member of the slot") }
    var authority: Keyring.Authority?
    var sets = shared.keySets
    if let full {
      guard let root = KeyPair(.ed25519, privateKey: full.rootPrivateKey), root.publicKey == head.rootPublicKey else {
        throw FormatError("the epoch holds another root key")
      }
      for index in sets.indices { sets[index].privateKey = full.privateKeys[index] }
      let secrets = zip(shared.members.filter(\.isInForce).map(\.id), full.members)
      authority = Keyring.Authority(
        root: root, secrets: Dictionary(uniqueKeysWithValues: secrets),
        slotKeys: Dictionary(uniqueKeysWithValues: head.slots.map { ($0.id, $0.publicKey) }))
    }
    let keySets = sets.map { KeySet($0) }
    guard Set(keySets.map(\.id)).count == keySets.count else { throw FormatError("the epoch holds a key set twice") }
    return Keyring(
      repository: repository, epoch: name, rootPublicKey: head.rootPublicKey, slot: slot, member: member.id,
      role: member.role, writer: writer, keySets: keySets, roster: Roster(shared.members),
      ownKeys: zip(member.writers, payload.listKeys).map { ($0.publicKey, $1) }, authority: authority)
  }

  private func openEnvelope(_ index: Int, _ pair: KeyPair) throws(FormatError) -> [UInt8] {
    let envelopes = bytes[head.size..<(head.size + Int(head.envelopesLength))]
    let (commitment, sealed) = try envelopes.read { (reader) throws(FormatError) in
      for _ in 0..<index { _ = try reader.take(Int(try reader.u32())) }
      let length = Int(try reader.u32())
      guard length >= KeyCommitment.size else { throw FormatError("an envelope is cut off") }
      return (try reader.array(KeyCommitment.size), try reader.array(length - KeyCommitment.size))
    }
    guard
      let key = EnvelopeSealing.key(
        privateKey: pair.privateKey, peer: head.ephemeralKey, ephemeral: head.ephemeralKey, recipient: pair.publicKey,
        repository),
      KeyCommitment.matches(commitment, key),
      let plain = try? AESGCM().open(sealed, key: key, authenticating: Array(bytes[..<head.size]))
    else { throw FormatError("the epoch's envelope for this slot does not open") }
    return plain
  }

  private func unseal(_ range: Range<Int>, _ key: [UInt8], _ what: String) throws(FormatError) -> [UInt8] {
    guard let plain = try? AESGCM().open(Array(bytes[range]), key: key, authenticating: Array(bytes[..<head.size]))
    else { throw FormatError("\(what) does not open in the epoch") }
    return plain
  }
}

/// The key of an envelope, from either side.
enum EnvelopeSealing {
  static func key(
    privateKey: [UInt8], peer: [UInt8], ephemeral: [UInt8], recipient: [UInt8], _ repository: RepositoryID
  ) -> [UInt8]? {
    guard let shared = X25519.sharedSecret(privateKey: privateKey, publicKey: peer) else { return nil }
    return KeyDerivation.hkdf(
      shared, salt: ephemeral + recipient, info: Array("yester envelope 1".utf8) + repository.bytes)
  }
}
