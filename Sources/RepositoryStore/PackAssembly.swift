internal import ChunkCodec
internal import Platform
internal import RepositoryFormat

/// One pack being written: workers hand in sealed blocks in any order, they are stored in the order of their
/// numbers; the last one finishes the pack.
final class PackAssembly: Sendable {
  struct SealedBlock: Sendable {
    let bytes: Bytes
    let plainLength: UInt32
    let compression: Compression
    let chunks: [PackDirectory.Chunk]
  }
  private struct State {
    var waiting: [UInt32: SealedBlock] = [:]
    var written: UInt32 = 0
    var expected: UInt32?
    var size: Int
    var directory = PackDirectory()
    let hash: SHA256Box
  }
  let key: PackKey
  private let upload: any ObjectUpload
  private let monitor: Monitor<State>

  init(_ kind: ChunkKind, store: any ObjectStore, keyring: Keyring) throws {
    let (key, header) = try PackKey.make(kind, keyring)
    self.key = key
    upload = try store.beginUpload()
    let hash = SHA256Box()
    monitor = Monitor(State(size: header.count, hash: hash))
    try header.withUnsafeBytes {
      hash.value.update($0)
      try upload.append($0)
    }
  }

  /// Hands in block `number`. The finished pack, when this was the last that was missing.
  func complete(_ number: UInt32, _ block: SealedBlock, _ store: any ObjectStore) throws -> IndexedPack? {
    try monitor.withLock { state in
      state.waiting[number] = block
      while let next = state.waiting.removeValue(forKey: state.written) {
        state.hash.value.update(next.bytes.filled)
        try upload.append(next.bytes.filled)
        state.size += next.bytes.count
        state.written += 1
        state.directory.blocks.append(
          PackDirectory.Block(
            sealedLength: UInt32(next.bytes.count), plainLength: next.plainLength, compression: next.compression,
            chunks: next.chunks))
      }
      return try finishIfDone(&state)
    }
  }

  /// No block follows number `count` - 1. The finished pack, when all of them are there.
  func close(after count: UInt32) throws -> IndexedPack? {
    try monitor.withLock { state in
      state.expected = count
      return try finishIfDone(&state)
    }
  }

  /// Bytes stored so far.
  var size: Int { monitor.withLock { $0.size } }

  func cancel() { upload.cancel() }

  /// A pack that was given up, whatever the reason, leaves nothing behind; after a commit this does nothing.
  deinit { upload.cancel() }

  private func finishIfDone(_ state: inout State) throws -> IndexedPack? {
    guard state.expected == state.written else { return nil }
    let sealed = key.sealDirectory(state.directory)
    let tail =
      sealed
      + PackLayout.trailer(directoryOffset: UInt64(state.size), directoryLength: UInt32(sealed.count))
    try tail.withUnsafeBytes {
      state.hash.value.update($0)
      try upload.append($0)
    }
    let id = state.hash.value.finish()
    try upload.commit(as: .pack(id))
    return IndexedPack(
      id: id, size: UInt64(state.size + tail.count), kind: key.kind, directory: state.directory)
  }
}

/// `@unchecked Sendable`: only used under the assembly's lock.
final class SHA256Box: @unchecked Sendable {
  let value = SHA256()
}
