import Benchmark
import ChunkCodec
import DirectoryStores
import Glibc
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat
import TestSupport

private let chunksOfABlock = 100
private let blocksOfAPack = 1000

/// An index of YESTER_BENCH_CHUNKS chunks, and YESTER_BENCH_LOOK_UPS look-ups of both kinds, which one iteration does.
private struct LookUps {
  let index: ChunkIndex
  /// Chunks of the index, each as likely as any other.
  let present: [ObjectID]
  /// As in a first backup.
  let missing: [ObjectID]

  init() throws {
    guard let chunks = Int(try setting("YESTER_BENCH_CHUNKS")), let count = Int(try setting("YESTER_BENCH_LOOK_UPS"))
    else { throw YesterError(.failed, "YESTER_BENCH_CHUNKS and YESTER_BENCH_LOOK_UPS are to be numbers") }
    var random = SeededGenerator(seed: 20_260_101)
    let ids = (0..<chunks).map { _ in random.id() }
    index = try makeIndex(ids)
    present = (0..<count).map { _ in ids[Int(random.next() % UInt64(chunks))] }
    missing = (0..<count).map { _ in random.id() }
  }
}

func registerIndex() {
  let prepared = Prepared { try LookUps() }
  register("look up a chunk") {
    let lookUps = try prepared.value
    for id in lookUps.present { blackHole(try lookUps.index.findReusable(id)) }
  }
  register("look up a missing chunk") {
    let lookUps = try prepared.value
    for id in lookUps.missing { blackHole(try lookUps.index.findReusable(id)) }
  }
}

private func makeIndex(_ ids: [ObjectID]) throws -> ChunkIndex {
  let scratch = try setting("YESTER_BENCH_SCRATCH") + "/" + Hex.encode(System.random(8))
  try Directory.makeAll(scratch)
  let keyring = try TestKeys.full()
  let store = try DirectoryStore.create(scratch + "/repository")
  var builder = IndexSegmentBuilder()
  var random = SeededGenerator(seed: 1)
  for start in stride(from: 0, to: ids.count, by: chunksOfABlock * blocksOfAPack) {
    let inPack = ids[start..<min(ids.count, start + chunksOfABlock * blocksOfAPack)]
    var directory = PackDirectory()
    for first in stride(from: inPack.startIndex, to: inPack.endIndex, by: chunksOfABlock) {
      let chunks = inPack[first..<min(inPack.endIndex, first + chunksOfABlock)].map {
        PackDirectory.Chunk(id: $0, length: 5000)
      }
      directory.blocks.append(
        PackDirectory.Block(
          sealedLength: 200_000, plainLength: UInt32(5000 * chunks.count), compression: .zstd, chunks: chunks))
    }
    builder.add(
      IndexedPack(
        id: random.id(), size: 200_000_000, kind: .data, writer: keyring.writer.publicKey, directory: directory))
  }
  _ = try builder.store(in: store, keyring)
  let index = ChunkIndex(
    store: store, keyring: keyring,
    cache: IndexCache(store: store, keyring: keyring, cacheDirectory: scratch + "/cache"))
  try index.refresh()
  return index
}

extension SeededGenerator {
  fileprivate mutating func id() -> ObjectID {
    let words = (next(), next(), next(), next())
    return withUnsafeBytes(of: words) { ObjectID($0) }
  }
}
