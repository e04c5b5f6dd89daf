import ChunkCodec
import Platform
import RepositoryFormat
import TestSupport
import Testing

private func note(_ kind: NoteRecord.Kind = .removed) -> NoteRecord {
  NoteRecord(
    kind: kind,
    time: Timestamp(seconds: 5),
    subjects: [NoteRecord.Subject(snapshot: .zero, writer: System.random(32), sequence: 3)]
  )
}

private let lease = LeaseRecord(
  id: System.random(16),
  purpose: .backup,
  host: "h",
  bootID: "b",
  process: 1,
  processStart: 2,
  sequence: 3,
  since: Timestamp(seconds: 4),
  renewed: Timestamp(seconds: 5)
)

/// Signs changed bytes anew, as somebody can who has a writer's key.
private func signed(_ bytes: [UInt8], _ context: String, by keyring: Keyring) -> [UInt8] {
  let start = Array(bytes.dropLast(SignedEnvelope.signatureSize))
  return start + Ed25519.sign(Array(context.utf8) + start, privateKey: keyring.writer.privateKey)
}

@Suite struct SnapshotSealingTests {
  @Test func theWriterAndFullKeysReadIt() throws {
    let bytes = try RecordSealing.seal(testSnapshot, Keys.writeOnly)
    for keyring in [Keys.full, Keys.otherFull, Keys.writeOnly] {
      let opened = try #require(try RecordSealing.openSnapshot(bytes, keyring))
      #expect(opened.body.encode() == testSnapshot.encode())
      #expect(opened.envelope.writer == Keys.writeOnly.writer.publicKey)
      #expect(opened.envelope.epoch == 1)
      #expect(try keyring.roster.authorship(opened.envelope, sequence: 1).role == .writeOnly)
    }
  }

  @Test func whatNobodyCouldReadIsNotSealed() {
    var record = testSnapshot
    record.tags = [String(repeating: "x", count: Limits.textSizeMax)]
    #expect(throws: Never.self) { try RecordSealing.seal(record, Keys.full) }
    record.tags = [String(repeating: "x", count: Limits.textSizeMax + 1)]
    #expect(throws: FormatError.self) { try RecordSealing.seal(record, Keys.full) }
    record.tags = []
    record.name = "no name"
    #expect(throws: FormatError.self) { try RecordSealing.seal(record, Keys.full) }
  }

  @Test func otherWritersCheckItWithoutReadingIt() throws {
    let bytes = try RecordSealing.seal(testSnapshot, Keys.full)
    #expect(try RecordSealing.openSnapshot(bytes, Keys.writeOnly) == nil)
    #expect(
      try RecordSealing.openSnapshot(RecordSealing.seal(testSnapshot, Keys.writeOnly), Keys.otherWriteOnly) == nil
    )
    // Also what cannot be read must be genuine.
    #expect(offsetsThatMayChange(in: bytes) { _ = try RecordSealing.openSnapshot($0, Keys.writeOnly) } == [])
  }

  @Test func everyByteCounts() throws {
    let bytes = try RecordSealing.seal(testSnapshot, Keys.full)
    #expect(offsetsThatMayChange(in: bytes) { _ = try RecordSealing.openSnapshot($0, Keys.full) } == [])
    #expect(lengthsTaken(of: bytes) { _ = try RecordSealing.openSnapshot($0, Keys.full) } == [])
  }

  @Test func everyByteCountsAlsoWithAGoodSignature() throws {
    let bytes = try RecordSealing.seal(testSnapshot, Keys.full)
    let unsigned = bytes.count - SignedEnvelope.signatureSize
    // Bytes 184 to 231 are the writer's own way to the content key; others go by 120 to 167.
    let offsets = offsetsThatMayChange(in: bytes, 0..<unsigned) {
      _ = try RecordSealing.openSnapshot(signed($0, "yester snapshot 1", by: Keys.full), Keys.otherFull)
    }
    #expect(offsets == [])
  }

  @Test func strangersCannotMakeOne() throws {
    for keyring in [Keys.stranger, Keys.otherRepository] {
      let bytes = try RecordSealing.seal(testSnapshot, keyring)
      #expect(throws: FormatError.self) { try RecordSealing.openSnapshot(bytes, Keys.full) }
      #expect(throws: FormatError.self) { try RecordSealing.openSnapshot(bytes, Keys.writeOnly) }
    }
  }

  @Test func aWriterCannotTakeOverAnothersRecord() throws {
    let bytes = try RecordSealing.seal(testSnapshot, Keys.full)
    let own = try RecordSealing.seal(testSnapshot, Keys.writeOnly)
    // The envelope of the thief, the content of the victim.
    let mixed = Array(own[..<SignedEnvelope.size]) + bytes[SignedEnvelope.size...]
    let stolen = signed(mixed, "yester snapshot 1", by: Keys.writeOnly)
    #expect(throws: FormatError.self) { try RecordSealing.openSnapshot(stolen, Keys.full) }
    #expect(throws: Never.self) {
      try RecordSealing.openSnapshot(signed(own, "yester snapshot 1", by: Keys.writeOnly), Keys.full)
    }
    // A writer that says to have known another epoch when it sealed this.
    var elsewhen = own
    elsewhen[48] ^= 2
    #expect(throws: FormatError.self) {
      try RecordSealing.openSnapshot(signed(elsewhen, "yester snapshot 1", by: Keys.writeOnly), Keys.full)
    }
  }

  @Test func hugeRecordsAreNotWritten() throws {
    var record = testSnapshot
    record.excludes = Array(repeating: [UInt8](repeating: 0x61, count: 60_000), count: 300)
    #expect(throws: FormatError.self) { try RecordSealing.seal(record, Keys.full) }
  }
}

