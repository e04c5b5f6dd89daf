@testable import Maintenance
import Platform
import Reporting
@testable import RepositoryCore
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
      record.root.body = .directory(below: 99, listing: .zero)
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
      #expect((Rotation.suspicion(of: after, among: [before, after]) != nil) == isSuspicious, "day \(day)")
      #expect(Rotation.suspicion(of: after, among: [after]) == nil)
      #expect(Rotation.suspicion(of: before, among: [before, after]) == nil)
    }
    let other = try snapshot(7, plan: "other") { $0.files = 0 }
    #expect(Rotation.suspicion(of: other, among: [before, other]) == nil)
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

  // MARK: Attacks and accidents

  private static let day: Int64 = 86_400

  /// Stores what a holder of the repository's key can: any host, time and number.
  @discardableResult
  private func add(
    _ by: Repository? = nil, at time: Timestamp, host: String = "", sources: [String] = ["/data"],
    _ change: (inout SnapshotRecord) -> Void = { _ in }
  ) throws -> ObjectID {
    let writer = by ?? repository
    var record = snapshotRecord(1)
    (record.start, record.end) = (time, time)
    record.host = host
    record.sources = sources.map { Array($0.utf8) }
    (record.counts.files, record.counts.entries, record.counts.bytes) = (100, 100, 1000)
    record.root.body = .directory(below: 99, listing: .zero)
    change(&record)
    return try writer.store(&record, after: SnapshotCatalog(writer))
  }

  private func ago(days: Int64) -> Timestamp { Timestamp(seconds: Timestamp.now().seconds - days * Self.day) }

  private func removed(_ rules: RetentionRules, force: Bool = false) throws -> [ObjectID] {
    try Rotation.decide(SnapshotCatalog(repository), host: nil, plan: nil, rules: rules, force: force)
      .filter { !$0.isKept }.map(\.snapshot.id)
  }

  @Test func aWriteOnlyKeyPushesOutNothingOfOthers() throws {
    let server = try test.addWriter(.writeOnly)
    let neighbour = try test.addWriter(.writeOnly)
    let true1 = try (0..<5).map { try add(at: ago(days: 5 - $0), host: "web") }
    let true2 = try (0..<5).map { try add(server, at: ago(days: 5 - $0), host: "web") }
    for hour in 0..<60 {
      try add(neighbour, at: Timestamp(seconds: Timestamp.now().seconds - Int64(hour) * 3600), host: "web")
    }
    for rules in [RetentionRules(keepLast: 5), RetentionRules(keepDaily: 7), RetentionRules(keepMonthly: 1)] {
      let gone = try Set(removed(rules, force: true))
      if rules.keepMonthly == nil { #expect(gone.isDisjoint(with: true1 + true2)) }
      #expect(!gone.contains(true1[4]) && !gone.contains(true2[4]))
    }
  }

  @Test func twoPathsInOnePlanDoNotCompete() throws {
    let (etc, home) = (["/etc"], ["/home"])
    var last: [ObjectID] = []
    for day in 0..<6 {
      let time = ago(days: 6 - Int64(day))
      last = [try add(at: time, sources: etc), try add(at: time, sources: home)]
    }
    let gone = try removed(RetentionRules(keepLast: 1))
    #expect(gone.count == 10)
    #expect(Set(gone).isDisjoint(with: last))
    // The order in which they were named does not matter.
    let both = try add(at: ago(days: 2), sources: ["/a", "/b"])
    try add(at: ago(days: 1), sources: ["/b", "/a"])
    #expect(try removed(RetentionRules(keepLast: 1)).contains(both))
  }

  @Test func aClockThatFellTo1973RemovesNotTheNewest() throws {
    let good = try (0..<5).map { try add(at: ago(days: 10 - $0)) }
    let fallen = try add(at: Timestamp(seconds: 100_000_000))
    #expect(try removed(RetentionRules(keepLast: 3)) == Array(good[..<2]))
    #expect(try SnapshotCatalog(repository).snapshots.first?.id == fallen)
    // When the clock is right again, it goes on as before, and the fallen one stays until it is removed by name.
    let after = try add(at: ago(days: 1))
    #expect(try removed(RetentionRules(keepLast: 1)) == good)
    #expect(try !removed(RetentionRules(keepLast: 1)).contains(after))
    try Removal.run(
      Removal.find([fallen.short], host: nil, in: SnapshotCatalog(repository)), repository, force: false)
  }

  @Test func aRunDated2090RemovesNoTrueOne() throws {
    let good = try (0..<5).map { try add(at: ago(days: 10 - $0)) }
    let future = try add(at: Timestamp(seconds: 3_786_912_000))
    #expect(try removed(RetentionRules(keepLast: 1)) == Array(good[..<4]))
    let catalog = try SnapshotCatalog(repository)
    #expect(catalog.snapshots.last?.id == future && catalog.snapshots.last?.timeDoubt != nil)
    // Nor does a time that is only reached one day cast doubt on those that came after it.
    let early = try add(at: ago(days: -30))
    let after = try (1...4).map { try add(at: ago(days: 4 - $0)) }
    let later = Timestamp(seconds: Timestamp.now().seconds + 40 * Self.day)
    let doubts = try SnapshotCatalog(repository).doubtfulTimes(now: later)
    #expect(Set(doubts.keys) == [future, early])
    #expect(!after.contains { doubts[$0] != nil })
  }

  @Test func timesThatNoClockHas() throws {
    let good = try add(at: ago(days: 3))
    for (start, end) in [
      (Int64.min, Int64.max), (.max, .min), (.min, .min), (.max, .max), (0, ago(days: 2).seconds),
      (ago(days: 2).seconds, 0),
    ] {
      try add(at: Timestamp(seconds: start)) { $0.end = Timestamp(seconds: end) }
    }
    let catalog = try SnapshotCatalog(repository)
    #expect(catalog.snapshots.filter { $0.timeDoubt == nil }.map(\.id) == [good])
    #expect(try removed(RetentionRules(keepLast: 1, keepWithin: RetentionDuration(days: 1))) == [])
  }

  @Test func longAndParallelRunsAreNotDoubted() throws {
    // Stored in the order in which they ended, and some by another machine whose clock is behind.
    for (start, end) in [(10.0, 9.0), (12, 8), (9, 8.5), (8, 7), (7.2, 6.9), (8, 1)] {
      let now = Double(Timestamp.now().seconds)
      try add(at: Timestamp(seconds: Int64(now - start * 86_400))) {
        $0.end = Timestamp(seconds: Int64(now - end * 86_400))
      }
    }
    #expect(try SnapshotCatalog(repository).snapshots.allSatisfy { $0.timeDoubt == nil })
  }

  @Test func aSuspiciousNewestHoldsUpItsOwnSeriesOnly() throws {
    for day in 0..<3 {
      try add(at: ago(days: 5 - Int64(day)), sources: ["/a"])
      try add(at: ago(days: 5 - Int64(day)), sources: ["/b"])
    }
    let small = try add(at: ago(days: 1), sources: ["/a"]) { $0.counts.files = 0 }
    let decisions = try Rotation.decide(
      SnapshotCatalog(repository), host: nil, plan: nil, rules: RetentionRules(keepLast: 1), force: false)
    #expect(decisions.filter { $0.suspicion != nil }.map(\.snapshot.id) == [small])
    #expect(decisions.filter { !$0.isKept }.allSatisfy { $0.snapshot.record.sources == [Array("/b".utf8)] })
    #expect(decisions.count { !$0.isKept } == 2)
    #expect(try removed(RetentionRules(keepLast: 1), force: true).count == 5)
  }

  /// A record may claim any counts: what is below its root is proven by whoever reads it.
  @Test func countsThatARecordOnlyClaimsDoNotHideThatItIsEmpty() throws {
    try add(at: ago(days: 2))
    let fake = try add(at: ago(days: 1)) { $0.root.body = .directory(below: 0, listing: .zero) }
    let decisions = try Rotation.decide(
      SnapshotCatalog(repository), host: nil, plan: nil, rules: RetentionRules(keepLast: 1), force: false)
    #expect(decisions.first { $0.suspicion != nil }?.snapshot.id == fake)
  }
}
