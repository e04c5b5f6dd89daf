package import Platform
package import RepositoryFormat

/// Seals, signs, opens and checks snapshot records, notes, leases and lists of condemned packs (docs/format.md,
/// section 8).
package enum RecordSealing {
  package struct Opened<Body: Sendable>: Sendable {
    package let body: Body
    package let envelope: SignedEnvelope
  }

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
    bytes += AESGCM().seal(contentKey, key: ownKey(keyring, ephemeral), authenticating: start)
    let body = record.encode()
    guard body.count + 1024 < Limits.recordSizeMax else {
      throw FormatError("the snapshot's sources and excludes are too long to be recorded")
    }
    _ = try SnapshotRecord(decoding: body)
    bytes += AESGCM().seal(body, key: contentKey, authenticating: bytes)
    return sign(bytes, "yester snapshot 1", keyring)
  }

  /// Nil when the keyring may not read it: a write-only key and another writer's record. The signature and the
  /// writer's certificate are checked in any case.
  package static func openSnapshot(
    _ bytes: [UInt8], _ keyring: Keyring
  ) throws(FormatError) -> Opened<SnapshotRecord>? {
    let envelope = try checkSignature(bytes, "yester snapshot 1", keyring)
    guard envelope.magic == .snapshot, bytes.count >= 272 + AESGCM.tagSize + SignedEnvelope.signatureSize else {
      throw FormatError("the snapshot record is cut off")
    }
    let start = Array(bytes[..<176])
    let ephemeral = Array(bytes[144..<176])
    let contentKey: [UInt8]
    if envelope.writer == keyring.writer.publicKey,
      let own = try? AESGCM().open(
        Array(bytes[224..<272]), key: ownKey(keyring, ephemeral), authenticating: start), own.count == 32
    {
      contentKey = own
    } else {
      guard let keySet = keyring.keySet(envelope.keySet) else {
        throw FormatError("it was sealed with keys that this key slot does not hold", .needsOtherKey)
      }
      guard
        let key = try RepositorySealing.unwrap(
          Array(bytes[176..<224]), ephemeral: ephemeral, keySet: keySet, .snapshot, repository: keyring.repository,
          authenticating: start)
      else { return nil }
      contentKey = key
    }
    let sealed = Array(bytes[272..<(bytes.count - SignedEnvelope.signatureSize)])
    guard let body = try? AESGCM().open(sealed, key: contentKey, authenticating: Array(bytes[..<272])) else {
      throw FormatError("the snapshot record is damaged")
    }
    return Opened(body: try SnapshotRecord(decoding: body), envelope: envelope)
  }

  private static func ownKey(_ keyring: Keyring, _ ephemeral: [UInt8]) -> [UInt8] {
    KeyDerivation.hkdf(keyring.payload.listKey, salt: ephemeral, "yester own snapshot 1")
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
      guard envelope.role == .full else { throw FormatError("its writer may not condemn packs") }
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
    guard envelope.magic == magic, bytes.count >= 176 + AESGCM.tagSize + SignedEnvelope.signatureSize else {
      throw FormatError("it is cut off")
    }
    try checkWriter(envelope)
    guard let keySet = keyring.keySet(envelope.keySet) else {
      throw FormatError("it was sealed with keys that this key slot does not hold", .needsOtherKey)
    }
    let key = KeyDerivation.hkdf(keySet.record.indexKey, salt: Array(bytes[144..<176]), purpose)
    let sealed = Array(bytes[176..<(bytes.count - SignedEnvelope.signatureSize)])
    guard let body = try? AESGCM().open(sealed, key: key, authenticating: Array(bytes[..<176])) else {
      throw FormatError("it is damaged")
    }
    return (body, envelope)
  }

  // MARK: Leases

  package static func seal(_ lease: LeaseRecord, _ keyring: Keyring) -> [UInt8] {
    let salt = System.random(32)
    var start = ByteWriter(capacity: 72)
    CommonHeader.write(.lease, keyring.repository, to: &start)
    start.raw(keyring.current.id.bytes)
    start.raw(salt)
    let key = KeyDerivation.hkdf(keyring.current.record.indexKey, salt: salt, "yester lease 1")
    return start.bytes + AESGCM().seal(lease.encode(), key: key, authenticating: start.bytes)
  }

  package static func openLease(_ bytes: [UInt8], _ keyring: Keyring) throws(FormatError) -> LeaseRecord {
    let keySetID = try bytes.read { (reader) throws(FormatError) in
      try CommonHeader.read(.lease, of: keyring.repository, from: &reader)
      let id = KeySetID(try reader.array(8))
      _ = try reader.take(32 + AESGCM.tagSize)
      return id
    }
    guard let keySet = keyring.keySet(keySetID) else {
      throw FormatError("it was sealed with keys that this key slot does not hold", .needsOtherKey)
    }
    let key = KeyDerivation.hkdf(keySet.record.indexKey, salt: Array(bytes[40..<72]), "yester lease 1")
    guard let body = try? AESGCM().open(Array(bytes[72...]), key: key, authenticating: Array(bytes[..<72])) else {
      throw FormatError("the lease is damaged")
    }
    return try LeaseRecord(decoding: body)
  }

  // MARK: Signatures

  private static func envelope(_ magic: CommonHeader.Magic, _ keyring: Keyring) -> [UInt8] {
    SignedEnvelope(
      magic: magic, keySet: keyring.current.id, role: keyring.role, writer: keyring.writer.publicKey,
      certificate: keyring.payload.writerCertificate
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
    guard
      WriterCertificate.isValid(
        envelope.certificate, writer: envelope.writer, role: envelope.role, repository: keyring.repository,
        root: keyring.payload.rootPublicKey)
    else { throw FormatError("its writer is not one of this repository's") }
    guard
      Ed25519.verify(
        Array(bytes[signed...]), of: Array(context.utf8) + bytes[..<signed], publicKey: envelope.writer)
    else { throw FormatError("its signature is wrong: it is damaged or forged") }
    return envelope
  }
}
