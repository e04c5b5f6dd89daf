package import ChunkCodec
package import Platform
package import RepositoryFormat

/// What a segment says of one pack.
package struct IndexedPack: Sendable {
  package let pack: IndexLayout.Pack
  package let blocks: [(place: BlockPlace, chunks: [PackDirectory.Chunk])]

  package init(pack: IndexLayout.Pack, blocks: [(place: BlockPlace, chunks: [PackDirectory.Chunk])]) {
    self.pack = pack
    self.blocks = blocks
  }

  /// From a pack's own directory.
  package init(id: ObjectID, size: UInt64, kind: ChunkKind, directory: PackDirectory) {
    var offset = UInt32(PackLayout.headerSize)
    var blocks: [(place: BlockPlace, chunks: [PackDirectory.Chunk])] = []
    for (number, block) in directory.blocks.enumerated() {
      let place = BlockPlace(
        number: UInt32(number), offset: offset, sealedLength: block.sealedLength, plainLength: block.plainLength,
        compression: block.compression)
      blocks.append((place, block.chunks))
      offset += block.sealedLength
    }
    self.init(pack: IndexLayout.Pack(id: id, size: size, kind: kind), blocks: blocks)
  }
}

/// Builds the body of a segment and seals it into the store.
package struct IndexSegmentBuilder {
  package var replaced: [ObjectID] = []
  package var condemned: [(pack: ObjectID, seconds: Int64)] = []
  private var packs: [(pack: IndexLayout.Pack, firstBlock: UInt32)] = []
  private var blocks = ByteWriter()
  private var blockCount: UInt32 = 0
  private var chunks: [Chunk] = []

  private struct Chunk {
    let prefix: IndexPrefix
    let block: UInt32
    let offset: UInt32
    let length: UInt32
  }

  package init() {}

  package var chunkCount: Int { chunks.count }
  package var packCount: Int { packs.count }
  package var isEmpty: Bool { packs.isEmpty && replaced.isEmpty && condemned.isEmpty }

  package mutating func add(_ indexed: IndexedPack) {
    let place = UInt32(packs.count)
    packs.append((indexed.pack, blockCount))
    for (block, contents) in indexed.blocks {
      blocks.indexBlock(pack: place, block)
      var offset: UInt32 = 0
      for chunk in contents {
        chunks.append(
          Chunk(prefix: IndexPrefix(chunk.id), block: blockCount, offset: offset, length: chunk.length))
        offset += chunk.length
      }
      blockCount += 1
    }
  }

  /// Adds packs of another segment for which `keep` says so.
  package mutating func add(_ segment: IndexSegment, keep: (ObjectID) -> Bool) throws(FormatError) {
    var newBlock: [UInt32?] = Array(repeating: nil, count: Int(segment.head.blocks))
    for packPlace in 0..<segment.packCount {
      let pack = try segment.pack(packPlace)
      guard keep(pack.id) else { continue }
      let place = UInt32(packs.count)
      packs.append((pack, blockCount))
      for blockPlace in segment.blocks(ofPack: packPlace) {
        blocks.indexBlock(pack: place, try segment.block(blockPlace).1)
        newBlock[blockPlace] = blockCount
        blockCount += 1
      }
    }
    for place in 0..<segment.chunkCount {
      let chunk = segment.chunk(place)
      guard chunk.block < newBlock.count else {
        throw FormatError("an index segment names a block that it does not list")
      }
      guard let block = newBlock[chunk.block] else { continue }
      chunks.append(
        Chunk(prefix: segment.prefix(place), block: block, offset: chunk.offset, length: chunk.length))
    }
  }

  /// Seals and stores the segment; its id.
  package mutating func store(in store: any ObjectStore, _ keyring: Keyring) throws -> ObjectID {
    chunks.sort { $0.prefix < $1.prefix }
    let upload = try store.beginUpload()
    let hash = SHA256()
    func emit(_ bytes: [UInt8]) throws {
      try bytes.withUnsafeBytes {
        hash.update($0)
        try upload.append($0)
      }
    }
    do {
      var sealer = IndexSealer(keyring)
      try emit(sealer.header)
      try writeBody { part in try part.withUnsafeBytes { try sealer.write($0, emit: emit) } }
      try emit(sealer.finish())
      let id = hash.finish()
      try upload.commit(as: .index(id))
      return id
    } catch {
      upload.cancel()
      throw error
    }
  }

  private func writeBody(_ write: ([UInt8]) throws -> Void) throws {
    var out = ByteWriter(capacity: 1 << 16)
    IndexLayout.Head(
      replaced: UInt32(replaced.count), condemned: UInt32(condemned.count), packs: UInt32(packs.count),
      blocks: blockCount, chunks: UInt32(chunks.count)
    ).encode(to: &out)
    for id in replaced { out.id(id) }
    for (pack, seconds) in condemned {
      out.id(pack)
      out.i64(seconds)
    }
    for (pack, firstBlock) in packs { out.indexPack(pack, firstBlock: firstBlock) }
    try write(out.bytes)
    try write(blocks.bytes)
    out.removeAll()
    for chunk in chunks {
      for word in [chunk.prefix.w0, chunk.prefix.w1] { withUnsafeBytes(of: word.bigEndian) { out.raw($0) } }
      withUnsafeBytes(of: chunk.prefix.w2.bigEndian) { out.raw($0) }
      out.u32(chunk.block)
      out.u32(chunk.offset)
      out.u32(chunk.length)
      if out.count >= 1 << 16 {
        try write(out.bytes)
        out.removeAll()
      }
    }
    try write(out.bytes)
  }
}
