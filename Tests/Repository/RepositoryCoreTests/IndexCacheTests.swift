import Glibc
import Reporting
import ObjectStores
import ChunkCodec
import Platform
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing

@Suite struct IndexCacheTests {
  /// A repository with one chunk and its index, and the cached file of that.
  private func withCachedSegment(_ body: (TestRepository, TestChunk, String) throws -> Void) throws {
    let test = try TestRepository()
    let repository = try test.open()
    let chunk = TestChunk([1, 2, 3], repository)
    try ChunkWriter.store([chunk], in: repository)
    let id = try #require(try test.store.ids(.index).first)
    let path = repository.cacheDirectory + "/index/" + id.hex
    try #require((try? FileStatus(of: path))?.isRegular == true)
    try body(test, chunk, path)
  }

  @Test func whatLooksWrongIsMadeAnew() throws {
    try withCachedSegment { test, chunk, path in
      let good = try Descriptor.open(path).readAll(limit: 1 << 20)
      let bad: [[UInt8]] = [
        [], [0], Array(good.prefix(23)), Array(good.prefix(24)), Array(good.dropLast()), good + [0],
        [UInt8](repeating: 0xFF, count: good.count), [UInt8](repeating: 0, count: good.count),
        System.random(good.count),
      ]
      for content in bad {
        try FileSystem.removeFile(Array(path.utf8), at: nil)
        try writeFile(path, content)
        #expect(try chunk.isReadable(in: test.open()))
        #expect(try Descriptor.open(path).readAll(limit: 1 << 20) == good)
      }
      removeTree(path)
      try Directory.makeAll(path)
      #expect(try chunk.isReadable(in: test.open()))
    }
  }

  @Test func segmentsThatAreGoneLeaveTheCache() throws {
    try withCachedSegment { test, chunk, path in
      let repository = try test.open()
      try repository.index.refresh()
      let stray = path + ".0a0b0c0d"
      try writeFile(stray, [1])
      let past = Timestamp(seconds: Timestamp.now().seconds - 7200)
      try FileSystem.setTimes(Array(stray.utf8), at: nil, accessed: past, modified: past)
      let young = path + ".ffffffff"
      try writeFile(young, [1])
      for id in try test.store.ids(.index) { try test.store.delete(.index(id)) }
      try repository.index.refresh()
      #expect((try? FileStatus(of: path)) == nil)
      #expect((try? FileStatus(of: stray)) == nil)
      #expect((try? FileStatus(of: young)) != nil)
      #expect(try repository.index.find(chunk.id) == nil)
    }
  }

  /// A segment that is damaged or forged is passed over, and told: it must not make everything else unreadable.
  private func expectUnusable(_ chunk: TestChunk, _ test: TestRepository) throws {
    let repository = try test.open()
    try repository.index.refresh()
    #expect(repository.index.current.segments.isEmpty)
    #expect(repository.index.current.unusable.map(\.error.code) == [.damaged])
    #expect(errorMessage { try repository.index.requireWhole() }.contains("--rebuild-index"))
    #expect(errorMessage { _ = try chunk.isReadable(in: repository) }.contains("--rebuild-index"))
  }

  @Test func damagedSegmentsAreNotTaken() throws {
    try withCachedSegment { test, chunk, path in
      let id = try #require(try test.store.ids(.index).first)
      let store = try #require(test.store as? MemoryStore)
      let good = try #require(store["index/\(id)"])
      for bad in [
        Array(good.dropLast()), Array(good.prefix(72)), [], good.map { $0 ^ 1 }, Array(good.prefix(80)) + good,
      ] {
        removeTree(path)
        store["index/\(id)"] = bad
        try expectUnusable(chunk, test)
        #expect((try? FileStatus(of: path)) == nil)
      }
      // A good segment under a wrong name.
      removeTree(path)
      store["index/\(id)"] = nil
      let other = ObjectID.zero
      store["index/\(other)"] = good
      try expectUnusable(chunk, test)
      // And nothing of the attempts stays.
      let names = try Directory.names(Descriptor.open(String(path.dropLast(65)), Descriptor.directoryFlags))
      #expect(names.isEmpty)
      store["index/\(other)"] = nil
      store["index/\(id)"] = good
      #expect(try chunk.isReadable(in: test.open()))
    }
  }

  @Test func itWorksWithoutADirectoryForTheCache() throws {
    try withCachedSegment { test, chunk, path in
      let directory = try test.open().cacheDirectory
      removeTree(directory)
      try writeFile(directory, [])
      #expect(try chunk.isReadable(in: test.open()))
      let names = try Directory.names(Descriptor.open("/tmp", Descriptor.directoryFlags))
      let own = names.map { String(decoding: $0, as: UTF8.self) }.filter { $0.hasPrefix(".yester-") }
      #expect(own == [])
    }
  }

  /// Makes a segment that is too large to be looked at in memory, and lets `body` break the file of its local copy.
  private func withLargeSegment(
    _ body: (Repository, _ ids: [ObjectID], _ breakCopy: () throws -> Void) throws -> Void
  ) throws {
    var random = SeededGenerator()
    let test = try TestRepository()
    let repository = try test.open()
    let ids = (0..<140_000).map { _ in random.id() }
    var builder = IndexSegmentBuilder()
    builder.add(indexed(ids, pack: random.id(), by: repository.keyring.writer.publicKey))
    let id = try builder.store(in: test.store, repository.keyring)
    try repository.index.refresh()
    let path = repository.cacheDirectory + "/index/" + id.hex
    try #require(try FileStatus(of: path).size > 4 << 20)
    // Reading behind the end gives nothing, as reading from a broken disk does.
    try body(repository, [ids[0], ids[70_000], ids[139_999]]) {
      try #require(truncate(path, 4096) == 0)
    }
  }

  @Test func whatCannotBeReadOfASegmentIsNoAbsence() throws {
    try withLargeSegment { repository, ids, breakCopy in
      let segment = try #require(repository.index.current.segments.first)
      let places = try ids.map { try #require(try segment.find($0)) }
      try breakCopy()
      for id in ids { #expect(throws: YesterError.self) { try segment.find(id) } }
      for place in places { #expect(throws: YesterError.self) { try segment.location(place) } }
    }
  }

  @Test func aLocalCopyThatCannotBeReadIsMadeAnew() throws {
    try withLargeSegment { repository, ids, breakCopy in
      let places = try ids.map { try repository.index.find($0) }
      for look in [ChunkIndex.find, ChunkIndex.findReusable] {
        try breakCopy()
        #expect(try ids.map { try look(repository.index)($0) } == places)
      }
    }
  }

  /// The local copy cannot be deleted, or another run puts it back.
  @Test func aLocalCopyThatStaysIsNotTakenForTheRepository() throws {
    try withCachedSegment { test, chunk, path in
      let good = try Descriptor.open(path).readAll(limit: 1 << 20)
      var bad = good
      // Its place in the pack.
      bad[bad.count - 5] ^= 1
      let stale = bad
      let watched = WatchedStore(test.store) { call in
        guard call == .list(.index) else { return }
        try? FileSystem.removeFile(Array(path.utf8), at: nil)
        try writeFile(path, stale)
      }
      let repository = try test.open(watched)
      try repository.index.rebuildCache()
      #expect(try chunk.isReadable(in: repository))
      #expect(try Descriptor.open(path).readAll(limit: 1 << 20) == good)
    }
  }
}
