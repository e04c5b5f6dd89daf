// Trees that only somebody with a key can have made: what once ended the driver, or kept it busy for ever.
import ChunkCodec
import Glibc
import Platform
import RepositoryFormat
import RepositoryStore
import SnapshotTree
import Testing

@testable import BackupEngine

/// Chunks by their place, without keys.
private final class Chunks: ChunkSource {
  private let chunks = Monitor<[ObjectID: [UInt8]]>([:])

  func add(_ bytes: [UInt8]) -> ObjectID {
    let id = SHA256.hash(bytes)
    chunks.withLock { $0[id] = bytes }
    return id
  }
  func chunk(_ id: ObjectID, kind: ChunkKind) throws -> BytesSlice {
    guard let found = chunks.withLock({ $0[id] }) else { throw YesterError(.damaged, "There is no such chunk") }
    return BytesSlice(Bytes(found), offset: 0, count: found.count)
  }
  func chunkID(_ digest: Digest, _ keySet: KeySetID) -> ObjectID? { digest }
}

private func entry(_ name: String, _ body: EntryBody) -> Entry {
  let time = Timestamp(seconds: 1)
  return Entry(
    name: Array(name.utf8), permissions: 0o755, owner: Owner(user: 0, group: 0), modified: time, changed: time,
    born: nil, linkCount: 1, sourceInode: 1, body: body)
}

private func leaf(_ entries: [Entry]) -> [UInt8] {
  var builder = LeafBuilder()
  for entry in entries { builder.append(entry) }
  return builder.finish()
}

@Suite struct HostileTreeTests {
  private let chunks = Chunks()
  private var tree: TreeStore { TreeStore(reader: chunks) }
  private var content: FileContentReader {
    FileContentReader(tree: tree, keySet: KeySetID([UInt8](repeating: 0, count: 8)))
  }

  /// The list is held against every length that it is named with, not only the first.
  @Test(arguments: [UInt64(1 << 62), 10])
  func aListHasOneLength(length: UInt64) throws {
    let list = chunks.add(ContentList.pieces([ContentPiece(length: length, chunk: nil)]).encode())
    let lengths = [length, 100, 100, 100, 100]
    let lists = FileContent.lists(nil, lengths.map { ContentListReference(length: $0, list: list) })
    let size = length + 400
    let content = content
    #expect(throws: YesterError.self) { try content.dataSize(lists, size: size) }
    #expect(throws: YesterError.self) { try content.seek(lists, size: size, from: 0, toHole: false) }
    var buffer = [UInt8](repeating: 0xFF, count: 500)
    #expect(throws: YesterError.self) {
      try buffer.withUnsafeMutableBytes { try content.read(lists, size: size, at: length - 1, into: $0) }
    }
  }

  /// Seven levels of lists that each name the one below a hundred times.
  @Test(.timeLimit(.minutes(1))) func fewListsStandForManyPieces() throws {
    let data = ContentPiece(length: 1, chunk: .zero)
    let hole = ContentPiece(length: 1, chunk: nil)
    var length: UInt64 = 100
    var list = chunks.add(ContentList.pieces([ContentPiece](repeating: data, count: 100)).encode())
    for level in 1...6 {
      let references = [ContentListReference](repeating: ContentListReference(length: length, list: list), count: 100)
      list = chunks.add(ContentList.lists(level: level, references).encode())
      length *= 100
    }
    let same = ContentListReference(length: length, list: list)
    #expect(try content.dataSize(.lists(nil, [same, same]), size: 2 * length) == 2 * length)
    #expect(try content.seek(.lists(nil, [same, same]), size: 2 * length, from: 5, toHole: true) == 2 * length)
    // What comes behind them is found all the same. Lists of one file have one level.
    var end = chunks.add(ContentList.pieces([hole]).encode())
    for level in 1...6 {
      end = chunks.add(ContentList.lists(level: level, [ContentListReference(length: 1, list: end)]).encode())
    }
    let holed = FileContent.lists(nil, [same, same, ContentListReference(length: 1, list: end), same])
    let size = 3 * length + 1
    #expect(try content.dataSize(holed, size: size) == 3 * length)
    #expect(try content.seek(holed, size: size, from: 5, toHole: true) == 2 * length)
    #expect(try content.seek(holed, size: size, from: 2 * length, toHole: false) == 2 * length + 1)
    #expect(try content.seek(holed, size: size, from: size - 1, toHole: true) == size)
  }

  /// Entries would be left out, or given twice.
  @Test(arguments: [1, 3]) func aBranchMustNotLieAboutPositions(claimed: UInt64) throws {
    let first = leaf([entry("a", .directory(below: 1, listing: .zero)), entry("b", .fifo)])
    let branch = Branch(children: [
      Branch.Child(firstName: [0x61], count: claimed, total: 3, object: chunks.add(first)),
      Branch.Child(firstName: [0x63], count: 1, total: 1, object: chunks.add(leaf([entry("c", .fifo)]))),
    ])
    let listing = chunks.add(branch.encode())
    let tree = tree
    #expect(throws: YesterError.self) { try tree.forEach(in: listing, below: 4) { _ in true } }
  }
}

