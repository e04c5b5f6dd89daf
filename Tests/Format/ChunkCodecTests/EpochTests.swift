import ChunkCodec
import Platform
import RepositoryFormat
import TestSupport
import Testing

private func envelope(_ keyring: Keyring, epoch: UInt64? = nil) -> SignedEnvelope {
  SignedEnvelope(
    magic: .snapshot, keySet: keyring.current.id, epoch: epoch ?? keyring.epoch.number,
    writer: keyring.writer.publicKey)
}

/// Signed epochs: who can make them, and who can open what of them.
@Suite struct EpochTests {
  private static func epoch(_ keys: TestKeys = Keys.members) throws -> [UInt8] { try keys.epoch().bytes }

  private func open(_ bytes: [UInt8], number: UInt64 = 1, _ keyring: Keyring) throws -> Keyring? {
    try SignedEpoch(bytes, number: number, repository: Keys.repository, root: Keys.members.draft.root)
      .open(by: keyring.slot)
  }

  @Test func everyMemberFindsItself() throws {
    let keyrings = [Keys.full, Keys.writeOnly, Keys.otherWriteOnly, Keys.otherFull]
    let bytes = try Self.epoch()
    for keyring in keyrings {
      let opened = try #require(try open(bytes, keyring))
      #expect(opened.member == keyring.member && opened.role == keyring.role)
      #expect(opened.writer.publicKey == keyring.writer.publicKey && opened.listKey == keyring.listKey)
      #expect(opened.current.id == Keys.full.current.id)
      for other in keyrings {
        let standing = opened.roster.standing(of: other.writer.publicKey)
        #expect(standing == (other.role == .full ? .full : .writeOnly(other.member)))
      }
    }
    #expect(Set(keyrings.map(\.member)).count == 4)
    #expect(Keys.full.roster.standing(of: Keys.stranger.writer.publicKey) == .unknown)
  }

  @Test func everyByteCounts() throws {
    var keys = TestKeys()
    keys.add(.full)
    let (bytes, keyrings) = try keys.epoch()
    let root = keys.draft.root
    func read(_ bytes: [UInt8]) throws {
      _ = try SignedEpoch(bytes, number: 1, repository: keyrings[0].repository, root: root)
    }
    try read(bytes)
    #expect(offsetsThatMayChange(in: bytes) { try read($0) } == [])
    #expect(lengthsTaken(of: bytes) { try read($0) } == [])
  }

