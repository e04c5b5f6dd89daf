import Reporting
import Platform
import ObjectStores
import ChunkCodec
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing

@Suite struct IndexSegmentTests {
  @Test func findsWhatADictionaryFinds() throws {
    var random = SeededGenerator()
    let test = try TestRepository()
    let repository = try test.open()
    var builder = IndexSegmentBuilder()
    var model: [ObjectID: ChunkLocation] = [:]
    var all: [ObjectID] = []
    for number in 0..<5 {
      // Uniform ids, and some that guessing from the value does not suit.
      var ids = (0..<9800).map { _ in random.id() }
      for _ in 0..<200 {
        var bytes = [UInt8](repeating: UInt8(number), count: 12) + random.bytes(20)
        if number == 4 { bytes[0] = 0xFF }
        ids.append(bytes.withUnsafeBytes { ObjectID($0) })
      }
      let pack = indexed(ids, pack: random.id())
      builder.add(pack)
      for (location, chunks) in pack.blocks {
        var offset: UInt32 = 0
        for chunk in chunks {
          model[chunk.id] = ChunkLocation(pack: pack.pack.id, block: location, offset: offset, length: chunk.length)
          offset += chunk.length
        }
      }
      all += ids
    }
    #expect(builder.chunkCount == 50_000 && builder.packCount == 5)
    _ = try builder.store(in: test.store, repository.keyring)
    try repository.index.refresh()
    let segment = try #require(repository.index.current.segments.first)
    #expect(segment.chunkCount == 50_000 && segment.packCount == 5)

    for id in all {
      let index = try #require(try segment.find(id), seedHint)
      try #require(try segment.location(index) == model[id], seedHint)
    }
    for number in 0..<50_000 {
      var id = random.id()
      if number.isMultiple(of: 2) {
        // Next to one that is there.
        var bytes = all[number].bytes
        bytes[19 - number % 20] &+= 1
        id = bytes.withUnsafeBytes { ObjectID($0) }
      }
      if model[id] == nil { try #require(try segment.find(id) == nil, seedHint) }
    }
    for byte in [UInt8(0), 0xFF] {
      #expect(try segment.find([UInt8](repeating: byte, count: 32).withUnsafeBytes { ObjectID($0) }) == nil)
    }
    for index in 1..<segment.chunkCount { try #require(segment.prefix(index - 1) <= segment.prefix(index)) }
  }

  @Test func anEmptySegmentFindsNothing() throws {
    var random = SeededGenerator()
    let test = try TestRepository()
    let repository = try test.open()
    var builder = IndexSegmentBuilder()
    #expect(builder.isEmpty)
    builder.replaced = [random.id()]
    _ = try builder.store(in: test.store, repository.keyring)
    try repository.index.refresh()
    #expect(try repository.index.find(random.id()) == nil)
  }

  @Test func segmentsAreMergedWithoutSomePacks() throws {
    var random = SeededGenerator()
    let test = try TestRepository()
    let repository = try test.open()
    let packs = (0..<3).map { _ in indexed((0..<250).map { _ in random.id() }, pack: random.id()) }
    var builder = IndexSegmentBuilder()
    for pack in packs { builder.add(pack) }
    let old = try builder.store(in: test.store, repository.keyring)
    try repository.index.refresh()
    var merged = IndexSegmentBuilder()
    try merged.add(try #require(repository.index.current.segments.first)) { $0 != packs[1].pack.id }
    merged.replaced = [old]
    _ = try merged.store(in: test.store, repository.keyring)
    try repository.index.refresh()
    for (number, pack) in packs.enumerated() {
      for (location, chunks) in pack.blocks {
        for chunk in chunks {
          let found = try repository.index.find(chunk.id)
          #expect((found == nil) == (number == 1))
          if let found { #expect(found.block == location && found.pack == pack.pack.id) }
        }
      }
    }
  }
}

@Suite struct ChunkIndexTests {
  @Test func replacedSegmentsAreIgnored() throws {
    var random = SeededGenerator()
    let test = try TestRepository()
    let repository = try test.open()
    let ids = (0..<3).map { _ in random.id() }
    var segments: [ObjectID] = []
    for id in ids {
      var builder = IndexSegmentBuilder()
      builder.add(indexed([id], pack: random.id()))
      segments.append(try builder.store(in: test.store, repository.keyring))
    }
    var replacing = IndexSegmentBuilder()
    replacing.replaced = [segments[0], random.id()]
    _ = try replacing.store(in: test.store, repository.keyring)
    for _ in 0..<2 {
      try repository.index.refresh()
      #expect(try repository.index.find(ids[0]) == nil)
      #expect(try repository.index.find(ids[1]) != nil && repository.index.find(ids[2]) != nil)
      #expect(!repository.index.current.segments.map(\.id).contains(segments[0]))
      // The same when the replaced segment is gone.
      try test.store.delete(.index(segments[0]))
    }
    try test.store.delete(.index(segments[2]))
    try repository.index.refresh()
    #expect(try repository.index.find(ids[2]) == nil)
    try repository.index.rebuildCache()
    #expect(try repository.index.find(ids[1]) != nil)
  }

  @Test func condemnedPacksAreReadButNotBuiltOn() throws {
    let test = try TestRepository()
    let repository = try test.open()
    let chunk = TestChunk([1, 2, 3], repository)
    try ChunkWriter.store([chunk], in: repository)
    let pack = try #require(try repository.index.find(chunk.id)).pack
    try repository.condemn(pack)
    try repository.index.refresh()
    #expect(try repository.index.find(chunk.id) != nil)
    #expect(try repository.index.findReusable(chunk.id) == nil)
    #expect(try chunk.isReadable(in: repository))

    let writer = try ChunkWriter(repository)
    defer { writer.close() }
    #expect(try writer.add(chunk))
    try writer.flush()
    let stored = try #require(try repository.index.findReusable(chunk.id))
    #expect(stored.pack != pack)
    try test.store.delete(.pack(pack))
    #expect(try repository.reader.chunk(chunk.id, kind: .data, at: stored).count == 3)
  }
}

@Suite struct LyingIndexTests {
  /// Whoever has any key can write index segments: what they say must be checked against what is stored.
  @Test func aSegmentThatLiesAboutABlockEndsInAnError() throws {
    let test = try TestRepository()
    let repository = try test.open()
    let first = TestChunk([1, 2, 3], repository)
    let second = TestChunk([4, 5, 6], repository)
    try ChunkWriter.store([first, second], in: repository)
    let stored = try #require(try repository.index.find(first.id))
    #expect(try first.isReadable(in: repository) && second.isReadable(in: repository))
    var random = SeededGenerator()
    func lie(_ plainLength: UInt32, offset: UInt32, length: UInt32) throws {
      let id = random.id()
      let block = BlockLocation(
        number: stored.block.number,
        offset: stored.block.offset,
        sealedLength: stored.block.sealedLength,
        plainLength: plainLength,
        compression: stored.block.compression
      )
      let location = ChunkLocation(pack: stored.pack, block: block, offset: offset, length: length)
      for reader in [repository, try test.open()] {
        #expect(errorCode { _ = try reader.reader.chunk(id, kind: .data, at: location) } == .damaged)
      }
    }
    // The block is in the cache of the first reader: these locations lie outside of what it holds, or at another chunk.
    try lie(1000, offset: 500, length: 100)
    try lie(UInt32.max >> 4, offset: UInt32.max >> 5, length: 1)
    try lie(6, offset: 0, length: 3)
    try lie(6, offset: 3, length: 3)
    try lie(6, offset: 0, length: 0)
    try lie(6, offset: 0, length: 6)
    #expect(try first.isReadable(in: repository) && second.isReadable(in: repository))
  }
}
