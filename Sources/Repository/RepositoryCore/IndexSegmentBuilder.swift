package import ChunkCodec
package import ObjectStores
package import Platform
package import Reporting
package import RepositoryFormat

/// What a segment says of one pack.
package struct IndexedPack: Sendable {
  package let pack: IndexLayout.Pack
  /// The public key of its writer.
  package let writer: [UInt8]
  package let blocks: [(location: BlockLocation, chunks: [PackDirectory.Chunk])]

  package init(
    pack: IndexLayout.Pack, writer: [UInt8], blocks: [(location: BlockLocation, chunks: [PackDirectory.Chunk])]
  ) {
    self.pack = pack
    self.writer = writer
    self.blocks = blocks
  }

  package var chunkCount: Int { blocks.reduce(0) { $0 + $1.chunks.count } }

  /// From a pack's own directory.
  package init(id: ObjectID, size: UInt64, kind: ChunkKind, writer: [UInt8], directory: PackDirectory) {
    var offset = UInt32(PackLayout.headerSize)
    var blocks: [(location: BlockLocation, chunks: [PackDirectory.Chunk])] = []
    for (number, block) in directory.blocks.enumerated() {
      let location = BlockLocation(
        number: UInt32(number), offset: offset, sealedLength: block.sealedLength, plainLength: block.plainLength,
        compression: block.compression)
      blocks.append((location, block.chunks))
      offset += block.sealedLength
    }
    self.init(pack: IndexLayout.Pack(id: id, size: size, kind: kind), writer: writer, blocks: blocks)
  }
}

