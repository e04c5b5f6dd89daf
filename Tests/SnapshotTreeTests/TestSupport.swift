// What the tests of this module share: chunks without keys, and a mount of a repository in memory.
import ChunkCodec
import Platform
import RepositoryFormat
import RepositoryStore
import SnapshotTree
import TestSupport

/// Chunks by their place, without keys.
final class Chunks: ChunkSource {
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

func entry(_ name: String, _ body: EntryBody) -> Entry {
  let time = Timestamp(seconds: 1)
  return Entry(
    name: Array(name.utf8), permissions: 0o755, owner: Owner(user: 0, group: 0), modified: time, changed: time,
    born: nil, linkCount: 1, sourceInode: 1, body: body)
}

func leaf(_ entries: [Entry]) -> [UInt8] {
  var builder = LeafBuilder()
  for entry in entries { builder.append(entry) }
  return builder.finish()
}

/// A repository in memory, and mounts of it.
final class TestRepository: Sendable {
  let store = MemoryStore()
  private let secret = Secret.keyFile(System.random(32))
  let repository: Repository

  /// `cacheSize` bounds opened blocks in memory.
  init(cacheSize: Int = 64 << 20) throws {
    _ = try Repository.create(in: store, secret: secret, label: "test")
    repository = try Repository.open(store, secret: secret, cacheSize: cacheSize, caches: testCaches)
  }

  deinit { removeTree(repository.cacheDirectory) }

  func add(_ record: SnapshotRecord) throws {
    let bytes = try RecordSealing.seal(record, repository.keyring)
    _ = try store.put(.snapshot(SHA256.hash(bytes)), bytes)
  }

  /// Runs `body` with a mount of one host's snapshots, or of all.
  func withMount<Value>(_ host: String?, _ body: (Namespace) throws -> Value) throws -> Value {
    let mount = try Namespace(repository, Namespace.Options(host: host)) { _ in }
    defer { mount.close() }
    return try body(mount)
  }
}

extension Namespace {
  /// The node of a path below the top, names between slashes.
  func node(_ path: String) throws -> NodeInfo {
    var node = try attributes(of: 1)
    for name in path.split(separator: "/") {
      node = try Array(name.utf8).withUnsafeBytes { try lookUp($0, in: node.node) }
    }
    return node
  }
}
