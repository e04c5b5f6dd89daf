// Fills a repository's index with chunks that are nowhere, to see how a large one behaves:
//
//   LargeIndex REPOSITORY KEY-FILE CHUNKS LOOK-UPS
//
// Each pack that the index names is there, as a file of the right size with nothing in it. Then it merges the index as
// backups do, and looks chunks up, those that are there and others. With 0 chunks it only looks up.
import ChunkCodec
import DirectoryStores
import Glibc
import ObjectStores
import Platform
import RepositoryCore
import RepositoryFormat
import RepositoryOpening
import TestSupport

extension SeededGenerator {
  mutating func id() -> ObjectID {
    let words = (next(), next(), next(), next())
    return withUnsafeBytes(of: words) { ObjectID($0) }
  }
}

let chunkSize: UInt32 = 16 << 10
let chunksOfABlock = 64
let blocksOfAPack = 128
let packSize: UInt64 = 64 << 20
let packsOfASegment = 244

func pack(_ random: inout SeededGenerator, _ count: Int, by writer: [UInt8]) -> IndexedPack {
  var directory = PackDirectory()
  var left = count
  while left > 0 {
    let chunks = (0..<min(left, chunksOfABlock)).map { _ in PackDirectory.Chunk(id: random.id(), length: chunkSize) }
    left -= chunks.count
    directory.blocks.append(
      PackDirectory.Block(
        sealedLength: 400_000, plainLength: chunkSize * UInt32(chunks.count), compression: .zstd, chunks: chunks))
  }
  return IndexedPack(id: random.id(), size: packSize, kind: .data, writer: writer, directory: directory)
}

func seconds(_ body: () throws -> Void) rethrows -> Double {
  let begin = System.bootClock
  try body()
  return Double(System.bootClock - begin) / 1e9
}

func run(_ arguments: [String]) throws {
  guard arguments.count == 5, let count = Int(arguments[3]), let lookUps = Int(arguments[4]) else {
    print("usage: LargeIndex REPOSITORY KEY-FILE CHUNKS LOOK-UPS")
    return
  }
  var access = RepositoryAccess(stores: StoreRegistry([.directory]))
  access.repository = arguments[1]
  access.keyFile = arguments[2]
  let repository = try access.open()
  var random = SeededGenerator(seed: 1)
  var made = 0
  let filling = try seconds {
    while made < count {
      var builder = IndexSegmentBuilder()
      for _ in 0..<packsOfASegment where made < count {
        let chunks = min(count - made, chunksOfABlock * blocksOfAPack)
        let pack = pack(&random, chunks, by: repository.keyring.writer.publicKey)
        made += pack.blocks.reduce(0) { $0 + $1.chunks.count }
        builder.add(pack)
        let path = "\(arguments[1])/\(ObjectKey.pack(pack.pack.id))"
        try Directory.makeAll(String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]))
        try Descriptor.open(path, O_WRONLY | O_CREAT, mode: 0o600).truncate(to: Int64(packSize))
      }
      _ = try builder.store(in: repository.store, repository.keyring)
    }
  }
  print("\(made) chunks in segments: \(filling) s")
  print("merged: \(try seconds { try repository.mergeIndexSegments() }) s")
  print("segments: \(repository.index.current.segments.map(\.chunkCount))")
  try repository.index.refresh()
  guard let largest = repository.index.current.segments.first else { return }
  // The index knows no more of an id than this.
  let sample = (0..<lookUps).map { _ in
    let prefix = largest.prefix(Int.random(in: 0..<largest.chunkCount, using: &random))
    let words = (prefix.w0.bigEndian, prefix.w1.bigEndian, (UInt64(prefix.w2) << 32).bigEndian, UInt64(0))
    return withUnsafeBytes(of: words) { ObjectID($0) }
  }
  var found = 0
  for round in 1...3 {
    let present = try seconds {
      for id in sample where try repository.index.findReusable(id) != nil { found += 1 }
    }
    let missing = try seconds {
      for _ in 0..<lookUps where try repository.index.findReusable(random.id()) != nil { found += 1 }
    }
    print(
      "round \(round): \(present / Double(lookUps) * 1e6) µs for a chunk that is there, "
        + "\(missing / Double(lookUps) * 1e6) µs for another")
  }
  print("found: \(found)")
}

do {
  try run(CommandLine.arguments)
} catch {
  print("LargeIndex: \(error)")
}