extension HostileTreeTests {
  /// A name that stands where no look-up goes would be listed and not be there.
  @Test(arguments: ["a", "c"]) func aListingIsSortedAsAWhole(name: String) throws {
    let below = { (name: String) in self.chunks.add(leaf([entry(name, .fifo)])) }
    let branch = Branch(children: [
      Branch.Child(firstName: Array("a".utf8), count: 1, total: 1, object: below("a")),
      Branch.Child(firstName: Array("c".utf8), count: 1, total: 1, object: below(name)),
    ])
    let listing = chunks.add(branch.encode())
    let tree = tree
    var names: [[UInt8]] = []
    let isRead =
      (try? tree.forEach(in: listing, below: 2) { place in
        names.append(try place.entry().name)
        return true
      }) != nil
    #expect(isRead == (name == "c"))
    #expect(names == (isRead ? [[0x61], [0x63]] : [[0x61]]))
  }
}

@Suite struct HostileMountTests {
  /// A mount of records without trees to speak of.
  private func withMount(
    _ host: String?, of records: [SnapshotRecord], _ body: (Namespace) throws -> Void
  ) throws {
    let folder = "/tmp/yester-test-" + Hex.encode(System.random(8))
    let store = try DirectoryStore.create(folder)
    let secret = Secret.keyFile(System.random(32))
    _ = try Repository.create(in: store, secret: secret, label: "test")
    let repository = try Repository.open(store, secret: secret)
    defer {
      for path in [folder, repository.cacheDirectory] {
        guard let slash = path.lastIndex(of: "/"),
          let above = try? Descriptor.open(String(path[..<slash]), Descriptor.directoryFlags)
        else { continue }
        try? LiveTree.remove(Array(path[path.index(after: slash)...].utf8), at: above)
      }
    }
    for record in records {
      let bytes = try RecordSealing.seal(record, repository.keyring)
      _ = try store.put(.snapshot(SHA256.hash(bytes)), bytes)
    }
    let mount = try Namespace(repository, Namespace.Options(host: host)) { _ in }
    defer { mount.close() }
    try body(mount)
  }

  private func record(_ name: String, host: String, below: UInt64) -> SnapshotRecord {
    var record = SnapshotRecord(root: entry("", .directory(below: below, listing: .zero)))
    record.name = name
    record.host = host
    record.counts.entries = .max
    return record
  }

  /// What records count adds up to no more than 64 bits hold, and says nothing of how long a list of files will be.
  @Test func recordsMayCountAnything() throws {
    let records = ["20261119_0215", "20261120_0215"].map { record($0, host: "ada", below: Limits.snapshotEntriesMax) }
    try withMount("ada", of: records) { mount in
      let own = try Array(".yester".utf8).withUnsafeBytes { try mount.lookUp($0, in: 1) }
      let info = try Array("backup_metadata.json".utf8).withUnsafeBytes { try mount.lookUp($0, in: own.node) }
      #expect(info.size > 0)
      _ = mount.totals()
    }
  }

  @Test func onlyNamesBecomeDirectories() throws {
    let hosts = ["ada", "..", ".", "a/b", "", String(repeating: "h", count: 256)]
    try withMount(nil, of: hosts.map { record("20261120_0215", host: $0, below: 0) }) { mount in
      var names: [String] = []
      try mount.list(1, from: 0) { name, _, _ in
        names.append(String(decoding: name, as: UTF8.self))
        return true
      }
      #expect(names == ["ada"])
    }
  }

  /// Two snapshots of one name are told apart by a number, for which the longest name has no room.
  @Test func longNamesStayNames() throws {
    let name = "20261120_0215_" + String(repeating: "n", count: 241)
    try withMount("ada", of: [0, 1].map { record(name, host: "ada", below: $0) }) { mount in
      try mount.list(1, from: 0) { name, _, _ in
        #expect(isValidName(name))
        return true
      }
    }
  }
}
