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

  @Test func aDamagedChunkIsNotCopiedAndItsPackStays() throws {
    let (fixture, pack) = try withUnneeded(30)
    fixture.memory.damage(.pack(pack))
    #expect(errorCode { _ = try fixture.prune() } == .damaged)
    #expect(try fixture.has(pack) && fixture.condemned[pack] == nil)
    #expect(try fixture.memory.ids(.snapshots).count >= 2)
  }

  @Test func aWriteOnlyKeyCannotPrune() throws {
    let fixture = try PruneFixture()
    let writer = try fixture.test.addWriter(.writeOnly)
    #expect(errorCode { _ = try Prune.run(writer, Prune.Options(), progress: RunProgress()) } == .wrongKey)
  }

  // MARK: How long it stays

  private func removed() throws -> (PruneFixture, ObjectID) {
    let fixture = try PruneFixture()
    var first: ObjectID?
    let pack = try fixture.dataPack { first = try fixture.add(1, [.file("a", text("a"))]) }
    try fixture.add(2, [.file("b", text("b"))])
    try fixture.remove(#require(first))
    return (fixture, pack)
  }

  /// Two runs, an hour apart: the second one that comes too early changes nothing.
  @Test func whatIsCondemnedStaysForAWhile() throws {
    let (fixture, pack) = try removed()
    let first = try fixture.prune(now: 1_000_000, minimumAge: 3600)
    #expect(first.packsCondemned == 2 && first.packsDeleted == 0 && first.packsWaiting == 2)
    #expect(first.waitingUntil == 1_003_600 && first.waitingFor.isEmpty)
    let early = try fixture.prune(now: 1_003_599, minimumAge: 3600)
    #expect(early.packsDeleted == 0 && early.packsWaiting == 2)
    let due = try fixture.prune(now: 1_003_600, minimumAge: 3600)
    #expect(try due.packsDeleted == 2 && due.packsWaiting == 0 && !fixture.has(pack))
  }

  /// A clock that ran far ahead, or a hostile time: it counts as the time of the next run.
  @Test(arguments: [Int64.max, Int64.max - 1, 9_000_000])
  func aTimeInTheFutureCountsAsNow(since: Int64) throws {
    let (fixture, pack) = try removed()
    try fixture.open().condemn(pack, since: since)
    #expect(try fixture.prune(now: 1_000_000, minimumAge: 3600).packsDeleted == 0)
    #expect(try fixture.condemned[pack] == 1_000_000)
    #expect(try fixture.prune(now: 1_003_600, minimumAge: 3600).packsDeleted == 2)
  }

  @Test(arguments: [Int64.min, Int64.min + 1, -1, 0]) func aTimeOfLongAgoIsNoTrap(since: Int64) throws {
    let (fixture, pack) = try removed()
    try fixture.open().condemn(pack, since: since)
    _ = try fixture.prune(now: .max, minimumAge: 3600)
    #expect(try !fixture.has(pack))
  }

  /// A pack that was condemned although somebody needs it, because his record was not to be seen.
  @Test func whatIsNeededAgainIsCopiedInTime() throws {
    let fixture = try PruneFixture()
    let pack = try fixture.dataPack { try fixture.add(1, [.file("a", text("a"))]) }
    try fixture.open().condemn(pack, since: 1_000_000)
    #expect(try fixture.prune(now: 1_010_000, minimumAge: 3600).packsRewritten == 1)
    #expect(try fixture.has(pack) && fixture.findings == [])
    try fixture.prune(now: 1_020_000, minimumAge: 3600)
    #expect(try !fixture.has(pack) && fixture.findings == [])
  }

  // MARK: Silent leases

  /// Hosts that died, sleeping ones, and what nobody can read: a day, as two runs see it.
  @Test(arguments: ["silent", "unreadable", "huge", "forged"]) func aSilentLeaseHoldsUpForADay(kind: String) throws {
    let (fixture, pack) = try removed()
    let name = try fixture.takeLease(kind == "forged" ? .mount : .backup)
    switch kind {
    case "unreadable": try fixture.memory.replace(.lease(name), [1, 2, 3])
    case "huge": try fixture.memory.replace(.lease(name), [UInt8](repeating: 1, count: 1 << 20))
    default: break
    }
    #expect(try fixture.prune(now: 1_000_000, minimumAge: 3600).packsDeleted == 0)
    let waiting = try fixture.prune(now: 1_086_399, minimumAge: 3600)
    #expect(waiting.packsDeleted == 0 && waiting.waitingFor.count == 1)
    #expect(try fixture.prune(now: 1_086_400, minimumAge: 3600).packsDeleted == 2)
    #expect(try !fixture.has(pack))
  }

  /// One that is renewed is waited for, however often it was seen.
  @Test func aLeaseThatIsRenewedIsWaitedFor() throws {
    let (fixture, pack) = try removed()
    let repository = try fixture.test.open()
    var record = try repository.putLease { $0.host = "elsewhere" }
    for day in 0..<4 {
      try fixture.prune(now: 1_000_000 + Int64(day) * 90_000, minimumAge: 3600)
      record.sequence += 1
      try repository.store.replace(.lease(record.name), RecordSealing.seal(record, repository.keyring))
    }
    #expect(try fixture.has(pack))
  }

  /// However many somebody makes up, an honest one is not forgotten for them.
  @Test func aClockThatJumpsBackDoesNotTrap() throws {
    let (fixture, pack) = try removed()
    try fixture.takeLease(.backup)
    try fixture.prune(now: .max, minimumAge: 3600)
    try fixture.prune(now: 0, minimumAge: 3600)
    #expect(try fixture.prune(now: 86_399, minimumAge: 3600).packsDeleted == 0)
    #expect(try fixture.prune(now: 86_400, minimumAge: 3600).packsDeleted == 2)
    #expect(try !fixture.has(pack))
  }

  // MARK: Snapshots that were not proven

  /// Its writer died between record and proof. What lacks something goes, what is whole is finished.
  @Test(arguments: [true, false]) func anUnprovenSnapshotIsProvenOrTakenBack(isWhole: Bool) throws {
    let fixture = try PruneFixture()
    try fixture.add(1, [.file("a", text("a"))])
    var id: ObjectID?
    let pack = try fixture.dataPack { id = try fixture.add(2, [.file("b", text("b"))]) }
    let lease = try fixture.test.open().putLease {
      $0.process = 3_999_999
      $0.snapshot = id
    }
    if !isWhole { try fixture.memory.delete(.pack(pack)) }
    let snapshot = try #require(id)
    var catalog = try SnapshotCatalog(fixture.open())
    try catalog.markUnproven(fixture.open())
    #expect(catalog.snapshots.map(\.isUnproven) == [false, true])
    let result = try fixture.prune(now: 1_000_000, minimumAge: 3600)
    #expect(result.snapshotsTakenBack.count == (isWhole ? 0 : 1))
    #expect(try fixture.memory.size(.lease(lease.name)) == nil)
    #expect(try (fixture.memory.size(.snapshot(snapshot)) != nil) == isWhole)
    #expect(try fixture.findings == [])
    #expect(try fixture.open().readCatalog().snapshots.count == (isWhole ? 2 : 1))
  }

  /// While its writer is at work it decides itself; nothing that it needs goes.
  @Test func aSnapshotThatIsBeingProvenIsLeftToItsWriter() throws {
    let fixture = try PruneFixture()
    try fixture.add(1, [.file("a", text("a"))])
    var id: ObjectID?
    let pack = try fixture.dataPack { id = try fixture.add(2, [.file("b", text("b"))]) }
    try fixture.test.open().putLease { $0.snapshot = id }
    let whole = try #require(try fixture.memory.get(.pack(pack), limit: 1 << 20))
    try fixture.memory.delete(.pack(pack))
    #expect(try fixture.prune(now: 1_000_000, minimumAge: 3600).snapshotsTakenBack.isEmpty)
    try fixture.memory.put(.pack(pack), whole)
    try fixture.prune(now: 2_000_000)
    #expect(try fixture.findings == [])
  }

  /// A lease speaks for the snapshots of who signed it, and for no other's.
  @Test func aLeaseOfAnotherWriterMarksNothing() throws {
    let fixture = try PruneFixture()
    let id = try fixture.add(1, [.file("a", text("a"))])
    let writer = try fixture.test.addWriter(.writeOnly)
    try writer.putLease {
      $0.process = 3_999_999
      $0.snapshot = id
    }
    var catalog = try SnapshotCatalog(fixture.open())
    try catalog.markUnproven(fixture.open())
    #expect(catalog.snapshots.map(\.isUnproven) == [false])
    try fixture.prune()
    #expect(try fixture.memory.size(.snapshot(id)) != nil)
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
    #expect(try fixture.prune(now: 1_086_399).packsDeleted == 0)
    #expect(try fixture.condemned[pack] == 1_000_000)
    try fixture.memory.delete(.lease(lease))
    #expect(try fixture.prune(now: 1_086_399).packsDeleted == 2)
    #expect(try !fixture.has(pack) && fixture.condemned.isEmpty)
  }

  /// Who has let go of what a list condemns holds it no more, whoever it is.
  @Test(arguments: [LeaseRecord.Purpose.backup, .mount, .read], [UInt64(0), 1])
  func whoNamesTheListHoldsUpNothing(purpose: LeaseRecord.Purpose, seen: UInt64) throws {
    let fixture = try PruneFixture()
    var first: ObjectID?
    let pack = try fixture.dataPack { first = try fixture.add(1, [.file("a", text("a"))]) }
    try fixture.add(2, [.file("b", text("b"))])
    try fixture.remove(#require(first))
    try fixture.prune(now: 1_000_000, minimumAge: 100)
    try fixture.takeLease(purpose, seen: seen)
    try fixture.prune(now: 1_000_100)
    #expect(try fixture.has(pack) == (seen == 0))
    #expect(try fixture.findings == [])
  }

  /// By a writer who proves nothing: what it needs is copied, and the condemnation stays.
  @Test func whatASnapshotCameToNeedMeanwhileIsCopied() throws {
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
    #expect(try fixture.prune().packsRewritten == 2)
    #expect(try !fixture.has(pack) && fixture.condemned.isEmpty)
    #expect(try fixture.findings == [])
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
