package import Platform

/// The body of an index segment (docs/format.md, section 7): fixed-size records, so that it is searched where it
/// lies, in a mapped file.
package enum IndexLayout {
  package static let headSize = 24
  package static let frameSize = 1 << 20
  package static let segmentHeaderSize = 112
  package static let signatureSize = 64
  package static let replacedSize = 32
  package static let statementSize = 48
  package static let writerSize = 32
  package static let packSize = 48
  package static let blockSize = 16
  package static let chunkSize = 32
  /// How much of a chunk's id the index holds.
  package static let prefixSize = 20
  /// Stands for the writer of a pack whose header does not tell it.
  package static let unknownWriter = [UInt8](repeating: 0, count: writerSize)

  package struct Head: Sendable, Equatable {
    package var replaced: UInt32
    package var statements: UInt32
    package var writers: UInt32
    package var packs: UInt32
    package var blocks: UInt32
    package var chunks: UInt32
    package init(
      replaced: UInt32, statements: UInt32, writers: UInt32, packs: UInt32, blocks: UInt32, chunks: UInt32
    ) {
      self.replaced = replaced
      self.statements = statements
      self.writers = writers
      self.packs = packs
      self.blocks = blocks
      self.chunks = chunks
    }
    package var statementsStart: Int { headSize + Int(replaced) * replacedSize }
    package var writersStart: Int { statementsStart + Int(statements) * statementSize }
    package var packsStart: Int { writersStart + Int(writers) * writerSize }
    package var blocksStart: Int { packsStart + Int(packs) * packSize }
    package var chunksStart: Int { blocksStart + Int(blocks) * blockSize }
    package var end: Int { chunksStart + Int(chunks) * chunkSize }

    package func encode(to out: inout ByteWriter) {
      for number in [replaced, statements, writers, packs, blocks, chunks] { out.u32(number) }
    }
    package init(_ reader: inout ByteReader) throws(FormatError) {
      replaced = try reader.u32()
      statements = try reader.u32()
      writers = try reader.u32()
      packs = try reader.u32()
      blocks = try reader.u32()
      chunks = try reader.u32()
      // The first writer is the segment's own; packs name theirs by 16 bits.
      guard (1...UInt32(Limits.indexWritersMax)).contains(writers) else {
        throw FormatError("an index segment names no writer, or too many")
      }
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

  /// What a writer says of a pack.
  package struct Statement: Sendable, Hashable {
    package enum Kind: UInt32, Sendable {
      /// Every block was opened, and every chunk verified against its id.
      case verified = 1
    }
    package let pack: ObjectID
    package let kind: Kind
    package let seconds: Int64
    package init(pack: ObjectID, kind: Kind, seconds: Int64) {
      self.pack = pack
      self.kind = kind
      self.seconds = seconds
    }
  }
}

extension ByteWriter {
  /// `writer` is the index of the pack's writer in the segment's list, `firstBlock` that of its first block.
  package mutating func indexPack(_ pack: IndexLayout.Pack, writer: UInt16, firstBlock: UInt32) {
    id(pack.id)
    u64(pack.size)
    u8(pack.kind.rawValue)
    u8(0)
    u16(writer)
    u32(firstBlock)
  }
  /// `pack` is the pack's index in the segment's list.
  package mutating func indexBlock(pack: UInt32, _ block: BlockLocation) {
    u32(pack)
    u32(block.offset)
    u32(block.sealedLength)
    u32(block.plainLength | UInt32(block.compression.rawValue) << 28)
  }
  package mutating func indexStatement(_ statement: IndexLayout.Statement) {
    id(statement.pack)
    i64(statement.seconds)
    u32(statement.kind.rawValue)
    u32(0)
  }
}
