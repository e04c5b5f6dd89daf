import RepositoryFormat
import TestSupport
import Testing

private let shard = UInt64(ParityLayout.shardSize)

/// Contents around every border: of shards, of numbers of groups, and random ones.
private let contents: [UInt64] = {
  var random = SeededGenerator()
  var out: Set<UInt64> = [ParityLayout.contentSizeMax, ParityLayout.contentSizeMax - 1]
  var edges = (16...40).map { UInt64($0) * shard }
  for groups in [8, 16, 32, 64, 128, 256] { edges.append(UInt64(groups * 32) * shard) }
  for edge in edges { out.formUnion([edge - 1, edge, edge + 1, edge + shard / 2]) }
  for _ in 0..<300 { out.insert(ParityLayout.contentSizeMin + random.next() % (1 << (10 + random.next() % 26))) }
  return out.filter { $0 >= ParityLayout.contentSizeMin }.sorted()
}()

@Suite struct ParityLayoutTests {
  @Test func theSizeOfAnObjectSaysHowLargeItsContentIs() {
    for content in contents {
      let layout = ParityLayout(contentSize: content)
      #expect(ParityLayout(objectSize: layout.objectSize) == layout)
      #expect(ParityLayout.contentSize(ofObject: layout.objectSize) == content)
      #expect(ParityLayout.contentSizeFloor(ofObject: layout.objectSize - 1) == content - 1)
      // Parity is a thirty-second where there is much, and never more than half.
      let added = Double(layout.objectSize - content) / Double(content)
      #expect(added <= (content > 64 << 20 ? 0.0333 : content > 8 << 20 ? 0.067 : 0.51))
    }
    for small in [0, 1, 1000, ParityLayout.contentSizeMin - 1] {
      #expect(ParityLayout.objectSize(ofContent: small) == small)
      #expect(ParityLayout.contentSize(ofObject: small) == small)
      #expect(ParityLayout(objectSize: small) == nil)
    }
    // Between the largest object without parity and the smallest with it there is none.
    #expect(ParityLayout.contentSize(ofObject: ParityLayout.contentSizeMin) == nil)
    #expect(ParityLayout(objectSize: ParityLayout.contentSizeMin + 1000) == nil)
    for impossible in [ParityLayout.contentSizeMax * 2, UInt64(Int64.max), .max] {
      #expect(ParityLayout(objectSize: impossible) == nil)
    }
  }

  @Test func partsFollowEachOtherWithoutGaps() {
    for content in contents where content < 1 << 32 {
      let layout = ParityLayout(contentSize: content)
      #expect(layout.range(ofShard: 0).lowerBound == 0)
      #expect(layout.range(ofShard: layout.shards - 1).upperBound == content)
      #expect(layout.parityOffset == content + UInt64(layout.tableSize))
      #expect(layout.lastTableOffset == layout.parityShardOffset(layout.groups - 1) + shard)
      #expect(layout.groups >= 8 && layout.groups <= 128 && layout.shards >= 2 * layout.groups)
      for number in 0..<layout.groups { #expect(layout.parity(ofGroup: layout.group(ofParity: number)) == number) }
      #expect(Set((0..<layout.groups).map(layout.group(ofParity:))).count == layout.groups)
    }
  }

  /// What is found by sums and put right by XOR: at most one shard of a group, and never both tables.
  @Test func noDamageOf64KiBHitsTwoShardsOfAGroup() {
    for content in contents where content < 1 << 25 {
      let layout = ParityLayout(contentSize: content)
      var parts = (0..<layout.shards).map { (layout.range(ofShard: $0), layout.group(ofShard: $0)) }
      parts += (0..<layout.groups).map {
        let start = layout.parityShardOffset($0)
        return (start..<(start + shard), layout.group(ofParity: $0))
      }
      let width: UInt64 = 64 << 10
      // A window moves over the object; it hits the most where it begins with the last byte of a part.
      for (range, _) in parts {
        let window = (range.upperBound - 1)..<(range.upperBound - 1 + width)
        let groups = parts.filter { $0.0.overlaps(window) }.map(\.1)
        #expect(Set(groups).count == groups.count, "content \(content), from \(window.lowerBound)")
      }
      #expect(layout.lastTableOffset - (layout.contentSize + UInt64(layout.tableSize)) > width)
    }
  }

  @Test func aTableComesBackAndNothingElsePassesForOne() throws {
    var random = SeededGenerator()
    let digest: ([UInt8]) -> [UInt8] = { bytes in (0..<32).map { UInt8(truncatingIfNeeded: bytes.count &+ $0) } }
    let layout = ParityLayout(contentSize: 300_000)
    let table = ParityTable(layout, sums: (0..<(layout.shards + layout.groups)).map { _ in random.next() })
    let bytes = table.encode(digest: digest)
    #expect(bytes.count == layout.tableSize)
    #expect(ParityTable(decoding: bytes, layout, digest: digest) == table)
    #expect(ParityTable(decoding: Array(bytes.dropLast()), layout, digest: digest) == nil)
    #expect(ParityTable(decoding: bytes, ParityLayout(contentSize: 300_001), digest: digest) == nil)
    for index in [0, 7, 8, 15, bytes.count - 1] {
      var other = bytes
      other[index] ^= 1
      #expect(ParityTable(decoding: other, layout, digest: digest) == nil)
    }
  }
}
