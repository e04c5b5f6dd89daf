// What the tests of this module share: a repository to work in, and what to put into it.
import Platform
import ChunkCodec
import Glibc
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing

let seedHint = Comment(rawValue: "YESTER_TEST_SEED=\(SeededGenerator.seed)")

/// A chunk to be stored, with the id that it has under a repository's keys.
struct TestChunk: Sendable {
  let id: ObjectID
  let kind: ChunkKind
  let bytes: [UInt8]

  init(_ bytes: [UInt8], _ repository: Repository, _ kind: ChunkKind = .data) {
    self.bytes = bytes
    self.kind = kind
    id = repository.chunkID(of: bytes, kind)
  }

  func isReadable(in repository: Repository) throws -> Bool {
    // The pointer is good only while the slice is.
    let slice = try repository.reader.chunk(id, kind: kind)
    return withExtendedLifetime(slice) { slice.raw.equals(bytes) }
  }
}

extension ChunkWriter {
  @discardableResult
  func add(_ chunk: TestChunk) throws -> Bool {
    try chunk.bytes.withUnsafeBytes { try add(chunk.id, kind: chunk.kind, $0) }
  }

  /// Stores chunks and their index, and ends.
  static func store(_ chunks: [TestChunk], in repository: Repository, _ settings: Settings = Settings()) throws {
    let writer = try ChunkWriter(repository, settings)
    defer { writer.close() }
    for chunk in chunks { try writer.add(chunk) }
    try writer.flush()
  }
}

/// A pack that is not there, for segments that only say where things are.
func indexed(
  _ ids: [ObjectID], pack: ObjectID, by writer: [UInt8] = IndexLayout.unknownWriter, perBlock: Int = 100
) -> IndexedPack {
  var offset = UInt32(PackLayout.headerSize)
  var blocks: [(location: BlockLocation, chunks: [PackDirectory.Chunk])] = []
  for start in stride(from: 0, to: ids.count, by: perBlock) {
    let chunks = ids[start..<min(ids.count, start + perBlock)].enumerated().map {
      PackDirectory.Chunk(id: $1, length: UInt32($0 + 1))
    }
    let plain = chunks.reduce(0) { $0 + $1.length }
    blocks.append(
      (
        BlockLocation(
          number: UInt32(blocks.count),
          offset: offset,
          sealedLength: plain + 16,
          plainLength: plain,
          compression: .none
        ), chunks
      )
    )
    offset += plain + 16
  }
  return IndexedPack(
    pack: IndexLayout.Pack(id: pack, size: UInt64(offset), kind: .data), writer: writer, blocks: blocks)
}
