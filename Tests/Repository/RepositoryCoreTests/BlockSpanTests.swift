// What stands far apart in the source does not share a block, unless blocks would become tiny.
import ObjectStores
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing

@Suite struct BlockSpanTests {
  /// Stores chunks of `size` bytes that stand at `positions`; how many each block has, by size.
  private func blocks(_ positions: [UInt64], size: Int, _ kind: ChunkKind) throws -> [Int] {
    let test = try TestRepository()
    let repository = try test.open()
    var settings = ChunkWriter.Settings()
    settings.workers = 1
    settings.dataBlockSize = 16_000
    settings.treeBlockSize = 4_000
    settings.blockSpan = 10
    let writer = try ChunkWriter(repository, settings)
    defer { writer.close() }
    var random = SeededGenerator(seed: 12)
    for position in positions {
      try writer.move(to: position)
      try writer.add(TestChunk(random.bytes(size), repository, kind))
    }
    try writer.flush()
    let reader = try test.open()
    return try test.store.ids(.packs).flatMap { try PackFile(reader, $0).blocks.map(\.chunks.count) }.sorted()
  }

  @Test func whatStandsTogetherSharesABlock() throws {
    #expect(try blocks(Array(0..<10), size: 1000, .data) == [10])
    #expect(try blocks(Array(0..<10), size: 300, .tree) == [10])
    // A full block ends anyway.
    #expect(try blocks(Array(0..<10), size: 4000, .data) == [2, 4, 4])
  }

  @Test func whatStandsFarApartDoesNot() throws {
    #expect(try blocks([0, 100, 200], size: 1000, .data) == [1, 1, 1])
    #expect(try blocks([0, 5, 10, 100, 105, 200], size: 1000, .data) == [1, 2, 3])
    #expect(try blocks([0, 100, 200], size: 1000, .tree) == [1, 1, 1])
  }

  @Test func blocksDoNotBecomeTiny() throws {
    #expect(try blocks([0, 100, 200, 300], size: 500, .data) == [2, 2])
    #expect(try blocks([0, 100, 200, 300], size: 500, .tree) == [2, 2])
    #expect(try blocks([0, 100, 200, 300], size: 10, .data) == [4])
  }
}
