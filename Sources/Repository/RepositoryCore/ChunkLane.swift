internal import ChunkCodec
internal import Platform
package import Reporting
package import RepositoryFormat

/// What shares a block, and how much of it.
enum BlockUse: CaseIterable {
  /// Files, one behind the other.
  case data
  /// Parts of files that are read in pages, anywhere: small blocks.
  case pages
  /// Listings.
  case tree

  init(_ kind: ChunkKind, isPage: Bool) {
    switch kind {
    case .data: self = isPage ? .pages : .data
    case .tree: self = .tree
    }
  }
  var kind: ChunkKind { self == .tree ? .tree : .data }
}

/// Where one thread hands in chunks: it gathers those that are new into blocks, by their use.
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
  private var pages: Gathered
  private var tree: Gathered
  private var position: UInt64 = 0
  private var owner: UInt32?

  init(_ blocks: BlockWriter, _ jobs: JobQueue, codec: BlockCodec?) {
    self.blocks = blocks
    self.jobs = jobs
    self.codec = codec
    let (dataSize, treeSize) = (blocks.settings.dataBlockSize, blocks.settings.treeBlockSize)
    let pagesSize = min(blocks.settings.pagesBlockSize, dataSize)
    data = Gathered(size: dataSize, separableSize: dataSize / 16)
    pages = Gathered(size: pagesSize, separableSize: pagesSize)
    tree = Gathered(size: treeSize, separableSize: treeSize / 4)
  }

  /// What comes next stands at `position` in the source, counted in entries: it does not come into one block with what
  /// stands far from there.
  package func move(to position: UInt64) throws(YesterError) {
    self.position = position
    for use in BlockUse.allCases where position > self[use].start + blocks.settings.blockSpan {
      try separate(use)
    }
  }

  /// What comes next is owned by this user. Where owners are to be kept apart, it shares no block with what is not.
  package func setOwner(_ user: UInt32) throws(YesterError) {
    guard blocks.settings.separatesOwners, user != owner else { return }
    owner = user
    try blocks.keepingFailure { () throws(YesterError) in
      for use in BlockUse.allCases { try dispatch(use) }
    }
  }

  /// What comes next has nothing to do with what came before, and not much of this is lost by a block of its own.
  package func separate() throws(YesterError) {
    for use in BlockUse.allCases { try separate(use) }
  }

  private func separate(_ use: BlockUse) throws(YesterError) {
    guard let block = self[use].block, block.count >= self[use].separableSize else { return }
    try blocks.keepingFailure { () throws(YesterError) in try dispatch(use) }
  }

  /// Stores a chunk unless the repository has it. True when it was new. `isPage` says that it is part of a file that
  /// is read in pages, anywhere, and had better come into a small block.
  @discardableResult
  package func add(
    _ id: ObjectID, kind: ChunkKind, isPage: Bool = false, _ bytes: UnsafeRawBufferPointer
  ) throws(YesterError) -> Bool {
    let use = BlockUse(kind, isPage: isPage)
    guard try blocks.claim(id, count: bytes.count) else { return false }
    try blocks.keepingFailure { () throws(YesterError) in
      let room = try self.room(bytes.count, use)
      room.copyMemory(from: bytes)
      try append(id, use, bytes.count)
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
    for use in BlockUse.allCases {
      if let block = takeBlock(use) { try hand(over: block) }
    }
  }

  private subscript(use: BlockUse) -> Gathered {
    get {
      switch use {
      case .data: data
      case .pages: pages
      case .tree: tree
      }
    }
    _modify {
      switch use {
      case .data: yield &data
      case .pages: yield &pages
      case .tree: yield &tree
      }
    }
  }

  private func room(_ count: Int, _ use: BlockUse) throws(YesterError) -> UnsafeMutableRawBufferPointer {
    if let block = self[use].block, block.count > 0, block.count + count > self[use].sizeMax { try dispatch(use) }
    let block: Bytes
    if let known = self[use].block, known.capacity - known.count >= count {
      block = known
    } else {
      block = blocks.memory.take(capacity: max(self[use].sizeMax, count))
      self[use].block = block
    }
    return UnsafeMutableRawBufferPointer(rebasing: block.free[..<count])
  }

  private func append(_ id: ObjectID, _ use: BlockUse, _ count: Int) throws(YesterError) {
    guard let block = self[use].block else { preconditionFailure("no room was asked for") }
    if self[use].chunks.isEmpty { self[use].start = position }
    block.count += count
    self[use].chunks.append(PackDirectory.Chunk(id: id, length: UInt32(count)))
    if block.count >= self[use].size { try dispatch(use) }
  }

  private func dispatch(_ use: BlockUse) throws(YesterError) {
    guard let block = takeBlock(use) else { return }
    guard let codec else { return try hand(over: block) }
    // What this worker has just read is in its processor's cache; but nobody should be idle meanwhile.
    if !jobs.offer(block) { try blocks.seal(block, codec) }
  }

  private func hand(over block: PlainBlock) throws(YesterError) {
    guard jobs.put(block) else { throw YesterError(.failed, "The writer of chunks is closed") }
    try blocks.throwFailure()
  }

  /// What was gathered, if there is something; then nothing is.
  private func takeBlock(_ use: BlockUse) -> PlainBlock? {
    guard let plain = self[use].block, !self[use].chunks.isEmpty else { return nil }
    let block = PlainBlock(kind: use.kind, plain: plain, chunks: self[use].chunks)
    self[use].block = nil
    self[use].chunks.removeAll(keepingCapacity: true)
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
