import ObjectStores
import Exploring
import Maintenance
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing

/// A repository of records without trees: for removal nothing else counts.
private final class Fixture {
  private let test: TestRepository
  let repository: Repository
  var store: any ObjectStore { test.store }

  init() throws {
    test = try TestRepository()
    repository = try test.open()
  }

  func open(_ store: any ObjectStore) throws -> Repository { try test.open(store) }

  var catalog: SnapshotCatalog { get throws { try SnapshotCatalog(repository) } }

  @discardableResult
  func add(_ name: String, host: String = "h", plan: String = "p", kind: SnapshotKind = .daily) throws -> ObjectID {
    let now = Timestamp.now()
    let root = Entry(
      name: [], permissions: 0o755, owner: Owner(user: 0, group: 0), modified: now, changed: now, born: nil,
      linkCount: 2, sourceInode: 2, body: .directory(below: 0, listing: .zero))
    var record = SnapshotRecord(root: root)
    record.name = name
    record.host = host
    record.plan = plan
    record.kind = kind
    record.start = now
    record.end = now
    return try repository.store(&record, after: try catalog)
  }

  func note(_ kind: NoteRecord.Kind, _ ids: [ObjectID]) throws {
    let catalog = try catalog
    let subjects = catalog.snapshots.filter { ids.contains($0.id) }.map {
      NoteRecord.Subject(snapshot: $0.id, writer: $0.envelope.writer, sequence: $0.record.sequence)
    }
    try repository.store(NoteRecord(kind: kind, time: .now(), subjects: subjects), after: catalog)
  }

  func find(_ names: String..., host: String? = nil) throws -> [String] {
    try Removal.find(names, host: host, in: try catalog).map(\.record.name)
  }

  /// Why these are protected when they are to go together.
  func protections(_ ids: [ObjectID]) throws -> [ObjectID: [String]] {
    let catalog = try catalog
    let chosen = catalog.snapshots.filter { ids.contains($0.id) }
    return Dictionary(
      uniqueKeysWithValues: Removal.candidates(chosen, in: catalog).map { ($0.snapshot.id, $0.protections) })
  }
}

@Suite struct RemovalTests {
  @Test func namesMeanOneSnapshotOrNothingIsChosen() throws {
    let fixture = try Fixture()
    let first = try fixture.add("20261119_0215")
    try fixture.add("20261120_0215")
    try fixture.add("20261120_0930")
    try fixture.add("20261120_0215", host: "other")
    #expect(try fixture.find("20261119_0215", String(first.hex.prefix(6)), "20261119") == ["20261119_0215"])
    #expect(try fixture.find("20261120_0215", "20261119", host: "h") == ["20261119_0215", "20261120_0215"])
    for names in [["20261120_0215"], ["20261120"], ["20261119", "nothing"], [""], ["202"]] {
      #expect(throws: YesterError.self) { try Removal.find(names, host: nil, in: try fixture.catalog) }
    }
    let error = #expect(throws: YesterError.self) { try fixture.find("20261120_0215", "20261121", "20261119") }
    #expect(error?.message.contains("means 2 snapshots: 20261120_0215 of h (") == true)
    #expect(error?.message.contains("There is no snapshot \"20261121\"") == true)
    for name in ["latest", "20261119:/etc"] {
      #expect(throws: YesterError.self) { try fixture.find(name) }
    }
    #expect(throws: YesterError.self) { try fixture.find("20261119", host: "nobody") }
  }

