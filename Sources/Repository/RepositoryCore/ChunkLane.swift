internal import ChunkCodec
internal import Platform
package import Reporting
package import RepositoryFormat

/// Where one thread hands in chunks: it gathers those that are new into blocks, data and listings apart.
///
/// `@unchecked Sendable`: one thread uses it at a time. A worker's lane is flushed by the thread that made the writer
/// when no work is left, which the queue's lock orders; all that the worker may touch then is the codec.
package final class ChunkLane: @unchecked Sendable {
  private struct Gathered {
    var block: Bytes?
    var chunks: [PackDirectory.Chunk] = []
    let size: Int
    /// With this it may end before it is full.
    let separableSize: Int
    /// Where its first chunk stands in the source.
    var start: UInt64 = 0
    /// A block that has something in it takes no chunk that would make it larger than this.
    var sizeMax: Int { size + size / 4 }
  }

  private let blocks: BlockWriter
  private let jobs: JobQueue
  /// Nil for a thread that is no worker and leaves sealing to those.
  private let codec: BlockCodec?
  private var data: Gathered
  private var tree: Gathered
  private var position: UInt64 = 0

  init(_ blocks: BlockWriter, _ jobs: JobQueue, codec: BlockCodec?) {
    self.blocks = blocks
    self.jobs = jobs
    self.codec = codec
    let (dataSize, treeSize) = (blocks.settings.dataBlockSize, blocks.settings.treeBlockSize)
    data = Gathered(size: dataSize, separableSize: dataSize / 16)
    tree = Gathered(size: treeSize, separableSize: treeSize / 4)
  }

  /// What comes next stands at `position` in the source, counted in entries: it does not come into one block with what
  /// stands far from there.
  package func move(to position: UInt64) throws(YesterError) {
    self.position = position
    for kind in [ChunkKind.data, .tree] where position > self[kind].start + blocks.settings.blockSpan {
      try separate(kind)
    }
  }

  /// What comes next has nothing to do with what came before, and not much of this is lost by a block of its own.
  package func separate() throws(YesterError) {
    for kind in [ChunkKind.data, .tree] { try separate(kind) }
  }

  private func separate(_ kind: ChunkKind) throws(YesterError) {
    guard let block = self[kind].block, block.count >= self[kind].separableSize else { return }
    try blocks.keepingFailure { () throws(YesterError) in try dispatch(kind) }
  }

  /// Stores a chunk unless the repository has it. True when it was new.
  @discardableResult
  package func add(_ id: ObjectID, kind: ChunkKind, _ bytes: UnsafeRawBufferPointer) throws(YesterError) -> Bool {
    guard try blocks.claim(id, count: bytes.count) else { return false }
    try blocks.keepingFailure { () throws(YesterError) in
      let room = try self.room(bytes.count, kind)
      room.copyMemory(from: bytes)
      try append(id, kind, bytes.count)
    }
    return true
  }

  /// Memory into which a data chunk of up to `count` bytes may be read, so that `keep` need not copy it. Good until
  /// the next call.
  package func room(_ count: Int) throws(YesterError) -> UnsafeMutableRawBufferPointer {
    try blocks.keepingFailure { () throws(YesterError) in try room(count, .data) }
  }

  /// Stores the first `count` bytes of what `room` gave, as a data chunk, unless the repository has it. True when it
  /// was new.
  @discardableResult
  package func keep(_ id: ObjectID, count: Int) throws(YesterError) -> Bool {
    guard try blocks.claim(id, count: count) else { return false }
    try blocks.keepingFailure { () throws(YesterError) in try append(id, .data, count) }
    return true
  }

  /// Sends off what was gathered. Whatever thread does this leaves the sealing to the workers: the first block that
  /// it hands over may set the very worker to work whose lane this is.
  func flush() throws(YesterError) {
    for kind in [ChunkKind.data, .tree] {
      if let block = takeBlock(kind) { try hand(over: block) }
    }
  }

  private subscript(kind: ChunkKind) -> Gathered {
    get { kind == .data ? data : tree }
    _modify { if kind == .data { yield &data } else { yield &tree } }
  }

  private func room(_ count: Int, _ kind: ChunkKind) throws(YesterError) -> UnsafeMutableRawBufferPointer {
    if let block = self[kind].block, block.count > 0, block.count + count > self[kind].sizeMax { try dispatch(kind) }
    let block: Bytes
    if let known = self[kind].block, known.capacity - known.count >= count {
      block = known
    } else {
      block = blocks.memory.take(capacity: max(self[kind].sizeMax, count))
      self[kind].block = block
    }
    return UnsafeMutableRawBufferPointer(rebasing: block.free[..<count])
  }

  private func append(_ id: ObjectID, _ kind: ChunkKind, _ count: Int) throws(YesterError) {
    guard let block = self[kind].block else { preconditionFailure("no room was asked for") }
    if self[kind].chunks.isEmpty { self[kind].start = position }
    block.count += count
    self[kind].chunks.append(PackDirectory.Chunk(id: id, length: UInt32(count)))
    if block.count >= self[kind].size { try dispatch(kind) }
  }

  private func dispatch(_ kind: ChunkKind) throws(YesterError) {
    guard let block = takeBlock(kind) else { return }
    guard let codec else { return try hand(over: block) }
    // What this worker has just read is in its processor's cache; but nobody should be idle meanwhile.
    if !jobs.offer(block) { try blocks.seal(block, codec) }
  }

  private func hand(over block: PlainBlock) throws(YesterError) {
    guard jobs.put(block) else { throw YesterError(.failed, "The writer of chunks is closed") }
    try blocks.throwFailure()
  }

  /// What was gathered, if there is something; then nothing is.
  private func takeBlock(_ kind: ChunkKind) -> PlainBlock? {
    guard let plain = self[kind].block, !self[kind].chunks.isEmpty else { return nil }
    let block = PlainBlock(kind: kind, plain: plain, chunks: self[kind].chunks)
    self[kind].block = nil
    self[kind].chunks.removeAll(keepingCapacity: true)
    return block
  }

  /// Seals a block of whatever lane. Failures are kept for whoever asks next.
  func seal(_ block: PlainBlock) {
    guard let codec else { preconditionFailure("only workers seal") }
    try? blocks.seal(block, codec)
  }
}

/// Chunks that lie one behind the other, on their way to a pack.
struct PlainBlock: Sendable {
  let kind: ChunkKind
  let plain: Bytes
  let chunks: [PackDirectory.Chunk]
}
