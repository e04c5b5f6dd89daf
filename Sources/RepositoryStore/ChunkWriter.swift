internal import ChunkCodec
internal import Platform
package import RepositoryFormat

/// Stores chunks: gathers them into blocks, has workers compress and seal these, and fills packs and the index.
///
/// One thread adds; the workers are its own. Memory: the blocks in the queue and with the workers, whatever comes.
/// After an error nothing more is stored, and every further call throws it again.
package final class ChunkWriter {
  package struct Settings: Sendable {
    package var level = 3
    package var workers = System.processorCount
    package var packSize = 64 << 20
    package var dataBlockSize = 512 << 10
    package var treeBlockSize = 128 << 10
    /// A chunk of this size or more is a block of its own.
    package var ownBlockSize = 256 << 10
    /// The index is stored after so many chunks or bytes, so that an interrupted run leaves something to build on.
    package var indexIntervalChunks = 150_000
    package var indexIntervalBytes: UInt64 = 1 << 30
    package init() {}
  }
  package struct Totals: Sendable {
    /// Chunks that were not in the repository yet, and their plain size.
    package var newChunks: UInt64 = 0
    package var newBytes: UInt64 = 0
    /// What was stored for them, in bytes.
    package var storedBytes: UInt64 = 0
  }

  fileprivate struct Job: Sendable {
    let pack: PackAssembly
    let number: UInt32
    let plain: Bytes
    let chunks: [PackDirectory.Chunk]
  }
  fileprivate struct Shared {
    var finished: [IndexedPack] = []
    var storedBytes: UInt64 = 0
    var failure: (any Error)?
  }

  private let repository: Repository
  private let settings: Settings
  private let queue: BoundedQueue<Job>
  private let shared = Monitor(Shared())
  private var workers: [Worker] = []
  private var lanes: [ChunkKind: Lane] = [:]
  /// Chunks added since the index was last stored: the index does not know them yet.
  private var fresh: Set<ObjectID> = []
  private var sinceIndex = Totals()
  package private(set) var totals = Totals()

  /// What is being gathered for one kind of packs.
  private struct Lane {
    var pack: PackAssembly?
    var nextNumber: UInt32 = 0
    /// Plain bytes given to this pack: an upper bound of what it will hold.
    var given = 0
    var block: Bytes
    var chunks: [PackDirectory.Chunk] = []
    let blockSize: Int
  }

  package init(_ repository: Repository, _ settings: Settings = Settings()) {
    self.repository = repository
    self.settings = settings
    queue = BoundedQueue(limit: settings.workers + 2)
    for (kind, size) in [(ChunkKind.data, settings.dataBlockSize), (.tree, settings.treeBlockSize)] {
      lanes[kind] = Lane(block: Bytes(capacity: size + settings.ownBlockSize), blockSize: size)
    }
    let queue = queue
    let shared = shared
    let store = repository.store
    let level = settings.level
    workers = (0..<settings.workers).map { number in
      Worker("yester-seal-\(number)") { Self.work(queue, shared, store, level) }
    }
  }

  deinit { queue.close() }

  /// Whether the chunk is stored or on its way.
  package func contains(_ id: ObjectID) throws -> Bool {
    try throwFailure()
    return try isKnown(id)
  }

  private func isKnown(_ id: ObjectID) throws -> Bool {
    if fresh.contains(id) { return true }
    return try repository.index.findReusable(id) != nil
  }

  /// Stores a chunk unless the repository has it. True when it was new.
  @discardableResult
  package func add(_ id: ObjectID, kind: ChunkKind, _ bytes: UnsafeRawBufferPointer) throws -> Bool {
    try keepingFailure {
      if try isKnown(id) { return false }
      try addNew(id, kind: kind, bytes)
      return true
    }
  }

  private func addNew(_ id: ObjectID, kind: ChunkKind, _ bytes: UnsafeRawBufferPointer) throws {
    precondition(bytes.count <= Limits.chunkSizeMax, "a chunk is larger than chunks may be")
    fresh.insert(id)
    totals.newChunks += 1
    totals.newBytes += UInt64(bytes.count)
    sinceIndex.newChunks += 1
    sinceIndex.newBytes += UInt64(bytes.count)
    let chunk = PackDirectory.Chunk(id: id, length: UInt32(bytes.count))
    if bytes.count >= settings.ownBlockSize {
      try dispatch(kind, Bytes(bytes), [chunk])
    } else {
      if let lane = lanes[kind], lane.block.count + bytes.count > lane.blockSize { try flushBlock(kind) }
      lanes[kind]?.block.append(bytes)
      lanes[kind]?.chunks.append(chunk)
    }
    if sinceIndex.newChunks >= settings.indexIntervalChunks || sinceIndex.newBytes >= settings.indexIntervalBytes {
      try storeIndex()
    }
  }

  /// What failed once must not be tried again half-way: the state in memory no longer fits what is stored.
  private func keepingFailure<Result>(_ body: () throws -> Result) throws -> Result {
    try throwFailure()
    do { return try body() } catch {
      shared.update { if $0.failure == nil { $0.failure = error } }
      throw error
    }
  }

  private func flushBlock(_ kind: ChunkKind) throws {
    guard let lane = lanes[kind], !lane.chunks.isEmpty else { return }
    lanes[kind]?.block = Bytes(capacity: lane.block.capacity)
    lanes[kind]?.chunks = []
    try dispatch(kind, lane.block, lane.chunks)
  }

  private func dispatch(_ kind: ChunkKind, _ plain: Bytes, _ chunks: [PackDirectory.Chunk]) throws {
    let pack: PackAssembly
    if let open = lanes[kind]?.pack {
      pack = open
    } else {
      pack = try PackAssembly(kind, store: repository.store, keyring: repository.keyring)
      lanes[kind]?.pack = pack
      lanes[kind]?.nextNumber = 0
      lanes[kind]?.given = 0
    }
    guard let number = lanes[kind]?.nextNumber else { return }
    guard queue.put(Job(pack: pack, number: number, plain: plain, chunks: chunks)) else {
      try throwFailure()
      throw YesterError(.failed, "The writer of chunks is closed")
    }
    lanes[kind]?.nextNumber += 1
    lanes[kind]?.given += plain.count
    // What is on its way may come out as large as it is; a pack must stay well below its limit.
    if pack.size >= settings.packSize || number + 1 >= 200_000 || (lanes[kind]?.given ?? 0) >= settings.packSize * 3 {
      try closePack(kind)
    }
  }

  private func closePack(_ kind: ChunkKind) throws {
    guard let lane = lanes[kind], let pack = lane.pack else { return }
    lanes[kind]?.pack = nil
    if let finished = try pack.close(after: lane.nextNumber) { shared.update { $0.finish(finished) } }
  }

  /// Waits until all that was added is stored, then stores the index of it.
  package func flush() throws { try keepingFailure { try storeIndex() } }

  /// Closes what is open, waits for the workers and stores the index of all finished packs.
  private func storeIndex() throws {
    for kind in [ChunkKind.data, .tree] {
      try flushBlock(kind)
      try closePack(kind)
    }
    let expected = Set(fresh)
    let finished: [IndexedPack]? = shared.wait { state in
      if state.failure != nil { return .some(nil) }
      let count = state.finished.reduce(0) { sum, pack in sum + pack.blocks.reduce(0) { $0 + $1.chunks.count } }
      return count == expected.count ? .some(state.finished) : nil
    }
    try throwFailure()
    guard let finished, !finished.isEmpty else { return }
    var builder = IndexSegmentBuilder()
    for pack in finished { builder.add(pack) }
    _ = try builder.store(in: repository.store, repository.keyring)
    try repository.index.refresh()
    shared.withLock { $0.finished = [] }
    totals.storedBytes = shared.withLock { $0.storedBytes }
    fresh.removeAll(keepingCapacity: true)
    sinceIndex = Totals()
  }

  /// Ends the workers. Without `flush` before, what was not indexed is given up.
  package func close() {
    queue.close()
    for worker in workers { worker.join() }
    for lane in lanes.values { lane.pack?.cancel() }
    workers = []
  }

  private func throwFailure() throws {
    if let failure = shared.withLock({ $0.failure }) { throw failure }
  }

  private static func work(
    _ queue: BoundedQueue<Job>, _ shared: Monitor<Shared>, _ store: any ObjectStore, _ level: Int
  ) {
    let codec = BlockCodec(level: level)
    while let job = queue.take() {
      do {
        if shared.withLock({ $0.failure != nil }) { continue }
        let (sealed, compression) = try codec.seal(job.plain.filled, key: job.pack.key, number: job.number)
        let block = PackAssembly.SealedBlock(
          bytes: sealed, plainLength: UInt32(job.plain.count), compression: compression, chunks: job.chunks)
        if let finished = try job.pack.complete(job.number, block, store) { shared.update { $0.finish(finished) } }
      } catch {
        job.pack.cancel()
        shared.update { if $0.failure == nil { $0.failure = error } }
      }
    }
  }
}

extension ChunkWriter.Shared {
  fileprivate mutating func finish(_ pack: IndexedPack) {
    finished.append(pack)
    storedBytes += pack.pack.size
  }
}
