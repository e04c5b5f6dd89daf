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
  private let identifiers: [KeySetID: Pool<KeyedHash>]
  private let directories: PackDirectories

  /// Bytes of opened blocks that are kept.
  let cacheSize: Int

  package init(store: any ObjectStore, keyring: Keyring, index: ChunkIndex, cacheSize: Int) {
    self.cacheSize = cacheSize
    self.store = store
    self.keyring = keyring
    self.index = index
    cache = BlockCache(limit: cacheSize)
    memory = BytesPool(size: cacheSize + Self.workingMemory)
    directories = PackDirectories(store, keyring)
    identifiers = Dictionary(
      uniqueKeysWithValues: keyring.keySets.map { set in
        (set.id, Pool { KeyedHash(key: set.record.idKey) })
      })
  }

  /// A chunk's plaintext, verified against its id. Every place that the index knows is tried before an error comes out;
  /// error 13 when the chunk is nowhere, or wrong everywhere.
  package func chunk(_ id: ObjectID, kind: ChunkKind) throws(YesterError) -> BytesSlice {
    guard let location = try index.find(id) else { return try search(id, kind, past: nil) }
    do throws(YesterError) {
      return try chunk(id, kind: kind, at: location)
    } catch {
      guard mayBeElsewhere(error) else { throw error }
      return try search(id, kind, past: (location, error))
    }
  }

  /// Tries the other places of a chunk; then those that have come since the index was read, and at last, now and then,
  /// those of an index that was read from the repository again: the local copy of it may be damaged.
  private func search(
    _ id: ObjectID, _ kind: ChunkKind, past first: (location: ChunkLocation, error: YesterError)?
  ) throws(YesterError) -> BytesSlice {
    var failure = first?.error
    var tried: Set<ChunkLocation> = []
    if let (location, error) = first {
      tried.insert(location)
      if isToBeRemembered(error) { index.fail([location]) }
    }
    let rebuilds = index.rebuilds
    if let found = try tryPlaces(of: id, kind, &tried, &failure) { return found }
    try index.refresh()
    if let found = try tryPlaces(of: id, kind, &tried, &failure) { return found }
    if try index.rebuildInDoubt(since: rebuilds) {
      if let found = try tryPlaces(of: id, kind, &tried, &failure) { return found }
    }
    throw failure ?? notFound(id)
  }

  private func tryPlaces(
    of id: ObjectID, _ kind: ChunkKind, _ tried: inout Set<ChunkLocation>, _ failure: inout YesterError?
  ) throws(YesterError) -> BytesSlice? {
    var failed: [ChunkLocation] = []
    defer { index.fail(failed) }
    for location in try index.places(of: id) where tried.insert(location).inserted {
      do throws(YesterError) {
        return try chunk(id, kind: kind, at: location)
      } catch {
        guard mayBeElsewhere(error) else { throw error }
        if isToBeRemembered(error) { failed.append(location) }
        failure = failure ?? error
      }
    }
    return nil
  }

  /// Whether another place may give what this one does not. A write-only key can read nothing anywhere.
  private func mayBeElsewhere(_ error: YesterError) -> Bool {
    error.code != .interrupted && keyring.role == .full
  }

  /// What a disk or a connection does not give may come the next time; what is wrong or gone is asked for last.
  private func isToBeRemembered(_ error: YesterError) -> Bool { error.code == .damaged }

  private func notFound(_ id: ObjectID) -> YesterError {
    if let (_, error) = index.current.unusable.first {
      return YesterError(
        error.code, "The chunk \(id.short) is in no part of the index that can be used (\(error.message))",
        advice: error.code == .damaged
          ? "Run \"yester repair --rebuild-index\" with a full key, which makes the index anew from what is stored."
          : error.advice)
    }
    return YesterError(
      .damaged, "The chunk \(id.short) is not in the repository",
      advice: "Run \"yester verify\" to see what is affected. Where parts of the folder \"index\" were lost, "
        + "\"yester repair --rebuild-index\" makes them anew.")
  }

  package func chunk(_ id: ObjectID, kind: ChunkKind, at location: ChunkLocation) throws(YesterError) -> BytesSlice {
    let opened = try packKey(location.pack)
    guard opened.key.kind == kind else {
      throw damaged(location, FormatError("it holds chunks of another kind than was expected"))
    }
    let block = try cache.block(
      BlockCache.Key(pack: location.pack, number: location.block.number), size: Int(location.block.plainLength)
    ) { (_) throws(YesterError) in
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

  /// A part of a data chunk of `length` bytes on the word of the full writer who stored it, without looking whether the
  /// bytes have the chunk's id; nil where nobody's word is known to be good for it, or something fails. With
  /// `isHereAndThere` no more of its block is unpacked than that takes.
  ///
  /// That word is the directory of a pack whose header a full writer has signed: block and directory are sealed with a
  /// key that nobody knows but that writer and full keys. The index, and the local copy of it, are not believed.
  package func believed(
    _ id: ObjectID, length: Int, _ range: Range<Int>, isHereAndThere: Bool
  ) throws(YesterError) -> BytesSlice? {
    guard let location = try index.find(id), Int(location.length) == length,
      let opened = try? packKey(location.pack), opened.key.kind == .data, let writer = opened.writer,
      keyring.roster.standing(of: writer) == .full, directories.places(id, location)
    else { return nil }
    let end = Int(location.offset) + range.upperBound
    let key = BlockCache.Key(pack: location.pack, number: location.block.number)
    let block = try? cache.block(
      key, size: Int(location.block.plainLength), needed: isHereAndThere ? end : nil
    ) { (isBeginningEnough) throws(YesterError) in
      try load(location.pack, location.block, opened.key, upTo: isBeginningEnough ? end : nil)
    }
    guard let block, end <= block.bytes.count else { return nil }
    return BytesSlice(block.bytes, offset: Int(location.offset) + range.lowerBound, count: range.count)
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
  ///
  /// With `count`, at least so many of its first bytes; else all of it.
  package func load(
    _ pack: ObjectID, _ location: BlockLocation, _ key: PackKey, upTo count: Int? = nil
  ) throws(YesterError) -> Bytes {
    guard location.plainLength <= Limits.blockSizeMax, Int(location.sealedLength) <= Limits.blockSizeMax + 65536 else {
      throw YesterError.damaged("The pack \(pack.short)", FormatError("a block has impossible lengths"))
    }
    do throws(YesterError) {
      return try load(pack, location, key, upTo: count) { (bytes) throws(YesterError) in
        try store.get(.pack(pack), at: UInt64(location.offset), into: bytes)
      }
    } catch {
      guard error.isDamage, let healing = store.healing else { throw error }
      let failure = error
      return try load(pack, location, key, upTo: count) { (bytes) throws(YesterError) in
        guard try healing.read(.pack(pack), at: UInt64(location.offset), into: bytes) else { throw failure }
        return true
      }
    }
  }

  /// `get` fetches the sealed block, and says whether it is there.
  private func load(
    _ pack: ObjectID, _ location: BlockLocation, _ key: PackKey, upTo count: Int?,
    get: (UnsafeMutableRawBufferPointer) throws(YesterError) -> Bool
  ) throws(YesterError) -> Bytes {
    let sealed = buffer(Int(location.sealedLength))
    sealed.count = Int(location.sealedLength)
    guard try get(sealed.whole.rebased(sealed.count)) else { throw missing(pack) }
    let plain = buffer(Int(location.plainLength))
    do throws(FormatError) {
      try codecs.use { codec throws(FormatError) in
        try sealed.withFilled { bytes throws(FormatError) in
          plain.count = try plain.withRoom(Int(location.plainLength)) { out throws(FormatError) in
            // Opened where it lies.
            try codec.open(bytes, key: key, location, upTo: count, into: out, by: sealed.base)
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
    let opened = try openKey(pack)
    packKeys.withLock {
      // Keys of some thousand packs are some hundred KiB; beyond that, begin anew.
      if $0.count >= 4096 { $0.removeAll() }
      $0[pack] = opened
    }
    return opened
  }

  private func openKey(_ pack: ObjectID) throws(YesterError) -> PackKey.Opened {
    let found: PackKey.Opened?
    let failure: YesterError
    do throws(YesterError) {
      let opened = try openKey(pack) { (header) throws(YesterError) in try store.get(.pack(pack), at: 0, into: header) }
      // No seal covers the signature: what makes damage good has to say that it is wrong as well.
      if opened.writer != nil || store.healing == nil { return opened }
      found = opened
      failure = YesterError.damaged("The pack \(pack.short)", FormatError("its signature is wrong"))
    } catch {
      found = nil
      failure = error
    }
    guard failure.isDamage, let healing = store.healing else { throw failure }
    do throws(YesterError) {
      return try openKey(pack) { (header) throws(YesterError) in
        guard try healing.read(.pack(pack), at: 0, into: header) else { throw failure }
        return true
      }
    } catch {
      guard let found, error.isDamage else { throw error }
      return found
    }
  }

  /// `get` fetches the header, and says whether the pack is there.
  private func openKey(
    _ pack: ObjectID, get: (UnsafeMutableRawBufferPointer) throws(YesterError) -> Bool
  ) throws(YesterError) -> PackKey.Opened {
    var header = [UInt8](repeating: 0, count: PackLayout.headerSize)
    guard try header.withMutableBytes({ (room) throws(YesterError) in try get(room) }) else { throw missing(pack) }
    do throws(FormatError) {
      return try PackKey.open(header: header, keyring)
    } catch {
      throw keyring.role == .writeOnly
        ? YesterError(.wrongKey, "A write-only key cannot read what is stored", advice: "Use a full key for this.")
        : YesterError.damaged("The pack \(pack.short)", FormatError(error.message))
    }
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
