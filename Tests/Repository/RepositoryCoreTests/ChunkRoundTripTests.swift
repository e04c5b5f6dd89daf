import ObjectStores
import Reporting
import ChunkCodec
import Platform
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing

private func settings(interval: Int = 1000, bytes: UInt64 = 1 << 30, workers: Int = 3) -> ChunkWriter.Settings {
  var settings = ChunkWriter.Settings()
  settings.workers = workers
  settings.packSize = 1 << 20
  settings.indexIntervalChunks = interval
  settings.indexIntervalBytes = bytes
  settings.level = 1
  return settings
}

/// Chunks of the sizes where the writer does something else, and random ones; half of them compress well.
private func chunks(_ repository: Repository) -> [TestChunk] {
  var random = SeededGenerator()
  var sizes = [
    1, 1, 2, 100, 255 << 10, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, (128 << 10) + 1, 512 << 10, 8 << 20,
  ]
  for _ in 0..<80 { sizes.append(1 + Int(random.next() % (1 << (random.next() % 17)))) }
  sizes.shuffle(using: &random)
  return sizes.enumerated().map { number, size in
    let isTree = number.isMultiple(of: 3)
    let bytes =
      number.isMultiple(of: 2)
      ? random.bytes(size) : [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: size)
    return TestChunk(bytes, repository, isTree ? .tree : .data)
  }
}

private let combinations: [(interval: Int, bytes: UInt64, workers: Int)] = [
  (1000, 1 << 30, 3), (1, 1 << 30, 2), (7, 1 << 30, 1), (1000, 300_000, 4),
]

@Suite struct ChunkRoundTripTests {
  @Test(arguments: combinations)
  func whatIsStoredIsRead(interval: Int, bytes: UInt64, workers: Int) throws {
    let test = try TestRepository()
    let repository = try test.open()
    let chunks = chunks(repository)
    let writer = try ChunkWriter(repository, settings(interval: interval, bytes: bytes, workers: workers))
    defer { writer.close() }
    var known: Set<ObjectID> = []
    for chunk in chunks + chunks.reversed() {
      let isNew = known.insert(chunk.id).inserted
      #expect(try writer.contains(chunk.id) == !isNew, seedHint)
      #expect(try writer.add(chunk) == isNew, seedHint)
    }
    try writer.flush()
    #expect(writer.totals.newChunks == UInt64(known.count), seedHint)
    let stored = test.store as? MemoryStore
    #expect(stored?.openUploads == 0)

    // Also for somebody who opens the repository now, with a cache that holds nearly nothing.
    for reader in [repository, try test.open(cacheSize: 1)] {
      try reader.index.refresh()
      for chunk in chunks { try #require(try chunk.isReadable(in: reader), seedHint) }
    }
    #expect(
      writer.totals.storedBytes
        == stored?.paths.filter { $0.hasPrefix("packs/") }.reduce(0) {
          $0 + UInt64(stored?[$1]?.count ?? 0)
        }
    )
  }

