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

/// Sealed keyrings (docs/format.md, section 4.2).
package enum KeySlot {
  /// Cost of a password: 128 MiB and about a third of a second.
  package static let defaultCost = (log2N: UInt8(17), r: UInt32(8), p: UInt32(1))

  /// A new slot's object. `log2N` is lower in tests only.
  package static func seal(
    _ keyring: Keyring, with secret: Secret, label: String, created: Timestamp, log2N: UInt8 = defaultCost.log2N
  ) throws(FormatError) -> [UInt8] {
    let lock: SlotHeader.Lock
    switch secret {
    case .password: lock = .password(log2N: log2N, r: defaultCost.r, p: defaultCost.p)
    case .keyFile: lock = .keyFile
    }
    let header = SlotHeader(
      keySet: keyring.current.id, lock: lock, role: keyring.role, createdSeconds: created.seconds,
      salt: System.random(32), writerPublicKey: keyring.writer.publicKey, label: Array(label.utf8))
    guard let key = try slotKey(header, secret) else { throw FormatError("the secret does not fit the slot") }
    let payload = keyring.payload.encode()
    let start = header.encode(repository: keyring.repository, sealedLength: payload.count + AESGCM.tagSize)
    return start + AESGCM().seal(payload, key: key, authenticating: start)
  }

  package enum Opening: Sendable {
    case opened(Keyring, SlotHeader)
    /// It is for another secret.
    case otherSecret
  }

  /// Tries a secret at a slot. Throws when the slot itself is damaged.
  package static func open(
    _ bytes: [UInt8], repository: RepositoryID, with secret: Secret
  ) throws(FormatError) -> Opening {
    let (header, length) = try SlotHeader.decode(bytes, repository: repository)
    guard let key = try slotKey(header, secret) else { return .otherSecret }
    let start = Array(bytes[..<length])
    guard let plain = try? AESGCM().open(Array(bytes[length...]), key: key, authenticating: start) else {
      return .otherSecret
    }
    let payload = try SlotPayload(decoding: plain)
    guard payload.role == header.role else { throw FormatError("the slot contradicts itself about its role") }
    return .opened(try Keyring(repository: repository, payload: payload), header)
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