  @Test func anEpochIsOfItsNumberRepositoryAndRoot() throws {
    let bytes = try Self.epoch()
    let root = Keys.members.draft.root
    #expect(throws: Never.self) { try SignedEpoch(bytes, number: 1, repository: Keys.repository, root: root) }
    #expect(throws: FormatError.self) { try SignedEpoch(bytes, number: 2, repository: Keys.repository, root: root) }
    #expect(throws: FormatError.self) {
      try SignedEpoch(bytes, number: 1, repository: Keys.otherRepository.repository, root: root)
    }
    // A stranger who has seen the repository's id makes one that is right but for the root key.
    var strange = TestKeys(repository: Keys.repository)
    strange.add(.full)
    let forged = try strange.epoch().bytes
    #expect(throws: Never.self) {
      try SignedEpoch(forged, number: 1, repository: Keys.repository, root: strange.draft.root)
    }
    #expect(throws: FormatError.self) { try SignedEpoch(forged, number: 1, repository: Keys.repository, root: root) }
    // And one that names the right root key and cannot sign with it.
    let renamed = Array(forged[..<48]) + root + forged[80...]
    #expect(throws: FormatError.self) { try SignedEpoch(renamed, number: 1, repository: Keys.repository, root: root) }
  }

  @Test func aSlotThatIsNotInForceOpensNothing() throws {
    var keys = Keys.members
    try keys.next { $0.remove(Keys.writeOnly.member, [:]) }
    let bytes = try keys.epoch().bytes
    #expect(try open(bytes, number: 2, Keys.writeOnly) == nil)
    #expect(try open(bytes, number: 2, Keys.otherWriteOnly) != nil)
    // Nor does a slot of the same id with another key.
    let other = SlotKey(id: Keys.full.slot.id, pair: Keys.writeOnly.slot.pair)
    let epoch = try SignedEpoch(bytes, number: 2, repository: Keys.repository, root: keys.draft.root)
    #expect(throws: FormatError.self) { try epoch.open(by: other) }
  }

  @Test func theStoreSeesNoLabelsHostsAndMembers() throws {
    var keys = TestKeys()
    keys.add(.full)
    keys.add(.writeOnly, hosts: ["a-secret-host-name"])
    let (bytes, keyrings) = try keys.epoch()
    for text in ["a-secret-host-name", "key 1", "key 2"] { #expect(!bytes.contains(sequence: Array(text.utf8))) }
    for keyring in keyrings {
      for secret in [
        keyring.member.bytes, keyring.writer.publicKey, keyring.writer.privateKey, keyring.listKey,
        keyring.current.record.idKey,
      ] { #expect(!bytes.contains(sequence: secret)) }
    }
  }

  @Test func anEpochNamesTheOneBeforeIt() throws {
    let first = try Keys.members.epoch()
    #expect(try EpochHead(decoding: first.bytes, repository: Keys.repository).previous == .zero)
    let draft = try #require(EpochDraft(after: first.keyrings[0]))
    let second = try EpochHead(decoding: draft.seal(created: Timestamp(seconds: 0)), repository: Keys.repository)
    #expect(second.number == 2 && second.previous == SHA256.hash(first.bytes))
  }
}

/// What a word is worth of somebody who was a member.
@Suite struct RosterTests {
  private let end = ChainEnd(sequence: 5, id: .zero)

  private func after(_ edit: (inout EpochDraft) throws -> Void) throws -> Keyring {
    var keys = Keys.members
    try keys.next(edit)
    return try keys.epoch().keyrings[0]
  }

  private func counts(_ keyring: Keyring, _ envelope: SignedEnvelope, _ sequence: UInt64) throws -> Bool {
    do {
      _ = try keyring.roster.authorship(envelope, sequence: sequence)
      return true
    } catch {
      #expect(error.kind == .doesNotCount)
      return false
    }
  }

  @Test func aRemovedKeyCountsAsFarAsItWasSeen() throws {
    let writer = Keys.writeOnly.writer.publicKey
    let now = try after { $0.remove(Keys.writeOnly.member, [writer: end]) }
    #expect(now.roster.standing(of: writer) == .removed)
    for sequence in [UInt64(1), 5] { #expect(try counts(now, envelope(Keys.writeOnly), sequence)) }
    // Whoever has the key can say to have written under the old epoch.
    for sequence in [UInt64(6), Limits.sequenceMax] { #expect(try !counts(now, envelope(Keys.writeOnly), sequence)) }
    #expect(try !counts(now, envelope(Keys.writeOnly, epoch: 2), 1))
  }

  @Test func aKeyOfWhichNothingWasSeenCountsForNothing() throws {
    let now = try after { $0.remove(Keys.otherFull.member, [:]) }
    #expect(try !counts(now, envelope(Keys.otherFull), 1))
    #expect(try counts(now, envelope(Keys.full), 1))
  }

  @Test func rotationEndsAllKeysAndMembersStay() throws {
    let now = try after { draft in
      try draft.rotate([Keys.full.writer.publicKey: end, Keys.writeOnly.writer.publicKey: end])
    }
    #expect(now.member == Keys.full.member)
    #expect(now.roster.standing(of: now.writer.publicKey) == .full)
    for keyring in [Keys.full, Keys.writeOnly] {
      #expect(now.roster.standing(of: keyring.writer.publicKey) == .removed)
      #expect(try counts(now, envelope(keyring), 5))
      #expect(try !counts(now, envelope(keyring), 6))
    }
    // A new key has not been there before.
    #expect(try !counts(now, envelope(now, epoch: 1), 1))
    #expect(try counts(now, envelope(now), 1))
    let author = try now.roster.authorship(envelope(Keys.full), sequence: 1)
    #expect(author.member == now.member && author.role == .full)
  }

  @Test func revokingTakesBackWhatCounted() throws {
    let writer = Keys.writeOnly.writer.publicKey
    var keys = Keys.members
    try keys.next { $0.remove(Keys.writeOnly.member, [writer: end]) }
    try keys.next { $0.revoke(Keys.writeOnly.member, [writer: ChainEnd(sequence: 2, id: .zero)]) }
    let now = try keys.epoch().keyrings[0]
    #expect(try counts(now, envelope(Keys.writeOnly), 2))
    #expect(try !counts(now, envelope(Keys.writeOnly), 3))
    // It never gives back more than there was.
    try keys.next { $0.revoke(Keys.writeOnly.member, [writer: ChainEnd(sequence: 9, id: .zero)]) }
    #expect(try !counts(keys.epoch().keyrings[0], envelope(Keys.writeOnly), 3))
  }

  @Test func lateRecordsCountOnlyOfWhatTheLastEpochEnded() throws {
    let writer = Keys.writeOnly.writer.publicKey
    let more = ChainEnd(sequence: 7, id: .zero)
    var keys = Keys.members
    try keys.next { $0.remove(Keys.writeOnly.member, [writer: end]) }
    #expect(try isExtended(&keys, [writer: more]))
    #expect(try counts(keys.epoch().keyrings[0], envelope(Keys.writeOnly), 7))
    #expect(try !isExtended(&keys, [writer: ChainEnd(sequence: 99, id: .zero)]))
    #expect(try !counts(keys.epoch().keyrings[0], envelope(Keys.writeOnly), 8))
    // What was revoked stays so.
    keys = Keys.members
    try keys.next { $0.revoke(Keys.writeOnly.member, [writer: end]) }
    #expect(try !isExtended(&keys, [writer: more]))
  }

  private func isExtended(_ keys: inout TestKeys, _ ends: [[UInt8]: ChainEnd]) throws -> Bool {
    var isExtended = false
    try keys.next { isExtended = $0.extend(ends) }
    return isExtended
  }

  @Test func aWriterSpeaksForItsHostsOnly() throws {
    var keys = TestKeys()
    keys.add(.full)
    keys.add(.writeOnly, hosts: ["web1", "web2"])
    let keyrings = try keys.epoch().keyrings
    func counts(_ keyring: Keyring, _ host: String) -> Bool {
      (try? keyrings[0].roster.authorship(envelope(keyring), sequence: 1, host: host)) != nil
    }
    #expect(counts(keyrings[1], "web1") && counts(keyrings[1], "web2"))
    for host in ["", "web", "web3", "WEB1"] { #expect(!counts(keyrings[1], host)) }
    #expect(counts(keyrings[0], "anything"))
  }

  @Test func aStrangerIsNoMember() {
    #expect(throws: FormatError.self) {
      try Keys.full.roster.authorship(envelope(Keys.stranger), sequence: 1)
    }
  }
}

/// AES-GCM alone does not say which key sealed something.
@Suite struct CommitmentTests {
  @Test func itIsThatOfOneKey() {
    let key = System.random(32)
    let commitment = KeyCommitment.make(key)
    #expect(commitment.count == 16 && KeyCommitment.matches(commitment, key))
    #expect(!KeyCommitment.matches(commitment, System.random(32)))
    #expect(!KeyCommitment.matches(commitment.dropLast(), key) && !KeyCommitment.matches([], key))
  }

  /// HKDF-SHA-256 with an empty salt, of 32 zero bytes; by another implementation.
  @Test func aKnownValue() {
    #expect(
      Hex.encode(KeyCommitment.make([UInt8](repeating: 0, count: 32))) == "d20effa27e2910524eeb41da4dcf47e3")
  }

  @Test func packsAndRecordsCarryOne() throws {
    let (_, header) = try PackKey.make(.data, Keys.full)
    for offset in 136..<152 {
      var bytes = header
      bytes[offset] ^= 1
      #expect(throws: FormatError.self) { try PackKey.open(header: bytes, Keys.full) }
    }
  }
}