  @Test func aSecondRunStoresNothing() throws {
    let test = try TestRepository()
    let repository = try test.open()
    let chunks = chunks(repository)
    try ChunkWriter.store(chunks, in: repository, settings())
    let before = (test.store as? MemoryStore)?.paths
    for again in [repository, try test.open()] {
      try again.index.refresh()
      let writer = try ChunkWriter(again, settings())
      defer { writer.close() }
      for chunk in chunks { #expect(try !writer.add(chunk)) }
      try writer.flush()
      #expect(writer.totals.newChunks == 0)
    }
    #expect((test.store as? MemoryStore)?.paths == before)
  }

  @Test func packsAreWhatTheirDirectoriesSay() throws {
    let test = try TestRepository()
    let repository = try test.open()
    let chunks = chunks(repository)
    try ChunkWriter.store(chunks, in: repository, settings(interval: 20))
    var found: Set<ObjectID> = []
    for id in try test.store.ids(.packs) {
      let bytes = try #require(try test.store.get(.pack(id), limit: Limits.packSizeMax))
      #expect(ObjectID(nameOf: SHA256.hash(bytes)) == id)
      let pack = try PackFile(repository, id)
      for block in pack.blocks {
        for chunk in block.chunks {
          #expect(found.insert(chunk.id).inserted)
          let location = try #require(try repository.index.find(chunk.id))
          #expect(location.pack == id && location.block == block.location && location.length == chunk.length)
        }
      }
    }
    #expect(found == Set(chunks.map(\.id)))
  }

  @Test func severalThreadsRead() throws {
    let test = try TestRepository()
    let repository = try test.open(cacheSize: 2 << 20)
    let chunks = chunks(repository)
    try ChunkWriter.store(chunks, in: repository, settings())
    let wrong = Monitor([String]())
    try onThreads(6) { thread in
      for number in 0..<(2 * chunks.count) {
        let chunk = chunks[(number * (thread + 1) + thread * 13) % chunks.count]
        do {
          if try !chunk.isReadable(in: repository) { wrong.withLock { $0.append("wrong bytes") } }
        } catch {
          wrong.withLock { $0.append("\(error)") }
        }
      }
    }
    #expect(wrong.withLock { $0 } == [], seedHint)
    #expect(repository.reader.cache.size <= 8 << 20)
  }

  @Test func writeOnlyKeysStoreAndCannotRead() throws {
    let test = try TestRepository()
    let writer = try test.addWriter(.writeOnly)
    let chunk = TestChunk([1, 2, 3], writer)
    try ChunkWriter.store([chunk], in: writer)
    #expect(errorCode { _ = try chunk.isReadable(in: writer) } == .wrongKey)
    #expect(try chunk.isReadable(in: test.open()))
    #expect(errorCode { try writer.requireFullKey("restore") } == .wrongKey)
  }
}

@Suite struct ChunkReaderTests {
  @Test func damageIsFoundWhereverItIs() throws {
    let store = MemoryStore()
    let test = try TestRepository(in: store)
    let chunk = TestChunk([UInt8](0..<200), try test.open())
    try ChunkWriter.store([chunk], in: try test.open())
    let path = try #require(store.paths.first { $0.hasPrefix("packs/") })
    let good = try #require(store[path])
    // The writer's name and signature at the end of the header are not needed for reading.
    let signature = (PackLayout.signedHeaderSize - 32)..<PackLayout.headerSize
    for offset in 0..<(PackLayout.headerSize + 216) where !signature.contains(offset) {
      var bad = good
      bad[offset] ^= 1
      store[path] = bad
      let reader = try test.open()
      try reader.index.refresh()
      #expect(errorCode { _ = try chunk.isReadable(in: reader) } == .damaged)
      #expect(throws: Never.self) { try reader.index.refresh() }
    }
    store[path] = Array(good.prefix(200))
    #expect(errorCode { _ = try chunk.isReadable(in: test.open()) } == .damaged)
    store[path] = nil
    #expect(errorCode { _ = try chunk.isReadable(in: test.open()) } == .damaged)
    store[path] = good
    #expect(try chunk.isReadable(in: test.open()))
  }

  @Test func kindsAndIDsAreHeldToTheirWord() throws {
    let test = try TestRepository()
    let repository = try test.open()
    let data = TestChunk([1, 2, 3], repository)
    let tree = TestChunk([1, 2, 3], repository, .tree)
    #expect(data.id != tree.id)
    try ChunkWriter.store([data, tree], in: repository)
    #expect(try data.isReadable(in: repository) && tree.isReadable(in: repository))
    #expect(errorCode { _ = try repository.reader.chunk(data.id, kind: .tree) } == .damaged)
    var random = SeededGenerator()
    #expect(errorCode { _ = try repository.reader.chunk(random.id(), kind: .data) } == .damaged)
    // The location of one chunk under the id of another.
    let location = try #require(try repository.index.find(data.id))
    #expect(errorCode { _ = try repository.reader.chunk(random.id(), kind: .data, at: location) } == .damaged)
    #expect(try data.isReadable(in: repository))
  }

  @Test func chunksStoredByOthersAreFoundLater() throws {
    let test = try TestRepository()
    let reader = try test.open()
    try reader.index.refresh()
    let chunk = TestChunk([5], reader)
    try ChunkWriter.store([chunk], in: try test.open())
    #expect(try chunk.isReadable(in: reader))
  }

  @Test func aFailedReadIsTriedAgain() throws {
    let test = try TestRepository()
    let chunk = TestChunk([5], try test.open())
    try ChunkWriter.store([chunk], in: try test.open())
    let calls = FaultyStore(test.store)
    #expect(try chunk.isReadable(in: test.open(calls)))
    for call in 1...calls.calls {
      let store = FaultyStore(test.store, failingAt: call)
      guard let reader = try? test.open(store) else { continue }
      if (try? chunk.isReadable(in: reader)) == nil { #expect(try chunk.isReadable(in: reader)) }
      #expect(store.hasFailed)
    }
  }
}
