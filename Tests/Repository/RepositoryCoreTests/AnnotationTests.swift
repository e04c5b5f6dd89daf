// Whose word about a snapshot counts, and in which order.
import Reporting
import Platform
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing

extension Repository {
  fileprivate func annotate(
    _ snapshot: ObjectID, _ revision: UInt64, day: Int = 1, _ change: (inout SnapshotAnnotation) -> Void
  ) throws {
    var annotation = SnapshotAnnotation(snapshot: snapshot, revision: revision)
    change(&annotation)
    try store(NoteRecord(annotation, time: Timestamp(seconds: Int64(day))), after: SnapshotCatalog(self))
  }
}

@Suite struct AnnotationTests {
  private let test: TestRepository
  private let full: Repository
  private let writeOnly: Repository

  init() throws {
    test = try TestRepository()
    full = try test.open()
    writeOnly = try test.addWriter(.writeOnly)
  }

  private func snapshot(_ id: ObjectID) throws -> CatalogedSnapshot {
    try #require(try SnapshotCatalog(full).snapshots.first { $0.id == id })
  }

  @Test func theHighestRevisionCountsAndNotTheClock() throws {
    let id = try full.addSnapshot(1)
    try full.annotate(id, 1, day: 9000) { $0.summary = "first, by a clock that runs ahead" }
    try full.annotate(id, 2, day: 3) { $0.summary = "second" }
    try full.annotate(id, 3, day: 2) { $0.notes = "third" }
    let found = try snapshot(id)
    #expect(found.record.summary == "second" && found.record.notes == "third")
    #expect(found.signed.summary == "" && found.signed.notes == "")
    #expect(found.annotations.nextRevision(.full) == 4 && found.annotations.nextRevision(.writeOnly) == 1)
    try full.annotate(id, Limits.sequenceMax) { $0.summary = "" }
    #expect(try snapshot(id).record.summary == "" && snapshot(id).annotations.nextRevision(.full) == nil)
  }

  @Test func tagsComeAndGo() throws {
    let id = try full.addSnapshot(1)
    try full.annotate(id, 1) { $0.addedTags = ["a", "b", "a"] }
    #expect(try snapshot(id).record.tags == ["a", "b"])
    // Two who knew nothing of one another.
    try full.annotate(id, 2, day: 2) { $0.addedTags = ["c"] }
    try full.annotate(id, 2, day: 3) { $0.removedTags = ["a"] }
    #expect(try snapshot(id).record.tags == ["b", "c"])
    try full.annotate(id, 3) {
      $0.removedTags = ["b"]
      $0.addedTags = ["b"]
    }
    #expect(try snapshot(id).record.tags == ["c", "b"])
  }

  @Test func aWriteOnlyKeyDescribesItsOwnSnapshotsOnly() throws {
    let (own, foreign) = (try writeOnly.addSnapshot(1), try full.addSnapshot(2))
    for id in [own, foreign] {
      try writeOnly.annotate(id, 1) {
        $0.summary = "by the machine"
        $0.addedTags = ["tag"]
      }
    }
    #expect(try snapshot(own).record.summary == "by the machine" && snapshot(own).record.tags == ["tag"])
    #expect(try snapshot(foreign).record.summary == "" && snapshot(foreign).record.tags.isEmpty)
    #expect(try snapshot(foreign).annotations.last == nil)
    // It sees that itself, and another write-only key has no say.
    #expect(try SnapshotCatalog(writeOnly).snapshots.first?.record.summary == "by the machine")
    let stranger = try test.addWriter(.writeOnly)
    try stranger.annotate(own, 2) { $0.summary = "by a stranger" }
    #expect(try snapshot(own).record.summary == "by the machine")
  }

