internal import ObjectStores
package import ChunkCodec
package import Platform
internal import Reporting
package import RepositoryFormat

/// A stored pack as its own directory describes it, independent of the index.
package struct PackFile: Sendable {
  package struct Block: Sendable {
    package let place: BlockPlace
    package let chunks: [PackDirectory.Chunk]

    /// Calls `body` with each chunk of the opened block and its bytes, which are good during the call.
    package func forEachChunk(
      in plain: Bytes, _ body: (PackDirectory.Chunk, UnsafeRawBufferPointer) throws -> Void
    ) throws {
      try plain.withFilled { bytes in
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

  /// Reads header, trailer and directory. Throws `YesterError` with code `damaged` when the pack is missing or wrong.
  package init(_ repository: Repository, _ id: ObjectID) throws {
    guard let size = try repository.store.size(.pack(id)) else {
      throw YesterError(.damaged, "The pack \(id.short) is not in the repository")
    }
    func read(_ offset: UInt64, _ count: Int) throws -> [UInt8] {
      var bytes = [UInt8](repeating: 0, count: count)
      guard try bytes.withUnsafeMutableBytes({ try repository.store.get(.pack(id), at: offset, into: $0) }) else {
        throw YesterError(.damaged, "The pack \(id.short) vanished while it was read")
      }
      return bytes
    }
    self.id = id
    self.size = size
    do {
      guard size >= UInt64(PackLayout.headerSize + PackLayout.trailerSize), size <= UInt64(Limits.packSizeMax) else {
        throw FormatError("it has a size that no pack has")
      }
      key = try PackKey.open(header: read(0, PackLayout.headerSize), repository.keyring)
      let (offset, length) = try PackLayout.readTrailer(
        read(size - UInt64(PackLayout.trailerSize), PackLayout.trailerSize), packSize: Int(size))
      let directory = try key.key.openDirectory(read(UInt64(offset), length), offset: offset)
      blocks = IndexedPack(id: id, size: size, kind: key.key.kind, directory: directory).blocks.map {
        Block(place: $0.place, chunks: $0.chunks)
      }
    } catch let error as FormatError {
      // Nothing in a pack's header is authenticated but by its key: whatever it says there may be damage.
      throw YesterError.damaged("The pack \(id.short)", FormatError(error.message))
    }
  }
}
