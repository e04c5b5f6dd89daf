internal import ObjectStores
package import ChunkCodec
package import Platform
package import Reporting
package import RepositoryFormat

/// A stored pack as its own directory describes it, independent of the index.
package struct PackFile: Sendable {
  package struct Block: Sendable {
    package let location: BlockLocation
    package let chunks: [PackDirectory.Chunk]

    /// Calls `body` with each chunk of the opened block and its bytes, which are good during the call.
    package func forEachChunk<Failure: Error>(
      in plain: Bytes, _ body: (PackDirectory.Chunk, UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
      try plain.withFilled { (bytes) throws(Failure) in
        var offset = 0
        for chunk in chunks {
          let end = offset + Int(chunk.length)
          try body(chunk, UnsafeRawBufferPointer(rebasing: bytes[offset..<end]))
          offset = end
        }
      }
    }
  }
  package let id: ObjectID
  package let size: UInt64
  package let key: PackKey.Opened
  package let blocks: [Block]
  /// What the index is to say of it.
  package let indexed: IndexedPack

  /// Reads header, trailer and directory. Throws `YesterError` with code `damaged` when the pack is missing or wrong.
  package init(_ repository: Repository, _ id: ObjectID) throws(YesterError) {
    try self.init(repository.store, repository.keyring, id)
  }

  init(_ store: any ObjectStore, _ keyring: Keyring, _ id: ObjectID) throws(YesterError) {
    let found: Result<PackFile, YesterError>
    do throws(YesterError) {
      guard let size = try store.size(.pack(id)) else {
        throw YesterError(.damaged, "The pack \(id.short) is not in the repository")
      }
      found = .success(
        try PackFile(store, keyring, id, size: size) { (offset, bytes) throws(YesterError) in
          try store.get(.pack(id), at: offset, into: bytes)
        })
    } catch {
      guard error.isDamage else { throw error }
      found = .failure(error)
    }
    // No seal covers the signature: what makes damage good has to say that it is wrong as well.
    if case .success(let file) = found, file.key.writer != nil || store.healing == nil {
      self = file
    } else if let healed = try Self.healed(store, keyring, id) {
      self = healed
    } else {
      self = try found.get()
    }
  }

  /// Nil where the damage cannot be made good.
  private static func healed(
    _ store: any ObjectStore, _ keyring: Keyring, _ id: ObjectID
  ) throws(YesterError) -> PackFile? {
    guard let healing = store.healing, let size = try healing.originalSize(.pack(id)) else { return nil }
    do throws(YesterError) {
      return try PackFile(store, keyring, id, size: size) { (offset, bytes) throws(YesterError) in
        try healing.read(.pack(id), at: offset, into: bytes)
      }
    } catch {
      guard error.isDamage else { throw error }
      return nil
    }
  }

  /// `get` fills a buffer from an offset, and says whether the pack is there.
  private init(
    _ store: any ObjectStore, _ keyring: Keyring, _ id: ObjectID, size: UInt64,
    get: (_ offset: UInt64, _ bytes: UnsafeMutableRawBufferPointer) throws(YesterError) -> Bool
  ) throws(YesterError) {
    func read(_ offset: UInt64, _ count: Int) throws(YesterError) -> [UInt8] {
      var bytes = [UInt8](repeating: 0, count: count)
      guard try bytes.withMutableBytes({ (room) throws(YesterError) in try get(offset, room) }) else {
        throw YesterError(.damaged, "The pack \(id.short) vanished while it was read")
      }
      return bytes
    }
    self.id = id
    self.size = size
    func checked<Value>(_ body: () throws(FormatError) -> Value) throws(YesterError) -> Value {
      do throws(FormatError) {
        return try body()
      } catch {
        // Nothing in a pack's header is authenticated but by its key: whatever it says there may be damage.
        throw YesterError.damaged("The pack \(id.short)", FormatError(error.message))
      }
    }
    guard let content = store.protection.contentSize(ofObject: size),
      content >= UInt64(PackLayout.headerSize + PackLayout.trailerSize), size <= UInt64(Limits.packSizeMax)
    else {
      throw YesterError.damaged("The pack \(id.short)", FormatError("it has a size that no pack has"))
    }
    let header = try read(0, PackLayout.headerSize)
    let key = try checked { () throws(FormatError) in try PackKey.open(header: header, keyring) }
    let trailer = try read(content - UInt64(PackLayout.trailerSize), PackLayout.trailerSize)
    let (offset, length) = try checked { () throws(FormatError) in
      try PackLayout.readTrailer(trailer, packSize: Int(content))
    }
    let sealed = try read(UInt64(offset), length)
    let directory = try checked { () throws(FormatError) in try key.key.openDirectory(sealed, offset: offset) }
    self.key = key
    indexed = IndexedPack(
      id: id, size: size, kind: key.key.kind, writer: key.writer ?? IndexLayout.unknownWriter, directory: directory)
    blocks = indexed.blocks.map { Block(location: $0.location, chunks: $0.chunks) }
  }
}
