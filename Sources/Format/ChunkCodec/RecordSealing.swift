package import Platform
package import RepositoryFormat

/// Seals, signs, opens and checks snapshot records, notes, leases and lists of condemned packs (docs/format.md,
/// section 8).
package enum RecordSealing {
  package struct Opened<Body: Sendable>: Sendable {
    package let body: Body
    /// What its writer says of itself, and signs with the key in it. What that counts for, `Authorship` says.
    package let envelope: SignedEnvelope
  }
  /// Where the sealed body of a record, and of a note or list, begins.
  private static let recordBody = SignedEnvelope.size + 32 + RepositorySealing.wrappedSize + 48
  private static let statementBody = SignedEnvelope.size + 32

  // MARK: Snapshot records

  /// Throws when the record is over a limit of the format: nobody could read it.
  package static func seal(_ record: SnapshotRecord, _ keyring: Keyring) throws(FormatError) -> [UInt8] {
    let sender = RepositorySealing.Sender()
    let contentKey = System.random(32)
    let ephemeral = sender.ephemeral.publicKey
    let start = envelope(.snapshot, keyring) + ephemeral
    var bytes =
      start
      + (try sender.wrap(
        contentKey, for: keyring.current, .snapshot, repository: keyring.repository, authenticating: start))
    bytes += AESGCM().seal(contentKey, key: ownKey(keyring.listKey, ephemeral), authenticating: start)
    let body = record.encode()
    guard body.count + 1024 < Limits.recordSizeMax else {
      throw FormatError("the snapshot's sources and excludes are too long to be recorded")
    }
    _ = try SnapshotRecord(decoding: body)
    bytes += AESGCM().seal(body, key: contentKey, authenticating: bytes)
    return sign(bytes, "yester snapshot 1", keyring)
  }

  /// Nil when the keyring may not read it: a write-only key and another writer's record. The signature is checked in any
  /// case, and that the writer is, or was, one of the repository's.
  package static func openSnapshot(
    _ bytes: [UInt8], _ keyring: Keyring
  ) throws(FormatError) -> Opened<SnapshotRecord>? {
    let envelope = try checkSignature(bytes, "yester snapshot 1", keyring)
    guard envelope.magic == .snapshot, bytes.count >= recordBody + AESGCM.tagSize + SignedEnvelope.signatureSize else {
      throw FormatError("the snapshot record is cut off")
    }
    let wrapped = SignedEnvelope.size + 32
    let own = wrapped + RepositorySealing.wrappedSize
    let start = Array(bytes[..<wrapped])
    let ephemeral = Array(bytes[SignedEnvelope.size..<wrapped])
    let contentKey: [UInt8]
    if let listKey = keyring.listKey(of: envelope.writer),
      let key = try? AESGCM().open(
        Array(bytes[own..<recordBody]), key: ownKey(listKey, ephemeral), authenticating: start), key.count == 32,
      KeyCommitment.matches(bytes[(own - KeyCommitment.size)..<own], key)
    {
      contentKey = key
    } else {
      guard let keySet = keyring.keySet(envelope.keySet) else {
        throw FormatError("it was sealed with keys that this key slot does not hold", .needsOtherKey)
      }
      guard
        let key = try RepositorySealing.unwrap(
          Array(bytes[wrapped..<own]), ephemeral: ephemeral, keySet: keySet, .snapshot, repository: keyring.repository,
          authenticating: start)
      else { return nil }
      contentKey = key
    }
    let sealed = Array(bytes[recordBody..<(bytes.count - SignedEnvelope.signatureSize)])
    guard let body = try? AESGCM().open(sealed, key: contentKey, authenticating: Array(bytes[..<recordBody])) else {
      throw FormatError("the snapshot record is damaged")
    }
    return Opened(body: try SnapshotRecord(decoding: body), envelope: envelope)
  }

  private static func ownKey(_ listKey: [UInt8], _ ephemeral: [UInt8]) -> [UInt8] {
    KeyDerivation.hkdf(listKey, salt: ephemeral, "yester own snapshot 1")
  }

  // MARK: Notes

  package static func seal(_ note: NoteRecord, _ keyring: Keyring) -> [UInt8] {
    sealStatement(note.encode(), .note, "yester note 1", keyring)
  }

  package static func openNote(_ bytes: [UInt8], _ keyring: Keyring) throws(FormatError) -> Opened<NoteRecord> {
    let (body, envelope) = try openStatement(bytes, .note, "yester note 1", keyring)
    return Opened(body: try NoteRecord(decoding: body), envelope: envelope)
  }

  // MARK: Lists of condemned packs

  package static func seal(_ list: CondemnedList, _ keyring: Keyring) -> [UInt8] {
    sealStatement(list.encode(), .condemned, "yester condemned 1", keyring)
  }

  /// Throws also for the list of a writer who may not condemn.
  package static func openCondemned(_ bytes: [UInt8], _ keyring: Keyring) throws(FormatError) -> CondemnedList {
    let (body, _) = try openStatement(bytes, .condemned, "yester condemned 1", keyring) {
      (envelope) throws(FormatError) in
      // A rotation of keys takes back no list: who deletes by it at that moment must be seen.
      guard keyring.roster.isOrWasFull(envelope.writer) else {
        throw FormatError("its writer may not condemn packs")
      }
    }
    return try CondemnedList(decoding: body)
  }

  // MARK: Signed statements under the index key

  private static func sealStatement(
    _ body: [UInt8], _ magic: CommonHeader.Magic, _ purpose: String, _ keyring: Keyring
  ) -> [UInt8] {
    let salt = System.random(32)
    let start = envelope(magic, keyring) + salt
    let key = KeyDerivation.hkdf(keyring.current.record.indexKey, salt: salt, purpose)
    return sign(start + AESGCM().seal(body, key: key, authenticating: start), purpose, keyring)
  }

  /// `checkWriter` is asked before the keys are looked for: what a writer may not say needs no other key.
  private static func openStatement(
    _ bytes: [UInt8], _ magic: CommonHeader.Magic, _ purpose: String, _ keyring: Keyring,
    checkWriter: (SignedEnvelope) throws(FormatError) -> Void = { _ in }
  ) throws(FormatError) -> (body: [UInt8], envelope: SignedEnvelope) {
    let envelope = try checkSignature(bytes, purpose, keyring)
    guard envelope.magic == magic, bytes.count >= statementBody + AESGCM.tagSize + SignedEnvelope.signatureSize else {
      throw FormatError("it is cut off")
    }
    try checkWriter(envelope)
    guard let keySet = keyring.keySet(envelope.keySet) else {
      throw FormatError("it was sealed with keys that this key slot does not hold", .needsOtherKey)
    }
    let key = KeyDerivation.hkdf(
      keySet.record.indexKey, salt: Array(bytes[SignedEnvelope.size..<statementBody]), purpose)
    let sealed = Array(bytes[statementBody..<(bytes.count - SignedEnvelope.signatureSize)])
    guard let body = try? AESGCM().open(sealed, key: key, authenticating: Array(bytes[..<statementBody])) else {
      throw FormatError("it is damaged")
    }
    return (body, envelope)
  }

  // MARK: Leases

  package static func seal(_ lease: LeaseRecord, _ keyring: Keyring) -> [UInt8] {
    sealStatement(lease.encode(), .lease, "yester lease 1", keyring)
  }

  package static func openLease(_ bytes: [UInt8], _ keyring: Keyring) throws(FormatError) -> Opened<LeaseRecord> {
    let (body, envelope) = try openStatement(bytes, .lease, "yester lease 1", keyring)
    return Opened(body: try LeaseRecord(decoding: body), envelope: envelope)
  }

  // MARK: Signatures

  private static func envelope(_ magic: CommonHeader.Magic, _ keyring: Keyring) -> [UInt8] {
    SignedEnvelope(
      magic: magic, keySet: keyring.current.id, epoch: keyring.epoch.number, writer: keyring.writer.publicKey
    ).encode(repository: keyring.repository)
  }

  private static func sign(_ bytes: [UInt8], _ context: String, _ keyring: Keyring) -> [UInt8] {
    bytes + Ed25519.sign(Array(context.utf8) + bytes, privateKey: keyring.writer.privateKey)
  }

  private static func checkSignature(
    _ bytes: [UInt8], _ context: String, _ keyring: Keyring
  ) throws(FormatError) -> SignedEnvelope {
    let envelope = try SignedEnvelope(decoding: bytes, repository: keyring.repository)
    guard bytes.count >= SignedEnvelope.size + SignedEnvelope.signatureSize else {
      throw FormatError("the record is cut off")
    }
    let signed = bytes.count - SignedEnvelope.signatureSize
    guard keyring.roster.member(of: envelope.writer) != nil else {
      // Others may know its writer already.
      guard envelope.epoch <= keyring.epoch.number else {
        throw FormatError(
          "it was written after the keys were changed, and this key slot was opened before", .needsLaterKeys)
      }
      throw FormatError("its writer is not one of this repository's")
    }
    guard
      Ed25519.verify(
        Array(bytes[signed...]), of: Array(context.utf8) + bytes[..<signed], publicKey: envelope.writer)
    else { throw FormatError("its signature is wrong: it is damaged or forged") }
    return envelope
  }
}
