// A repository in memory, made of a scenario by somebody who has all keys.
import ObjectStores
@testable internal import ChunkCodec
internal import Platform
internal import RepositoryCore
internal import RepositoryFormat
internal import TestSupport

struct SealedRepository {
  let store = MemoryStore()
  private var ids: [ObjectID] = []
  private var digests: [Digest] = []

  init(_ scenario: Scenario) throws {
    let config = testConfig.encode { SHA256.hash($0).bytes }
    try store.put(.config, config)
    try store.put(.slot(testSlot.key.id), testSlot.bytes)
    try store.put(.epoch(2), testEpoch)
    try storeChunks(scenario.chunks)
    var sequence: UInt64 = 0
    for var record in scenario.records {
      sequence += 1
      record.sequence = sequence
      // The root stands in a record as in a leaf.
      if case .directory(let below, let listing) = record.root.body, let index = scenario.index(listing) {
        record.root.body = .directory(below: below, listing: ids[index])
      }
      let bytes = try RecordSealing.seal(record, testKeyring)
      try store.put(.snapshot(ObjectID(nameOf: SHA256.hash(bytes))), bytes)
    }
    let snapshots = try store.ids(.snapshots)
    for note in scenario.notes {
      var note = note
      note.subjects = zip(note.subjects, snapshots).map {
        NoteRecord.Subject(snapshot: $1, writer: $0.writer, sequence: $0.sequence)
      }
      note.names = Array(note.names.prefix(note.subjects.count))
      // Its id counts as an index, since the true ids are known only now.
      if let index = note.annotation?.snapshot.bytes.first, !snapshots.isEmpty {
        note.annotation?.snapshot = snapshots[Int(index) % snapshots.count]
      }
      let bytes = RecordSealing.seal(note, testKeyring)
      try store.put(.snapshot(ObjectID(nameOf: SHA256.hash(bytes))), bytes)
    }
  }

  private static let codecs = Pool { BlockCodec(level: 1) }
  private static let headers: [ChunkKind: (PackKey, [UInt8])]? = accepted {
    [.data: try PackKey.make(.data, testKeyring), .tree: try PackKey.make(.tree, testKeyring)]
  }

  private mutating func storeChunks(_ chunks: [(kind: ChunkKind, bytes: [UInt8])]) throws {
    let hash = KeyedHash(key: testKeyring.current.record.idKey)
    var plain: [ChunkKind: [(ObjectID, [UInt8])]] = [:]
    for (kind, bytes) in chunks {
      let resolved = kind == .tree ? resolve(bytes) : bytes
      let digest = SHA256.hash(resolved)
      digests.append(digest)
      ids.append(hash.chunkID(digest, kind: kind))
      plain[kind, default: []].append((hash.chunkID(digest, kind: kind), resolved))
    }
    var builder = IndexSegmentBuilder()
    for (kind, parts) in plain { if let pack = try storePack(kind, parts) { builder.add(pack) } }
    if !builder.isEmpty { _ = try builder.store(in: store, testKeyring) }
  }

  /// Replaces marks by the ids and hashes of earlier chunks.
  private func resolve(_ bytes: [UInt8]) -> [UInt8] {
    var out = bytes
    var at = 0
    while at + 32 <= out.count {
      let index = Int(out[at])
      let mark = out[at + 1]
      if index < ids.count, mark == Scenario.idMark || mark == Scenario.digestMark,
        out[(at + 1)..<(at + 32)].allSatisfy({ $0 == mark })
      {
        let real = mark == Scenario.idMark ? ids[index].bytes : digests[index].bytes
        out.replaceSubrange(at..<(at + 32), with: real)
        at += 32
      } else {
        at += 1
      }
    }
    return out
  }

  private func storePack(_ kind: ChunkKind, _ parts: [(id: ObjectID, bytes: [UInt8])]) throws -> IndexedPack? {
    guard let (key, header) = Self.headers?[kind] else { return nil }
    let (sealed, compression) = try parts.flatMap(\.bytes).withUnsafeBytes { plain in
      try Self.codecs.use { codec throws(FormatError) in try codec.seal(plain, key: key, number: 0) }
    }
    var directory = PackDirectory()
    directory.blocks = [
      PackDirectory.Block(
        sealedLength: UInt32(sealed.count), plainLength: UInt32(parts.reduce(0) { $0 + $1.bytes.count }),
        compression: compression,
        chunks: parts.map { PackDirectory.Chunk(id: $0.id, length: UInt32($0.bytes.count)) })
    ]
    let end = key.sealDirectory(directory)
    let pack =
      header + sealed.withFilled { Array($0) } + end
      + PackLayout.trailer(
        directoryOffset: UInt64(header.count + sealed.count), directoryLength: UInt32(end.count))
    let id = ObjectID(nameOf: SHA256.hash(pack))
    try store.put(.pack(id), pack)
    return IndexedPack(
      id: id, size: UInt64(pack.count), kind: kind, writer: testKeyring.writer.publicKey, directory: directory)
  }
}
