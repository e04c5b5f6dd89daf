import ChunkCodec
import Platform
import RepositoryFormat
import TestSupport
import Testing

private let password = Secret.password(Array("correct horse".utf8))
private let keyFile = Secret.keyFile(System.random(32))
private let root = System.random(32)

private func seal(_ secret: Secret) throws -> (bytes: [UInt8], key: SlotKey) {
  try KeySlot.make(
    with: secret, repository: Keys.repository, root: root, created: Timestamp(seconds: 7), log2N: 10)
}

private func open(
  _ bytes: [UInt8], _ secret: Secret, _ repository: RepositoryID = Keys.repository, root: [UInt8] = root
) throws -> SlotKey? {
  if case .opened(let key) = try KeySlot.open(bytes, repository: repository, root: root, with: secret) { return key }
  return nil
}

@Suite struct KeySlotTests {
  @Test func slotsGiveTheirKeyBack() throws {
    for secret in [password, keyFile, Secret.password([]), Secret.password([0, 255, 10])] {
      let (bytes, key) = try seal(secret)
      let opened = try #require(try open(bytes, secret))
      #expect(opened.pair.privateKey == key.pair.privateKey && opened.pair.publicKey == key.pair.publicKey)
      #expect(opened.id == ObjectID(nameOf: SHA256.hash(bytes)) && opened.id == key.id)
      let header = try SlotHeader(decoding: bytes, repository: Keys.repository)
      #expect(header.createdSeconds == 7 && header.publicKey == key.pair.publicKey)
    }
  }

  @Test func anotherSecretDoesNotOpen() throws {
    let locked = try seal(password).bytes
    for other in [
      Secret.password(Array("correct hors".utf8)), .password(Array("correct horse ".utf8)), .password([]), keyFile,
    ] {
      #expect(try open(locked, other) == nil)
    }
    let filed = try seal(keyFile).bytes
    #expect(try open(filed, .keyFile(System.random(32))) == nil)
    #expect(try open(filed, password) == nil)
  }

  @Test func everyByteCounts() throws {
    let bytes = try seal(keyFile).bytes
    func read(_ bytes: [UInt8]) throws {
      if try open(bytes, keyFile) == nil { throw AuthenticationFailure() }
    }
    try read(bytes)
    #expect(offsetsThatMayChange(in: bytes) { try read($0) } == [])
    #expect(lengthsTaken(of: bytes) { try read($0) } == [])
    let locked = try seal(password).bytes
    let offsets = offsetsThatMayChange(in: locked, 32..<140) {
      if try open($0, password) == nil { throw AuthenticationFailure() }
    }
    #expect(offsets == [])
  }

  @Test func aSlotOfAnotherRepositoryIsRefused() throws {
    let bytes = try seal(keyFile).bytes
    #expect(throws: FormatError.self) { try open(bytes, keyFile, Keys.otherRepository.repository) }
    // The same id, but another root key: whoever knows the secret has named the right one in the slot.
    #expect(throws: FormatError.self) { try open(bytes, keyFile, root: System.random(32)) }
  }

  @Test func twoSlotsOfOneSecretHaveNothingInCommon() throws {
    let (first, second) = (try seal(keyFile), try seal(keyFile))
    let headers = try [first, second].map { try SlotHeader(decoding: $0.bytes, repository: Keys.repository) }
    #expect(headers[0].salt != headers[1].salt && headers[0].commitment != headers[1].commitment)
    #expect(first.bytes[SlotHeader.size...] != second.bytes[SlotHeader.size...])
    #expect(first.key.pair.publicKey != second.key.pair.publicKey)
  }

  /// Sealed bytes that open under two keys would let a store ask which of many passwords is right with one slot.
  @Test func aSlotIsBoundToOneKey() throws {
    var bytes = try seal(keyFile).bytes
    for index in 116..<132 { bytes[index] = 0 }
    #expect(try open(bytes, keyFile) == nil)
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
  @Test func itsKeyringHasNoPrivateKeys() throws {
    for keyring in [Keys.writeOnly, Keys.rotated[1]] {
      #expect(keyring.keySets.allSatisfy { $0.record.privateKey == nil })
      #expect(EpochDraft(after: keyring) == nil)
    }
    #expect(Keys.rotated[0].keySets.allSatisfy { $0.record.privateKey != nil })
    #expect(EpochDraft(after: Keys.full) != nil)
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
