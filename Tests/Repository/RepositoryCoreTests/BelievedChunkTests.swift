// Bytes that are read without being hashed: only where a full writer's word is good for them.
import ObjectStores
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import TestSupport
import Testing

@Suite struct BelievedChunkTests {
  private let test: TestRepository
  private let chunks: [TestChunk]

  init() throws {
    test = try TestRepository()
    var random = SeededGenerator()
    let repository = try test.open()
    chunks = (0..<8).map { _ in TestChunk(random.bytes(200_000), repository) }
  }

  private func store(by writer: Repository) throws {
    var settings = ChunkWriter.Settings()
    settings.workers = 1
    settings.dataBlockSize = 400_000
    try ChunkWriter.store(chunks, in: writer, settings)
  }

  /// A reader who knows what is there.
  private func open(_ test: TestRepository) throws -> Repository {
    let reader = try test.open()
    try reader.index.refresh()
    return reader
  }

  private func believed(
    _ chunk: TestChunk, _ range: Range<Int>, _ reader: Repository, isHereAndThere: Bool = true
  ) throws -> [UInt8]? {
    let found = try reader.reader.believed(
      chunk.id, length: chunk.bytes.count, range, isHereAndThere: isHereAndThere)
    return found.map { $0.withBytes { Array($0) } }
  }

  @Test func aFullWriterIsBelievedOnceHisPackIsKnown() throws {
    try store(by: test.open())
    let reader = try open(test)
    #expect(try believed(chunks[0], 0..<10, reader) == nil, "one chunk of a pack proves itself for less")
    for isHereAndThere in [true, false] {
      for chunk in chunks {
        for range in [0..<1, 4096..<8192, 150_000..<150_001, 199_999..<200_000, 0..<200_000] {
          #expect(try believed(chunk, range, reader, isHereAndThere: isHereAndThere) == Array(chunk.bytes[range]))
        }
      }
    }
    #expect(try reader.reader.believed(chunks[0].id, length: 199_999, 0..<10, isHereAndThere: true) == nil)
    #expect(try chunks.allSatisfy { try $0.isReadable(in: reader) })
  }

  @Test func aWriteOnlyWriterIsNot() throws {
    try store(by: test.addWriter(.writeOnly))
    let reader = try open(test)
    for _ in 0..<3 { #expect(try believed(chunks[0], 0..<10, reader) == nil) }
    #expect(try chunks.allSatisfy { try $0.isReadable(in: reader) })
  }

  @Test(arguments: [KeyRole.full, .writeOnly]) func whatTheIndexSaysIsNotEnough(role: KeyRole) throws {
    try store(by: test.open())
    let honest = try test.open()
    let packs = try test.store.ids(.packs).map { try PackFile(honest, $0).indexed }
    let attacker = Attacker(try test.addWriter(role), test.store)
    // The ids of each block the other way round: as many bytes, other ones. (Also what a damaged copy of the index says.)
    for id in try test.store.ids(.index) { try test.store.delete(.index(id)) }
    try attacker.storeSegment(
      packs.map { pack in
        IndexedPack(
          pack: pack.pack, writer: pack.writer, blocks: pack.blocks.map { ($0.location, $0.chunks.reversed()) })
      })
    let reader = try open(test)
    for _ in 0..<3 {
      for chunk in chunks {
        let bytes = try believed(chunk, 100..<200, reader)
        #expect(bytes == nil || bytes == Array(chunk.bytes[100..<200]))
      }
    }
  }

  @Test func damageIsLeftToWhoCanTellIt() throws {
    let store = MemoryStore()
    let test = try TestRepository(in: store)
    let writer = try test.open()
    let chunk = TestChunk([UInt8](repeating: 1, count: 1000), writer)
    try ChunkWriter.store([chunk], in: writer)
    let location = try #require(try writer.index.find(chunk.id))
    let reader = try open(test)
    for _ in 0..<2 { _ = try believed(chunk, 0..<10, reader) }
    store[ObjectKey.pack(location.pack).path]?[Int(location.block.offset)] ^= 1
    #expect(try believed(chunk, 0..<10, try open(test)) == nil)
    let other = try open(test)
    for _ in 0..<3 { #expect(try believed(chunk, 0..<10, other) == nil) }
    #expect(errorCode { _ = try chunk.isReadable(in: other) } == .damaged)
  }
}
