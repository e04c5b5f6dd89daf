internal import ObjectStores
internal import ChunkCodec
internal import Platform
internal import Reporting
internal import RepositoryFormat
internal import Synchronization

/// Brings blocks into packs, and packs into the store and the index. For any number of threads.
final class BlockWriter: Sendable {
  private struct OpenPack {
    let assembly: PackAssembly
    var nextNumber: UInt32 = 0
    /// Plain bytes given to it: an upper bound of what it will hold.
    var given = 0
  }
  private struct Claims {
    /// Chunks that are stored or on their way, and that the index does not know yet.
    var fresh: Set<ObjectID> = []
    var totals = ChunkWriter.Totals()
    var sinceIndex = 0
    var wantsIndex = false
  }
  private enum StoreJob: Sendable {
    case pack(PackAssembly.Finished)
    /// The index of all packs so far; tells when it is done.
    case index(Monitor<Bool>)
  }

  private static let packBlocksMax: UInt32 = 200_000
  /// Sealed packs that wait for the store.
  private static let waitingPacksMax = 2

  let settings: ChunkWriter.Settings
  /// Memory for blocks, plain and sealed.
  let memory: BytesPool
  private let repository: Repository
  private let uses: PackUses
  private let claims = Mutex(Claims())
  private let open = Mutex<[ChunkKind: OpenPack]>([:])
  private let failure = Mutex<YesterError?>(nil)
  private let storeJobs = BoundedQueue<StoreJob>(limit: waitingPacksMax)
  private let storer = Monitor<Worker?>(nil)

  /// Throws when there is no room for the thread that stores.
  init(_ repository: Repository, _ settings: ChunkWriter.Settings, _ uses: PackUses) throws(YesterError) {
    self.repository = repository
    self.settings = settings
    self.uses = uses
    memory = BytesPool(size: (settings.workers + 4) * 4 * (settings.dataBlockSize + (1 << 20)))
    let jobs = storeJobs
    let storing = Storing(repository, settings, uses)
    let worker = try Worker.started("yester-store") { [unowned self] in
      while let job = jobs.take() { perform(job, storing) }
    }
    storer.withLock { $0 = worker }
  }

  var totals: ChunkWriter.Totals { claims.withLock { $0.totals } }

  // MARK: Failures

  func throwFailure() throws(YesterError) { if let failure = failure.withLock({ $0 }) { throw failure } }

  /// What failed once must not be tried again half-way: the state in memory no longer fits what is stored. Of errors
  /// on several threads each throws the first, which is the reason for the others.
  func keepingFailure<Result>(_ body: () throws(YesterError) -> Result) throws(YesterError) -> Result {
    try throwFailure()
    do throws(YesterError) {
      return try body()
    } catch {
      throw fail(error)
    }
  }

  /// The first error of all.
  @discardableResult
  private func fail(_ error: YesterError) -> YesterError {
    failure.withLock { first in
      let reason = first ?? error
      first = reason
      return reason
    }
  }

  // MARK: Chunks

  func contains(_ id: ObjectID) throws(YesterError) -> Bool {
    try throwFailure()
    if claims.withLock({ $0.fresh.contains(id) }) { return true }
    return try keepingFailure { () throws(YesterError) in
      guard let place = try repository.index.findReusable(id) else { return false }
      uses.add(place.pack)
      return true
    }
  }

  /// True when the chunk is new: then the caller stores it, and nobody else does.
  func claim(_ id: ObjectID, count: Int) throws(YesterError) -> Bool {
    if try contains(id) { return false }
    precondition(count <= Limits.chunkSizeMax, "a chunk is larger than chunks may be")
    let (isNew, isIndexDue) = claims.withLock { claims in
      guard claims.fresh.insert(id).inserted else { return (false, false) }
      claims.totals.newChunks += 1
      claims.totals.newBytes += UInt64(count)
      claims.sinceIndex += 1
      guard claims.sinceIndex >= settings.indexIntervalChunks else { return (true, false) }
      claims.sinceIndex = 0
      claims.wantsIndex = true
      return (true, true)
    }
    if isIndexDue { try keepingFailure { () throws(YesterError) in try closePacks() } }
    return isNew
  }

  // MARK: Blocks

  /// Compresses, seals and writes a block. A failure is kept as well as thrown.
  func seal(_ block: PlainBlock, _ codec: BlockCodec) throws(YesterError) {
    try keepingFailure { () throws(YesterError) in
      let (pack, number) = try position(for: block)
      do throws(YesterError) {
        try pack.waitForRoom(number)
        let sealed = try sealed(block, codec, pack.key, number)
        let finished = try pack.complete(
          number,
          PackAssembly.SealedBlock(
            bytes: sealed.bytes, plainLength: UInt32(block.plain.count), compression: sealed.compression,
            chunks: block.chunks))
        if let finished { storeJobs.put(.pack(finished)) }
      } catch {
        // Before others notice that the pack is gone, and call that the reason.
        fail(error)
        pack.cancel()
        throw error
      }
    }
  }

