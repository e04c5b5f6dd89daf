import ChunkCodec
import RepositoryFormat
import TestSupport
import Testing

@Suite struct ChunkerTests {
  private static let seed = (0..<32).map { UInt8($0) }
  /// 12 MiB of SplitMix64 from the seed 1.
  private static let data: [UInt8] = {
    var random = SeededGenerator(seed: 1)
    return random.bytes(12 << 20)
  }()

  private func chunkLengths(_ data: [UInt8], _ chunker: Chunker = Chunker(seed: seed)) -> [Int] {
    var lengths: [Int] = []
    data.withUnsafeBytes { raw in
      var at = 0
      while at < raw.count {
        let length = chunker.firstLength(of: UnsafeRawBufferPointer(rebasing: raw[at...]))
        lengths.append(length)
        guard length > 0 else { return }
        at += length
      }
    }
    return lengths
  }

  /// The digests of the chunks, in order. That all lengths add up was checked.
  private func chunks(_ data: [UInt8]) -> [Digest] {
    var at = 0
    return chunkLengths(data).map { length in
      defer { at += length }
      return SHA256.hash(Array(data[at..<(at + length)]))
    }
  }

  /// Computed by a program in Python from docs/format.md, section 10. A change here would cut every file anew.
  @Test func cutsStandWhereTheFormatSays() {
    #expect(SHA256.hash(Self.data).hex == "8da24389c74c1565f05ecf0e790b8d6b5eb6cbd9deb583606d07c537fde8e341")
    #expect(
      chunkLengths(Self.data) == [
        586_727, 775_097, 330_620, 689_653, 579_411, 555_621, 565_826, 545_082, 705_742, 335_654, 534_805, 155_072,
        595_837, 451_302, 502_053, 699_020, 687_863, 613_972, 821_433, 643_485, 360_466, 655_880, 192_291,
      ]
    )
  }

  /// However the bytes come, the cuts are the same.
  @Test(arguments: [1000, 65_536, 262_144, 5 << 20])
  func cutsDoNotDependOnTheReading(piece: Int) {
    let chunker = Chunker(seed: Self.seed)
    var lengths: [Int] = []
    var position = Chunker.Position()
    var start = 0
    var filled = 0
    Self.data.withUnsafeBytes { raw in
      while filled < raw.count {
        filled = min(raw.count, filled + piece)
        while let length = chunker.end(of: UnsafeRawBufferPointer(rebasing: raw[start..<filled]), &position) {
          lengths.append(length)
          start += length
          position = Chunker.Position()
        }
      }
    }
    if filled > start { lengths.append(filled - start) }
    #expect(lengths == chunkLengths(Self.data))
  }

  @Test func lengthsAreWithinTheLimitsAndAddUp() {
    let lengths = chunkLengths(Self.data)
    #expect(lengths.reduce(0, +) == Self.data.count)
    #expect(lengths.dropLast().allSatisfy { (Chunker.sizeMin + 1...Chunker.sizeMax).contains($0) })
    for byte in [UInt8(0), 0xFF] {
      let lengths = chunkLengths([UInt8](repeating: byte, count: (9 << 20) + 17))
      #expect(lengths.reduce(0, +) == (9 << 20) + 17)
      #expect(lengths.allSatisfy { $0 <= Chunker.sizeMax })
      #expect(lengths.dropLast().allSatisfy { $0 >= Chunker.sizeMin })
    }
  }

  @Test(arguments: [1, 2, 1000, Chunker.sizeMin - 1, Chunker.sizeMin])
  func shortDataIsOneChunk(count: Int) {
    #expect(chunkLengths(Array(Self.data.prefix(count))) == [count])
  }

  @Test func moreDataBehindDoesNotMoveACut() {
    let chunker = Chunker(seed: Self.seed)
    let first = chunkLengths(Self.data)[0]
    for count in [first, first + 1, Chunker.sizeMax - 1, Chunker.sizeMax] {
      #expect(Self.data.prefix(count).withUnsafeBytes { chunker.firstLength(of: $0) } == first)
    }
    #expect(Self.data.prefix(first - 1).withUnsafeBytes { chunker.firstLength(of: $0) } == first - 1)
  }

  @Test(arguments: [0, 1, 4_000_000, 6_000_000, 12 << 20])
  func anInsertionChangesOnlyItsNeighbourhood(offset: Int) {
    let before = chunks(Self.data)
    let after = chunks(Array(Self.data[..<offset]) + [1, 2, 3, 4, 5, 6, 7] + Self.data[offset...])
    let shared = zip(before, after).prefix { $0 == $1 }.count
    let sharedAtEnd = zip(before.reversed(), after.reversed()).prefix { $0 == $1 }.count
    let changed = after.count - shared - sharedAtEnd
    #expect((1...4).contains(changed))
    // What lies before the insertion is untouched.
    var end = 0
    let untouched = chunkLengths(Self.data).prefix { length in
      end += length
      return end < offset
    }
    #expect(shared >= untouched.count)
  }

  @Test func anotherSeedCutsElsewhere() {
    let other = Chunker(seed: [UInt8](repeating: 9, count: 32))
    let ends = { (lengths: [Int]) in
      Set(lengths.dropLast().reduce(into: [0]) { $0.append(($0.last ?? 0) + $1) }.dropFirst())
    }
    #expect(ends(chunkLengths(Self.data)).isDisjoint(with: ends(chunkLengths(Self.data, other))))
  }
}
