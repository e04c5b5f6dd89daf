import ChunkCodec
import Platform
import RepositoryFormat
import Testing

private let password = Secret.password(Array("correct horse".utf8))
private let keyFile = Secret.keyFile(System.random(32))

private func seal(_ keyring: Keyring, _ secret: Secret, label: String = "label") throws -> [UInt8] {
  try KeySlot.seal(keyring, with: secret, label: label, created: Timestamp(seconds: 7), log2N: 10)
}

private func open(_ bytes: [UInt8], _ secret: Secret, _ repository: RepositoryID = Keys.repository) throws -> Keyring? {
  if case .opened(let keyring, _) = try KeySlot.open(bytes, repository: repository, with: secret) { return keyring }
  return nil
}

@Suite struct KeySlotTests {
  @Test func slotsGiveTheirKeyringBack() throws {
    for secret in [password, keyFile, Secret.password([]), Secret.password([0, 255, 10])] {
      for keyring in [Keys.full, Keys.writeOnly] {
        let bytes = try seal(keyring, secret)
        let opened = try #require(try open(bytes, secret))
        #expect(opened.payload == keyring.payload)
        #expect(opened.writer.publicKey == keyring.writer.publicKey)
        #expect(opened.role == keyring.role)
        let (header, _) = try SlotHeader.decode(bytes, repository: Keys.repository)
        #expect(header.role == keyring.role && header.createdSeconds == 7 && header.label == Array("label".utf8))
        #expect(header.writerPublicKey == keyring.writer.publicKey)
      }
    }
  }

  /// Where keys are looked up by their set's id, there must be one of each.
  @Test func noKeySetStandsInASlotTwice() throws {
    var payload = Keys.full.payload
    payload.keySets.append(payload.keySets[0])
    #expect(throws: FormatError.self) { try Keyring(repository: Keys.repository, payload: payload) }
  }

  @Test func anotherSecretDoesNotOpen() throws {
    let locked = try seal(Keys.full, password)
    for other in [
      Secret.password(Array("correct hors".utf8)), .password(Array("correct horse ".utf8)), .password([]), keyFile,
    ] {
      #expect(try open(locked, other) == nil)
    }
    let filed = try seal(Keys.full, keyFile)
    #expect(try open(filed, .keyFile(System.random(32))) == nil)
    #expect(try open(filed, password) == nil)
  }

  @Test func everyByteCounts() throws {
    let bytes = try seal(Keys.full, keyFile)
    func read(_ bytes: [UInt8]) throws {
      if try open(bytes, keyFile) == nil { throw AuthenticationFailure() }
    }
    try read(bytes)
    #expect(offsetsThatMayChange(in: bytes) { try read($0) } == [])
    #expect(lengthsTaken(of: bytes) { try read($0) } == [])
    let locked = try seal(Keys.full, password)
    let offsets = offsetsThatMayChange(in: locked, 32..<140) {
      if try open($0, password) == nil { throw AuthenticationFailure() }
    }
    #expect(offsets == [])
  }

  @Test func aSlotOfAnotherRepositoryIsRefused() throws {
    let bytes = try seal(Keys.full, keyFile)
    #expect(throws: FormatError.self) { try open(bytes, keyFile, Keys.otherRepository.repository) }
  }

  @Test func longLabelsAreCut() throws {
    let bytes = try seal(Keys.full, keyFile, label: String(repeating: "x", count: 300))
    #expect(try open(bytes, keyFile) != nil)
    #expect(try SlotHeader.decode(bytes, repository: Keys.repository).0.label.count == Limits.labelSizeMax)
  }

  @Test func twoSlotsOfOneKeyringHaveNothingInCommon() throws {
    let first = try seal(Keys.full, keyFile)
    let second = try seal(Keys.full, keyFile)
    let (header, start) = try SlotHeader.decode(first, repository: Keys.repository)
    #expect(header.salt != (try SlotHeader.decode(second, repository: Keys.repository)).0.salt)
    #expect(first[start...] != second[start...])
  }
}

@Suite struct KeyFileTests {
  @Test func theFormsOfAKeyFile() throws {
    let key = System.random(32)
    let text = Hex.encode(key)
    for content in [text, text + "\n", "  " + text + "\r\n\n", text.uppercased()] {
      guard case .keyFile(key) = try Secret(keyFileContent: Array(content.utf8)) else {
        Issue.record("\(content) was not taken for the key")
        return
      }
    }
    let raw = [0x0A] + [UInt8](repeating: 0x20, count: 30) + [0x00]
    guard case .keyFile(raw) = try Secret(keyFileContent: raw) else {
      Issue.record("32 bytes were not taken for the key")
      return
    }
    guard case .keyFile(let own) = try Secret(keyFileContent: Secret.newKeyFileContent()) else { return }
    #expect(own.count == 32)
  }

