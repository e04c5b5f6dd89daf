package import Platform

/// What a chunk holds, and with that which packs it goes into.
package enum ChunkKind: UInt8, Sendable { case data = 1, tree = 2 }

package enum Compression: UInt8, Sendable { case none = 0, zstd = 1 }

/// Where a block lies in its pack, and how large it is.
package struct BlockLocation: Sendable, Hashable {
  package let number: UInt32
  package let offset: UInt32
  package let sealedLength: UInt32
  package let plainLength: UInt32
  package let compression: Compression

  package init(number: UInt32, offset: UInt32, sealedLength: UInt32, plainLength: UInt32, compression: Compression) {
    self.number = number
    self.offset = offset
    self.sealedLength = sealedLength
    self.plainLength = plainLength
    self.compression = compression
  }
}

/// Fixed parts of a pack (docs/format.md, section 6).
package enum PackLayout {
  package static let headerSize = 248
  /// The header up to the wrapped key: what is authenticated with the key.
  package static let authenticatedHeaderSize = 88
  /// The header up to its writer's signature.
  package static let signedHeaderSize = headerSize - 64
  package static let trailerSize = 24
  package static let trailerMagic = Array("YSTRPEND".utf8)

  package struct Header: Sendable {
    package let kind: ChunkKind
    package let keySet: KeySetID
    package let ephemeralKey: [UInt8]
    package let wrappedKey: [UInt8]
    /// To the key in it.
    package let commitment: [UInt8]
    /// The public key of who says to have written the pack.
    package let writer: [UInt8]
    package let signature: [UInt8]
  }

  /// The first 88 bytes; the wrapped key (48 bytes), the commitment to it (16), the writer's public key (32) and its
  /// signature (64) follow.
  package static func headerStart(
    _ kind: ChunkKind, repository: RepositoryID, keySet: KeySetID, ephemeralKey: [UInt8]
  ) -> [UInt8] {
    var out = ByteWriter(capacity: headerSize)
    CommonHeader.write(.pack, repository, to: &out)
    out.u8(kind.rawValue)
    out.zeros(7)
    out.raw(keySet.bytes)
    out.raw(ephemeralKey)
    return out.bytes
  }

  package static func readHeader(_ bytes: [UInt8], of repository: RepositoryID) throws(FormatError) -> Header {
    try bytes.read { (reader) throws(FormatError) in
      try CommonHeader.read(.pack, of: repository, from: &reader)
      guard let kind = ChunkKind(rawValue: try reader.u8()) else { throw FormatError("it has an unknown kind") }
      try reader.zeros(7)
      let keySet = KeySetID(try reader.array(KeySetID.size))
      return Header(
        kind: kind, keySet: keySet, ephemeralKey: try reader.array(32), wrappedKey: try reader.array(48),
        commitment: try reader.array(16), writer: try reader.array(32), signature: try reader.array(64))
    }
  }

  package static func trailer(directoryOffset: UInt64, directoryLength: UInt32) -> [UInt8] {
    var out = ByteWriter(capacity: trailerSize)
    out.u64(directoryOffset)
    out.u32(directoryLength)
    out.u32(0)
    out.raw(trailerMagic)
    return out.bytes
  }

  /// Offset and sealed length of the directory of a pack of `packSize` bytes, parity apart.
  package static func readTrailer(_ bytes: [UInt8], packSize: Int) throws(FormatError) -> (offset: Int, length: Int) {
    guard packSize <= Limits.packSizeMax else { throw FormatError("the pack is larger than packs may be") }
    return try bytes.read { (reader) throws(FormatError) in
      let offset = try reader.u64()
      let length = try reader.u32()
      guard try reader.u32() == 0, try reader.take(8).equals(trailerMagic) else {
        throw FormatError("the pack is cut off or its end is damaged")
      }
      guard length <= Limits.packDirectorySizeMax, offset >= UInt64(headerSize),
        offset <= UInt64(packSize), Int(offset) + Int(length) + trailerSize == packSize
      else { throw FormatError("the pack says something impossible about its directory") }
      return (Int(offset), Int(length))
    }
  }
}

/// The list of blocks and chunks at the end of a pack.
package struct PackDirectory: Sendable {
  package struct Chunk: Sendable {
    package let id: ObjectID
    package let length: UInt32
    package init(id: ObjectID, length: UInt32) {
      self.id = id
      self.length = length
    }
  }
  package struct Block: Sendable {
    package let sealedLength: UInt32
    package let plainLength: UInt32
    package let compression: Compression
    package let chunks: [Chunk]
    package init(sealedLength: UInt32, plainLength: UInt32, compression: Compression, chunks: [Chunk]) {
      self.sealedLength = sealedLength
      self.plainLength = plainLength
      self.compression = compression
      self.chunks = chunks
    }
  }
  package var blocks: [Block] = []

  package init() {}

  package func encode() -> [UInt8] {
    var out = ByteWriter()
    out.u32(UInt32(blocks.count))
    for block in blocks {
      out.u32(block.sealedLength)
      out.u32(block.plainLength)
      out.u8(block.compression.rawValue)
      out.u32(UInt32(block.chunks.count))
      for chunk in block.chunks {
        out.id(chunk.id)
        out.u32(chunk.length)
      }
    }
    return out.bytes
  }

  /// `directoryOffset` is where the blocks must end.
  package init(decoding bytes: [UInt8], directoryOffset: Int) throws(FormatError) {
    blocks = try bytes.read { (reader) throws(FormatError) in
      let count = Int(try reader.u32())
      guard count <= Limits.packBlocksMax else { throw FormatError("the pack's directory names too many blocks") }
      var blocks: [Block] = []
      var end = PackLayout.headerSize
      for _ in 0..<count {
        let block = try Self.readBlock(&reader)
        end += Int(block.sealedLength)
        blocks.append(block)
      }
      try reader.requireEnd()
      guard end == directoryOffset else { throw FormatError("the pack's directory lies about the blocks' lengths") }
      return blocks
    }
  }

  private static func readBlock(_ reader: inout ByteReader) throws(FormatError) -> Block {
    let sealed = try reader.u32()
    let plain = try reader.u32()
    guard let compression = Compression(rawValue: try reader.u8()) else {
      throw FormatError("a block is compressed in an unknown way")
    }
    let count = Int(try reader.u32())
    guard plain <= Limits.blockSizeMax, count <= reader.remaining / 36 else {
      throw FormatError("the pack's directory lies about a block")
    }
    var chunks: [Chunk] = []
    chunks.reserveCapacity(count)
    var sum: UInt64 = 0
    for _ in 0..<count {
      let chunk = Chunk(id: try reader.id(), length: try reader.u32())
      guard chunk.length <= Limits.chunkSizeMax else { throw FormatError("a chunk is larger than chunks may be") }
      sum += UInt64(chunk.length)
      chunks.append(chunk)
    }
    guard sum == UInt64(plain) else { throw FormatError("the pack's directory lies about the chunks' lengths") }
    return Block(sealedLength: sealed, plainLength: plain, compression: compression, chunks: chunks)
  }
}