  @Test func aFullKeyHasTheLastWord() throws {
    let id = try writeOnly.addSnapshot(1)
    try full.annotate(id, 1) {
      $0.summary = "infected"
      $0.addedTags = ["keep"]
    }
    try writeOnly.annotate(id, Limits.sequenceMax, day: 100_000) {
      $0.summary = "harmless"
      $0.purpose = "mine"
      $0.removedTags = ["keep"]
      $0.addedTags = ["own"]
    }
    var found = try snapshot(id)
    #expect(found.record.summary == "infected" && found.record.purpose == "mine")
    #expect(found.record.tags == ["own", "keep"])
    #expect(found.annotations.settled == [.summary])
    #expect(found.annotations.nextRevision(.writeOnly) == nil && found.annotations.nextRevision(.full) == 2)
    try full.annotate(id, 2) { $0.removedTags = ["own"] }
    found = try snapshot(id)
    #expect(found.record.tags == ["keep"])
  }

  @Test func aWriteOnlyKeyCannotPileUpTags() throws {
    let id = try writeOnly.addSnapshot(1)
    for round in 1...5 {
      try writeOnly.annotate(id, UInt64(round)) { $0.addedTags = (0..<256).map { "\(round)-\($0)" } }
    }
    #expect(try snapshot(id).record.tags.count == AnnotationHistory.tagsMax)
    try full.annotate(id, 1) { $0.addedTags = ["by a full key"] }
    #expect(try snapshot(id).record.tags.last == "by a full key")
  }

  @Test func aCatalogThatIsReadAgainSaysTheSame() throws {
    let id = try full.addSnapshot(1)
    try full.annotate(id, 1) { $0.addedTags = ["a"] }
    let first = try SnapshotCatalog(full)
    try full.annotate(id, 2) { $0.removedTags = ["a"] }
    let second = try SnapshotCatalog(full, reusing: first)
    #expect(first.snapshots[0].record.tags == ["a"] && second.snapshots[0].record.tags.isEmpty)
    #expect(second.snapshots[0].signed.tags.isEmpty && second.snapshots[0].annotations.nextRevision(.full) == 3)
    #expect(ChainCheck.findings(second).isEmpty)
  }

  @Test func notesOfRemovalTellNames() throws {
    let ids = try (1...2).map { try full.addSnapshot($0) }
    let catalog = try SnapshotCatalog(full)
    let subjects = catalog.snapshots.map {
      NoteRecord.Subject(snapshot: $0.id, writer: $0.envelope.writer, sequence: $0.record.sequence)
    }
    var note = NoteRecord(kind: .removed, time: Timestamp(seconds: 1), subjects: subjects)
    note.names = catalog.snapshots.map(\.record.name)
    note.text = "name"
    try full.store(note, after: catalog)
    let after = try SnapshotCatalog(full)
    #expect(after.snapshots.isEmpty && Set(after.leftovers) == Set(ids))
    #expect(after.removal(of: catalog.snapshots[1].record.name)?.contains("was removed on") == true)
    #expect(after.removal(of: String(ids[0].hex.prefix(8))) != nil)
    #expect(after.removal(of: "20990101_0000") == nil && after.removal(of: "") == nil)
  }
}

@Suite struct SnapshotHostsTests {
  @Test func namesTheHostsThatHaveSome() throws {
    let test = try TestRepository()
    let full = try test.open()
    #expect(try SnapshotCatalog(full).absence(ofHost: "x")?.advice == "Make one with \"yester backup\".")
    for (day, host) in ["b", "a\u{1B}", "b"].enumerated() {
      var record = snapshotRecord(day + 1)
      record.host = host
      _ = try full.store(&record, after: SnapshotCatalog(full))
    }
    let catalog = try SnapshotCatalog(full)
    #expect(catalog.absence(ofHost: "b") == nil)
    let absence = try #require(catalog.absence(ofHost: "typo"))
    #expect(absence.code == .failed && absence.message == "There are no snapshots of the host typo")
    #expect(absence.advice == "The repository has snapshots of: a? (1), b (2). Choose one, as with --host b.")
    #expect(catalog.absence(ofHost: System.hostName)?.message.contains("this host") == true)
  }
}
