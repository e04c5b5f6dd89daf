// What notes say of snapshots in place of their records: its bytes, its limits, and what readers see that know
// nothing of it.
import Platform
import RepositoryFormat
import Testing

@Suite struct AnnotationTests {
  private let snapshot = ObjectID([UInt8](repeating: 0xAB, count: 32)) ?? .zero

  private func annotation(_ change: (inout SnapshotAnnotation) -> Void = { _ in }) -> SnapshotAnnotation {
    var annotation = SnapshotAnnotation(snapshot: snapshot, revision: 7)
    annotation.summary = "new"
    annotation.notes = ""
    annotation.removedTags = ["old"]
    annotation.addedTags = ["a", "b"]
    change(&annotation)
    return annotation
  }

  private func note(field: [UInt8]) throws -> NoteRecord {
    var fields = try RecordFields(
      decoding: NoteRecord(annotation(), time: Timestamp(seconds: 1)).encode(), known: 1...21, additional: 64...65)
    fields[64] = field
    return try NoteRecord(decoding: fields.encode())
  }

  /// As docs/format.md has it, byte by byte.
  private var bytes: [UInt8] {
    snapshot.bytes + [7, 0b0101] + [3] + Array("new".utf8) + [0] + [1, 3] + Array("old".utf8) + [2, 1, 0x61, 1, 0x62]
  }

  @Test func hasTheBytesOfThePage() throws {
    let note = NoteRecord(annotation(), time: Timestamp(seconds: 1))
    let fields = try RecordFields(decoding: note.encode(), known: 1...21, additional: 64...65)
    #expect(fields[64] == bytes)
    #expect(try self.note(field: bytes).annotation == annotation())
  }

  @Test func tellsAnEmptyTextFromNone() throws {
    let read = try NoteRecord(decoding: NoteRecord(annotation(), time: Timestamp(seconds: 1)).encode()).annotation
    #expect(read?.notes == "" && read?.purpose == nil && read?.changeTicket == nil)
    #expect(SnapshotAnnotation(snapshot: snapshot, revision: 1).isEmpty && !annotation().isEmpty)
  }

  @Test func othersSeeAConfirmationOfNothing() throws {
    let bytes = NoteRecord(annotation(), time: Timestamp(seconds: 1)).encode()
    // A reader that knows the tags up to 21 and ignores those from 64 on.
    let fields = try RecordFields(decoding: bytes, known: 1...21)
    #expect(fields[1] == [5])
    #expect(fields[3] == [0])
    #expect(fields[64] == nil)
  }

  @Test func whatIsNotWellFormedIsRefused() throws {
    #expect(throws: Never.self) { try note(field: bytes) }
    for count in 1..<bytes.count { #expect(throws: FormatError.self) { try note(field: Array(bytes[..<count])) } }
    #expect(throws: FormatError.self) { try note(field: bytes + [0]) }
    let id = snapshot.bytes
    for rest in [
      [0, 0, 0, 0],  // revision 0
      [1, 16, 0, 0],  // a text of an unknown kind
      [1, 0, 1, 0, 0],  // an empty tag
      [1, 1, 1, 0xFF, 0, 0],  // not UTF-8
      [1, 0, 1, 1, 0xC3, 0],
      [1, 0, 0x81, 0x02, 0],  // 257 tags
      [0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 0, 0, 0],  // revision 2^62 + 1
    ] as [[UInt8]] {
      #expect(throws: FormatError.self, "\(rest)") { try note(field: id + rest) }
    }
  }

  @Test func textsAndTagsHaveLimits() throws {
    func isRead(_ change: (inout SnapshotAnnotation) -> Void) -> Bool {
      let bytes = NoteRecord(annotation(change), time: Timestamp(seconds: 1)).encode()
      return (try? NoteRecord(decoding: bytes)) != nil
    }
    func letters(_ count: Int) -> String { String(repeating: "x", count: count) }
    #expect(isRead { $0.notes = letters(Limits.textSizeMax) })
    #expect(!isRead { $0.notes = letters(Limits.textSizeMax + 1) })
    #expect(isRead { $0.addedTags = [letters(Limits.tagSizeMax)] })
    #expect(!isRead { $0.addedTags = [letters(Limits.tagSizeMax + 1)] })
    let many = (0..<Limits.annotationTagsMax).map { "\($0)" }
    #expect(isRead { $0.removedTags = many })
    #expect(!isRead { $0.removedTags = many + ["more"] })
  }

  @Test func namesAreThoseOfTheSubjects() throws {
    let subjects = (1...2).map {
      NoteRecord.Subject(snapshot: snapshot, writer: [UInt8](repeating: 1, count: 32), sequence: $0)
    }
    var note = NoteRecord(kind: .removed, time: Timestamp(seconds: 1), subjects: subjects)
    note.names = ["20261120_0215", "20261121_0215_é"]
    #expect(try NoteRecord(decoding: note.encode()) == note)
    for names in [["one"], ["one", "two", "three"], ["one", String(repeating: "x", count: 256)]] {
      note.names = names
      #expect(throws: FormatError.self) { try NoteRecord(decoding: note.encode()) }
    }
  }
}