@Suite struct NoteSealingTests {
  @Test func everybodyWithAKeyReadsNotes() throws {
    let note = note()
    for writer in [Keys.full, Keys.writeOnly] {
      let bytes = RecordSealing.seal(note, writer)
      for reader in [Keys.full, Keys.otherFull, Keys.writeOnly, Keys.otherWriteOnly] {
        let opened = try RecordSealing.openNote(bytes, reader)
        #expect(opened.body == note)
        #expect(try reader.roster.authorship(opened.envelope, sequence: 1).role == writer.role)
      }
      for reader in [Keys.stranger, Keys.otherRepository] {
        #expect(throws: FormatError.self) { try RecordSealing.openNote(bytes, reader) }
      }
    }
  }

  @Test func everyByteCounts() throws {
    let bytes = RecordSealing.seal(note(), Keys.full)
    #expect(offsetsThatMayChange(in: bytes) { _ = try RecordSealing.openNote($0, Keys.full) } == [])
    #expect(lengthsTaken(of: bytes) { _ = try RecordSealing.openNote($0, Keys.full) } == [])
    let unsigned = bytes.count - SignedEnvelope.signatureSize
    let offsets = offsetsThatMayChange(in: bytes, 0..<unsigned) {
      _ = try RecordSealing.openNote(signed($0, "yester note 1", by: Keys.full), Keys.full)
    }
    #expect(offsets == [])
  }

  @Test func aNoteIsNoSnapshotAndNoneIsOther() throws {
    let noteBytes = RecordSealing.seal(note(), Keys.full)
    let snapshotBytes = try RecordSealing.seal(testSnapshot, Keys.full)
    #expect(throws: FormatError.self) { try RecordSealing.openSnapshot(noteBytes, Keys.full) }
    #expect(throws: FormatError.self) { try RecordSealing.openNote(snapshotBytes, Keys.full) }
    let asNote = signed(snapshotBytes, "yester note 1", by: Keys.full)
    #expect(throws: FormatError.self) { try RecordSealing.openNote(asNote, Keys.full) }
  }

  @Test func aWriterCannotSignForAnother() {
    let bytes = RecordSealing.seal(note(), Keys.writeOnly)
    let renamed = bytes[..<56] + Keys.full.writer.publicKey + bytes[88...]
    #expect(throws: FormatError.self) {
      try RecordSealing.openNote(signed(Array(renamed), "yester note 1", by: Keys.writeOnly), Keys.full)
    }
  }
}

@Suite struct CondemnedSealingTests {
  private static var list: CondemnedList {
    var list = CondemnedList()
    list.number = 7
    list.packs[.zero] = .init(list: 3, since: 1_790_000_000)
    list.leases[[UInt8](repeating: 5, count: 16)] = .init(state: [UInt8](repeating: 6, count: 32), since: -1)
    return list
  }

  @Test func everyByteCounts() throws {
    let list = Self.list
    let bytes = RecordSealing.seal(list, Keys.full)
    for reader in [Keys.full, Keys.writeOnly, Keys.otherWriteOnly] {
      #expect(try RecordSealing.openCondemned(bytes, reader) == list)
    }
    #expect(offsetsThatMayChange(in: bytes) { _ = try RecordSealing.openCondemned($0, Keys.full) } == [])
    #expect(lengthsTaken(of: bytes) { _ = try RecordSealing.openCondemned($0, Keys.full) } == [])
    for reader in [Keys.stranger, Keys.otherRepository] {
      #expect(throws: FormatError.self) { try RecordSealing.openCondemned(bytes, reader) }
    }
  }

