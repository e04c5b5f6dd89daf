package import ChunkCodec
package import ObjectStores
package import Platform
package import Reporting
package import RepositoryFormat
internal import Synchronization

/// Reads chunks: finds, fetches, opens and checks them, with a bounded cache of blocks. For any thread.
package final class ChunkReader: Sendable {
  private let store: any ObjectStore
  private let keyring: Keyring
  private let index: ChunkIndex
  package let cache: BlockCache
  private let memory: BytesPool
  /// For sealed blocks that are being opened, beside the cache.
  private static let workingMemory = 8 << 20
  private let packKeys = Mutex<[ObjectID: PackKey.Opened]>([:])
  private let codecs = Pool { BlockCodec() }
  private let hashers = Pool { SHA256() }
  /// The local copy of the index has not been made anew by this process yet.
  private let isCacheDoubtful = Atomic(true)
  private let identifiers: [KeySetID: Pool<KeyedHash>]

  package init(store: any ObjectStore, keyring: Keyring, index: ChunkIndex, cacheSize: Int) {
    self.store = store
    self.keyring = keyring
    self.index = index
    cache = BlockCache(limit: cacheSize)
    memory = BytesPool(size: cacheSize + Self.workingMemory)
    identifiers = Dictionary(
      uniqueKeysWithValues: keyring.keySets.map { set in
        (set.id, Pool { KeyedHash(key: set.record.idKey) })
      })
  }

  /// A chunk's plaintext, verified against its id. Throws error 13 when it is missing or wrong.
  package func chunk(_ id: ObjectID, kind: ChunkKind) throws(YesterError) -> BytesSlice {
    if let location = try index.find(id) {
      do throws(YesterError) {
        return try chunk(id, kind: kind, at: location)
      } catch {
        guard error.code == .damaged, let other = try otherLocation(of: id, than: location) else { throw error }
        return try chunk(id, kind: kind, at: other)
      }
    }
    // It may have been stored since the index was read, or the local copy of the index may be damaged.
    try index.refresh()
    if let location = try index.find(id) { return try chunk(id, kind: kind, at: location) }
    if let location = try otherLocation(of: id, than: nil) { return try chunk(id, kind: kind, at: location) }
    throw YesterError(
      .damaged, "The chunk \(id.short) is not in the repository",
      advice: "Run \"yester verify\" to see what is affected.")
  }

  /// Looks again, once with the local copy of the index made anew, and past the pack that failed.
  private func otherLocation(of id: ObjectID, than failed: ChunkLocation?) throws(YesterError) -> ChunkLocation? {
    if isCacheDoubtful.exchange(false, ordering: .relaxed) {
      try index.rebuildCache()
      if let found = try index.find(id), found != failed { return found }
    }
    guard let failed, try store.size(.pack(failed.pack)) == nil else { return nil }
    index.avoid([failed.pack])
    let found = try index.find(id)
    return found == failed ? nil : found
  }

  package func chunk(_ id: ObjectID, kind: ChunkKind, at location: ChunkLocation) throws(YesterError) -> BytesSlice {
    let opened = try packKey(location.pack)
    guard opened.key.kind == kind else {
      throw damaged(location, FormatError("it holds chunks of another kind than was expected"))
    }
    let block = try cache.block(
      BlockCache.Key(pack: location.pack, number: location.block.number), size: Int(location.block.plainLength)
    ) { () throws(YesterError) in
      try load(location.pack, location.block, opened.key)
    }
    // The block may have come by way of another segment, which describes it differently.
    guard UInt64(location.offset) + UInt64(location.length) <= UInt64(block.bytes.count) else {
      throw damaged(location, FormatError("the index places a chunk outside of its block"))
    }
    let slice = BytesSlice(block.bytes, offset: Int(location.offset), count: Int(location.length))
    if !block.isProven(id, location) {
      guard slice.withBytes({ identify($0, kind: kind, opened.keySet.id) }) == id else {
        throw damaged(location, FormatError("the chunk \(id.short) has another content than its id says"))
      }
      block.setProven(id, location)
    }
    return slice
  }

  /// The id that `bytes` have as a chunk under a key set of this keyring.
  package func identify(_ bytes: UnsafeRawBufferPointer, kind: ChunkKind, _ keySet: KeySetID) -> ObjectID? {
    let digest = hashers.use { $0.hash(bytes) }
    return identifiers[keySet]?.use { $0.chunkID(digest, kind: kind) }
  }

  /// The id of the data chunk whose SHA-256 is known.
  package func chunkID(_ digest: Digest, _ keySet: KeySetID) -> ObjectID? {
    identifiers[keySet]?.use { $0.chunkID(digest, kind: .data) }
  }

  /// Fetches and opens one block, past the cache.
  package func load(_ pack: ObjectID, _ location: BlockLocation, _ key: PackKey) throws(YesterError) -> Bytes {
    guard location.plainLength <= Limits.blockSizeMax, Int(location.sealedLength) <= Limits.blockSizeMax + 65536 else {
      throw YesterError.damaged("The pack \(pack.short)", FormatError("a block has impossible lengths"))
    }
    let sealed = buffer(Int(location.sealedLength))
    sealed.count = Int(location.sealedLength)
    guard try store.get(.pack(pack), at: UInt64(location.offset), into: sealed.whole.rebased(sealed.count)) else {
      throw missing(pack)
    }
    let plain = buffer(Int(location.plainLength))
    plain.count = Int(location.plainLength)
    do throws(FormatError) {
      try codecs.use { codec throws(FormatError) in
        try sealed.withFilled { bytes throws(FormatError) in
          try plain.withRoom(plain.count) { out throws(FormatError) in
            // Opened where it lies.
            try codec.open(bytes, key: key, location, into: out, by: sealed.base)
          }
        }
      }
    } catch {
      throw YesterError.damaged("Block \(location.number) of the pack \(pack.short)", error)
    }
    return plain
  }

  /// Memory for a block. Where the holes of the pool are too small, the cache gives up some of its blocks.
  private func buffer(_ capacity: Int) -> Bytes {
    for _ in 0..<Self.dropsMax {
      if let buffer = memory.takeIfRoom(capacity: capacity) { return buffer }
      guard cache.dropOldest() else { break }
    }
    return memory.take(capacity: capacity)
  }
  private static let dropsMax = 16

  package func packKey(_ pack: ObjectID) throws(YesterError) -> PackKey.Opened {
    if let known = packKeys.withLock({ $0[pack] }) { return known }
    var header = [UInt8](repeating: 0, count: PackLayout.headerSize)
    guard try header.withMutableBytes({ (room) throws(YesterError) in try store.get(.pack(pack), at: 0, into: room) })
    else {
      throw missing(pack)
    }
    let opened: PackKey.Opened
    do throws(FormatError) {
      opened = try PackKey.open(header: header, keyring)
    } catch {
      throw keyring.role == .writeOnly
        ? YesterError(.wrongKey, "A write-only key cannot read what is stored", advice: "Use a full key for this.")
        : YesterError.damaged("The pack \(pack.short)", FormatError(error.message))
    }
    packKeys.withLock {
      // Keys of some thousand packs are some hundred KiB; beyond that, begin anew.
      if $0.count >= 4096 { $0.removeAll() }
      $0[pack] = opened
    }
    return opened
  }

  private func missing(_ pack: ObjectID) -> YesterError {
    YesterError(
      .damaged, "The pack \(pack.short) is not in the repository",
      advice: "Run \"yester verify\" to see what is affected.")
  }
  private func damaged(_ location: ChunkLocation, _ error: FormatError) -> YesterError {
    YesterError.damaged("Block \(location.block.number) of the pack \(location.pack.short)", error)
  }
}

extension UnsafeMutableRawBufferPointer {
  /// The first `count` bytes.
  package func rebased(_ count: Int) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(rebasing: self[..<count])
  }
}

/// Objects that serve one thread at a time, kept for the next one who needs one.
///
/// `@unchecked Sendable`, whatever the objects are: one is in the list or with one user, never both, and nobody else has
/// what `make` sends.
package final class Pool<Element>: @unchecked Sendable {
  private let make: @Sendable () -> sending Element
  private let lock = Monitor(())
  private var idle: [Element] = []

  package init(_ make: @escaping @Sendable () -> sending Element) { self.make = make }

  /// `body` must not keep the object, nor what belongs to it. With `inout sending` the compiler would see to that, but
  /// then an object could be given no pointer either: it might keep that.
  package func use<Result, Failure: Error>(
    _ body: (Element) throws(Failure) -> sending Result
  ) throws(Failure) -> sending Result {
    let element = lock.withLock { _ in idle.popLast() } ?? make()
    defer { lock.withLock { _ in idle.append(element) } }
    return try body(element)
  }
}
