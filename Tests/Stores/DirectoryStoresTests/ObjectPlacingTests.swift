// How objects get their names, on file systems that can do less than others.
import ChunkCodec
@testable import DirectoryStores
import Glibc
import ObjectStores
import Platform
import RepositoryFormat
import TestSupport
import Testing

@Suite struct ObjectPlacingTests {
  private static let content = [UInt8]("the whole object".utf8)
  private static var contentKey: ObjectKey { .pack(ObjectID(nameOf: SHA256.hash(content))) }
  private static func lease(_ number: Int) -> ObjectKey {
    let digits = String(number, radix: 16)
    return .lease(String(repeating: "0a", count: 16) + "-" + String(repeating: "0", count: 16 - digits.count) + digits)
  }

  private func withStore(_ way: ObjectPlacing.Way, _ body: (DirectoryStore, String) throws -> Void) throws {
    try withTemporaryDirectory { path in
      _ = try DirectoryStore.create(path)
      try body(DirectoryStore(path, startingWith: way), path)
    }
  }

  /// What a power failure leaves of an object on a file system without a journal.
  @Test(arguments: ObjectPlacing.Way.allCases)
  func aTornObjectIsReplaced(way: ObjectPlacing.Way) throws {
    try withStore(way) { (store, path) throws in
      let key = Self.contentKey
      for torn in [[], Array(Self.content.dropLast()), [UInt8](repeating: 0, count: Self.content.count)] {
        try Directory.makeAll(path + "/packs/" + key.path.split(separator: "/")[1])
        try writeFile("\(path)/\(key.path)", torn)
        #expect(try store.put(key, Self.content))
        #expect(try store.get(key, limit: 100) == Self.content)
      }
      // What is whole stays, whatever is brought.
      #expect(try !store.put(key, Self.content))
      #expect(try !store.put(key, [1, 2, 3]))
      #expect(try store.get(key, limit: 100) == Self.content)
    }
  }

  /// Neither is bytes that do not fit their name put in place of others that do not.
  @Test(arguments: ObjectPlacing.Way.allCases)
  func wrongBytesReplaceNothing(way: ObjectPlacing.Way) throws {
    try withStore(way) { (store, _) throws in
      let key = Self.contentKey
      #expect(try store.put(key, [1]))
      #expect(try !store.put(key, [2]))
      #expect(try store.get(key, limit: 100) == [1])
    }
  }

  /// Where being first decides something, what is there stays, even when a crash left nothing in it.
  @Test(arguments: ObjectPlacing.Way.allCases)
  func aClaimStays(way: ObjectPlacing.Way) throws {
    try withStore(way) { (store, path) throws in
      for key in [ObjectKey.config, Self.lease(0)] {
        try writeFile(path + "/" + key.path, [])
        #expect(try !store.put(key, [1]))
        #expect(try store.get(key, limit: 100) == [])
      }
    }
  }

  /// Several processes are several stores: one lock for all of them is in the file system alone.
  @Test(arguments: ObjectPlacing.Way.allCases)
  func oneAloneTakesAName(way: ObjectPlacing.Way) throws {
    try withStore(way) { (_, path) throws in
      let wins = Monitor<[Int: [[UInt8]]]>([:])
      try onThreads(8) { thread in
        let store = DirectoryStore(path, startingWith: way)
        for round in 0..<30 {
          let bytes: [UInt8] = [UInt8(thread), UInt8(round)]
          if (try? store.putBriefly(Self.lease(round), bytes)) == true {
            wins.update { $0[round, default: []].append(bytes) }
          }
        }
      }
      for round in 0..<30 {
        let winners = wins.withLock { $0[round] ?? [] }
        #expect(winners.count == 1)
        let there = try DirectoryStore(path).get(Self.lease(round), limit: 100)
        #expect(there == winners.first)
      }
    }
  }

  /// A disk that was pulled leaves its mount point: nothing is made there.
  @Test(arguments: ObjectPlacing.Way.allCases)
  func nothingIsMadeWhereTheRepositoryIsGone(way: ObjectPlacing.Way) throws {
    try withTemporaryDirectory { path in
      let placing = ObjectPlacing(path, startingWith: way)
      do throws(Errno) {
        _ = try placing.place(path + "/tmp/x", as: Self.contentKey, isDurable: true)
        Issue.record("something was named that is not there")
      } catch {
        #expect(error == .notFound)
      }
      let names = try Directory.names(Descriptor.open(path, Descriptor.directoryFlags))
      #expect(names.isEmpty)
    }
  }

  /// A name that is on the disk in a folder that is not is lost with it.
  @Test(arguments: [ObjectKey.pack(ObjectID(nameOf: SHA256.hash([7]))), .index(ObjectID(nameOf: SHA256.hash([8])))])
  func aFolderThatIsMadeIsSyncedWhereItsNameIs(key: ObjectKey) throws {
    try withTemporaryDirectory { path in
      _ = try DirectoryStore.create(path + "/r")
      let root = path + "/r"
      // As a copy without empty folders has it.
      for folder in ["packs", "index"] { try FileSystem.removeDirectory((root + "/" + folder).pathBytes, at: nil) }
      let synced = Monitor<[String]>([])
      let placing = ObjectPlacing(root) { path in synced.update { $0.append(path) } }
      try writeFile(root + "/tmp/x", [1])
      #expect(try placing.place(root + "/tmp/x", as: key, isDurable: true))
      var folder = root + "/" + key.path
      var wanted: Set<String> = []
      while folder != root {
        folder = String(folder[..<(folder.lastIndex(of: "/") ?? folder.startIndex)])
        wanted.insert(folder)
      }
      #expect(Set(synced.withLock { $0 }) == wanted)
      // When it is there, nothing above it is waited for.
      synced.update { $0 = [] }
      try writeFile(root + "/tmp/y", [2])
      _ = try placing.place(root + "/tmp/y", as: key, isDurable: true)
      #expect(synced.withLock { $0.count } == 1)
    }
  }

  @Test func theUsualFileSystemHasLinks() throws {
    try withTemporaryDirectory { path in
      _ = try DirectoryStore.create(path + "/r")
      let placing = ObjectPlacing(path + "/r")
      try writeFile(path + "/r/tmp/x", [1])
      #expect(try placing.place(path + "/r/tmp/x", as: .config, isDurable: true))
      #expect(placing.known == .link)
    }
  }
}
