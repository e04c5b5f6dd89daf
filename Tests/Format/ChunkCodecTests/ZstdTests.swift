import ChunkCodec
import Platform
import RepositoryFormat
import TestSupport
import Testing

/// The beginning of what was compressed, without the rest.
@Suite struct ZstdTests {
  private let plain: [UInt8]
  private let packed: [UInt8]

  init() throws {
    var random = SeededGenerator()
    // Words that come again, over several of the blocks into which zstd cuts.
    let words = (0..<500).map { _ in random.bytes(Int(random.next() % 12) + 1) }
    var plain: [UInt8] = []
    while plain.count < 700_000 { plain += words[Int(random.next() % 500)] }
    self.plain = plain
    var out = [UInt8](repeating: 0, count: plain.count)
    let size = plain.withUnsafeBytes { plain in
      out.withUnsafeMutableBytes { room in
        room.baseAddress.flatMap { Zstd().compress(plain, into: $0, room: room.count) }
      }
    }
    packed = Array(out[..<(try #require(size))])
  }

  private func begin(_ packed: [UInt8], _ count: Int, room: Int? = nil, by zstd: Zstd) throws -> [UInt8] {
    var out = [UInt8](repeating: 0xEE, count: room ?? plain.count)
    let got = try packed.withUnsafeBytes { packed in
      try out.withUnsafeMutableBytes { try zstd.decompress(packed, upTo: count, into: $0) }
    }
    return Array(out[..<got])
  }

  @Test func theBeginningIsThatOfTheWhole() throws {
    let zstd = Zstd()
    for count in [1, 2, 4095, 65_536, 131_071, 131_072, 131_073, 400_000, plain.count - 1, plain.count] {
      let got = try begin(packed, count, by: zstd)
      #expect(got.count >= count && got.elementsEqual(plain[..<got.count]))
      // What is not needed is not unpacked, but for the block that it is in.
      #expect(got.count <= max(count + 3 * 131_072, 1))
    }
    // The next one is not disturbed by what was left of the one before.
    var out = [UInt8](repeating: 0, count: plain.count)
    try packed.withUnsafeBytes { packed in
      try out.withUnsafeMutableBytes { try zstd.decompress(packed, into: $0) }
    }
    #expect(out == plain)
  }

  @Test func whatIsDamagedOrCutOffFails() throws {
    let zstd = Zstd()
    for length in [0, 1, 5, 100, packed.count / 2, packed.count - 1] {
      #expect(throws: FormatError.self) { _ = try begin(Array(packed[..<length]), plain.count, by: zstd) }
    }
    // Whatever comes out, it ends, and within its room.
    var random = SeededGenerator()
    for _ in 0..<200 {
      var bad = packed
      for _ in 0..<3 { bad[Int(random.next() % UInt64(bad.count))] = UInt8(truncatingIfNeeded: random.next()) }
      let count = Int(random.next() % UInt64(plain.count)) + 1
      if let got = try? begin(bad, count, by: zstd) { #expect(got.count >= count && got.count <= plain.count) }
    }
    #expect(throws: FormatError.self) { _ = try begin(packed, 101, room: 100, by: zstd) }
    // A frame of nothing, again and again.
    let empty: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0x20, 0x00, 0x01, 0x00, 0x00]
    #expect(throws: FormatError.self) { _ = try begin((0..<5000).flatMap { _ in empty }, 10, by: zstd) }
  }
}
