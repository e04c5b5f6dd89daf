import ChunkCodec
import Platform
import Reporting
import RepositoryFormat
import SnapshotTree
import TestSupport
import Testing

/// Chunks that each lie in a large block of their own.
private final class LargeBlocks: ChunkSource {
  static let blockSize = 256 << 10
  private let chunks = Monitor<[ObjectID: [UInt8]]>([:])

  func add(_ bytes: [UInt8]) -> ContentPiece {
    let id = ObjectID(nameOf: SHA256.hash(bytes))
    chunks.withLock { $0[id] = bytes }
    return ContentPiece(length: UInt64(bytes.count), chunk: id)
  }
  func chunk(_ id: ObjectID, kind: ChunkKind) throws(YesterError) -> BytesSlice {
    guard let found = chunks.withLock({ $0[id] }) else { throw YesterError(.damaged, "There is no such chunk") }
    let before = [UInt8](repeating: 0xEE, count: 1000)
    let block = Bytes(before + found + [UInt8](repeating: 0xEE, count: Self.blockSize - 1000 - found.count))
    return BytesSlice(block, offset: 1000, count: found.count)
  }
  func chunkID(_ digest: Digest, _ keySet: KeySetID) -> ObjectID? {
    ObjectID(nameOf: digest)
  }
}

/// An answer is given from where its blocks lie, so that it keeps these in memory until it has been sent.
@Suite struct AnswerMemoryTests {
  private let source = LargeBlocks()
  private var reader: FileContentReader {
    FileContentReader(tree: TreeStore(reader: source), keySet: KeySetID([UInt8](repeating: 0, count: KeySetID.size)))
  }

  /// The memory that an answer keeps, each block counted once.
  private func memory(_ parts: [BytesSlice]) -> Int {
    var owners: [ObjectIdentifier: Int] = [:]
    for part in parts { owners[ObjectIdentifier(part.owner)] = part.owner.capacity }
    return owners.values.reduce(0, +)
  }

  private func bytes(_ parts: [BytesSlice]) -> [UInt8] { parts.flatMap { part in part.withBytes { Array($0) } } }

  @Test(arguments: [1, 100, 2000]) func anAnswerKeepsFewBlocks(length: Int) throws {
    var random = SeededGenerator()
    var pieces: [ContentPiece] = []
    var content: [UInt8] = []
    for _ in 0..<300 {
      let chunk = random.bytes(length + Int(random.next() % 5))
      pieces.append(source.add(chunk))
      content += chunk
    }
    let size = UInt64(content.count)
    let file = FileContent.pieces(nil, pieces)
    for _ in 0..<10 {
      let from = Int(random.next() % UInt64(content.count))
      let count = 1 + Int(random.next() % UInt64(content.count - from))
      let parts = try reader.parts(of: file, size: size, at: UInt64(from), count: count)
      #expect(bytes(parts) == Array(content[from..<(from + count)]), "seed \(SeededGenerator.seed)")
      #expect(memory(parts) <= 8 * LargeBlocks.blockSize + count)
    }
    let whole = try reader.parts(of: file, size: size, at: 0, count: .max)
    #expect(bytes(whole) == content && memory(whole) <= 8 * LargeBlocks.blockSize + content.count)
    var buffer = [UInt8](repeating: 1, count: content.count + 10)
    let count = try buffer.withUnsafeMutableBytes { try reader.read(file, size: size, at: 0, into: $0) }
    #expect(count == content.count && Array(buffer.prefix(count)) == content)
  }

  /// Holes cost nothing, and the data between them is right.
  @Test func holesKeepNothing() throws {
    var random = SeededGenerator()
    var pieces: [ContentPiece] = []
    var content: [UInt8] = []
    for _ in 0..<40 {
      let chunk = random.bytes(100)
      pieces += [ContentPiece(length: 70_000, chunk: nil), source.add(chunk)]
      content += [UInt8](repeating: 0, count: 70_000) + chunk
    }
    let file = FileContent.pieces(nil, pieces)
    let parts = try reader.parts(of: file, size: UInt64(content.count), at: 0, count: content.count)
    #expect(bytes(parts) == content)
    #expect(memory(parts) <= 8 * LargeBlocks.blockSize + 40 * 100 + (64 << 10))
  }
}
