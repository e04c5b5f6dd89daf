import SnapshotTree
import ChunkCodec
import Glibc
import MountNamespace
import ObjectStores
import Platform
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing

/// A mounted directory of like files, each of one chunk in a block of its own: what is opened shows in the cache.
private struct Fixture {
  static let fileSize = 100_000
  static let path = "20261120_0930/files"
  let test: MountedRepository
  let chunks: [(id: ObjectID, bytes: [UInt8])]

  /// `gap` is the number of entries without content behind each file.
  init(files: Int, gap: Int = 0, cacheSize: Int = 64 << 20) throws {
    test = try MountedRepository(cacheSize: cacheSize)
    var settings = ChunkWriter.Settings()
    settings.dataBlockSize = 1
    settings.packSize = 1_000_000
    settings.level = 1
    let writer = try ChunkWriter(test.repository, settings)
    defer { writer.close() }
    let hash = KeyedHash(key: test.repository.keyring.current.record.idKey)
    func store(_ bytes: [UInt8], _ kind: ChunkKind) throws -> (id: ObjectID, digest: Digest) {
      let digest = SHA256.hash(bytes)
      let id = hash.chunkID(digest, kind: kind)
      _ = try bytes.withUnsafeBytes { try writer.add(id, kind: kind, $0) }
      return (id, digest)
    }
    var chunks: [(id: ObjectID, bytes: [UInt8])] = []
    var entries: [Entry] = []
    for number in 0..<files {
      let bytes = System.random(Self.fileSize)
      let (id, digest) = try store(bytes, .data)
      chunks.append((id, bytes))
      entries.append(entry(Self.name(number), .file(size: UInt64(bytes.count), content: .single(digest))))
      for other in 0..<gap { entries.append(entry(Self.name(number) + "-\(pad(other, 3))", .fifo)) }
    }
    self.chunks = chunks
    let files = try store(leaf(entries), .tree).id
    let root = leaf([entry("files", .directory(below: UInt64(entries.count), listing: files))])
    var record = SnapshotRecord(
      root: entry("", .directory(below: UInt64(entries.count + 1), listing: try store(root, .tree).id)))
    record.name = "20261120_0930"
    record.host = "ada"
    try writer.flush()
    try test.add(record)
  }

  static func name(_ number: Int) -> String { "f" + pad(number, 5) }

  var opened: Int { test.repository.reader.cache.size }

  /// What is opened before any file has been read: the listings.
  func openListings(_ mount: Namespace) throws -> Int {
    _ = try mount.node(Self.path + "/" + Self.name(0))
    return opened
  }

  /// Reads a file in requests like the kernel's; nil where it cannot be read.
  func read(_ number: Int, _ mount: Namespace, request: Int = 32_768) throws -> Bool? {
    let node = try mount.node(Self.path + "/" + Self.name(number))
    var bytes: [UInt8] = []
    do {
      while bytes.count < Int(node.size) {
        let parts = try mount.read(node.node, at: UInt64(bytes.count), count: request)
        for part in parts { part.withBytes { bytes += $0 } }
      }
    } catch {
      return nil
    }
    return bytes == chunks[number].bytes
  }

  /// Waits until the cache does not grow any more, or has at least `size`.
  func settle(_ size: Int = .max) {
    var last = -1
    for _ in 0..<100 where opened < size {
      if size == .max, opened == last { return }
      last = opened
      usleep(100_000)
    }
  }
}

private func pad(_ number: Int, _ digits: Int) -> String {
  let text = String(number)
  return String(repeating: "0", count: digits - text.count) + text
}

