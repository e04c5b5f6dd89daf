import ChunkCodec
import Platform
import RepositoryFormat
import TestSupport
import Testing

private func location(_ number: UInt32, _ sealed: Int, _ plain: Int, _ compression: Compression) -> BlockLocation {
  BlockLocation(
    number: number,
    offset: 0,
    sealedLength: UInt32(sealed),
    plainLength: UInt32(plain),
    compression: compression
  )
}

/// Holds the compressed bytes while a block is opened.
private let scratch = Bytes(capacity: Limits.blockSizeMax + 65536)

private func open(_ codec: BlockCodec, _ sealed: [UInt8], _ key: PackKey, _ location: BlockLocation) throws -> [UInt8] {
  var out = [UInt8](repeating: 0, count: Int(location.plainLength))
  if out.isEmpty { out.reserveCapacity(1) }
  _ = try out.withUnsafeMutableBytes { out in
    try sealed.withUnsafeBytes { try codec.open($0, key: key, location, into: out, by: scratch.base) }
  }
  return out
}

@Suite(.serialized) struct BlockTests {
  private let codec = BlockCodec()

  @Test(arguments: [1, 2, 63, 64, 65, 66, 67, 1000, 262_144, 1_000_000, Limits.blockSizeMax])
  func blocksComeBack(size: Int) throws {
    var random = SeededGenerator()
    let (key, _) = try PackKey.make(.data, Keys.full)
    for plain in [[UInt8](repeating: 7, count: size), random.bytes(min(size, 1 << 20))] {
      let (sealed, compression) = try plain.withUnsafeBytes { try codec.seal($0, key: key, number: 9) }
      if plain[0] == 7 && size > 1000 { #expect(compression == .zstd && sealed.count < size / 100) }
      #expect(sealed.count <= plain.count + AESGCM.tagSize)
      let location = location(9, sealed.count, plain.count, compression)
      #expect(
        try open(codec, sealed.withFilled { Array($0) }, key, location) == plain, "seed \(SeededGenerator.seed)")
    }
  }

  @Test func anEmptyBlockComesBack() throws {
    let (key, _) = try PackKey.make(.tree, Keys.full)
    let (sealed, compression) = try codec.seal(UnsafeRawBufferPointer(start: nil, count: 0), key: key, number: 0)
    let out = Bytes(capacity: 0)
    _ = try sealed.withFilled {
      try codec.open($0, key: key, location(0, sealed.count, 0, compression), into: out.whole, by: scratch.base)
    }
    #expect(sealed.count == AESGCM.tagSize && compression == .none)
  }

  @Test(arguments: [Compression.none, .zstd])
  func everyByteOfABlockCounts(compression: Compression) throws {
    var random = SeededGenerator()
    let plain = compression == .zstd ? [UInt8](repeating: 3, count: 700) + random.bytes(100) : random.bytes(200)
    let (key, _) = try PackKey.make(.data, Keys.full)
    let (bytes, used) = try plain.withUnsafeBytes { try codec.seal($0, key: key, number: 1) }
    #expect(used == compression)
    let sealed = bytes.withFilled { Array($0) }
    func read(_ bytes: [UInt8]) throws { _ = try open(codec, bytes, key, location(1, bytes.count, plain.count, used)) }
    try read(sealed)
    #expect(offsetsThatMayChange(in: sealed) { try read($0) } == [])
    #expect(lengthsTaken(of: sealed) { try read($0) } == [])
  }

