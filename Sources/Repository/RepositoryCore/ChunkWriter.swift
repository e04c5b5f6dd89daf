internal import ChunkCodec
internal import Platform
package import Reporting
package import RepositoryFormat

/// Stores chunks: they are gathered into blocks, which workers compress and seal, and these fill packs and the index.
///
/// The thread that made it adds chunks and waits with `flush`; `submit` has the workers do more than sealing, such as
/// reading what is to be stored, each with a lane of its own. Memory: some blocks for each worker, whatever comes.
/// After an error nothing more is stored, and every further call throws it again.
package final class ChunkWriter {
  package struct Settings: Sendable {
    /// zstd's, from 1 to 19; nil for what `Zstd` takes to be the best bargain.
    package var level: Int?
    package var workers = System.processorCount
    package var packSize = 64 << 20
    /// A block ends when it has reached this size.
    package var dataBlockSize = 1 << 20
    package var treeBlockSize = 128 << 10
    /// Of files that are read in pages, anywhere.
    package var pagesBlockSize = 128 << 10
    /// Chunks that stand farther apart in the source than so many entries do not share a block, once that has reached a
    /// sixteenth (of listings, a quarter) of its size. A backup in which few files have changed would else spread each
    /// block over the whole tree, and whoever reads that tree after many such backups would need a block of each of
    /// them in memory.
    package var blockSpan: UInt64 = 1024
    /// Whether what belongs to different users never shares a block: the size of one that holds a secret beside text of
    /// somebody's choice says something of the secret (CRIME, 2012), to who can see the sizes of blocks.
    package var separatesOwners = false
    /// The index is stored after so many chunks, or so many bytes in packs, so that an interrupted run leaves
    /// something to build on: earlier in the beginning, when there is little to lose but all of it would be.
    package var indexIntervalChunks = 65_536
    package var indexIntervalBytes: UInt64 = 1 << 30
    /// Segments after which a run of many hours merges what it has stored of the index. Where that fails, the next time
    /// will do.
    package var mergeInterval = 16
    package init() {}
  }
  package struct Totals: Sendable {
    /// Chunks that were not in the repository yet, and their plain size.
    package var newChunks: UInt64 = 0
    package var newBytes: UInt64 = 0
    /// What was stored for them, in bytes, as of the last flush.
    package var storedBytes: UInt64 = 0
  }

  private let blocks: BlockWriter
  private let jobs: JobQueue
  private var workers: [Worker] = []
  private let workerLanes: [ChunkLane]
  /// For the thread that made this; its blocks are sealed by the workers.
  private let lane: ChunkLane

  /// `uses` is told of the packs in which chunks were found or are stored. Throws when there is no room for the threads
  /// that seal and store.
  package init(
    _ repository: Repository, _ settings: Settings = Settings(), uses: PackUses = PackUses()
  ) throws(YesterError) {
    let count = max(1, settings.workers)
    let jobs = JobQueue(workers: count)
    let blocks = try BlockWriter(repository, settings, uses)
    let lanes = (0..<count).map { _ in ChunkLane(blocks, jobs, codec: BlockCodec(level: settings.level)) }
    self.jobs = jobs
    self.blocks = blocks
    workerLanes = lanes
    lane = ChunkLane(blocks, jobs, codec: nil)
    do throws(YesterError) {
      workers = try Worker.team("yester-seal", count: count, end: { jobs.close() }) { jobs.serve(lanes[$0]) }
    } catch {
      close()
      throw error
    }
  }

  deinit { close() }

  /// Of chunks so far; `storedBytes` is right after a flush.
  package var totals: Totals { blocks.totals }

  /// Whether the chunk is stored or on its way.
  package func contains(_ id: ObjectID) throws(YesterError) -> Bool { try blocks.contains(id) }

  /// Stores a chunk unless the repository has it. True when it was new.
  @discardableResult
  package func add(_ id: ObjectID, kind: ChunkKind, _ bytes: UnsafeRawBufferPointer) throws(YesterError) -> Bool {
    try lane.add(id, kind: kind, bytes)
  }

  /// As `ChunkLane.move`, for chunks that are added.
  package func move(to position: UInt64) throws(YesterError) { try lane.move(to: position) }

  /// As `ChunkLane.setOwner`, for chunks that are added.
  package func setOwner(_ user: UInt32) throws(YesterError) { try lane.setOwner(user) }

  /// As `ChunkLane.separate`, for chunks that are added.
  package func separate() throws(YesterError) { try lane.separate() }

  /// Has a worker do `work`, which hands in what it finds through its lane. Waits while much is waiting already. Work
  /// is done in every case, also when storing has failed: what it hands in is refused then.
  package func submit(_ work: @escaping @Sendable (ChunkLane) -> Void) throws(YesterError) {
    try blocks.throwFailure()
    guard jobs.put(work) else { throw YesterError(.failed, "The writer of chunks is closed") }
  }

  /// Waits until all that was added and submitted is stored, then stores the index of it.
  package func flush() throws(YesterError) {
    try blocks.keepingFailure { () throws(YesterError) in
      jobs.waitUntilIdle()
      for lane in workerLanes + [lane] { try lane.flush() }
      jobs.waitUntilIdle()
      try blocks.finish()
    }
  }

  /// Ends the workers. Without `flush` before, what was not indexed is given up.
  package func close() {
    jobs.close()
    for worker in workers { worker.join() }
    workers = []
    blocks.close()
  }
}
