import ChunkCodec
import Maintenance
import ObjectStores
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing

/// What pruning gives back, what it keeps, and when.
@Suite struct PruneTests {
  private func text(_ letter: Character, _ count: Int = 1000) -> [UInt8] {
    // Not to be compressed: what a pack has is what it holds.
    var random = SeededGenerator(seed: UInt64(letter.asciiValue ?? 0))
    return random.bytes(count)
  }

  // MARK: What goes and what stays

  @Test func whatNoSnapshotNeedsGoesAndAllElseStays() throws {
    let fixture = try PruneFixture()
    var ids: [ObjectID] = []
    let unneeded = try fixture.dataPack { ids.append(try fixture.add(1, [.file("a", text("a"))])) }
    let needed = try fixture.dataPack { ids.append(try fixture.add(2, [.file("b", text("b"))])) }
    try fixture.remove(ids[0])
    let result = try fixture.prune()
    #expect(try !fixture.has(unneeded) && fixture.has(needed))
    #expect(result.packsDeleted == 2 && result.packsCondemned == 2 && result.packsWaiting == 0)
    #expect(result.bytesFreed > 1000)
    #expect(try fixture.condemned.isEmpty)
    #expect(try fixture.findings == [])
  }

  @Test func aChunkThatTheOtherSnapshotNeedsOutlivesItsPack() throws {
    let fixture = try PruneFixture()
    var first: ObjectID?
    let pack = try fixture.dataPack { first = try fixture.add(1, [.file("a", text("a")), .file("b", text("b"))]) }
    try fixture.add(2, [.file("b", text("b"))])
    try fixture.remove(#require(first))
    #expect(try fixture.prune().packsRewritten >= 1)
    #expect(try !fixture.has(pack))
    #expect(try fixture.findings == [])
    #expect(try fixture.prune().packsDeleted == 0)
  }

  /// Of 100 plain bytes of data, `unneeded` are.
  private func withUnneeded(_ unneeded: Int) throws -> (PruneFixture, ObjectID) {
    let fixture = try PruneFixture()
    var first: ObjectID?
    let pack = try fixture.dataPack {
      first = try fixture.add(
        1, [.file("a", text("a", unneeded * 1000)), .file("b", text("b", (100 - unneeded) * 1000))])
    }
    try fixture.add(2, [.file("b", text("b", (100 - unneeded) * 1000))])
    try fixture.remove(#require(first))
    return (fixture, pack)
  }

  @Test(arguments: [(30, 0.1, true), (30, 0.29, true), (30, 0.5, false), (30, 1, false), (8, 0, false), (12, 0, true)])
  func aPackIsRewrittenWhenMoreIsUnneededThanAllowed(unneeded: Int, allowed: Double, isRewritten: Bool) throws {
    let (fixture, pack) = try withUnneeded(unneeded)
    try fixture.prune(unusedMax: allowed)
    #expect(try fixture.has(pack) == !isRewritten)
    #expect(try fixture.findings == [])
  }

  @Test func theEmptiestPacksAreRewrittenFirst() throws {
    let fixture = try PruneFixture()
    var old: [ObjectID] = []
    var packs: [ObjectID] = []
    for (day, share) in [20, 80, 50].enumerated() {
      let name = Character(UnicodeScalar(UInt8(ascii: "a") + UInt8(day)))
      let kept = TestEntry.file("kept", text(name, (100 - share) * 1000))
      packs.append(
        try fixture.dataPack {
          old.append(
            try fixture.add(
              day + 1, [.file("gone", text(Character(name.uppercased()), share * 1000)), kept]))
        })
      try fixture.add(day + 11, [kept])
    }
    for id in old { try fixture.remove(id) }
    // Half of all is unneeded. Without the emptiest it is a quarter of what was there.
    try fixture.prune(unusedMax: 0.3)
    #expect(try packs.map { try fixture.has($0) } == [true, false, true])
    #expect(try fixture.findings == [])
  }

  @Test func manySmallPacksBecomeOne() throws {
    let fixture = try PruneFixture()
    for day in 1...25 { try fixture.add(day, [.file("f", "content of day \(day)")]) }
    let before = try fixture.memory.ids(.packs).count
    let result = try fixture.prune(unusedMax: 1)
    #expect(before == 50 && result.packsRewritten == 50)
    #expect(try fixture.memory.ids(.packs).count == 2)
    #expect(try fixture.findings == [])
  }

  @Test func ofAChunkInTwoPacksOneIsKept() throws {
    let fixture = try PruneFixture()
    let (first, second) = (try fixture.open(), try fixture.open())
    let tree: [TestEntry] = [.file("a", text("a"))]
    try first.addSnapshot(1, of: tree)
    try second.addSnapshot(2, of: tree)
    #expect(try fixture.memory.ids(.packs).count == 4)
    try fixture.prune()
    #expect(try fixture.memory.ids(.packs).count == 2)
    #expect(try fixture.findings == [])
    try fixture.prune()
    #expect(try fixture.memory.ids(.packs).count == 2)
  }

  @Test func aDryRunFindsWhatARunWouldDoAndDoesNothing() throws {
    let (fixture, _) = try withUnneeded(30)
    let third = try fixture.add(3, [.file("c", text("c"))])
    try fixture.remove(third)
    let before = fixture.memory.paths
    let plan = try fixture.prune(isDryRun: true)
    #expect(fixture.memory.paths == before)
    let result = try fixture.prune()
    #expect(plan.packsBefore == result.packsBefore && plan.bytesBefore == result.bytesBefore)
    #expect(plan.packsRewritten == result.packsRewritten && plan.packsRewritten > 0)
    // What is rewritten is condemned as well.
    #expect(plan.packsCondemned + plan.packsRewritten == result.packsCondemned)
    #expect(plan.packsDeleted == 0)
  }

  @Test func aDryRunCountsWhatOnlyGivenSnapshotsNeed() throws {
    let fixture = try PruneFixture()
    let first = try fixture.add(1, [.file("a", text("a"))])
    try fixture.add(2, [.file("b", text("b"))])
    #expect(try fixture.prune(isDryRun: true).packsCondemned == 0)
    #expect(try fixture.prune(isDryRun: true, without: [first]).packsCondemned == 2)
  }

  // MARK: When nobody can say what is needed

  @Test func aMissingPackIsNoReasonToForgetIt() throws {
    let fixture = try PruneFixture()
    let pack = try fixture.dataPack { try fixture.add(1, [.file("a", text("a"))]) }
    let bytes = try #require(try fixture.memory.get(.pack(pack), limit: 1 << 20))
    try fixture.memory.delete(.pack(pack))
    try fixture.prune()
    #expect(try fixture.findings != [])
    // It was on a disk that is back.
    try fixture.memory.put(.pack(pack), bytes)
    #expect(try fixture.findings == [])
  }

  @Test func anUnreadableRecordKeepsEverything() throws {
    let fixture = try PruneFixture()
    let id = try fixture.add(1, [.file("a", text("a"))])
    let second = try fixture.add(2, [.file("b", text("b"))])
    try fixture.remove(id)
    fixture.memory.damage(.snapshot(second))
    let before = Set(fixture.memory.paths)
    #expect(errorCode { _ = try fixture.prune() } == .damaged)
    #expect(Set(fixture.memory.paths) == before)
  }

  /// As when the disk goes away between the list and the reading, or a server answers from an old copy.
  @Test func whatIsListedAndNotGivenKeepsEverything() throws {
    let fixture = try PruneFixture()
    let ids = [try fixture.add(1, [.file("a", text("a"))]), try fixture.add(2, [.file("b", text("b"))])]
    try fixture.remove(ids[1])
    let lease = try fixture.takeLease(.backup)
    let packs = try fixture.memory.ids(.packs)
    for key in [ObjectKey.snapshot(ids[0]), .lease(lease)] {
      #expect(throws: YesterError.self, "\(key)") { try fixture.prune(BlindStore(fixture.memory, to: key)) }
      #expect(try fixture.memory.ids(.packs) == packs, "\(key)")
      #expect(try fixture.condemned.isEmpty, "\(key)")
    }
  }

  @Test func aDamagedChunkIsNotCopiedAndNothingGoes() throws {
    let (fixture, pack) = try withUnneeded(30)
    fixture.memory.damage(.pack(pack))
    let before = Set(try fixture.memory.ids(.packs))
    #expect(errorCode { _ = try fixture.prune() } == .damaged)
    #expect(before.isSubset(of: try fixture.memory.ids(.packs)))
    #expect(try fixture.memory.ids(.snapshots).count >= 2)
  }

  @Test func aWriteOnlyKeyCannotPrune() throws {
    let fixture = try PruneFixture()
    let writer = try fixture.test.addWriter(.writeOnly)
    #expect(errorCode { _ = try Prune.run(writer, Prune.Options(), progress: RunProgress()) } == .wrongKey)
  }

  // MARK: Others at work

  @Test func whatIsCondemnedGoesOnlyWhenNoBackupIsUnderWay() throws {
    let fixture = try PruneFixture()
    var first: ObjectID?
    let pack = try fixture.dataPack { first = try fixture.add(1, [.file("a", text("a"))]) }
    try fixture.add(2, [.file("b", text("b"))])
    try fixture.remove(#require(first))
    let lease = try fixture.takeLease(.backup)
    let held = try fixture.prune(now: 1_000_000)
    #expect(held.packsCondemned == 2 && held.packsDeleted == 0 && held.packsWaiting == 2)
    #expect(held.waitingFor == ["a backup on elsewhere (process 1)"])
    #expect(try fixture.condemned[pack] == 1_000_000 && fixture.has(pack))
    // However long it takes, and whenever it began by its own clock.
    #expect(try fixture.prune(now: 9_000_000).packsDeleted == 0)
    #expect(try fixture.condemned[pack] == 1_000_000)
    try fixture.memory.delete(.lease(lease))
    #expect(try fixture.prune(now: 9_000_000).packsDeleted == 2)
    #expect(try !fixture.has(pack) && fixture.condemned.isEmpty)
  }

  /// A reader who came an hour after the condemnation, whatever the clocks, has not seen the removed snapshots.
  @Test(
    arguments: [(-10, false), (0, false), (3600, false), (3601, true), (90_000, true)],
    [LeaseRecord.Purpose.mount, .read])
  func readersThatCameLongAfterTheCondemnationHoldUpNothing(
    _ after: (seconds: Int64, isDeleted: Bool), purpose: LeaseRecord.Purpose
  ) throws {
    let fixture = try PruneFixture()
    var first: ObjectID?
    let pack = try fixture.dataPack { first = try fixture.add(1, [.file("a", text("a"))]) }
    try fixture.add(2, [.file("b", text("b"))])
    try fixture.remove(#require(first))
    let backup = try fixture.takeLease(.backup)
    try fixture.prune(now: 1_000_000)
    try fixture.memory.delete(.lease(backup))
    try fixture.takeLease(purpose, since: 1_000_000 + after.seconds)
    try fixture.prune(now: 2_000_000)
    #expect(try fixture.has(pack) == !after.isDeleted)
    #expect(try fixture.findings == [])
  }

  @Test func whatASnapshotCameToNeedMeanwhileIsPardoned() throws {
    let fixture = try PruneFixture()
    let tree: [TestEntry] = [.file("a", text("a"))]
    var first: ObjectID?
    let pack = try fixture.dataPack { first = try fixture.add(1, tree) }
    try fixture.add(2, [.file("b", text("b"))])
    // A backup has found what it needs, and goes on.
    let writer = try fixture.open()
    let lease = try fixture.takeLease(.backup)
    var record = try writer.storeTree(3, tree)
    try fixture.remove(#require(first))
    try fixture.prune()
    #expect(try fixture.condemned[pack] != nil)
    _ = try writer.store(&record, after: SnapshotCatalog(writer))
    try fixture.memory.delete(.lease(lease))
    #expect(try fixture.prune().packsDeleted == 0)
    #expect(try fixture.has(pack) && fixture.condemned.isEmpty)
    #expect(try fixture.findings == [])
  }

  /// A backup that began before ends in the middle of the run, at whatever call: its snapshot has all that it needs.
  @Test func aSnapshotThatIsFinishedAtAnyMomentOfARunIsWhole() throws {
    let calls = Monitor(0)
    var isOver = false
    var call = 0
    while !isOver {
      call += 1
      let fixture = try PruneFixture()
      let tree: [TestEntry] = [.file("a", text("a")), .file("b", text("b"))]
      let first = try fixture.add(1, tree)
      try fixture.add(2, [.file("b", text("b"))])
      let writer = try fixture.open()
      let lease = try fixture.takeLease(.backup)
      let record = try writer.storeTree(3, tree)
      try fixture.remove(first)
      // Half of the cases have the condemnation behind them.
      if call.isMultiple(of: 2) { try fixture.prune() }
      calls.withLock { $0 = 0 }
      let wanted = (call + 1) / 2
      let watched = WatchedStore(fixture.memory) { _ in
        let number = calls.withLock {
          $0 += 1
          return $0
        }
        guard number == wanted else { return }
        var record = record
        _ = try writer.store(&record, after: SnapshotCatalog(writer))
        try fixture.memory.delete(.lease(lease))
      }
      try fixture.prune(watched)
      isOver = calls.withLock { $0 } < wanted
      if isOver { break }
      #expect(try fixture.open().readCatalog().snapshots.count == 2)
      #expect(try fixture.findings == [], "at call \(wanted)\(call.isMultiple(of: 2) ? ", condemned before" : "")")
      try fixture.prune()
      #expect(try fixture.findings == [], "after call \(wanted)")
    }
    #expect(call > 20)
  }

  /// Whatever call fails: no snapshot loses anything, and a later run gives back what this one did not.
  @Test(arguments: [FaultyStore.Mode.once, .forGood, .afterwards])
  func aRunThatFailsAtAnyCallLosesNothing(mode: FaultyStore.Mode) throws {
    var call = 0
    while true {
      call += 1
      let (fixture, _) = try withUnneeded(30)
      let faulty = FaultyStore(fixture.memory, failingAt: call, mode)
      _ = try? fixture.prune(faulty)
      if !faulty.hasFailed { break }
      #expect(try fixture.findings == [], "at call \(call)")
      // Its lease is that of this very process, which is at work as far as anybody can tell.
      for path in fixture.memory.paths where path.hasPrefix("leases/") { fixture.memory[path] = nil }
      try fixture.prune()
      #expect(try fixture.findings == [], "after call \(call)")
      #expect(try fixture.memory.ids(.packs).count <= 4, "after call \(call)")
    }
    #expect(call > 15)
  }
}