  @Test func aBlockFitsOnlyItsLocation() throws {
    let plain = [UInt8](repeating: 3, count: 500)
    let (key, header) = try PackKey.make(.data, Keys.full)
    let (otherKey, _) = try PackKey.make(.data, Keys.full)
    let (bytes, used) = try plain.withUnsafeBytes { try codec.seal($0, key: key, number: 1) }
    let sealed = bytes.withFilled { Array($0) }
    #expect(throws: Never.self) { try open(codec, sealed, key, location(1, sealed.count, 500, .zstd)) }
    for bad in [
      location(0, sealed.count, 500, used), location(2, sealed.count, 500, used), location(1, sealed.count, 499, used),
      location(1, sealed.count, 501, used), location(1, sealed.count, 500, .none),
      location(1, sealed.count - 1, 500, used),
      location(1, sealed.count, sealed.count - 16, .none), location(1, 0, 500, used),
    ] {
      #expect(throws: FormatError.self) { try open(codec, sealed, key, bad) }
    }
    #expect(throws: FormatError.self) { try open(codec, sealed, otherKey, location(1, sealed.count, 500, used)) }
    // The same key, opened from the header, still fits.
    let again = try PackKey.open(header: header, Keys.full).key
    #expect(try open(codec, sealed, again, location(1, sealed.count, 500, used)) == plain)
    for size in [0, 1, 15] {
      #expect(throws: FormatError.self) {
        try open(codec, Array(sealed.prefix(size)), key, location(1, size, 500, used))
      }
    }
  }

  @Test func blocksBeyondTheLimitAreRefused() throws {
    let (key, _) = try PackKey.make(.data, Keys.full)
    let huge = Bytes(capacity: Limits.blockSizeMax + 1)
    let small = [UInt8](repeating: 0, count: 100)
    #expect(throws: FormatError.self) {
      try small.withUnsafeBytes {
        try codec.open(
          $0, key: key, location(0, 100, Limits.blockSizeMax + 1, .zstd), into: huge.whole, by: scratch.base)
      }
    }
  }

  @Test func oddCompressedDataIsRefused() throws {
    let zstd = Zstd()
    let plain = [UInt8](repeating: 9, count: 5000)
    let packed = Bytes(capacity: 5000)
    packed.count = try #require(plain.withUnsafeBytes { zstd.compress($0, into: packed.base, room: 5000) })
    func read(_ bytes: [UInt8], _ size: Int) throws {
      var out = [UInt8](repeating: 0, count: size)
      try bytes.withUnsafeBytes { raw in try out.withUnsafeMutableBytes { try zstd.decompress(raw, into: $0) } }
    }
    let frame = packed.withFilled { Array($0) }
    try read(frame, 5000)
    for size in [4999, 5001, 1] { #expect(throws: FormatError.self) { try read(frame, size) } }
    #expect(throws: FormatError.self) { try read(Array(frame.dropLast()), 5000) }
    #expect(throws: FormatError.self) { try read([], 5000) }
    #expect(throws: FormatError.self) { try read(System.random(100), 5000) }
    #expect(plain.withUnsafeBytes { zstd.compress($0, into: packed.base, room: 5) } == nil)
  }
}

@Suite struct PackHeaderTests {
  @Test func everyByteOfTheHeaderCounts() throws {
    let (_, header) = try PackKey.make(.tree, Keys.full)
    #expect(header.count == PackLayout.headerSize)
    #expect(try PackKey.open(header: header, Keys.full).key.kind == .tree)
    #expect(
      offsetsThatMayChange(in: header) { if try PackKey.open(header: $0, Keys.full).writer == nil { throw Unsigned() } }
        == [])
  }

  private struct Unsigned: Error {}

  @Test func theHeaderTellsTheWriter() throws {
    for keyring in [Keys.full, Keys.writeOnly] {
      let (_, header) = try PackKey.make(.data, keyring)
      #expect(try PackKey.open(header: header, Keys.full).writer == keyring.writer.publicKey)
    }
  }

  /// Its chunks prove themselves by their ids: a byte of the signature takes none of them away.
  @Test func aWrongSignatureMakesTheWriterUnknown() throws {
    let (_, header) = try PackKey.make(.data, Keys.writeOnly)
    let (_, other) = try PackKey.make(.data, Keys.full)
    let end = PackLayout.signedHeaderSize
    for forged in [
      header[..<(end - 32)] + other[(end - 32)...],
      header[..<end] + other[end...],
      header[..<end] + [UInt8](repeating: 0, count: 64),
    ] {
      #expect(try PackKey.open(header: Array(forged), Keys.full).writer == nil)
    }
  }

  @Test func onlyFullKeysOfTheRepositoryOpenIt() throws {
    let (_, header) = try PackKey.make(.data, Keys.writeOnly)
    #expect(throws: Never.self) { try PackKey.open(header: header, Keys.full) }
    #expect(throws: Never.self) { try PackKey.open(header: header, Keys.otherFull) }
    for keyring in [Keys.writeOnly, Keys.otherWriteOnly, Keys.stranger, Keys.otherRepository] {
      #expect(throws: FormatError.self) { try PackKey.open(header: header, keyring) }
    }
  }

  @Test func everyByteOfTheDirectoryCounts() throws {
    let (key, _) = try PackKey.make(.data, Keys.full)
    var directory = PackDirectory()
    directory.blocks = [
      PackDirectory.Block(
        sealedLength: 116,
        plainLength: 100,
        compression: .none,
        chunks: [PackDirectory.Chunk(id: .zero, length: 60), PackDirectory.Chunk(id: .zero, length: 40)]
      )
    ]
    let sealed = key.sealDirectory(directory)
    let end = PackLayout.headerSize + 116
    #expect(try key.openDirectory(sealed, offset: end).blocks.count == 1)
    #expect(offsetsThatMayChange(in: sealed) { _ = try key.openDirectory($0, offset: end) } == [])
    #expect(lengthsTaken(of: sealed) { _ = try key.openDirectory($0, offset: end) } == [])
    #expect(throws: FormatError.self) { try key.openDirectory(sealed, offset: end - 1) }
    let (other, _) = try PackKey.make(.data, Keys.full)
    #expect(throws: FormatError.self) { try other.openDirectory(sealed, offset: end) }
  }
}
