import ObjectStores
import ChunkCodec
import Platform
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing

/// All that a catalog says, comparable.
private func described(_ catalog: SnapshotCatalog, _ repository: Repository) -> [String] {
  func text(_ author: Authorship) -> String {
    Hex.encode(author.envelope.encode(repository: repository.config.id))
  }
  var out = catalog.snapshots.map { snapshot in
    "\(snapshot.id) \(text(snapshot.envelope)) \(Hex.encode(snapshot.record.encode())) \(snapshot.isPinned) "
      + "\(String(describing: snapshot.pinnedUntil)) \(snapshot.isConfirmed) \(String(describing: snapshot.verified))"
  }
  out += catalog.notes.map { "\($0.id) \(text($0.envelope)) \(Hex.encode($0.note.encode()))" }
  out += catalog.damaged.map { "\($0.id) \($0.error.message)" }
  return out + ["\(catalog.foreignCount)"]
}

@Suite struct CatalogCacheTests {
  /// Enough records to be worth keeping.
  private static let recordCount = 21

  private struct Fixture {
    let test: TestRepository
    let store: MemoryStore
    let ids: [ObjectID]
    let path: String

    init() throws {
      store = MemoryStore()
      test = try TestRepository(in: store)
      let repository = try test.open()
      ids = try (1...15).map { try repository.addSnapshot($0) }
      try repository.addNote(.pinned, [ids[2]], day: 20)
      try repository.addNote(.pinned, [ids[3]], day: 21, until: Timestamp(seconds: 1_000_000))
      try repository.addNote(.verified, ids, day: 22)
      try repository.addNote(.confirmed, [ids[5]], day: 23)
      try repository.addNote(.removed, [ids[7]], day: 24)
      var annotation = SnapshotAnnotation(snapshot: ids[1], revision: 1)
      annotation.summary = "described"
      annotation.addedTags = ["tagged"]
      try repository.store(NoteRecord(annotation, time: Timestamp(seconds: 25)), after: SnapshotCatalog(repository))
      path = repository.cacheDirectory + "/catalog"
    }

    var cached: [UInt8] { get throws { try Descriptor.open(path).readAll(limit: 1 << 20) } }

    /// The catalog must be the one that is read without the cache. How many objects of the repository were read.
    @discardableResult
    func check(_ comment: Comment? = nil, by secret: Secret? = nil) throws -> Int {
      let reads = Monitor(0)
      let watched = WatchedStore(store) { call in
        if case .get(let key) = call, key.path.hasPrefix("snapshots/") { reads.withLock { $0 += 1 } }
      }
      let repository = try test.open(watched, by: secret)
      let catalog = try SnapshotCatalog(repository, trustingCache: true)
      let count = reads.withLock { $0 }
      #expect(described(catalog, repository) == described(try SnapshotCatalog(repository), repository), comment)
      return count
    }
  }

  @Test func whatIsKeptIsNotReadAgain() throws {
    let fixture = try Fixture()
    #expect(try fixture.check() == Self.recordCount)
    #expect(try fixture.check() == 0)
    // Whoever does not trust it reads everything.
    let reads = FaultyStore(fixture.store)
    let repository = try fixture.test.open(reads)
    let before = reads.calls
    _ = try SnapshotCatalog(repository)
    #expect(reads.calls - before == 1 + Self.recordCount)
    // It says nothing in clear, not even names of hosts.
    #expect(try !fixture.cached.contains(sequence: Array("202611".utf8)))
    let names = try Directory.names(Descriptor.open(repository.cacheDirectory, Descriptor.directoryFlags))
    #expect(names.map { String(decoding: $0, as: UTF8.self) } == ["catalog"])
  }

  @Test func whatIsNotWholeIsNotUsed() throws {
    let fixture = try Fixture()
    try fixture.check()
    let good = try fixture.cached
    var bad = [0, 1, 31, 32, 33, 47, 48, 49, good.count / 2, good.count - 1].map { Array(good.prefix($0)) }
    bad += [good + [0], good + good, System.random(good.count), Array(good.dropFirst())]
    bad += [UInt8(0), 0xFF].map { [UInt8](repeating: $0, count: good.count) }
    for content in bad {
      try writeFile(fixture.path, content)
      #expect(try fixture.check("\(content.count) of \(good.count) bytes") == Self.recordCount)
      // And it is whole again.
      #expect(try fixture.check() == 0)
    }
  }

  @Test func aFlippedByteIsNotUsed() throws {
    let fixture = try Fixture()
    try fixture.check()
    let good = try fixture.cached
    var random = SeededGenerator()
    let offsets = Array(0..<48) + (0..<100).map { _ in Int(random.next() % UInt64(good.count)) } + [good.count - 1]
    for offset in offsets {
      var content = good
      content[offset] ^= 1 << UInt8(random.next() % 8)
      try writeFile(fixture.path, content)
      try #require(try fixture.check() == Self.recordCount, "byte \(offset) of \(good.count), \(seedHint.rawValue)")
    }
  }

