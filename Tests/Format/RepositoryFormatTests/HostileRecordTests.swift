// Records with fields that do harm. They are signed, but a writer may be hostile as well.
import Platform
import RepositoryFormat
import TestSupport
import Testing

@Suite struct HostileRecordTests {
  /// The fields of a good snapshot record, one of them changed.
  private func snapshot(_ change: (inout RecordFields) -> Void) throws -> SnapshotRecord {
    var random = SeededGenerator()
    var fields = try RecordFields(decoding: random.snapshot().encode(), known: 1...23)
    change(&fields)
    return try SnapshotRecord(decoding: fields.encode())
  }
  private func note(_ change: (inout RecordFields) -> Void) throws -> NoteRecord {
    var random = SeededGenerator()
    var fields = try RecordFields(decoding: random.note().encode(), known: 1...23)
    change(&fields)
    return try NoteRecord(decoding: fields.encode())
  }

  @Test func unknownFieldsBelow64AreRefused() {
    for tag in [UInt64(0), 24, 63] {
      #expect(throws: FormatError.self) { try snapshot { $0[tag] = [1] } }
      #expect(throws: FormatError.self) { try note { $0[tag] = [1] } }
    }
    for tag in [UInt64(64), 66, 1000, .max] {
      #expect(throws: Never.self) { try snapshot { $0[tag] = [1] } }
      // Those of notes are tested by themselves.
      if tag > 65 { #expect(throws: Never.self) { try note { $0[tag] = [1] } } }
    }
  }

  /// Tags that snapshot records have and notes have not.
  @Test(arguments: [UInt64(8), 19, 22, 23])
  func notesHaveNoFieldsOfSnapshots(tag: UInt64) {
    #expect(throws: FormatError.self) { try note { $0[tag] = [1] } }
  }

  @Test func fieldsStandInOrderAndOnce() {
    func read(_ tags: [UInt64]) throws -> RecordFields {
      var out = ByteWriter()
      for tag in tags {
        out.varint(tag)
        out.string([1])
      }
      return try RecordFields(decoding: out.bytes, known: 1...9)
    }
    #expect(throws: Never.self) { try read([1, 2, 9, 64, 70]) }
    for tags in [[1, 1], [2, 1], [1, 9, 2], [64, 64], [70, 64]] as [[UInt64]] {
      #expect(throws: FormatError.self) { try read(tags) }
    }
  }

  @Test(arguments: [Int64.min, Int64.min + 1, -86_401, 86_401, Int64.max])
  func impossibleTimeZones(offset: Int64) {
    #expect(throws: FormatError.self) { try snapshot { $0.set(13) { $0.svarint(offset) } } }
  }

  @Test func extremeTimesAreShown() throws {
    for seconds in [Int64.min, .max] {
      let record = try snapshot { $0.set(11, time: Timestamp(seconds: seconds)) }
      #expect(!record.start.iso8601(offset: record.utcOffset).isEmpty)
    }
    #expect(throws: FormatError.self) {
      try snapshot {
        $0.set(11) {
          $0.svarint(0)
          $0.varint(1_000_000_000)
        }
      }
    }
  }

  @Test(arguments: [
    "", "..", "20261120-0930", "20261120_093", "20261120_0930/..", "20261120_0930\0", "２0261120_0930", "x20261120_0930",
  ])
  func namesThatNoDirectoryShouldHave(name: String) {
    #expect(throws: FormatError.self) { try snapshot { $0.set(1, text: name) } }
    #expect(!isValidSnapshotName(name))
  }

  @Test func namesHaveALimit() {
    #expect(isValidSnapshotName("20261120_0930" + String(repeating: "x", count: 242)))
    #expect(!isValidSnapshotName("20261120_0930" + String(repeating: "x", count: 243)))
  }

  @Test func whatASnapshotCannotDoWithout() {
    for tag in [UInt64(1), 4, 5, 11, 12, 14] { #expect(throws: FormatError.self) { try snapshot { $0[tag] = nil } } }
    for tag in [UInt64(1), 2] { #expect(throws: FormatError.self) { try note { $0[tag] = nil } } }
    for kind in [UInt8(0), 5, 255] { #expect(throws: FormatError.self) { try snapshot { $0[4] = [kind] } } }
    for kind in [UInt8(0), 6, 255] { #expect(throws: FormatError.self) { try note { $0[1] = [kind] } } }
  }

  @Test func theRootIsADirectory() {
    var random = SeededGenerator()
    var root = random.root()
    for body in [EntryBody.fifo, .symbolicLink(target: [97]), .file(size: 0, content: .empty)] {
      root.body = body
      #expect(throws: FormatError.self) { try snapshot { $0[14] = leaf([root]) } }
    }
    #expect(throws: FormatError.self) { try snapshot { $0[14] = leaf([]) } }
  }

  @Test(arguments: [UInt64.max, 1 << 63, 1 << 40, 70_000])
  func countsThatTheDataCannotHold(count: UInt64) {
    for tag in [UInt64(17), 18, 19] {
      #expect(throws: FormatError.self) { try snapshot { $0.set(tag) { $0.varint(count) } } }
    }
    #expect(throws: FormatError.self) { try note { $0.set(3) { $0.varint(count) } } }
    var out = ByteWriter()
    out.varint(1)
    out.varint(count)
    #expect(throws: FormatError.self) { try RecordFields(decoding: out.bytes, known: 1...9) }
  }

  @Test func sequencesHaveALimit() {
    for sequence in [Limits.sequenceMax + 1, .max] {
      #expect(throws: FormatError.self) { try snapshot { $0.set(20, number: sequence) } }
      #expect(throws: FormatError.self) { try note { $0.set(20, number: sequence) } }
    }
    #expect(throws: Never.self) { try snapshot { $0.set(20, number: Limits.sequenceMax) } }
  }

  @Test func textsHaveALimit() throws {
    let most = [UInt8](repeating: 0x61, count: Limits.textSizeMax)
    #expect(try snapshot { $0[9] = most }.notes.utf8.count == Limits.textSizeMax)
    #expect(throws: FormatError.self) { try snapshot { $0[9] = most + [0x61] } }
    #expect(throws: FormatError.self) { try note { $0[4] = most + [0x61] } }
    #expect(throws: FormatError.self) { try snapshot { $0.set(17, strings: [most + [0x61]]) } }
  }

  @Test func idsHaveTheirLength() {
    for count in [1, 31, 33] {
      let bytes = [UInt8](repeating: 1, count: count)
      #expect(throws: FormatError.self) { try snapshot { $0[15] = bytes } }
      #expect(throws: FormatError.self) { try snapshot { $0[21] = bytes } }
      #expect(throws: FormatError.self) { try note { $0[21] = bytes } }
    }
  }
}
