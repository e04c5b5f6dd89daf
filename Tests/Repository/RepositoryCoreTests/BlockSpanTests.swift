// What stands far apart in the source does not share a block, unless blocks would become tiny; nor does, where that is
// asked for, what belongs to different owners.
import ObjectStores
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing

@Suite struct BlockSpanTests {
  /// Stores chunks of `size` bytes that stand at `positions`; how many each block has, by size.
  private func blocks(
    _ positions: [UInt64], size: Int, _ kind: ChunkKind, owners: [UInt32]? = nil, apart: Bool = true
  ) throws -> [Int] {
    let test = try TestRepository()
    let repository = try test.open()
    var settings = ChunkWriter.Settings()
    settings.workers = 1
    settings.dataBlockSize = 16_000
    settings.treeBlockSize = 4_000
    settings.blockSpan = 10
    settings.separatesOwners = owners != nil && apart
    let writer = try ChunkWriter(repository, settings)
    defer { writer.close() }
    var random = SeededGenerator(seed: 12)
    for (number, position) in positions.enumerated() {
      try writer.move(to: position)
      if let owners { try writer.setOwner(owners[number]) }
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

  @Test(arguments: [ChunkKind.data, .tree]) func ownersAreKeptApart(kind: ChunkKind) throws {
    let owners: [UInt32] = [0, 0, 0, 7, 7, 0]
    #expect(try blocks(Array(0..<6), size: 10, kind, owners: owners) == [1, 2, 3])
    #expect(try blocks(Array(0..<6), size: 10, kind, owners: owners, apart: false) == [6])
  }
}