  @Test func protectsWhatRotationKeeps() throws {
    let fixture = try Fixture()
    let old = try fixture.add("20261101_0215")
    let verified = try fixture.add("20261102_0215")
    let change = try fixture.add("20261103_0215", kind: .preChange)
    let point = try fixture.add("20261104_0215", kind: .restorePoint)
    let pinned = try fixture.add("20261105_0215")
    let newest = try fixture.add("20261106_0215")
    let alone = try fixture.add("20261107_0215", plan: "another")
    try fixture.note(.verified, [old, verified])
    try fixture.note(.pinned, [pinned])
    #expect(
      try fixture.protections([old, verified, change, point, pinned, newest, alone]) == [
        old: [], verified: ["last verified of its plan"], change: ["pre-change, not verified yet"],
        point: ["restore point, not confirmed"], pinned: ["pinned"], newest: ["newest of its plan"],
        alone: ["only snapshot of its plan"],
      ])
    // As long as something is left, the newest may go.
    #expect(try fixture.protections([old, newest]) == [old: [], newest: []])
    let catalog = try fixture.catalog
    let chosen = catalog.snapshots.filter { [old, verified].contains($0.id) }
    let error = #expect(throws: YesterError.self) { try Removal.run(chosen, fixture.repository, force: false) }
    #expect(error?.message.contains("20261102_0215 (last verified of its plan)") == true)
    #expect(try fixture.catalog.snapshots.count == 7)
    try Removal.run(chosen, fixture.repository, force: true)
    #expect(try fixture.catalog.snapshots.count == 5)
    #expect(ChainCheck.findings(try fixture.catalog).isEmpty)
  }

  /// Between the question and its answer others may have been at work.
  @Test func looksAgainBeforeItRemoves() throws {
    let fixture = try Fixture()
    let ids = try (1...4).map { try fixture.add("2026110\($0)_0215") }
    let seen = try fixture.catalog
    try Removal.run([seen.snapshots[0]], fixture.repository, force: false)
    #expect(throws: YesterError.self) {
      try Removal.run(Array(seen.snapshots[0...1]), fixture.repository, force: true)
    }
    #expect(try fixture.catalog.snapshots.map(\.id) == Array(ids[1...]))
    try fixture.note(.verified, [ids[1]])
    #expect(throws: YesterError.self) { try Removal.run([seen.snapshots[1]], fixture.repository, force: false) }
    try Removal.run(Array(seen.snapshots[2...3]), fixture.repository, force: false)
    #expect(throws: YesterError.self) { try Removal.run([seen.snapshots[1]], fixture.repository, force: false) }
    #expect(try fixture.catalog.snapshots.map(\.id) == [ids[1]])
  }

  /// Whatever call fails: all of them are gone or none is, and what cannot be deleted comes to its end later.
  @Test func allGoOrNone() throws {
    let calls = Monitor(0)
    /// Far from the call that fails.
    let before = -1_000_000
    for failing in 1...100 {
      let fixture = try Fixture()
      let ids = try (1...4).map { try fixture.add("2026110\($0)_0215") }
      let watched = WatchedStore(fixture.store) { call in
        let number = calls.withLock {
          $0 += 1
          return $0
        }
        if number == failing { throw YesterError(.failed, "The disk is away at call \(call)") }
      }
      calls.withLock { $0 = before }
      let broken = try fixture.open(watched)
      let chosen = try fixture.catalog.snapshots.filter { ids[..<3].contains($0.id) }
      calls.withLock { $0 = 0 }
      var isDone = true
      do {
        try Removal.run(chosen, broken, force: false)
      } catch {
        isDone = false
      }
      let left = try fixture.catalog
      #expect([1, 4].contains(left.snapshots.count), "at call \(failing)")
      #expect(!isDone || left.snapshots.count == 1, "at call \(failing)")
      #expect(ChainCheck.findings(left).isEmpty, "at call \(failing)")
      if calls.withLock({ $0 }) < failing {
        #expect(isDone && failing > 5)
        return
      }
      #expect(!isDone, "at call \(failing)")
    }
    Issue.record("there is no end of calls")
  }

  @Test func leftoversGoWithTheNextRemoval() throws {
    let fixture = try Fixture()
    let ids = try (1...4).map { try fixture.add("2026110\($0)_0215") }
    let chosen = try fixture.catalog.snapshots
    let watched = WatchedStore(fixture.store) { call in
      if case .delete = call { throw YesterError(.failed, "Nothing can be deleted here") }
    }
    let stubborn = try fixture.open(watched)
    let error = #expect(throws: YesterError.self) { try Removal.run(Array(chosen[0...1]), stubborn, force: false) }
    #expect(error?.message.hasPrefix("The snapshots are removed, but") == true)
    #expect(try fixture.catalog.snapshots.map(\.id) == Array(ids[2...]))
    #expect(try fixture.store.ids(.snapshots).filter { ids.contains($0) }.count == 4)
    try Removal.run([chosen[2]], fixture.repository, force: false)
    #expect(try fixture.store.ids(.snapshots).filter { ids.contains($0) } == [ids[3]])
  }
}

@Suite struct FindPatternTests {
  private func matches(_ pattern: String, _ path: String, ignoresCase: Bool = false) throws -> Bool {
    let bytes = Array(path.utf8)
    return try FindPattern(pattern, ignoresCase: ignoresCase)
      .matches(bytes, nameStart: bytes.lastIndex(of: 0x2F).map { $0 + 1 } ?? 0)
  }

  @Test func aPlainWordIsAPartOfAName() throws {
    for path in ["diary", "home/my diary.odt", "a/diary", "diary2026"] {
      #expect(try matches("diary", path), "\(path)")
    }
    for path in ["diar", "diary/x", "Diary", "di/ary", ""] { #expect(try !matches("diary", path), "\(path)") }
    #expect(try matches("DIARY", "home/My Diary", ignoresCase: true))
    #expect(try matches("Ärger", "home/kein ÄRGER", ignoresCase: true))
    #expect(try FindPattern("diary").scope == .partOfName)
  }

  @Test func wildcardsAreComparedWithWholeNames() throws {
    #expect(try FindPattern("diary*").scope == .wholeName)
    #expect(try matches("diary*", "home/diary.odt") && !matches("diary*", "home/my diary.odt"))
    #expect(try matches("*diary*", "home/my diary.odt") && matches("diar[xy]", "diary"))
    #expect(try matches("\\*", "home/*") && !matches("\\*", "home/x*"))
  }

  @Test func aSlashMeansWholePaths() throws {
    #expect(try FindPattern("**/hosts").scope == .wholePath)
    #expect(try matches("**/hosts", "etc/hosts") && matches("**/hosts", "hosts") && !matches("**/hosts", "etc/ghosts"))
    #expect(try matches("/etc/hosts", "etc/hosts") && !matches("etc/host", "etc/hosts"))
  }

  @Test func whatMatchesNothingIsRefused() {
    for pattern in ["", "/", "[a", "a\\"] {
      #expect(throws: YesterError.self, "\(pattern)") { try FindPattern(pattern) }
    }
  }
}
