import Benchmark
import ChunkCodec
import Platform
import Reporting
import RepositoryCore
import RepositoryFormat

/// The bytes that a benchmark goes through once in an iteration, in blocks as the writer makes them.
private struct Sample {
  let file: MappedFile
  let blocks: [UnsafeRawBufferPointer]
  let level: Int?
  let keyring: Keyring
  let key: PackKey
  /// Room for what comes out, for anything on the way to it.
  let out = Bytes(capacity: 2 * Limits.blockSizeMax)
  let scratch = Bytes(capacity: 2 * Limits.blockSizeMax)

  init() throws {
    let writer = ChunkWriter.Settings()
    let size = writer.dataBlockSize
    // The libraries are measured with blocks of this size, too. It is passed on, so that both cannot part ways unseen.
    guard Int(try setting("YESTER_BENCH_BLOCK_SIZE")) == size else {
      throw YesterError(.failed, "Scripts/benchmarks/byte_loop.py has blocks of another size")
    }
    let file = try MappedFile(try setting("YESTER_BENCH_DATA"))
    guard file.bytes.count.isMultiple(of: size) else {
      throw YesterError(.failed, "YESTER_BENCH_DATA does not hold whole blocks of \(size) bytes")
    }
    self.file = file
    level = writer.level
    blocks = stride(from: 0, to: file.bytes.count, by: size).map { start in
      UnsafeRawBufferPointer(rebasing: file.bytes[start..<(start + size)])
    }
    keyring = try TestKeys.full()
    key = try PackKey.make(.data, keyring).0
  }
}

/// A block as it is stored.
private struct StoredBlock {
  let sealed: Bytes
  let location: BlockLocation
}

func registerByteLoop() {
  let prepared = Prepared { try Sample() }
  registerChunking(prepared)
  registerHashing(prepared)
  registerCompressing(prepared)
  registerSealing(prepared)
  registerBlocks(prepared)
}

private func registerChunking(_ prepared: Prepared<Sample>) {
  let chunker = Prepared { Chunker(seed: try prepared.value.keyring.current.record.chunkerSeed) }
  register("chunk") {
    let chunker = try chunker.value
    var rest = try prepared.value.file.bytes
    while !rest.isEmpty {
      let window = UnsafeRawBufferPointer(rebasing: rest.prefix(Chunker.sizeMax))
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(chunker.firstLength(of: window)))
    }
  }
}

private func registerHashing(_ prepared: Prepared<Sample>) {
  let hash = SHA256()
  register("hash") {
    for block in try prepared.value.blocks { blackHole(hash.hash(block)) }
  }
}

private func registerCompressing(_ prepared: Prepared<Sample>) {
  let zstd = Prepared { Zstd(level: try prepared.value.level) }
  register("compress") {
    let (sample, zstd) = (try prepared.value, try zstd.value)
    for block in sample.blocks { blackHole(zstd.compress(block, into: sample.out.base, room: sample.out.capacity)) }
  }
}

private func registerSealing(_ prepared: Prepared<Sample>) {
  let cipher = AESGCM()
  let secret = System.random(32)
  register("seal") {
    let sample = try prepared.value
    for (number, block) in sample.blocks.enumerated() {
      cipher.seal(block, key: secret, nonce: .block(UInt32(number)), authenticating: [], into: sample.out.base)
    }
  }
}

/// What workers do with a block, and what readers do.
private func registerBlocks(_ prepared: Prepared<Sample>) {
  let codec = Prepared { BlockCodec(level: try prepared.value.level) }
  register("compress, seal and prove") {
    let (sample, codec) = (try prepared.value, try codec.value)
    for (number, block) in sample.blocks.enumerated() {
      blackHole(try codec.seal(block, key: sample.key, number: UInt32(number)))
    }
  }
  let stored = Prepared {
    let (sample, codec) = (try prepared.value, try codec.value)
    return try sample.blocks.enumerated().map { number, block in
      let (sealed, compression) = try codec.seal(block, key: sample.key, number: UInt32(number))
      let location = BlockLocation(
        number: UInt32(number), offset: 0, sealedLength: UInt32(sealed.count), plainLength: UInt32(block.count),
        compression: compression)
      return StoredBlock(sealed: sealed, location: location)
    }
  }
  register("open and decompress") {
    let (sample, codec) = (try prepared.value, try codec.value)
    for block in try stored.value {
      let plain = UnsafeMutableRawBufferPointer(start: sample.out.base, count: Int(block.location.plainLength))
      try block.sealed.withFilled {
        try codec.open($0, key: sample.key, block.location, into: plain, by: sample.scratch.base)
      }
    }
  }
}
