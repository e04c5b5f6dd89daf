package import Platform

/// The body of an index segment (docs/format.md, section 7): fixed-size records, so that it is searched where it
/// lies, in a mapped file.
package enum IndexLayout {
  package static let headSize = 24
  package static let frameSize = 1 << 20
  package static let segmentHeaderSize = 72
  package static let replacedSize = 32
  package static let packSize = 48
  package static let blockSize = 16
  package static let chunkSize = 32
  /// How much of a chunk's id the index holds.
  package static let prefixSize = 20

  package struct Head: Sendable, Equatable {
    package var replaced: UInt32
    package var packs: UInt32
    package var blocks: UInt32
    package var chunks: UInt32
    package init(replaced: UInt32, packs: UInt32, blocks: UInt32, chunks: UInt32) {
      self.replaced = replaced
      self.packs = packs
      self.blocks = blocks
      self.chunks = chunks
    }
    package var packsStart: Int { headSize + Int(replaced) * replacedSize }
    package var blocksStart: Int { packsStart + Int(packs) * packSize }
    package var chunksStart: Int { blocksStart + Int(blocks) * blockSize }
    package var end: Int { chunksStart + Int(chunks) * chunkSize }

    package func encode(to out: inout ByteWriter) {
      for number in [replaced, packs, blocks, chunks, 0, 0] { out.u32(number) }
    }
    package init(_ reader: inout ByteReader) throws(FormatError) {
      replaced = try reader.u32()
      packs = try reader.u32()
      blocks = try reader.u32()
      chunks = try reader.u32()
      guard try reader.u64() == 0 else { throw FormatError("an index segment is damaged") }
    }
  }

  package struct Pack: Sendable, Equatable {
    package let id: ObjectID
    package let size: UInt64
    package let kind: ChunkKind
    package init(id: ObjectID, size: UInt64, kind: ChunkKind) {
      self.id = id
      self.size = size
      self.kind = kind
    }
  }
}

extension ByteWriter {
  /// `firstBlock` is the index of the pack's first block in the segment's list.
  package mutating func indexPack(_ pack: IndexLayout.Pack, firstBlock: UInt32) {
    id(pack.id)
    u64(pack.size)
    u32(UInt32(pack.kind.rawValue))
    u32(firstBlock)
  }
  /// `pack` is the pack's index in the segment's list.
  package mutating func indexBlock(pack: UInt32, _ block: BlockLocation) {
    u32(pack)
    u32(block.offset)
    u32(block.sealedLength)
    u32(block.plainLength | UInt32(block.compression.rawValue) << 28)
  }
}
