package import Platform
package import RepositoryFormat

/// One set of secrets that seals data (docs/format.md, section 4.1).
package struct KeySet: Sendable {
  package let id: KeySetID
  package let record: KeySetRecord

  package init(_ record: KeySetRecord) {
    self.record = record
    id = KeySetID(Array(SHA256.hash(Array("yester key set 1".utf8) + record.publicKey).bytes.prefix(8)))
  }

  package static func generate() -> KeySet {
    let pair = KeyPair.generate(.x25519)
    return KeySet(
      KeySetRecord(
        publicKey: pair.publicKey, idKey: System.random(32), indexKey: System.random(32),
        chunkerSeed: System.random(32), privateKey: pair.privateKey))
  }
}

/// All that an opened slot gives: a writer's identity, and the secrets its role allows.
package struct Keyring: Sendable {
  package let repository: RepositoryID
  package let payload: SlotPayload
  package let writer: KeyPair
  package let keySets: [KeySet]
  /// Whose word counts. It knows this writer alone until whoever opens the repository says more.
  package var roster: Roster

  package init(repository: RepositoryID, payload: SlotPayload) throws(FormatError) {
    guard let writer = KeyPair(.ed25519, privateKey: payload.writerPrivateKey) else {
      throw FormatError("the slot holds no usable writer key")
    }
    self.repository = repository
    self.payload = payload
    self.writer = writer
    keySets = payload.keySets.map { KeySet($0) }
    roster = Roster().adding(writer.publicKey, payload.role)
    guard Set(keySets.map(\.id)).count == keySets.count else { throw FormatError("the slot holds a key set twice") }
    guard
      WriterCertificate.isValid(
        payload.writerCertificate, writer: writer.publicKey, role: payload.role, repository: repository,
        root: payload.rootPublicKey)
    else { throw FormatError("the slot's writer is not certified by this repository") }
  }

  /// A new repository's first, full keyring.
  package static func generate(repository: RepositoryID) throws(FormatError) -> Keyring {
    let root = KeyPair.generate(.ed25519)
    return try make(
      repository: repository, role: .full, rootPublic: root.publicKey, rootPrivate: root.privateKey,
      keySets: [KeySet.generate().record])
  }

  /// A keyring for another slot, with a writer of its own. Only a full keyring can make one; nil otherwise.
  package func deriving(_ role: KeyRole) throws(FormatError) -> Keyring? {
    guard let root = payload.rootPrivateKey else { return nil }
    return try Self.make(
      repository: repository, role: role, rootPublic: payload.rootPublicKey, rootPrivate: root,
      keySets: payload.keySets)
  }

  private static func make(
    repository: RepositoryID, role: KeyRole, rootPublic: [UInt8], rootPrivate: [UInt8], keySets: [KeySetRecord]
  ) throws(FormatError) -> Keyring {
    let writer = KeyPair.generate(.ed25519)
    let isFull = role == .full
    let sets = keySets.map { set in
      var set = set
      if !isFull { set.privateKey = nil }
      return set
    }
    return try Keyring(
      repository: repository,
      payload: SlotPayload(
        role: role, writerPrivateKey: writer.privateKey,
        writerCertificate: WriterCertificate.make(
          writer: writer.publicKey, role: role, repository: repository, rootPrivateKey: rootPrivate),
        listKey: System.random(32), rootPublicKey: rootPublic, rootPrivateKey: isFull ? rootPrivate : nil,
        keySets: sets))
  }

  /// The same keyring with a new key set in front, for what is written from now on.
  package func rotated() throws(FormatError) -> Keyring {
    guard payload.keySets.count < Limits.keySetsMax else {
      throw FormatError("a key slot has no room for more key sets")
    }
    var payload = payload
    payload.keySets.insert(KeySet.generate().record, at: 0)
    return try Keyring(repository: repository, payload: payload)
  }

  package var role: KeyRole { payload.role }
  package var current: KeySet { keySets[0] }
  package func keySet(_ id: KeySetID) -> KeySet? { keySets.first { $0.id == id } }
}

/// The root key's signature under a writer's public key and role.
package enum WriterCertificate {
  private static func message(_ writer: [UInt8], _ role: KeyRole, _ repository: RepositoryID) -> [UInt8] {
    Array("yester writer 1".utf8) + repository.bytes + [role.rawValue] + writer
  }
  static func make(writer: [UInt8], role: KeyRole, repository: RepositoryID, rootPrivateKey: [UInt8]) -> [UInt8] {
    Ed25519.sign(message(writer, role, repository), privateKey: rootPrivateKey)
  }
  package static func isValid(
    _ certificate: [UInt8], writer: [UInt8], role: KeyRole, repository: RepositoryID, root: [UInt8]
  ) -> Bool {
    Ed25519.verify(certificate, of: message(writer, role, repository), publicKey: root)
  }
}
