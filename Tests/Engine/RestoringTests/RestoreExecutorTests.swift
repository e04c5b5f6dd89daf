import Glibc
import LocalFiles
import ObjectStores
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
@testable import Restoring
import SnapshotTree
import TestSupport
import Testing

/// What a restore makes of a plan, and what it leaves when it cannot.
@Suite struct RestoreExecutorTests {
  // MARK: What is made

  @Test func everyKindOfEntryComesBackAsItWas() throws {
    let fixture = try RestoreFixture()
    let result = try fixture.restore(
      fixture.store([
        .file("empty", ""), .file("odd mode", "x").with { $0.permissions = 0o2741 }, .link("link", to: "/nowhere"),
        .fifo("pipe"), .directory("d", [.directory("e", [.file("f", "deep")])]),
      ]))
    #expect(result.outcome.failures == 0 && result.outcome.losses.isEmpty && result.outcome.unmade.isEmpty)
    #expect(
      try fixture.contents == [
        "empty": "file ", "odd mode": "file x", "link": "link /nowhere", "pipe": "fifo", "d": "directory",
        "d/e": "directory", "d/e/f": "file deep",
      ])
    #expect(try fixture.status("odd mode").permissions == 0o2741)
    for name in ["empty", "odd mode", "link", "pipe", "d", "d/e", "d/e/f"] {
      #expect(try fixture.status(name).modified == TestEntry.time, "\(name)")
    }
  }

  @Test func directoriesGetTheirTimesWhenAllBelowThemIsMade() throws {
    let fixture = try RestoreFixture()
    let early = Timestamp(seconds: 1)
    let many = (0..<300).map { TestEntry.file("f\($0)", "content of \($0)") }
    let tree = [TestEntry.directory("a", many + [.directory("b", many).with { $0.modified = early }])]
    try fixture.restore(fixture.store(tree))
    #expect(try fixture.status("a").modified == TestEntry.time)
    #expect(try fixture.status("a/b").modified == early)
    // One that was there gets its time back, too.
    removeTree(fixture.destination + "/a/b/f7")
    try fixture.restore(fixture.store(tree, day: 20_001))
    #expect(try fixture.status("a/b").modified == early)
    #expect(try fixture.status("").modified == TestEntry.time)
  }

  @Test func aDirectoryThatNobodyMayWriteToIsFilledFirst() throws {
    let fixture = try RestoreFixture()
    try fixture.restore(
      fixture.store([.directory("d", [.file("a", "a"), .directory("e")]).with { $0.permissions = 0o500 }]))
    #expect(try fixture.contents["d/a"] == "file a")
    #expect(try fixture.status("d").permissions == 0o500)
  }

  @Test func sparseFilesStaySparse() throws {
    let fixture = try RestoreFixture()
    let hole = 8 << 20
    let sparse: [TestEntry] = [
      .file("middle", pieces: [.data([1, 2, 3]), .hole(hole), .data([4])]),
      .file("end", pieces: [.data([1]), .hole(hole)]), .file("all", pieces: [.hole(hole)]),
    ]
    let reader = try fixture.store(sparse)
    #expect(try fixture.restore(reader).outcome.failures == 0)
    for (name, size) in [("middle", hole + 4), ("end", hole + 1), ("all", hole)] {
      let status = try fixture.status(name)
      #expect(status.size == UInt64(size), "\(name)")
      #expect(status.blocks * 512 < 1 << 20, "\(name) takes \(status.blocks) blocks")
    }
    let middle = try Descriptor.open("\(fixture.destination)/middle").readAll(limit: hole + 4)
    #expect(middle.first == 1 && middle.last == 4 && middle[3...(hole + 2)].allSatisfy { $0 == 0 })
    #expect(try fixture.prepare(reader).plan.isEmpty)
  }

  // MARK: Hard links

  @Test func hardLinksAreLinksOfOneFile() throws {
    let fixture = try RestoreFixture()
    let names = ["a/x", "a/y", "b/z"]
    let result = try fixture.restore(
      fixture.store([
        .directory("a", [.file("x", "one").linked(7), .file("y", "one").linked(7)]),
        .directory("b", [.file("z", "one").linked(7), .file("other", "one").linked(8)]),
      ]))
    #expect(result.outcome.losses.isEmpty && result.events.count == 7)
    let first = try fixture.status("a/x")
    #expect(first.linkCount == 3)
    for name in names { #expect(try fixture.status(name).inode == first.inode, "\(name)") }
    #expect(try fixture.status("b/other").inode != first.inode)
  }

  @Test func linksOfWhatIsNotRestoredAreLeftOut() throws {
    let fixture = try RestoreFixture()
    let reader = try fixture.store([
      .directory("a", [.file("x", "one").linked(7)]),
      .directory("b", [.file("y", "one").linked(7), .file("z", "one").linked(7)]),
    ])
    try fixture.restore(reader, path: "b")
    #expect(try fixture.contents == ["y": "file one", "z": "file one"])
    #expect(try fixture.status("y").linkCount == 2)
  }

  @Test func newLinksJoinTheFileThatIsThere() throws {
    let fixture = try RestoreFixture()
    let reader = try fixture.store([.file("b", "one").linked(7), .directory("c", [.file("d", "one").linked(7)])])
    try fixture.write("b", "one")
    let kept = try fixture.status("b").inode
    try fixture.restore(reader)
    #expect(try fixture.status("b").inode == kept && fixture.status("c/d").inode == kept)
  }

  @Test func linksInWhatIsReplacedFindTheirFile() throws {
    let fixture = try RestoreFixture()
    let reader = try fixture.store([
      .directory("d", [.file("x", "one").linked(7), .file("y", "one").linked(7)]), .file("z", "one").linked(7),
    ])
    try fixture.write("d", "a file")
    try fixture.write("z", "another")
    #expect(try fixture.restore(reader).outcome.failures == 0)
    #expect(try fixture.status("z").linkCount == 3)
    #expect(try fixture.status("z").inode == fixture.status("d/x").inode)
  }

  // MARK: Links in the way

  @Test func nothingIsFollowedThroughALinkInTheDestination() throws {
    let fixture = try RestoreFixture()
    let outside = try fixture.makeOutside()
    let reader = try fixture.store([.directory("d", [.file("f", "new")]), .file("g", "new")])
    try fixture.makeLink("d", to: outside)
    try fixture.makeLink("g", to: outside + "/f")
    #expect(try fixture.restore(reader, deletes: true).outcome.failures == 0)
    #expect(try fixture.contents == ["d": "directory", "d/f": "file new", "g": "file new"])
    #expect(try treeContents(outside) == ["f": "file precious"])
  }

  @Test func aDirectoryThatBecomesALinkAfterPlanningIsNotEntered() throws {
    let fixture = try RestoreFixture()
    let outside = try fixture.makeOutside()
    let reader = try fixture.store([.directory("d", [.file("f", "new"), .file("g", "new")]), .file("h", "h")])
    try fixture.makeDirectory("d")
    try fixture.write("d/f", "old")
    try fixture.write("d/extra", "extra")
    let prepared = try fixture.prepare(reader, deletes: true)
    removeTree(fixture.destination + "/d")
    try fixture.makeLink("d", to: outside)
    let result = try fixture.carryOut(prepared)
    #expect(Set(result.named).isSuperset(of: ["d/f", "d/g", "d/extra"]))
    #expect(try fixture.contents["h"] == "file h")
    #expect(try treeContents(outside) == ["f": "file precious"])
    #expect(try FileStatus(of: outside).modified != TestEntry.time)
  }

  /// Modes are set by name: the name may have become that of a link to anywhere.
  @Test func theModeOfALinksTargetIsNotSet() throws {
    let fixture = try RestoreFixture()
    let outside = try fixture.makeOutside()
    let reader = try fixture.store([.file("f", "text").with { $0.permissions = 0o666 }])
    try fixture.write("f", "text")
    let prepared = try fixture.prepare(reader)
    #expect(prepared.plan.steps.first == "metadata f")
    removeTree(fixture.destination + "/f")
    try fixture.makeLink("f", to: outside + "/f")
    try fixture.carryOut(prepared)
    #expect(try FileStatus(of: outside + "/f").permissions == 0o600)
  }

  // MARK: What others do meanwhile

  @Test func whatCameAfterPlanningIsNotOverwritten() throws {
    let fixture = try RestoreFixture()
    let reader = try fixture.store([.file("f", "new"), .directory("d", [.file("g", "g")]), .file("h", "h")])
    let prepared = try fixture.prepare(reader)
    try fixture.write("f", "somebody's")
    try fixture.makeDirectory("d")
    try fixture.write("d/mine", "mine")
    let result = try fixture.carryOut(prepared)
    #expect(result.outcome.failures == 2)
    #expect(Set(result.named) == ["f", "d"])
    #expect(try fixture.contents["f"] == "file somebody's" && fixture.contents["d/mine"] == "file mine")
    #expect(try fixture.contents["h"] == "file h")
  }

  @Test func whatIsGoneAfterPlanningIsNamed() throws {
    let fixture = try RestoreFixture()
    let reader = try fixture.store([.file("f", "new"), .file("h", "h")])
    try fixture.write("f", "old")
    try fixture.write("extra", "extra")
    let prepared = try fixture.prepare(reader, deletes: true)
    for name in ["f", "extra"] { removeTree("\(fixture.destination)/\(name)") }
    let result = try fixture.carryOut(prepared)
    #expect(Set(result.named) == ["f", "extra"])
    #expect(try fixture.contents == ["h": "file h"])
  }

  // MARK: Interruptions and damage

  /// Reads of chunks that raise the flag, or fail, when it is the turn of one of them.
  private func reader(
    _ fixture: RestoreFixture, _ entries: [TestEntry],
    before: @escaping @Sendable (ObjectID) throws(YesterError) -> Void
  ) throws -> SnapshotReader {
    try fixture.repository.snapshot(
      fixture.repository.addSnapshot(20_000, of: entries),
      by: WatchedChunks(fixture.repository.reader, before: before))
  }

  @Test func anInterruptedRestoreLeavesNoTemporaryFiles() throws {
    let fixture = try RestoreFixture()
    let stop = CancellationFlag()
    let last = fixture.repository.chunkID(of: Array("second".utf8))
    let reader = try reader(
      fixture,
      [.file("f", pieces: [.data(Array("first".utf8)), .data(Array("second".utf8)), .data(Array("third".utf8))])]
    ) { if $0 == last { stop.raise() } }
    try fixture.write("f", "old")
    let prepared = try fixture.prepare(reader)
    #expect(throws: Stopped.self) { try fixture.carryOut(prepared, stop: stop) }
    #expect(try fixture.contents == ["f": "file old"])
  }

  @Test func aStoppedReplacementOfADirectoryLeavesTheOldOne() throws {
    let fixture = try RestoreFixture()
    let stop = CancellationFlag()
    let chunk = fixture.repository.chunkID(of: Array("stops here".utf8))
    let reader = try reader(fixture, [.directory("d", [.file("a", "a"), .file("b", "stops here"), .file("c", "c")])]) {
      (id) throws(YesterError) in
      if id == chunk { stop.raise() }
    }
    try fixture.write("d", "old")
    let prepared = try fixture.prepare(reader)
    #expect(throws: Stopped.self) { try fixture.carryOut(prepared, stop: stop) }
    #expect(try fixture.contents == ["d": "file old"])
  }

  @Test func aStoppedRestoreLeavesNoHalfFileUnderItsName() throws {
    let fixture = try RestoreFixture()
    let stop = CancellationFlag()
    let second = fixture.repository.chunkID(of: Array("second".utf8))
    let reader = try reader(
      fixture, [.file("f", pieces: [.data(Array("first".utf8)), .data(Array("second".utf8)), .data([3])])]
    ) { if $0 == second { stop.raise() } }
    let prepared = try fixture.prepare(reader)
    #expect(throws: Stopped.self) { try fixture.carryOut(prepared, stop: stop) }
    #expect(try fixture.contents == [:])
  }

  @Test func whatAnEarlierRestoreLeftIsTakenAway() throws {
    let fixture = try RestoreFixture()
    let reader = try fixture.store([.file("f", "new")])
    try fixture.write("f", "old")
    let chunk = fixture.repository.chunkID(of: Array("new".utf8))
    // Where the temporary lies is found by looking while it is there.
    let found = Monitor<[String]>([])
    let destination = fixture.destination
    let watched = try fixture.repository.snapshot(
      reader.snapshot.id,
      by: WatchedChunks(fixture.repository.reader) { id in
        if id == chunk {
          let names = (try? treeContents(destination))?.keys.filter { $0 != "f" } ?? []
          found.withLock { $0 = names }
        }
      })
    try fixture.restore(watched)
    let temporary = try #require(found.withLock { $0.count == 1 ? $0[0] : nil })
    try fixture.write("f", "old again")
    try fixture.makeDirectory(temporary)
    try fixture.write(temporary + "/left", "behind")
    #expect(try fixture.restore(reader).outcome.failures == 0)
    #expect(try fixture.contents == ["f": "file new"])
  }

  @Test func aDamagedChunkLeavesTheOldFileAndIsNamed() throws {
    let fixture = try RestoreFixture()
    try fixture.repository.addSnapshot(19_000, of: [.file("f", "will be damaged")])
    let packs = try fixture.test.store.ids(.packs)
    let reader = try fixture.store([
      .file("f", "will be damaged"), .file("g", "sound"), .file("new", "will be damaged"),
      .directory("was", [.file("in", "will be damaged"), .file("sound", "also sound")]),
    ])
    try fixture.write("f", "old")
    try fixture.write("g", "old")
    try fixture.write("was", "old")
    let memory = try #require(fixture.test.store as? MemoryStore)
    for pack in packs { memory.damage(.pack(pack)) }
    let fresh = try fixture.test.open()
    let prepared = try fixture.prepare(fresh.snapshot(reader.snapshot.id))
    let result = try fixture.carryOut(prepared)
    // By the names that they have, not by those that they have for the moment.
    #expect(
      result.problems.filter { $0.kind == .damaged }.map { String(decoding: $0.path, as: UTF8.self) }.sorted() == [
        "f", "new", "was/in",
      ])
    // All that is in the directory is missing with it.
    #expect(result.named.filter { $0 == "was" }.count == 1)
    #expect(result.outcome.failures == 4 && result.named.count == 4)
    #expect(try fixture.contents == ["f": "file old", "g": "file sound", "was": "file old"])
  }

  @Test func provingFindsDamageBeforeAnythingIsTouched() throws {
    let fixture = try RestoreFixture()
    let chunk = fixture.repository.chunkID(of: Array("second".utf8))
    let reader = try reader(fixture, [.file("a", "first"), .file("b", "second")]) { (id) throws(YesterError) in
      if id == chunk { throw YesterError(.damaged, "it is damaged") }
    }
    let prepared = try fixture.prepare(reader)
    #expect(errorCode { try Restore.prove(prepared, progress: RunProgress()) } == .damaged)
    #expect(try fixture.contents == [:])
  }

  @Test func aLostRepositoryEndsTheRestore() throws {
    let fixture = try RestoreFixture()
    let chunk = fixture.repository.chunkID(of: Array("first".utf8))
    let reader = try reader(fixture, [.file("a", "first"), .file("b", "second")]) { (id) throws(YesterError) in
      if id == chunk { throw YesterError(.failed, "the repository is away") }
    }
    try fixture.write("a", "old")
    let prepared = try fixture.prepare(reader)
    #expect(errorMessage { try fixture.carryOut(prepared) }.contains("the repository is away"))
    #expect(try fixture.contents["a"] == "file old")
    #expect(try fixture.temporaries == [])
  }

  // MARK: Hard links

  /// Entries of one link group that are different things: whichever comes first, none stands in for another.
  @Test func whatIsSaidToBeAHardLinkAndIsNotComesBackAsItself() throws {
    let fixture = try RestoreFixture()
    let other = TestEntry.file("d", "one").linked(7).with { $0.permissions = 0o600 }
    let entries = [
      TestEntry.file("a", "one").linked(7), .link("b", to: "x").linked(7), .file("c", "two").linked(7), other,
      .file("e", "one").linked(7), .fifo("f").linked(7), .file("g", "two").linked(7),
    ]
    let reader = try fixture.store(entries)
    for _ in 0..<2 {
      // Once onto nothing, and once onto what is there.
      let result = try fixture.restore(reader)
      #expect(result.problems.isEmpty && result.outcome.failures == 0)
      #expect(
        try fixture.contents == [
          "a": "file one", "b": "link x", "c": "file two", "d": "file one", "e": "file one", "f": "fifo",
          "g": "file two",
        ])
      func inode(_ name: String) throws -> UInt64 { try fixture.status(name).inode }
      #expect(try inode("a") == inode("e"))
      #expect(try inode("c") == inode("g"))
      #expect(try Set([inode("a"), inode("c"), inode("d")]).count == 3)
      #expect(try fixture.status("d").permissions == 0o600)
      #expect(try fixture.status("a").permissions == 0o644)
    }
  }
}
