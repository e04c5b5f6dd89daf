import ChunkCodec
import Glibc
@testable import Maintenance
import ObjectStores
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing

/// Which chunks snapshots use, and so how much of each pack.
@Suite struct UsageMapTests {
  private func mark(_ repository: Repository, _ snapshots: ObjectID...) throws -> UsageMap {
    let usage = UsageMap(repository.index)
    for id in snapshots { try usage.mark(repository.snapshot(id), RunProgress()) }
    return usage
  }

  private func text(_ letter: Character, _ count: Int) -> String { String(repeating: letter, count: count) }

  @Test func aChunkThatOneOfTwoSnapshotsNeedsIsUsed() throws {
    let fixture = try PruneFixture()
    var ids: [ObjectID] = []
    let pack = try fixture.dataPack {
      ids.append(try fixture.add(1, [.file("a", text("a", 100)), .file("b", text("b", 30))]))
    }
    ids.append(try fixture.add(2, [.file("b", text("b", 30))]))
    let repository = try fixture.open()
    for (marked, used) in [([], 0), ([ids[1]], 30), ([ids[0]], 130), (ids, 130)] as [([ObjectID], UInt64)] {
      let usage = UsageMap(repository.index)
      for id in marked { try usage.mark(repository.snapshot(id), RunProgress()) }
      let use = try #require(try usage.packs()[pack])
      #expect(use.total == 130 && use.used == used && use.unused == 130 - used, "\(marked.count) snapshots")
      #expect(usage.markedSnapshots == Set(marked))
      #expect(try usage.isUsed(repository.chunkID(of: Array(text("b", 30).utf8))) == (used >= 30))
      #expect(try usage.isUsed(repository.chunkID(of: Array(text("a", 100).utf8))) == (used == 130))
    }
  }

  @Test func listingsAreUsedAsFilesAre() throws {
    let fixture = try PruneFixture()
    let tree: [TestEntry] = [.directory("d", (0..<20).map { .fifo("\($0)") })]
    let repository = try fixture.open()
    let id = try repository.addSnapshot(1, of: tree, leafEntriesMax: 7)
    let usage = try mark(repository, id)
    let packs = try usage.packs()
    #expect(packs.count == 1)
    #expect(packs.values.allSatisfy { $0.used == $0.total && $0.total > 0 })
  }

  @Test func eachEntryIsWalkedOnceForEachListing() throws {
    let fixture = try PruneFixture()
    let tree: [TestEntry] = [.directory("d", (0..<20).map { .fifo("\($0)") })]
    let (first, second) = (try fixture.add(1, tree), try fixture.add(2, tree + [.fifo("more")]))
    let repository = try fixture.open()
    let usage = UsageMap(repository.index)
    #expect(try usage.mark(repository.snapshot(first), RunProgress()) == 22)
    // The listing of "d" was marked already, with all below it.
    #expect(try usage.mark(repository.snapshot(second), RunProgress()) == 3)
  }