  @Test func otherContentIsRefused() {
    let text = Hex.encode(System.random(32))
    for content in ["", "\n", text + "0", String(text.dropLast()), text + text, "g" + text.dropFirst(), text + "\nx"] {
      #expect(throws: FormatError.self) { try Secret(keyFileContent: Array(content.utf8)) }
    }
    for count in [31, 33] {
      #expect(throws: FormatError.self) { try Secret(keyFileContent: [UInt8](repeating: 1, count: count)) }
    }
  }
}

@Suite struct WriteOnlyTests {
  @Test func noPrivateKeyIsInIt() throws {
    let payload = Keys.writeOnly.payload.encode()
    let full = Keys.full.payload
    let root = try #require(full.rootPrivateKey)
    let private25519 = try #require(full.keySets[0].privateKey)
    #expect(full.encode().contains(sequence: root) && full.encode().contains(sequence: private25519))
    #expect(!payload.contains(sequence: root))
    #expect(!payload.contains(sequence: private25519))
    #expect(!payload.contains(sequence: full.writerPrivateKey))
    #expect(!payload.contains(sequence: full.listKey))
    // What it needs to write is there.
    #expect(payload.contains(sequence: full.keySets[0].idKey))
  }

  @Test func oldPrivateKeysAreNotInItEither() throws {
    let rotated = try Keys.full.rotated()
    let payload = try #require(try rotated.deriving(.writeOnly)).payload
    #expect(payload.keySets.count == 2)
    for set in rotated.payload.keySets {
      #expect(!payload.encode().contains(sequence: try #require(set.privateKey)))
    }
  }

  @Test func itMakesNoOtherKeys() throws {
    #expect(try Keys.writeOnly.deriving(.full) == nil)
    #expect(try Keys.writeOnly.deriving(.writeOnly) == nil)
    #expect(try Keys.full.deriving(.full)?.deriving(.writeOnly) != nil)
  }

  @Test func itReadsOnlyItsOwnRecords() throws {
    let (_, header) = try PackKey.make(.data, Keys.writeOnly)
    #expect(throws: FormatError.self) { try PackKey.open(header: header, Keys.writeOnly) }
    let own = try RecordSealing.seal(testSnapshot, Keys.writeOnly)
    #expect(try RecordSealing.openSnapshot(own, Keys.writeOnly) != nil)
    #expect(try RecordSealing.openSnapshot(own, Keys.otherWriteOnly) == nil)
    #expect(try RecordSealing.openSnapshot(RecordSealing.seal(testSnapshot, Keys.full), Keys.writeOnly) == nil)
  }
}

@Suite struct CertificateTests {
  @Test func aKeyringNeedsACertificateOfItsRepository() {
    #expect(throws: Never.self) { try Keyring(repository: Keys.repository, payload: Keys.writeOnly.payload) }
    #expect(throws: FormatError.self) {
      try Keyring(repository: Keys.otherRepository.repository, payload: Keys.full.payload)
    }
    var payload = Keys.full.payload
    payload.rootPublicKey = Keys.stranger.payload.rootPublicKey
    #expect(throws: FormatError.self) { try Keyring(repository: Keys.repository, payload: payload) }
    payload = Keys.writeOnly.payload
    payload.writerPrivateKey = Keys.full.payload.writerPrivateKey
    #expect(throws: FormatError.self) { try Keyring(repository: Keys.repository, payload: payload) }
  }

  @Test func aRoleCannotBeChanged() {
    var payload = Keys.writeOnly.payload
    payload.role = .full
    #expect(throws: FormatError.self) { try Keyring(repository: Keys.repository, payload: payload) }
  }

  @Test func aCertificateIsForOneWriterRoleAndRepository() {
    let payload = Keys.writeOnly.payload
    let writer = Keys.writeOnly.writer.publicKey
    func isValid(
      _ certificate: [UInt8],
      _ writer: [UInt8],
      _ role: KeyRole,
      _ repository: RepositoryID,
      _ root: [UInt8]
    ) -> Bool {
      WriterCertificate.isValid(certificate, writer: writer, role: role, repository: repository, root: root)
    }
    let certificate = payload.writerCertificate
    let root = payload.rootPublicKey
    #expect(isValid(certificate, writer, .writeOnly, Keys.repository, root))
    #expect(!isValid(certificate, writer, .full, Keys.repository, root))
    #expect(!isValid(certificate, Keys.full.writer.publicKey, .writeOnly, Keys.repository, root))
    #expect(!isValid(certificate, writer, .writeOnly, Keys.otherRepository.repository, root))
    #expect(!isValid(certificate, writer, .writeOnly, Keys.repository, Keys.stranger.payload.rootPublicKey))
    #expect(!isValid(Keys.otherWriteOnly.payload.writerCertificate, writer, .writeOnly, Keys.repository, root))
  }
}
