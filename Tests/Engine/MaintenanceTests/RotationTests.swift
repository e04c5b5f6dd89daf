@testable import Maintenance
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing

/// What rotation makes of a catalog, at a moment that the test sets.
@Suite struct RotationTests {
  private let test: TestRepository
  private let repository: Repository

  init() throws {
    test = try TestRepository()
    repository = try test.open()
  }

  /// Snapshots that are kept when only the last one is asked for.
  private func kept(onDay day: Int64) throws -> [ObjectID] {
    var rules = RetentionRules()
    rules.keepLast = 1
    return try Rotation.decide(
      SnapshotCatalog(repository), host: nil, plan: nil, rules: rules, force: false,
      now: Timestamp(seconds: day * 86_400)
    ).filter(\.isKept).map(\.snapshot.id)
  }

  @Test func aPinHoldsUntilItsEndAndNoLonger() throws {
    let ids = try (1...4).map { try repository.addSnapshot($0) }
    try repository.addNote(.pinned, [ids[0]], until: Timestamp(seconds: 10 * 86_400))
    try repository.addNote(.pinned, [ids[1]])
    #expect(try kept(onDay: 9) == [ids[0], ids[1], ids[3]])
    #expect(try kept(onDay: 10) == [ids[1], ids[3]])
    #expect(try kept(onDay: 100_000) == [ids[1], ids[3]])
    try repository.addNote(.unpinned, [ids[1]], day: 1)
    #expect(try kept(onDay: 9) == [ids[0], ids[3]])
  }

  @Test func aSnapshotThatLostNearlyAllIsSuspicious() throws {
    func snapshot(_ day: Int, plan: String = "", change: (inout SnapshotCounts) -> Void) throws -> CatalogedSnapshot {
      var record = snapshotRecord(day)
      record.plan = plan
      (record.counts.files, record.counts.entries, record.counts.bytes) = (100, 100, 1000)
      change(&record.counts)
      let id = try repository.store(&record, after: SnapshotCatalog(repository))
      return try #require(try SnapshotCatalog(repository).snapshots.first { $0.id == id })
    }
    let before = try snapshot(1) { _ in }
    for (day, isSuspicious, change) in [
      (2, true, { $0.files = 0 }), (3, true, { $0.entries = 9 }), (4, true, { $0.bytes = 99 }),
      (5, false, { $0.bytes = 100 }), (6, false, { $0.entries = 10 }),
    ] as [(Int, Bool, (inout SnapshotCounts) -> Void)] {
      let after = try snapshot(day, change: change)
      #expect(Rotation.isSuspicious(after, among: [before, after]) == isSuspicious, "day \(day)")
      #expect(!Rotation.isSuspicious(after, among: [after]))
      #expect(!Rotation.isSuspicious(before, among: [before, after]))
    }
    let other = try snapshot(7, plan: "other") { $0.files = 0 }
    #expect(!Rotation.isSuspicious(other, among: [before, other]))
  }

  @Test func whatIsGoneAlreadyIsNotRemovedAgain() throws {
    let ids = try (1...3).map { try repository.addSnapshot($0) }
    var rules = RetentionRules()
    rules.keepLast = 1
    let catalog = try SnapshotCatalog(repository)
    let decisions = try Rotation.decide(catalog, host: nil, plan: nil, rules: rules, force: false)
    try Removal.run([catalog.snapshots[0]], repository, force: true)
    try Rotation.remove(decisions, repository)
    let after = try SnapshotCatalog(repository)
    #expect(after.snapshots.map(\.id) == [ids[2]])
    #expect(after.notes.filter { $0.note.kind == .removed }.map(\.note.subjects.count) == [1, 1])
  }
}
