import ObjectStores
import ChunkCodec
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing

private func refusal() -> YesterError { YesterError(.failed, "nothing is deleted here", cause: .denied) }

/// A repository whose index has segments of made-up packs, and what is to be found in them.
private final class MergingFixture {
  let store = MemoryStore()
  let test: TestRepository
  let repository: Repository
  private var random = SeededGenerator()
  /// Each chunk with its pack.
  private(set) var chunks: [ObjectID: ObjectID] = [:]

  init() throws {
    test = try TestRepository(in: store)
    repository = try test.open()
  }

  /// Stores segments of one pack each; the ids of the packs.
  @discardableResult
  func add(_ chunkCounts: [Int]) throws -> [ObjectID] {
    try chunkCounts.map { count in
      let pack = random.id()
      let ids = (0..<count).map { _ in random.id() }
      for id in ids { chunks[id] = pack }
      var builder = IndexSegmentBuilder()
      builder.add(indexed(ids, pack: pack))
      _ = try builder.store(in: store, repository.keyring)
      return pack
    }
  }

  var stored: [ObjectID] { get throws { try store.ids(.index) } }

  /// How many chunks each segment in use has; all chunks must be found, by somebody who has just come as well.
  func sizes(_ comment: Comment? = nil) throws -> [Int] {
    for reader in [repository, try test.open()] {
      try reader.index.refresh()
      for (id, pack) in chunks { try #require(try reader.index.find(id)?.pack == pack, comment) }
    }
    return repository.index.current.segments.map(\.chunkCount).sorted()
  }
}

@Suite struct IndexMergingTests {
  @Test func eightOfLikeSizeBecomeOne() throws {
    let fixture = try MergingFixture()
    try fixture.add([3, 1, 4, 1, 5, 9, 2])
    try fixture.repository.mergeIndexSegments()
    #expect(try fixture.sizes() == [1, 1, 2, 3, 4, 5, 9])
    try fixture.add([6])
    try fixture.repository.mergeIndexSegments()
    #expect(try fixture.sizes() == [31] && fixture.stored.count == 1)
  }

  @Test func levelsAreMergedEachForItself() throws {
    let fixture = try MergingFixture()
    try fixture.add([5000, 5000, 5000] + [Int](repeating: 10, count: 8))
    try fixture.repository.mergeIndexSegments()
    #expect(try fixture.sizes() == [80, 5000, 5000, 5000])
  }

  @Test func groupsBeyondTheLimitAreLeftAlone() throws {
    let fixture = try MergingFixture()
    try fixture.add([Int](repeating: 100, count: 8))
    let before = try fixture.stored
    try fixture.repository.mergeIndexSegments(chunksMax: 799)
    #expect(try fixture.stored == before)
    try fixture.repository.mergeIndexSegments(chunksMax: 800)
    #expect(try fixture.sizes() == [800] && fixture.stored.count == 1)
  }

  @Test func theSmallestOnesAreMergedAsFarAsTheLimitGoes() throws {
    let fixture = try MergingFixture()
    try fixture.add([90, 20, 80, 30, 70, 40, 60, 50, 10, 100, 5000])
    // 10 to 80 are 360, with 90 they are 450.
    try fixture.repository.mergeIndexSegments(chunksMax: 449)
    #expect(try fixture.sizes() == [90, 100, 360, 5000])
    // What is as large as it may be stays as it is, while small ones beside it are merged.
    try fixture.add([Int](repeating: 1, count: 9))
    try fixture.repository.mergeIndexSegments(chunksMax: 360)
    #expect(try fixture.sizes() == [199, 360, 5000])
  }

  /// What cannot be stored changes nothing.
  @Test func aFailureBeforeTheMergedSegmentChangesNothing() throws {
    let fixture = try MergingFixture()
    try fixture.add([Int](repeating: 2, count: 8))
    let before = try fixture.stored
    let failing = WatchedStore(fixture.store) { if $0 == .upload { throw refusal() } }
    #expect(throws: YesterError.self) { try fixture.test.open(failing).mergeIndexSegments() }
    #expect(try fixture.stored == before && fixture.sizes().count == 8 && fixture.store.openUploads == 0)
  }

