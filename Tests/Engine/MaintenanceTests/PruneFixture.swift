// What the tests of pruning share: snapshots in a store in memory, in packs that the test knows.
import ChunkCodec
import Maintenance
import ObjectStores
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import TestSupport

struct PruneFixture: Sendable {
  let test: TestRepository
  let memory: MemoryStore

  init() throws {
    memory = MemoryStore()
    test = try TestRepository(in: memory)
  }

  /// The repository as somebody sees it who knows nothing yet; `store` is one to go through.
  func open(_ store: (any ObjectStore)? = nil) throws -> Repository {
    // What others opened before has left its index in the cache.
    let repository = try test.open(store)
    try repository.index.rebuildCache()
    return repository
  }

  /// Makes a snapshot in packs of its own, but for what is stored already.
  @discardableResult
  func add(_ day: Int, _ entries: [TestEntry]) throws -> ObjectID { try open().addSnapshot(day, of: entries) }

  /// The pack with the data that `body` stores.
  func dataPack(_ body: () throws -> Void) throws -> ObjectID {
    let before = Set(try memory.ids(.packs))
    try body()
    for pack in try memory.ids(.packs) where !before.contains(pack) {
      if try PackFile(open(), pack).key.key.kind == .data { return pack }
    }
    throw YesterError(.failed, "no pack with data came")
  }

  func remove(_ snapshots: ObjectID...) throws {
    let repository = try open()
    let catalog = try SnapshotCatalog(repository)
    try Removal.run(catalog.snapshots.filter { snapshots.contains($0.id) }, repository, force: true)
  }

  /// `now` is the moment of the run, in seconds since 1970.
  @discardableResult
  func prune(
    _ store: (any ObjectStore)? = nil, unusedMax: Double = 0, isDryRun: Bool = false, without: Set<ObjectID> = [],
    acceptingMissing: Bool = false, now: Int64 = 1_000_000, minimumAge: Int64 = 0
  ) throws -> Prune.Result {
    var options = Prune.Options()
    options.unusedMax = unusedMax
    options.isDryRun = isDryRun
    options.minimumAge = minimumAge
    options.without = without
    options.acceptsMissingSnapshots = acceptingMissing
    return try Prune.run(open(store), options, progress: RunProgress()) { Timestamp(seconds: now) }
  }

  func has(_ pack: ObjectID) throws -> Bool { try memory.size(.pack(pack)) != nil }

  /// Packs that wait for their deletion.
  var condemned: [ObjectID: Int64] { get throws { try open().readCondemned().packs.mapValues(\.since) } }

  /// What is wrong with what is stored, read by somebody who knows nothing yet.
  var findings: [String] {
    get throws {
      let repository = try open()
      let catalog = try repository.readCatalog()
      let findings = Monitor<[String]>([])
      _ = try Verify.snapshots(repository, catalog, catalog.snapshots, .data, progress: RunProgress()) { finding in
        findings.withLock { $0.append(finding.message) }
      }
      return findings.withLock { $0 }
    }
  }

  /// Somebody on another machine is at work, as far as the repository knows; the name of its lease.
  @discardableResult
  func takeLease(_ purpose: LeaseRecord.Purpose, seen: UInt64 = 0) throws -> String {
    try test.open().putLease {
      $0.purpose = purpose
      $0.seen = seen
      $0.host = "elsewhere"
      $0.process = 1
    }.name
  }
}
