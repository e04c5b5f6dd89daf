import ObjectStores
import ChunkCodec
import MountNamespace
import Platform
import RepositoryCore
import RepositoryFormat
import SnapshotTree
import TestSupport

/// A repository in memory, and mounts of it.
final class MountedRepository: Sendable {
  let store = MemoryStore()
  private let test: TestRepository
  let repository: Repository

  /// `cacheSize` bounds opened blocks in memory.
  init(cacheSize: Int = 64 << 20) throws {
    test = try TestRepository(in: store)
    repository = try test.open(cacheSize: cacheSize)
  }

  func add(_ record: SnapshotRecord) throws {
    let bytes = try RecordSealing.seal(record, repository.keyring)
    _ = try store.put(.snapshot(ObjectID(nameOf: SHA256.hash(bytes))), bytes)
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