  /// Two writers at the same time, neither of whom sees what the other stores.
  private func storeTwice(_ fixture: PruneFixture, _ entries: [TestEntry]) throws -> (ObjectID, [ObjectID]) {
    let first = try fixture.open()
    let second = try fixture.open()
    var id: ObjectID?
    let packs = [
      try fixture.dataPack { id = try first.addSnapshot(1, of: entries) },
      try fixture.dataPack { _ = try second.storeTree(2, entries) },
    ]
    return (try #require(id), packs)
  }

  @Test func ofAChunkInTwoPacksExactlyOneIsUsed() throws {
    let fixture = try PruneFixture()
    let (id, packs) = try storeTwice(fixture, [.file("a", "twice")])
    let usage = try mark(fixture.open(), id)
    let used = try packs.map { try #require(try usage.packs()[$0]).used }
    #expect(used.sorted() == [0, 5])
  }

  /// The pack whose copy is used where nothing speaks against either, and the other one.
  private func choice(_ id: ObjectID, _ packs: [ObjectID], _ repository: Repository) throws -> [ObjectID] {
    let usage = try mark(repository, id).packs()
    return packs.sorted { usage[$0]?.used ?? 0 > usage[$1]?.used ?? 0 }
  }

  @Test func aCopyInACondemnedPackIsTheSecondChoice() throws {
    let fixture = try PruneFixture()
    let (id, packs) = try storeTwice(fixture, [.file("a", "twice")])
    let repository = try fixture.open()
    let chosen = try choice(id, packs, repository)
    try repository.condemn(chosen[0])
    #expect(try choice(id, packs, repository) == chosen.reversed())
  }

  @Test func aCopyInAMissingPackIsTheLastResort() throws {
    let fixture = try PruneFixture()
    let (id, packs) = try storeTwice(fixture, [.file("a", "twice")])
    let repository = try fixture.open()
    let chosen = try choice(id, packs, repository)
    try fixture.memory.delete(.pack(chosen[0]))
    #expect(try repository.index.avoidMissingPacks() == [chosen[0]])
    #expect(try choice(id, packs, repository) == chosen.reversed())
    // Even before one that is condemned, and there.
    try repository.condemn(chosen[1])
    #expect(try choice(id, packs, repository) == chosen.reversed())
  }

  @Test func aPackThatIsMissingStillCountsWhenThereIsNoOtherCopy() throws {
    let fixture = try PruneFixture()
    var id: ObjectID?
    let pack = try fixture.dataPack { id = try fixture.add(1, [.file("a", "text")]) }
    try fixture.memory.delete(.pack(pack))
    let repository = try fixture.open()
    #expect(try repository.index.avoidMissingPacks() == [pack])
    #expect(try mark(repository, #require(id)).packs()[pack]?.used == 4)
  }

  @Test func aChunkThatNoIndexKnowsEndsTheMarking() throws {
    let fixture = try PruneFixture()
    let id = try fixture.add(1, [.file("a", "text")])
    let known = Set(try fixture.memory.ids(.index))
    let second = try fixture.add(2, [.file("a", "text"), .file("b", "more")])
    let snapshot = try fixture.open().snapshot(second)
    for segment in try fixture.memory.ids(.index) where !known.contains(segment) {
      try fixture.memory.delete(.index(segment))
    }
    let old = try fixture.open()
    _ = try mark(old, id)
    let usage = UsageMap(old.index)
    #expect(errorMessage { try usage.mark(snapshot, RunProgress()) }.contains("is not in the index"))
  }

  @Test func markingEndsWhenItIsStopped() throws {
    let fixture = try PruneFixture()
    let id = try fixture.add(1, [.file("a", "text")])
    let repository = try fixture.open()
    let stop = CancellationFlag()
    stop.raise()
    let usage = UsageMap(repository.index)
    #expect(throws: Stopped.self) { try usage.mark(repository.snapshot(id), RunProgress(stop: stop)) }
  }

  /// Whoever copies what is used would leave it out, and its pack would go.
  @Test func whatCannotBeReadOfTheIndexIsNotUnused() throws {
    let fixture = try PruneFixture()
    let id = try fixture.add(1, [.file("a", "needed")])
    let repository = try fixture.open()
    // The snapshot's chunks in a segment that is too large to be looked at in memory.
    var random = SeededGenerator()
    let needed = repository.chunkID(of: Array("needed".utf8))
    let place = try #require(try repository.index.find(needed))
    let others = (0..<140_000).map { _ in
      PackDirectory.Chunk(id: random.bytes(32).withUnsafeBytes { ObjectID($0) }, length: 0)
    }
    var builder = IndexSegmentBuilder()
    for segment in repository.index.current.segments {
      try builder.add(segment) { _ in true }
      builder.replaced.append(segment.id)
    }
    builder.add(
      IndexedPack(
        pack: IndexLayout.Pack(id: .zero, size: 128, kind: .data), writer: repository.keyring.writer.publicKey,
        blocks: [(place.block, others)]))
    let segment = try builder.store(in: fixture.memory, repository.keyring)
    try repository.index.refresh()
    let usage = try mark(repository, id)
    #expect(try usage.isUsed(needed))
    let path = repository.cacheDirectory + "/index/" + segment.hex
    try #require(try FileStatus(of: path).size > 4 << 20)
    // Reading behind the end gives nothing, as reading from a broken disk does.
    try #require(truncate(path, 4096) == 0)
    #expect(throws: YesterError.self) { try usage.isUsed(needed) }
  }
}