@Suite(.timeLimit(.minutes(5))) struct ReadAheadTests {
  private static let window = 8 << 20
  /// What a file's block takes in the cache.
  private static let blockMemory = 102_400
  private static let hasThreads = System.processorCount > 1

  /// Files one after the other: the next ones are opened, up to the window and not much further.
  @Test(.enabled(if: hasThreads)) func whoReadsInOrderFindsTheNextOnesOpened() throws {
    let fixture = try Fixture(files: 160)
    try fixture.test.withMount("ada") { (mount) throws in
      let listings = try fixture.openListings(mount)
      for number in 20..<23 { #expect(try fixture.read(number, mount) == true) }
      fixture.settle(Self.window)
      #expect(fixture.opened >= Self.window)
      fixture.settle()
      // Each thread plans half a MiB at a time.
      #expect(fixture.opened <= Self.window + 4 * (600 << 10) + 3 * Self.blockMemory + listings)
      // It goes on with the reader, to the end.
      for number in 23..<160 { try #require(try fixture.read(number, mount) == true) }
    }
  }

  /// The entries between two files may be of any kind, but not too many.
  @Test(.enabled(if: hasThreads), arguments: [0, 20, 300]) func entriesWithoutContentArePassedOver(gap: Int) throws {
    let fixture = try Fixture(files: 12, gap: gap)
    try fixture.test.withMount("ada") { (mount) throws in
      let listings = try fixture.openListings(mount)
      for number in 0..<2 { #expect(try fixture.read(number, mount) == true) }
      if gap < 256 { fixture.settle(listings + 12 * Self.blockMemory) }
      fixture.settle()
      #expect(fixture.opened - listings == (gap < 256 ? 12 : 2) * Self.blockMemory)
    }
  }

  @Test func readsHereAndThereOpenNothing() throws {
    let fixture = try Fixture(files: 60)
    try fixture.test.withMount("ada") { (mount) throws in
      let listings = try fixture.openListings(mount)
      let numbers = [50, 40, 30, 20, 10]
      for number in numbers { #expect(try fixture.read(number, mount, request: Fixture.fileSize) == true) }
      usleep(300_000)
      #expect(fixture.opened - listings == numbers.count * Self.blockMemory)
    }
  }

  /// Reading ahead comes upon damage first. The reader gets the error, there alone, and what is behind it as well.
  @Test func damageIsTheReadersToFind() throws {
    let fixture = try Fixture(files: 60)
    let location = try #require(try fixture.test.repository.index.find(fixture.chunks[30].id))
    let path = ObjectKey.pack(location.pack).path
    fixture.test.store[path]?[Int(location.block.offset + location.block.sealedLength / 2)] ^= 1
    let lost = try #require(try fixture.test.repository.index.find(fixture.chunks[50].id)).pack
    let gone = try (0..<60).filter { try fixture.test.repository.index.find(fixture.chunks[$0].id)?.pack == lost }
    try fixture.test.store.delete(.pack(lost))
    try fixture.test.withMount("ada") { (mount) throws in
      for _ in 0..<2 {
        for number in 0..<60 {
          let isRight = try fixture.read(number, mount)
          try #require(isRight == (number == 30 || gone.contains(number) ? nil : true), "file \(number)")
        }
      }
    }
  }

  /// Many readers in a cache that holds a few files: what is opened ahead pushes nothing out that would be read wrongly.
  @Test(arguments: [1, 500_000, 2_000_000]) func allIsRightInATightCache(cacheSize: Int) throws {
    let fixture = try Fixture(files: 60, cacheSize: cacheSize)
    try fixture.test.withMount("ada") { (mount) throws in
      let wrong = Monitor<[Int]>([])
      let readers = try (0..<4).map { reader in
        try Worker("reader-\(reader)") {
          for number in (reader * 10)..<60 where (try? fixture.read(number, mount)) != true {
            wrong.withLock { $0.append(number) }
          }
        }
      }
      for reader in readers { reader.join() }
      #expect(wrong.withLock { $0 } == [])
      #expect(fixture.opened <= max(cacheSize, 2 * Self.blockMemory))
    }
  }

  /// Closing waits for the threads, wherever these are, and what is read later is read all the same.
  @Test func closingEndsTheThreads() throws {
    let fixture = try Fixture(files: 40)
    for number in 0..<10 {
      try fixture.test.withMount("ada") { (mount) throws in
        for next in number..<(number + 3) { #expect(try fixture.read(next, mount) == true) }
        mount.close()
        let opened = fixture.opened
        usleep(20_000)
        #expect(fixture.opened == opened)
        #expect(try fixture.read(39, mount) == true)
      }
    }
  }
}