  @Test func aCacheOfAnotherKeyIsNotUsed() throws {
    let fixture = try Fixture()
    let full = try fixture.test.addSlot(.full)
    let writeOnly = try fixture.test.addSlot(.writeOnly)
    let own = try fixture.test.open(by: writeOnly).addSnapshot(16)
    let all = Self.recordCount + 1
    #expect(try fixture.check() == all)
    #expect(try fixture.check(by: full) == all)
    #expect(try fixture.check(by: full) == 0)
    // What a write-only key may not read it does not get by way of the cache either.
    #expect(try fixture.check(by: writeOnly) == all)
    let seen = try SnapshotCatalog(fixture.test.open(by: writeOnly), trustingCache: true)
    #expect(seen.snapshots.map(\.id) == [own] && seen.foreignCount > 0)
    #expect(try fixture.check() == all)
  }

  @Test func aCacheOfAnotherRepositoryIsNotUsed() throws {
    let fixture = try Fixture()
    let other = try Fixture()
    try other.check()
    try Directory.makeAll(fixture.test.open().cacheDirectory)
    try writeFile(fixture.path, other.cached)
    #expect(try fixture.check() == Self.recordCount)
    #expect(try fixture.check() == 0)
  }

  @Test func whatTheRepositoryLostIsNotShown() throws {
    let fixture = try Fixture()
    try fixture.check()
    for id in [fixture.ids[0], fixture.ids[14]] { try fixture.store.delete(.snapshot(id)) }
    #expect(try fixture.check() == 0)
    let shown = try SnapshotCatalog(fixture.test.open(), trustingCache: true).snapshots.map(\.id)
    #expect(shown == Array(fixture.ids[1..<14].filter { $0 != fixture.ids[7] }))
    // Without its note a removed snapshot is there again.
    for (id, note, _) in try SnapshotCatalog(fixture.test.open()).notes where note.kind == .removed {
      try fixture.store.delete(.snapshot(id))
    }
    #expect(try fixture.check() == 0)
    #expect(try SnapshotCatalog(fixture.test.open(), trustingCache: true).snapshots.count == 13)
    for id in try fixture.store.ids(.snapshots) { try fixture.store.delete(.snapshot(id)) }
    #expect(try fixture.check() == 0)
    #expect(try SnapshotCatalog(fixture.test.open(), trustingCache: true).snapshots.isEmpty)
  }

  @Test func whatTheCacheLacksIsRead() throws {
    let fixture = try Fixture()
    try fixture.check()
    let repository = try fixture.test.open()
    try repository.addSnapshot(17)
    try repository.addNote(.unpinned, [fixture.ids[2]], day: 25)
    #expect(try fixture.check() == 2)
    #expect(try fixture.check() == 2)
    // When there is more of it, the cache is made anew.
    for day in 1...20 { try repository.addSnapshot(day) }
    #expect(try fixture.check() == 22)
    #expect(try fixture.check() == 0)
  }

  @Test func damagedRecordsStayDamaged() throws {
    let fixture = try Fixture()
    let path = "snapshots/\(fixture.ids[4])"
    let good = try #require(fixture.store[path])
    fixture.store[path] = good.map { $0 ^ 1 }
    for reads in [Self.recordCount, 1, 1] { #expect(try fixture.check() == reads) }
    #expect(try SnapshotCatalog(fixture.test.open(), trustingCache: true).damaged.map(\.id) == [fixture.ids[4]])
    // And are there again when they have been mended.
    fixture.store[path] = good
    #expect(try fixture.check() == 1)
  }

  @Test func itWorksWithoutADirectoryForTheCache() throws {
    let fixture = try Fixture()
    let directory = try fixture.test.open().cacheDirectory
    // A directory where the file should be: nothing of the attempts stays.
    try Directory.makeAll(fixture.path)
    for _ in 0..<2 { #expect(try fixture.check() == Self.recordCount) }
    let names = try Directory.names(Descriptor.open(directory, Descriptor.directoryFlags))
    #expect(names.map { String(decoding: $0, as: UTF8.self) } == ["catalog"])
    // A file where the directory should be.
    removeTree(directory)
    try writeFile(directory, [])
    #expect(try fixture.check() == Self.recordCount)
  }

  @Test(.timeLimit(.minutes(5))) func manyWriteItAtOnce() throws {
    let fixture = try Fixture()
    let expected = described(try SnapshotCatalog(fixture.test.open()), try fixture.test.open())
    let mistakes = Monitor<[String]>([])
    try onThreads(6) { thread in
      for round in 0..<10 {
        do {
          if round % 3 == thread % 3 { removeTree(fixture.path) }
          let repository = try fixture.test.open()
          let found = described(try SnapshotCatalog(repository, trustingCache: true), repository)
          if found != expected { mistakes.withLock { $0.append("thread \(thread), round \(round)") } }
        } catch {
          mistakes.withLock { $0.append("\(error)") }
        }
      }
    }
    #expect(mistakes.withLock { $0.prefix(5) } == [])
    try fixture.check()
    #expect(try fixture.check() == 0)
  }
}

extension [UInt8] {
  fileprivate func contains(sequence: [UInt8]) -> Bool {
    indices.contains { self[$0...].starts(with: sequence) }
  }
}
