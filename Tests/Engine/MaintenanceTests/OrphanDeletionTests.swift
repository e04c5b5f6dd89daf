import Maintenance
import ObjectStores
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing

/// A repository with a pack that the index names, one that it does not name any more, and the segment that named it.
private final class Fixture: Sendable {
  private let test: TestRepository
  let store: any ObjectStore
  let repository: Repository
  /// Stands where an interrupted run has left it.
  let orphan: ObjectID
  private let segment: (id: ObjectID, bytes: [UInt8])

  init() throws {
    test = try TestRepository()
    store = test.store
    repository = try test.open()
    orphan = try Self.storePack(repository)
    let id = try #require(try store.ids(.index).first)
    segment = (id, try #require(try store.get(.index(id), limit: 1 << 20)))
    try store.delete(.index(id))
    try repository.index.refresh()
    _ = try Self.storePack(repository)
    // Without any snapshot nothing is deleted at all.
    _ = try repository.addSnapshot(1, of: [.file("a", [1])])
  }

  /// Stores a chunk and its index; the id of the pack.
  private static func storePack(_ repository: Repository) throws -> ObjectID {
    let before = Set(try repository.store.ids(.packs))
    let bytes = System.random(1000)
    let writer = try ChunkWriter(repository)
    defer { writer.close() }
    try bytes.withUnsafeBytes { _ = try writer.add(repository.chunkID(of: bytes), kind: .data, $0) }
    try writer.flush()
    return try #require(try repository.store.ids(.packs).first { !before.contains($0) })
  }

  var hasOrphan: Bool { get throws { try store.size(.pack(orphan)) != nil } }
  var isCondemned: Bool { get throws { try test.open().readCondemned().packs[orphan] != nil } }

  /// Packs that the index names and that are not there.
  var missing: Set<ObjectID> {
    get throws {
      try repository.index.refresh()
      return try repository.index.avoidMissingPacks()
    }
  }

  /// The index names the pack again.
  func nameOrphan() throws { _ = try store.put(.index(segment.id), segment.bytes) }

  /// Another machine begins a backup.
  func beginBackup() throws { try repository.putLease { $0.host = "elsewhere" } }

  /// Prunes; `event` happens just before `folder` is listed for the `number`-th time, or never. How often it was
  /// listed.
  @discardableResult
  func prune(
    _ folder: ObjectFolder = .index, number: Int = 0, _ event: @escaping @Sendable () throws -> Void = {}
  ) throws -> Int {
    let listings = Monitor(0)
    let watched = WatchedStore(store) { call in
      guard call == .list(folder) else { return }
      let count = listings.withLock {
        $0 += 1
        return $0
      }
      if count == number { try event() }
    }
    let repository = try test.open(watched)
    var options = Prune.Options()
    options.minimumAge = 0
    _ = try Prune.run(repository, options, progress: RunProgress())
    return listings.withLock { $0 }
  }
}

/// Packs that no index names are deleted only when the index stands still while that is found out.
@Suite struct OrphanDeletionTests {
  @Test func leftoversOfInterruptedRunsAreDeleted() throws {
    let fixture = try Fixture()
    // In two runs, whatever the minimum age.
    try fixture.prune()
    #expect(try fixture.hasOrphan && fixture.isCondemned)
    try fixture.prune()
    #expect(try !fixture.hasOrphan)
  }

  /// A segment appears that was not there, or was not listed, when the index was read. Whenever that is, what it
  /// names must stay.
  @Test func anIndexThatChangesBetweenTwoListingsKeepsThem() throws {
    let listings = try Fixture().prune()
    try #require(listings >= 3)
    for number in 1...listings {
      let fixture = try Fixture()
      try fixture.prune(number: number) { try fixture.nameOrphan() }
      #expect(try fixture.missing == [], "listing \(number) of \(listings)")
      // Named from the beginning it is a pack that no snapshot needs, and goes as these do.
      if number > 1 { #expect(try fixture.hasOrphan, "listing \(number) of \(listings)") }
    }
  }

  /// The list of segments is another one when it is looked at for the last time, whether it names the pack or not, or
  /// one of them is gone: nothing is condemned in this run.
  @Test(arguments: [true, false]) func anyChangeHoldsThemUpForOneRun(comes: Bool) throws {
    let listings = try Fixture().prune()
    var held = 0
    for number in 2...listings {
      let fixture = try Fixture()
      let (store, keyring) = (fixture.store, fixture.repository.keyring)
      _ = try? fixture.prune(number: number) {
        guard comes else { return try store.ids(.index).forEach { try store.delete(.index($0)) } }
        var builder = IndexSegmentBuilder()
        builder.replaced = [.zero]
        _ = try builder.store(in: store, keyring)
      }
      #expect(try fixture.hasOrphan)
      if try !fixture.isCondemned { held += 1 }
      guard comes else { continue }
      try fixture.prune()
      #expect(try fixture.isCondemned || !fixture.hasOrphan)
    }
    #expect(held >= 1)
  }

  /// Whoever begins a backup meanwhile may be about to name what nobody names yet.
  @Test func aBackupThatBeginsMeanwhileKeepsThem() throws {
    let listings = try Fixture().prune(.leases)
    try #require(listings >= 3)
    for number in 1...listings {
      let fixture = try Fixture()
      try fixture.prune(.leases, number: number) { try fixture.beginBackup() }
      #expect(try fixture.hasOrphan, "listing \(number) of \(listings)")
    }
  }
}