  private func sealed(
    _ block: PlainBlock, _ codec: BlockCodec, _ key: PackKey, _ number: UInt32
  ) throws(YesterError) -> (bytes: Bytes, compression: Compression) {
    do throws(FormatError) {
      return try block.plain.withFilled { (plain) throws(FormatError) in
        try codec.seal(plain, key: key, number: number) { memory.take(capacity: $0) }
      }
    } catch {
      throw YesterError(.failed, "A block cannot be sealed: \(error.message)")
    }
  }

  /// The pack that a block goes to, and its number in it. Taken only by who seals it now: a pack waits for its blocks
  /// in the order of their numbers.
  private func position(for block: PlainBlock) throws(YesterError) -> (PackAssembly, UInt32) {
    try open.withLock { (open) throws(YesterError) in
      var pack =
        if let pack = open[block.kind] { pack } else {
          OpenPack(assembly: try PackAssembly(block.kind, store: repository.store, keyring: repository.keyring))
        }
      let number = pack.nextNumber
      pack.nextNumber += 1
      pack.given += block.plain.count
      // What is on its way may come out as large as it is; a pack must stay well below its limit.
      let isFull =
        pack.assembly.size >= settings.packSize || pack.nextNumber >= Self.packBlocksMax
        || pack.given >= settings.packSize * 3
      open[block.kind] = isFull ? nil : pack
      // This block is missing still, so that closing cannot finish it.
      if isFull { _ = try pack.assembly.close(after: pack.nextNumber) }
      return (pack.assembly, number)
    }
  }

  /// Ends the packs that are open; they are stored when their last block is there.
  private func closePacks() throws(YesterError) {
    let packs = open.withLock { open in
      defer { open = [:] }
      return open.sorted { $0.key.rawValue < $1.key.rawValue }.map(\.value)
    }
    for pack in packs {
      if let finished = try pack.assembly.close(after: pack.nextNumber) { storeJobs.put(.pack(finished)) }
    }
  }

  // MARK: Storing

  /// Ends what is open, and returns when it is stored and in the index. Nobody may be sealing.
  func finish() throws(YesterError) {
    try closePacks()
    let isDone = Monitor(false)
    guard storeJobs.put(.index(isDone)) else { throw YesterError(.failed, "The writer of chunks is closed") }
    _ = isDone.wait { $0 ? true : nil }
    try throwFailure()
  }

  /// Ends the thread that stores. What was not indexed is given up.
  func close() {
    storeJobs.close()
    storer.withLock { $0 }?.join()
    storer.withLock { $0 = nil }
    open.withLock { open in
      for pack in open.values { pack.assembly.cancel() }
      open = [:]
    }
  }

  private func perform(_ job: StoreJob, _ storing: Storing) {
    // What failed is known before anybody hears that it is done.
    do throws(YesterError) {
      try throwFailure()
      switch job {
      case .pack(let pack):
        try storing.store(pack)
        let isWanted = claims.withLock { claims in
          defer { claims.wantsIndex = false }
          return claims.wantsIndex
        }
        if isWanted || storing.isIndexDue { try storeIndex(storing) }
      case .index: try storeIndex(storing)
      }
    } catch {
      fail(error)
    }
    if case .index(let isDone) = job { isDone.update { $0 = true } }
  }

  private func storeIndex(_ storing: Storing) throws(YesterError) {
    let indexed = try storing.storeIndex()
    claims.withLock { claims in
      for pack in indexed {
        for block in pack.blocks { for chunk in block.chunks { claims.fresh.remove(chunk.id) } }
      }
      claims.totals.storedBytes = storing.storedBytes
    }
  }
}

/// What the storing thread alone knows: packs that are stored, and not in the index yet.
///
/// `@unchecked Sendable`: only that thread uses it.
private final class Storing: @unchecked Sendable {
  private let repository: Repository
  private let settings: ChunkWriter.Settings
  private let uses: PackUses
  private var packs: [IndexedPack] = []
  private var bytesSinceIndex: UInt64 = 0
  private var segments = 0
  private(set) var storedBytes: UInt64 = 0

  init(_ repository: Repository, _ settings: ChunkWriter.Settings, _ uses: PackUses) {
    self.repository = repository
    self.settings = settings
    self.uses = uses
  }

  func store(_ finished: PackAssembly.Finished) throws(YesterError) {
    let pack = finished.pack
    try finished.upload.commit(as: .pack(pack.pack.id))
    uses.add(pack.pack.id)
    packs.append(pack)
    bytesSinceIndex += pack.pack.size
    storedBytes += pack.pack.size
  }

  /// Whether too much would be lost if the run broke off now: an eighth of it, or the interval that was set.
  var isIndexDue: Bool {
    bytesSinceIndex >= min(settings.indexIntervalBytes, max(UInt64(settings.packSize), storedBytes / 8))
  }

  /// Stores the index of the packs since the last time, and gives these.
  func storeIndex() throws(YesterError) -> [IndexedPack] {
    guard !packs.isEmpty else { return [] }
    uses.announce()
    var builder = IndexSegmentBuilder()
    for pack in packs { builder.add(pack) }
    _ = try builder.store(in: repository.store, repository.keyring)
    try repository.index.refresh()
    segments += 1
    if segments.isMultiple(of: settings.mergeInterval) { try? repository.mergeIndexSegments() }
    defer {
      packs = []
      bytesSinceIndex = 0
    }
    return packs
  }
}