/// Builds the body of a segment and seals it into the store. What comes from other segments is not held in memory, but
/// taken over as the new one is written.
package struct IndexSegmentBuilder {
  package var replaced: [ObjectID] = []
  package var statements: [IndexLayout.Statement] = []
  private var packs: [(pack: IndexLayout.Pack, writer: Int, firstBlock: UInt32)] = []
  /// Public keys of the writers of the packs, and where they stand.
  private var writers: [[UInt8]] = []
  private var writerNumbers: [[UInt8]: Int] = [:]
  private var blockCount = 0
  private var segments: [MergedSegment] = []
  /// Of packs that were added by themselves; their blocks come behind those of all segments.
  private var blocks = ByteWriter()
  private var chunks: [Chunk] = []
  private var hasOwnPacks = false

  fileprivate struct Chunk {
    let prefix: IndexPrefix
    let pack: UInt32
    let block: UInt32
    let offset: UInt32
    let length: UInt32
  }

  package init() {}

  package var chunkCount: Int { segments.reduce(chunks.count) { $0 + $1.chunkCount } }
  package var packCount: Int { packs.count }
  package var isEmpty: Bool { packs.isEmpty && replaced.isEmpty && statements.isEmpty }

  package mutating func add(_ indexed: IndexedPack) {
    hasOwnPacks = true
    let index = UInt32(packs.count)
    packs.append((indexed.pack, number(of: indexed.writer), UInt32(blockCount)))
    for (block, contents) in indexed.blocks {
      blocks.indexBlock(pack: index, block)
      var offset: UInt32 = 0
      for chunk in contents {
        chunks.append(
          Chunk(
            prefix: IndexPrefix(chunk.id), pack: index, block: UInt32(blockCount), offset: offset,
            length: chunk.length))
        offset += chunk.length
      }
      blockCount += 1
    }
  }

  private mutating func number(of writer: [UInt8]) -> Int {
    if let known = writerNumbers[writer] { return known }
    writers.append(writer)
    writerNumbers[writer] = writers.count - 1
    return writers.count - 1
  }

  /// Adds packs of another segment for which `keep` says so, before any that are added by themselves.
  package mutating func add(_ segment: IndexSegment, keep: (ObjectID) -> Bool) throws(FormatError) {
    precondition(!hasOwnPacks, "segments come before packs")
    var merged = MergedSegment(segment)
    var listed = 0
    for index in 0..<segment.packCount {
      let pack = try segment.pack(index)
      let blocks = segment.blocks(ofPack: index)
      listed += blocks.count
      guard listed <= Int(segment.head.blocks) else {
        throw FormatError("an index segment contradicts itself about its blocks")
      }
      guard keep(pack.id) else {
        merged.packs.append(nil)
        continue
      }
      guard blockCount + blocks.count <= Int(UInt32.max) else { throw FormatError("an index segment is too large") }
      merged.packs.append((UInt32(packs.count), blockCount - blocks.lowerBound))
      packs.append((pack, number(of: try segment.writer(ofPack: index)), UInt32(blockCount)))
      blockCount += blocks.count
    }
    try merged.countChunks()
    segments.append(merged)
  }

  /// Seals, signs and stores the segment; its id.
  package mutating func store(in store: any ObjectStore, _ keyring: Keyring) throws(YesterError) -> ObjectID {
    sortChunks()
    let upload = try store.beginUpload()
    let naming = ObjectNaming(store.protection)
    func emit(_ bytes: [UInt8]) throws(YesterError) {
      try bytes.withBytes { (bytes) throws(YesterError) in
        naming.append(bytes)
        try upload.append(bytes)
      }
    }
    do throws(YesterError) {
      var sealer = IndexSealer(keyring)
      try emit(sealer.header)
      try writeBody(by: keyring.writer.publicKey) { (part) throws(YesterError) in
        try part.withBytes { (part) throws(YesterError) in try sealer.write(part, emit: emit) }
      }
      try emit(sealer.finish())
      try emit(IndexSignature.make(naming.soFar(), keyring))
      let (parity, id) = naming.finish()
      try parity.withBytes { (parity) throws(YesterError) in try upload.append(parity) }
      try upload.commit(as: .index(id))
      return id
    } catch {
      upload.cancel()
      throw error
    }
  }

  /// A pack tells of a chunk once: whoever lists a million times the same would make each look at it long.
  private mutating func sortChunks() {
    chunks.sort { ($0.prefix, $0.block, $0.offset) < ($1.prefix, $1.block, $1.offset) }
    var kept = 0
    for chunk in chunks {
      if kept > 0, chunks[kept - 1].prefix == chunk.prefix, chunks[kept - 1].pack == chunk.pack { continue }
      chunks[kept] = chunk
      kept += 1
    }
    chunks.removeLast(chunks.count - kept)
  }

  private func writeBody(by writer: [UInt8], _ write: ([UInt8]) throws(YesterError) -> Void) throws(YesterError) {
    var out = ByteWriter(capacity: 1 << 16)
    func flush(from size: Int) throws(YesterError) {
      guard out.count >= size else { return }
      try write(out.bytes)
      out.removeAll()
    }
    guard chunkCount <= Int(UInt32.max) else {
      throw YesterError(.failed, "The index segment that was to be written is too large")
    }
    // The segment's own writer is the first, whether a pack is by it or not.
    let others = writers.filter { $0 != writer }
    guard others.count < Limits.indexWritersMax else {
      throw YesterError(.failed, "The index segment that was to be written names too many writers")
    }
    var next: UInt16 = 0
    let numbers = writers.map { known -> UInt16 in
      if known == writer { return 0 }
      next += 1
      return next
    }
    IndexLayout.Head(
      replaced: UInt32(replaced.count), statements: UInt32(statements.count), writers: UInt32(others.count + 1),
      packs: UInt32(packs.count), blocks: UInt32(blockCount), chunks: UInt32(chunkCount)
    ).encode(to: &out)
    for id in replaced { out.id(id) }
    for statement in statements { out.indexStatement(statement) }
    for known in [writer] + others { out.raw(known) }
    for (pack, number, firstBlock) in packs {
      out.indexPack(pack, writer: numbers[number], firstBlock: firstBlock)
      try flush(from: 1 << 16)
    }
    for segment in segments {
      try segment.forEachBlock { (pack, block) throws(YesterError) in
        out.indexBlock(pack: pack, block)
        try flush(from: 1 << 16)
      }
    }
    try flush(from: 0)
    try write(blocks.bytes)
    try forEachChunk { (chunk) throws(YesterError) in
      for word in [chunk.prefix.w0, chunk.prefix.w1] { withUnsafeBytes(of: word.bigEndian) { out.raw($0) } }
      withUnsafeBytes(of: chunk.prefix.w2.bigEndian) { out.raw($0) }
      out.u32(chunk.block)
      out.u32(chunk.offset)
      out.u32(chunk.length)
      try flush(from: 1 << 16)
    }
    try flush(from: 0)
  }

  /// All chunks in the order of their ids: those of each segment are sorted already.
  private func forEachChunk(_ body: (Chunk) throws(YesterError) -> Void) throws(YesterError) {
    var cursors: [(chunk: Chunk, segment: Int, next: Int)] = []
    for (number, segment) in segments.enumerated() {
      if let (chunk, next) = try segment.nextChunk(from: 0) { cursors.append((chunk, number, next)) }
    }
    var own = 0
    while true {
      // There are eight or some dozens: looking at all of them is as fast as anything else.
      var first: Int?
      for (index, cursor) in cursors.enumerated() {
        if first.map({ cursor.chunk.prefix < cursors[$0].chunk.prefix }) ?? true { first = index }
      }
      if own < chunks.count, first.map({ chunks[own].prefix < cursors[$0].chunk.prefix }) ?? true {
        try body(chunks[own])
        own += 1
        continue
      }
      guard let first else { return }
      try body(cursors[first].chunk)
      if let (chunk, next) = try segments[cursors[first].segment].nextChunk(from: cursors[first].next) {
        cursors[first].chunk = chunk
        cursors[first].next = next
      } else {
        cursors.remove(at: first)
      }
    }
  }
}