  /// The merged segment is there and the old ones are not all gone.
  @Test(arguments: 1...8) func aCrashWhileDeletingLosesNothing(failing: Int) throws {
    let fixture = try MergingFixture()
    try fixture.add([Int](repeating: 2, count: 8))
    let deleted = Monitor(0)
    let crashing = WatchedStore(fixture.store) { call in
      guard case .delete = call else { return }
      let count = deleted.withLock {
        $0 += 1
        return $0
      }
      if count >= failing { throw refusal() }
    }
    #expect(throws: YesterError.self) { try fixture.test.open(crashing).mergeIndexSegments() }
    #expect(try fixture.stored.count == 1 + 8 - (failing - 1))
    // One segment says it all; those that are left are passed over.
    #expect(try fixture.sizes() == [16])
    // Too few to be merged: nothing is done for the leftovers alone.
    let left = try fixture.stored
    try fixture.repository.mergeIndexSegments()
    #expect(try fixture.stored == left)
    // The next merge takes the leftovers away.
    try fixture.add([Int](repeating: 1, count: 7))
    try fixture.repository.mergeIndexSegments()
    #expect(try fixture.sizes() == [23] && fixture.stored.count == 1)
  }

  @Test func aStoreThatRefusesDeletesLosesNothingAndDoesNotGrowWithoutNeed() throws {
    let fixture = try MergingFixture()
    let refusing = try fixture.test.open(
      WatchedStore(fixture.store) { if case .delete = $0 { throw refusal() } })
    let rounds = 64
    for round in 1...rounds {
      try fixture.add([1])
      // As a backup does; and again, as one that stores nothing new would.
      for _ in 0..<3 { try? refusing.mergeIndexSegments() }
      try #require(try fixture.sizes("round \(round)").count < 8)
      // Each merge takes away seven, and adds one that stays.
      try #require(try fixture.stored.count <= round + round / 7, "round \(round)")
    }
    #expect(try fixture.sizes().reduce(0, +) == rounds)
    // A store that deletes is as small again as if there had been no trouble.
    try fixture.add([Int](repeating: 1, count: 8))
    try fixture.repository.mergeIndexSegments()
    #expect(try fixture.sizes().reduce(0, +) == rounds + 8)
    #expect(try fixture.stored.count == fixture.sizes().count)
  }

  /// As the one above, but the store says that all is well.
  @Test(.timeLimit(.minutes(5))) func aStoreThatForgetsDeletesIsNoEndlessWork() throws {
    let fixture = try MergingFixture()
    try fixture.add([Int](repeating: 1, count: 30))
    let forgetful = try fixture.test.open(
      WatchedStore(fixture.store) { if case .delete = $0 { throw WatchedStore.Forgotten() } })
    try forgetful.mergeIndexSegments()
    #expect(try fixture.sizes() == [30])
    let before = try fixture.stored
    #expect(before.count == 31)
    try forgetful.mergeIndexSegments()
    #expect(try fixture.stored == before)
  }

  /// Each has read the others' segments before these go.
  @Test func twoWhoMergeAtOnceLoseNothing() throws {
    let fixture = try MergingFixture()
    try fixture.add([Int](repeating: 2, count: 8))
    let other = try fixture.test.open()
    let isFirst = Monitor(true)
    let watched = WatchedStore(fixture.store) { call in
      guard call == .upload,
        isFirst.withLock({ first in
          defer { first = false }
          return first
        })
      else { return }
      try other.mergeIndexSegments()
    }
    try fixture.test.open(watched).mergeIndexSegments()
    // Two that say the same.
    #expect(try fixture.sizes() == [16, 16] && fixture.stored.count == 2)
    try fixture.add([Int](repeating: 1, count: 6))
    try fixture.repository.mergeIndexSegments()
    #expect(try fixture.stored.count == 1)
    let merged = try #require(fixture.repository.index.current.segments.first)
    #expect(merged.packCount == 14)
    // A chunk of a pack that is not taken twice does not stand there twice either.
    #expect(try fixture.sizes() == [22])
  }

  /// Another merge takes the group away while it is being read again.
  @Test func aGroupThatGoesIsGivenUp() throws {
    let fixture = try MergingFixture()
    try fixture.add([Int](repeating: 2, count: 8))
    let other = try fixture.test.open()
    let reads = Monitor(0)
    let watched = WatchedStore(fixture.store) { call in
      guard case .get(let key) = call, key.path.hasPrefix("index/") else { return }
      let count = reads.withLock {
        $0 += 1
        return $0
      }
      // The local copies are known; this is the group being read again.
      if count == 1 { try other.mergeIndexSegments() }
    }
    let repository = try fixture.test.open(watched)
    try fixture.test.open().index.refresh()
    try repository.mergeIndexSegments()
    #expect(try fixture.sizes() == [16] && fixture.stored.count == 1)
  }
}
