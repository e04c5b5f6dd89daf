// What the tests of this module share: chunks without keys, and a mount of a repository in memory.
internal import ChunkCodec
package import Platform
package import Reporting
package import RepositoryFormat
internal import SnapshotTree

/// Chunks by their index, without keys.
package final class Chunks: ChunkSource {
  private let chunks = Monitor<[ObjectID: [UInt8]]>([:])

  package init() {}

  package func add(_ bytes: [UInt8]) -> ObjectID {
    let id = ObjectID(nameOf: SHA256.hash(bytes))
    chunks.withLock { $0[id] = bytes }
    return id
  }
  package func chunk(_ id: ObjectID, kind: ChunkKind) throws(YesterError) -> BytesSlice {
    guard let found = chunks.withLock({ $0[id] }) else { throw YesterError(.damaged, "There is no such chunk") }
    return BytesSlice(Bytes(found), offset: 0, count: found.count)
  }
  package func chunkID(_ digest: Digest, _ keySet: KeySetID) -> ObjectID? {
    ObjectID(nameOf: digest)
  }
}

package func entry(_ name: String, _ body: EntryBody) -> Entry {
  let time = Timestamp(seconds: 1)
  return Entry(
    name: Array(name.utf8), permissions: 0o755, owner: Owner(user: 0, group: 0), modified: time, changed: time,
    born: nil, linkCount: 1, sourceInode: 1, body: body)
}

package func leaf(_ entries: [Entry]) -> [UInt8] {
  var builder = LeafBuilder()
  for entry in entries { builder.append(entry) }
  return builder.finish()
}