/// What a new segment takes over from another.
private struct MergedSegment {
  private static let chunksBetweenReleases = 1 << 16

  let segment: IndexSegment
  /// For each of its packs: the index in the new segment, and how far its blocks move; nil for what is left out.
  var packs: [(index: UInt32, blockShift: Int)?] = []
  private(set) var chunkCount = 0

  init(_ segment: IndexSegment) { self.segment = segment }

  mutating func countChunks() throws(FormatError) {
    if packs.allSatisfy({ $0 != nil }) {
      chunkCount = segment.chunkCount
      return
    }
    for index in 0..<segment.chunkCount {
      if try block(of: index) != nil { chunkCount += 1 }
      releaseMemory(after: index)
    }
  }

  func forEachBlock(_ body: (_ pack: UInt32, BlockLocation) throws(YesterError) -> Void) throws(YesterError) {
    for (index, kept) in packs.enumerated() {
      guard let kept else { continue }
      for number in segment.blocks(ofPack: index) {
        let block: BlockLocation
        do throws(FormatError) {
          block = try segment.block(number).1
        } catch {
          throw damaged(error)
        }
        try body(kept.index, block)
      }
      segment.releaseMemory()
    }
  }

  /// The first chunk at or behind an index that is taken over, and the index behind it.
  func nextChunk(from start: Int) throws(YesterError) -> (IndexSegmentBuilder.Chunk, next: Int)? {
    do throws(FormatError) {
      return try chunk(from: start)
    } catch {
      throw damaged(error)
    }
  }

  private func damaged(_ error: FormatError) -> YesterError { .damaged("The index segment \(segment.id.short)", error) }

  private func chunk(from start: Int) throws(FormatError) -> (IndexSegmentBuilder.Chunk, next: Int)? {
    var index = start
    while index < segment.chunkCount {
      defer { index += 1 }
      releaseMemory(after: index)
      guard let block = try block(of: index) else { continue }
      let (_, offset, length) = segment.chunk(index)
      return (
        IndexSegmentBuilder.Chunk(
          prefix: segment.prefix(index), pack: 0, block: block, offset: offset, length: length),
        index + 1
      )
    }
    return nil
  }

  /// The new index of a chunk's block; nil when it is left out.
  private func block(of index: Int) throws(FormatError) -> UInt32? {
    let block = segment.chunk(index).block
    guard block < Int(segment.head.blocks) else {
      throw FormatError("an index segment names a block that it does not list")
    }
    guard let kept = packs[try segment.block(block).pack] else { return nil }
    guard let new = UInt32(exactly: block + kept.blockShift) else {
      throw FormatError("an index segment contradicts itself about its blocks")
    }
    return new
  }

  private func releaseMemory(after index: Int) {
    if index % Self.chunksBetweenReleases == 0 { segment.releaseMemory() }
  }
}
