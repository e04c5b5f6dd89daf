import Platform
import TestSupport
import Testing

@Suite struct VarintTests {
  @Test(
    arguments: [
      (0, [0x00]), (1, [0x01]), (127, [0x7F]), (128, [0x80, 0x01]), (300, [0xAC, 0x02]), (16_383, [0xFF, 0x7F]),
      (16_384, [0x80, 0x80, 0x01]),
      (UInt64(UInt32.max), [0xFF, 0xFF, 0xFF, 0xFF, 0x0F]),
      (UInt64(1) << 63, [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]),
      (UInt64.max, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]),
    ] as [(UInt64, [UInt8])]
  )
  func hasTheBytesOfTheFormat(value: UInt64, bytes: [UInt8]) throws {
    var out = ByteWriter()
    out.varint(value)
    #expect(out.bytes == bytes)
    #expect(try bytes.read { (reader) throws(FormatError) in try reader.varint() } == value)
  }

  @Test(
    arguments: [
      // Longer than needed.
      [0x80, 0x00], [0xFF, 0x00], [0x80, 0x80, 0x00], [0x81, 0x80, 0x80, 0x00],
      [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
      // 2^64 and more.
      [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02],
      [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7F],
      // Eleven bytes.
      [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
      [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x81, 0x00],
      // Cut off.
      [], [0x80], [0xFF, 0xFF],
    ] as [[UInt8]]
  )
  func refusesWhatBreaksTheRules(bytes: [UInt8]) {
    #expect(throws: FormatError.self) { try bytes.read { (reader) throws(FormatError) in try reader.varint() } }
  }

  @Test(
    arguments: [
      (0, 0), (-1, 1), (1, 2), (-2, 3), (63, 126), (-64, 127), (64, 128), (Int64.max, UInt64.max - 1),
      (Int64.min, UInt64.max),
    ] as [(Int64, UInt64)]
  )
  func zigzagKeepsSmallNumbersShort(value: Int64, raw: UInt64) throws {
    var out = ByteWriter()
    out.svarint(value)
    var expected = ByteWriter()
    expected.varint(raw)
    #expect(out.bytes == expected.bytes)
    #expect(try out.bytes.read { (reader) throws(FormatError) in try reader.svarint() } == value)
  }

  @Test func randomNumbersComeBack() throws {
    var random = SeededGenerator()
    var out = ByteWriter()
    let values = (0..<2000).map { _ in random.next() >> (random.next() % 64) }
    for value in values {
      out.varint(value)
      out.svarint(Int64(bitPattern: value))
      out.u64(value)
      out.u32(UInt32(truncatingIfNeeded: value))
      out.u16(UInt16(truncatingIfNeeded: value))
    }
    try out.bytes.withUnsafeBytes { raw in
      var reader = ByteReader(raw)
      for value in values {
        let same =
          try reader.varint() == value && reader.svarint() == Int64(bitPattern: value) && reader.u64() == value
          && reader.u32() == UInt32(truncatingIfNeeded: value) && reader.u16() == UInt16(truncatingIfNeeded: value)
        guard same else {
          Issue.record("\(value) did not come back (seed \(SeededGenerator.seed))")
          return
        }
      }
      try reader.requireEnd()
    }
  }

  @Test func countsKeepTheirLimit() throws {
    var out = ByteWriter()
    out.varint(UInt64.max)
    #expect(throws: FormatError.self) {
      try out.bytes.read { (reader) throws(FormatError) in try reader.count(limit: .max) }
    }
    #expect(try [7].read { (reader) throws(FormatError) in try reader.count(limit: 7) } == 7)
    #expect(throws: FormatError.self) { try [8].read { (reader) throws(FormatError) in try reader.count(limit: 7) } }
  }
}

@Suite struct ByteReaderTests {
  @Test func integersAreLittleEndian() throws {
    let bytes: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
    #expect(try bytes.read { (reader) throws(FormatError) in try reader.u64() } == 0x0807_0605_0403_0201)
    #expect(try bytes.read { (reader) throws(FormatError) in try reader.u32() } == 0x0403_0201)
    #expect(try bytes.read { (reader) throws(FormatError) in try reader.u16() } == 0x0201)
    #expect(
      try [UInt8](repeating: 255, count: 8).read { (reader) throws(FormatError) in try reader.i64() } == -1
    )
  }

  @Test(arguments: 0..<8)
  func nothingReadsBeyondTheEnd(count: Int) throws {
    let bytes = [UInt8](repeating: 0, count: count)
    #expect(throws: FormatError.self) { try bytes.read { (reader) throws(FormatError) in try reader.u64() } }
    #expect(throws: FormatError.self) { try bytes.read { (reader) throws(FormatError) in try reader.take(count + 1) } }
    #expect(throws: FormatError.self) { try bytes.read { (reader) throws(FormatError) in try reader.take(.max) } }
    #expect(throws: FormatError.self) { try bytes.read { (reader) throws(FormatError) in try reader.take(-1) } }
    if count < 4 {
      #expect(throws: FormatError.self) { try bytes.read { (reader) throws(FormatError) in try reader.u32() } }
    }
    #expect(try bytes.read { (reader) throws(FormatError) in try reader.array(count) } == bytes)
  }

  @Test func aFailedReadMovesNothing() throws {
    let bytes: [UInt8] = [1, 2, 3]
    try bytes.withUnsafeBytes { raw in
      var reader = ByteReader(raw)
      #expect(try reader.u8() == 1)
      #expect(throws: FormatError.self) { try reader.u32() }
      #expect(reader.position == 1)
      #expect(reader.remaining == 2)
      #expect(throws: FormatError.self) { try reader.requireEnd() }
      #expect(try reader.u16() == 0x0302)
      #expect(reader.isAtEnd)
      try reader.requireEnd()
    }
  }

  @Test func stringsCannotBeLongerThanTheDataOrTheLimit() throws {
    let bytes: [UInt8] = [3, 97, 98, 99]
    #expect(
      try bytes.read { (reader) throws(FormatError) in Array(try reader.string(limit: 3)) } == Array("abc".utf8)
    )
    #expect(throws: FormatError.self) {
      try bytes.read { (reader) throws(FormatError) in Array(try reader.string(limit: 2)) }
    }
    #expect(throws: FormatError.self) {
      try [4, 97, 98, 99].read { (reader) throws(FormatError) in Array(try reader.string(limit: 9)) }
    }
  }
}

@Suite struct BytesTests {
  @Test func namesAreOrderedAsUnsignedBytes() {
    let sorted: [[UInt8]] = [
      [], [0], [0, 0], [1], [0x61], [0x61, 0x00], [0x61, 0x62], [0x62], [0x7F], [0x80], [0xFF],
    ]
    for (a, first) in sorted.enumerated() {
      for (b, second) in sorted.enumerated() { #expect(first.precedes(second) == (a < b)) }
    }
  }

  @Test func aBufferKnowsHowMuchItHolds() {
    let bytes = Bytes(capacity: 8)
    bytes.append(UnsafeRawBufferPointer(start: nil, count: 0))
    [1, 2, 3].withUnsafeBytes { bytes.append(UnsafeRawBufferPointer(rebasing: $0[..<8])) }
    #expect(bytes.count == 8)
    #expect(bytes.free.isEmpty)
    let slice = BytesSlice(Bytes([1, 2, 3, 4]), offset: 1, count: 2)
    #expect(Array(slice.raw) == [2, 3])
  }
}
