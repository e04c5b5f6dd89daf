package import Platform
package import RepositoryFormat

/// What opens a slot.
package enum Secret: Sendable {
  case password([UInt8])
  /// The 32 bytes of a key file.
  case keyFile([UInt8])

  /// The content of a key file: 64 hexadecimal digits with white space around them, or exactly 32 bytes.
  package init(keyFileContent bytes: [UInt8]) throws(FormatError) {
    let trimmed = bytes.drop { $0 <= 0x20 }.reversed().drop { $0 <= 0x20 }.reversed()
    if trimmed.count == 64, let key = Hex.decode(String(decoding: trimmed, as: UTF8.self).lowercased()) {
      self = .keyFile(key)
    } else if bytes.count == 32 {
      self = .keyFile(bytes)
    } else {
      throw FormatError("a key file holds 64 hexadecimal digits or exactly 32 bytes, and this one does not")
    }
  }

  package static func newKeyFileContent() -> [UInt8] { Array((Hex.encode(System.random(32)) + "\n").utf8) }
}

/// A slot that is open: it opens its envelope in every epoch that names it.
package struct SlotKey: Sendable {
  package let id: ObjectID
  /// X25519.
  package let pair: KeyPair
  package init(id: ObjectID, pair: KeyPair) {
    self.id = id
    self.pair = pair
  }
}

/// Key pairs that a secret opens (docs/format.md, section 4.2). A slot says nothing of what its holder may do: epochs do.
package enum KeySlot {
  /// Cost of a password: 128 MiB and about a third of a second.
  package static let defaultCost = (log2N: UInt8(17), r: UInt32(8), p: UInt32(1))

  /// A new slot's object, and what it opens. `root` is the repository's root key. `log2N` is lower in tests only.
  package static func make(
    with secret: Secret, repository: RepositoryID, root: [UInt8], created: Timestamp,
    log2N: UInt8 = defaultCost.log2N
  ) throws(FormatError) -> (bytes: [UInt8], key: SlotKey) {
    let pair = KeyPair.generate(.x25519)
    let lock: SlotHeader.Lock
    switch secret {
    case .password: lock = .password(log2N: log2N, r: defaultCost.r, p: defaultCost.p)
    case .keyFile: lock = .keyFile
    }
    var header = SlotHeader(
      lock: lock, createdSeconds: created.seconds, salt: System.random(32), publicKey: pair.publicKey, commitment: [])
    guard let key = try slotKey(header, secret) else { throw FormatError("the secret does not fit the slot") }
    header.commitment = KeyCommitment.make(key)
    let start = header.encode(repository: repository)
    let payload = SlotPayload(privateKey: pair.privateKey, rootPublicKey: root)
    let bytes = start + AESGCM().seal(payload.encode(), key: key, authenticating: start)
    return (bytes, SlotKey(id: ObjectID(nameOf: SHA256.hash(bytes)), pair: pair))
  }

  package enum Opening: Sendable {
    case opened(SlotKey)
    /// It is for another secret.
    case otherSecret
  }

  /// Tries a secret at a slot. Throws when the slot itself is damaged, or was made for another root key.
  package static func open(
    _ bytes: [UInt8], repository: RepositoryID, root: [UInt8], with secret: Secret
  ) throws(FormatError) -> Opening {
    let header = try SlotHeader(decoding: bytes, repository: repository)
    guard let key = try slotKey(header, secret), KeyCommitment.matches(header.commitment, key) else {
      return .otherSecret
    }
    let start = Array(bytes[..<SlotHeader.size])
    guard let plain = try? AESGCM().open(Array(bytes[SlotHeader.size...]), key: key, authenticating: start) else {
      throw FormatError("the key slot is damaged")
    }
    let payload = try SlotPayload(decoding: plain)
    guard payload.rootPublicKey == root else {
      throw FormatError("the key slot was made for another repository: the root key in it is not that of this one")
    }
    guard let pair = KeyPair(.x25519, privateKey: payload.privateKey), pair.publicKey == header.publicKey else {
      throw FormatError("the key slot contradicts itself about its key")
    }
    return .opened(SlotKey(id: ObjectID(nameOf: SHA256.hash(bytes)), pair: pair))
  }

  /// Nil when the slot is opened by the other kind of secret.
  private static func slotKey(_ header: SlotHeader, _ secret: Secret) throws(FormatError) -> [UInt8]? {
    switch (header.lock, secret) {
    case (.password(let log2N, let r, let p), .password(let password)):
      guard
        let key = KeyDerivation.scrypt(password: password, salt: header.salt, log2N: log2N, r: r, p: p)
      else { throw FormatError("there is not enough memory to check the password") }
      return key
    case (.keyFile, .keyFile(let content)):
      return KeyDerivation.hkdf(content, salt: header.salt, "yester key file 1")
    default: return nil
    }
  }
}
