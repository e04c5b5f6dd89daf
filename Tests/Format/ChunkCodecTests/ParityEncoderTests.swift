import ChunkCodec
import RepositoryFormat
import TestSupport
import Testing

/// The definition, byte by byte: the number that the bytes are, modulo 2^64 - 59.
private func sum(_ shard: ArraySlice<UInt8>) -> UInt64 {
  let prime: UInt64 = 0 &- 59
  return shard.reversed().reduce(0) { prime.dividingFullWidth(($0 >> 56, $0 << 8 | UInt64($1))).remainder }
}

private func padded(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
  bytes + [UInt8](repeating: 0, count: ParityLayout.shardSize - bytes.count)
}

private func parity(_ content: [UInt8], parts: [Int] = [.max]) -> [UInt8] {
  let encoder = ParityEncoder()
  var rest = content[...]
  var index = 0
  while !rest.isEmpty {
    Array(rest.prefix(parts[index % parts.count])).withUnsafeBytes { encoder.append($0) }
    rest = rest.dropFirst(parts[index % parts.count])
    index += 1
  }
  return encoder.finish()
}

@Suite struct ParityEncoderTests {
  @Test func aSumIsTheRemainderOfTheShard() {
    var random = SeededGenerator()
    for _ in 0..<5 {
      let shard = random.bytes(ParityLayout.shardSize)
      #expect(shard.withUnsafeBytes { ShardBytes.sum($0) } == sum(shard[...]))
    }
    for byte in [0, 1, 0x7F, 0xFF] as [UInt8] {
      let shard = [UInt8](repeating: byte, count: ParityLayout.shardSize)
      #expect(shard.withUnsafeBytes { ShardBytes.sum($0) } == sum(shard[...]))
    }
    // The prime itself, and its neighbours, at either end.
    for value in [0 &- 60, 0 &- 59, 0 &- 58, UInt64.max] {
      for word in [0, 511, 512, 2047] {
        var shard = [UInt8](repeating: 0, count: ParityLayout.shardSize)
        for byte in 0..<8 { shard[word * 8 + byte] = UInt8(truncatingIfNeeded: value >> (8 * byte)) }
        #expect(shard.withUnsafeBytes { ShardBytes.sum($0) } == sum(shard[...]))
      }
    }
  }

  @Test func everyFlippedBitChangesTheSum() {
    var random = SeededGenerator()
    var shard = random.bytes(ParityLayout.shardSize)
    let before = shard.withUnsafeBytes { ShardBytes.sum($0) }
    for _ in 0..<300 {
      let (index, bit) = (random.below(shard.count), UInt8(1) << random.below(8))
      shard[index] ^= bit
      #expect(shard.withUnsafeBytes { ShardBytes.sum($0) } != before)
      shard[index] ^= bit
    }
  }

  private static let sizes = [
    256 << 10, (256 << 10) + 1, (256 << 10) + (16 << 10) - 1, (272 << 10), 300_000, 2_100_000,
    (8 << 20) - 1, (8 << 20), (8 << 20) + 1,
  ]

  @Test(arguments: sizes) func aParityShardIsTheXOROfItsGroup(size: Int) throws {
    var random = SeededGenerator()
    let content = random.bytes(size)
    let tail = parity(content, parts: [1, 5000, 16 << 10, 100_000])
    #expect(tail == parity(content), "the parts in which it came make no difference")
    let layout = ParityLayout(contentSize: UInt64(size))
    #expect(UInt64(size + tail.count) == layout.objectSize)
    let table = Array(tail.prefix(layout.tableSize))
    #expect(Array(tail.suffix(layout.tableSize)) == table)
    let decoded = try #require(ParityTable(decoding: table, layout) { SHA256.hash($0).bytes })
    let shards = (0..<layout.shards).map { number in
      let range = layout.range(ofShard: number)
      return padded(content[Int(range.lowerBound)..<Int(range.upperBound)])
    }
    for number in [0, 1, layout.shards - 1] { #expect(decoded.sums[number] == sum(shards[number][...])) }
    for number in [0, 1, layout.groups - 1] {
      let start = Int(layout.parityShardOffset(number)) - size
      let found = Array(tail[start..<(start + ParityLayout.shardSize)])
      var expected = [UInt8](repeating: 0, count: ParityLayout.shardSize)
      for (index, shard) in shards.enumerated() where layout.group(ofShard: index) == layout.group(ofParity: number) {
        for byte in shard.indices { expected[byte] ^= shard[byte] }
      }
      #expect(found == expected)
      #expect(decoded.sums[layout.shards + number] == sum(found[...]))
    }
  }

  @Test func smallObjectsHaveNone() {
    for size in [0, 1, (256 << 10) - 1] { #expect(parity([UInt8](repeating: 1, count: size)).isEmpty) }
  }

  @Test func aNameStandsForContentAndParity() {
    var random = SeededGenerator()
    let content = random.bytes(400_000)
    for protection in Protection.allCases {
      let naming = ObjectNaming(protection)
      content.withUnsafeBytes { naming.append($0) }
      let (tail, id) = naming.finish()
      #expect(tail.isEmpty == (protection == .none))
      #expect(id == ObjectID(nameOf: SHA256.hash(content + tail)))
      #expect(naming.size == UInt64(content.count + tail.count))
    }
  }
}
