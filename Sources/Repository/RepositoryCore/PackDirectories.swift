internal import ChunkCodec
internal import ObjectStores
internal import RepositoryFormat
internal import Synchronization

/// What packs themselves say of the places of their chunks: a few directories, opened. For any thread.
///
/// A directory is read when its pack is asked for a second time: who reads one chunk of a pack had better hash that.
final class PackDirectories: Sendable {
  private struct State {
    /// Packs that were asked for once.
    var seen: Set<ObjectID> = []
    var blocks: [ObjectID: [PackFile.Block]] = [:]
    var chunks = 0
  }
  private static let seenMax = 4096
  /// Of all directories in memory: some 10 MiB.
  private static let chunksMax = 200_000

  private let store: any ObjectStore
  private let keyring: Keyring
  private let state = Mutex(State())

  init(_ store: any ObjectStore, _ keyring: Keyring) {
    self.store = store
    self.keyring = keyring
  }

  /// Whether the directory of its pack says that the chunk is there. False also when that cannot be read, or has not been
  /// read yet: then the chunk is to prove itself.
  func places(_ id: ObjectID, _ location: ChunkLocation) -> Bool {
    guard let blocks = blocks(of: location.pack), Int(location.block.number) < blocks.count else { return false }
    let block = blocks[Int(location.block.number)]
    guard block.location == location.block else { return false }
    var offset: UInt32 = 0
    for chunk in block.chunks {
      if offset == location.offset { return chunk.id == id && chunk.length == location.length }
      guard offset < location.offset else { return false }
      offset += chunk.length
    }
    return false
  }

  private func blocks(of pack: ObjectID) -> [PackFile.Block]? {
    let (known, isDue) = state.withLock { state in
      if let known = state.blocks[pack] { return ([PackFile.Block]?.some(known), false) }
      let isFirst = state.seen.insert(pack).inserted
      if state.seen.count > Self.seenMax { state.seen.removeAll() }
      return (nil, !isFirst)
    }
    guard isDue else { return known }
    // A pack whose directory cannot be read is not tried again and again.
    let blocks = (try? PackFile(store, keyring, pack))?.blocks ?? []
    state.withLock { state in
      let count = blocks.reduce(1) { $0 + $1.chunks.count }
      if state.chunks + count > Self.chunksMax {
        state.blocks.removeAll()
        state.chunks = 0
      }
      if state.blocks.updateValue(blocks, forKey: pack) == nil { state.chunks += count }
    }
    return blocks
  }
}