  @Test func aWriteOnlyWriterCondemnsNothing() throws {
    let list = Self.list
    var bytes = RecordSealing.seal(list, Keys.writeOnly)
    #expect(throws: FormatError.self) { try RecordSealing.openCondemned(bytes, Keys.full) }
    bytes[56] ^= 1
    #expect(throws: FormatError.self) {
      try RecordSealing.openCondemned(signed(bytes, "yester condemned 1", by: Keys.writeOnly), Keys.full)
    }
    // Nor does a note that has the right form.
    let note = signed(RecordSealing.seal(list, Keys.full), "yester note 1", by: Keys.full)
    #expect(throws: FormatError.self) { try RecordSealing.openCondemned(note, Keys.full) }
    #expect(throws: FormatError.self) { try RecordSealing.openNote(note, Keys.full) }
  }

  /// Whoever lacks the keys must not take it for nothing.
  @Test func aListUnderOtherKeysIsNoDamage() throws {
    let bytes = RecordSealing.seal(Self.list, Keys.rotated[0])
    #expect { try RecordSealing.openCondemned(bytes, Keys.full) } throws: {
      ($0 as? FormatError)?.kind == .needsLaterKeys
    }
  }
}

@Suite struct LeaseSealingTests {
  @Test func everyByteCounts() throws {
    let bytes = RecordSealing.seal(lease, Keys.writeOnly)
    for reader in [Keys.full, Keys.writeOnly, Keys.otherWriteOnly] {
      #expect(try RecordSealing.openLease(bytes, reader).body == lease)
    }
    #expect(offsetsThatMayChange(in: bytes) { _ = try RecordSealing.openLease($0, Keys.full) } == [])
    #expect(lengthsTaken(of: bytes) { _ = try RecordSealing.openLease($0, Keys.full) } == [])
    for reader in [Keys.stranger, Keys.otherRepository] {
      #expect(throws: FormatError.self) { try RecordSealing.openLease(bytes, reader) }
    }
  }
}

@Suite struct RotationTests {
  @Test func newKeysReadWhatOldKeysSealed() throws {
    let rotated = Keys.rotated[0]
    #expect(rotated.current.id != Keys.full.current.id)
    let (_, header) = try PackKey.make(.data, Keys.full)
    #expect(try PackKey.open(header: header, rotated).keySet.id == Keys.full.current.id)
    #expect(try RecordSealing.openSnapshot(RecordSealing.seal(testSnapshot, Keys.otherFull), rotated) != nil)
    #expect(try RecordSealing.openLease(RecordSealing.seal(lease, Keys.full), rotated).body == lease)
    // And not the other way round.
    let (_, newHeader) = try PackKey.make(.data, rotated)
    #expect(throws: FormatError.self) { try PackKey.open(header: newHeader, Keys.full) }
    #expect(throws: FormatError.self) { try RecordSealing.openLease(RecordSealing.seal(lease, rotated), Keys.full) }
    #expect(throws: FormatError.self) {
      try RecordSealing.openSnapshot(RecordSealing.seal(testSnapshot, rotated), Keys.otherFull)
    }
  }

  /// Its list key is new, and the old ones go with it.
  @Test func aWriteOnlyKeyReadsItsOwnOldAndNewRecords() throws {
    let (old, new) = (Keys.writeOnly, Keys.rotated[1])
    #expect(new.listKey != old.listKey && new.writer.publicKey != old.writer.publicKey)
    for writer in [old, new] {
      let own = try RecordSealing.seal(testSnapshot, writer)
      #expect(try RecordSealing.openSnapshot(own, new) != nil)
      #expect(try RecordSealing.openSnapshot(own, Keys.rotated[2]) == nil)
    }
    // What was stolen before the rotation opens nothing that comes.
    #expect(throws: FormatError.self) {
      try RecordSealing.openSnapshot(RecordSealing.seal(testSnapshot, new), old)
    }
  }

  /// An epoch with more key sets than a reader takes would lock everybody out.
  @Test func rotationEndsBeforeTheEpochBecomesUnreadable() throws {
    var keys = TestKeys()
    keys.add(.full)
    var rotations = 0
    while rotations < 1000, (try? keys.next({ try $0.rotate([:]) })) != nil { rotations += 1 }
    #expect(rotations == Limits.keySetsMax - 1)
    #expect(try keys.epoch().keyrings.count == 1)
  }
}
