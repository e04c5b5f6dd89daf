internal import ChunkCodec
internal import ObjectStores
internal import Platform
internal import Reporting
internal import RepositoryFormat
internal import Synchronization

/// One pack being written: workers hand in sealed blocks in any order, they are written in the order of their
/// numbers; with the last one the pack is finished, and needs only to be committed.
final class PackAssembly: Sendable {
  struct SealedBlock: Sendable {
    let bytes: Bytes
    let plainLength: UInt32
    let compression: Compression
    let chunks: [PackDirectory.Chunk]
  }
  /// Whole, but without its name.
  struct Finished: Sendable {
    let pack: IndexedPack
    let upload: any ObjectUpload
    /// Keeps the upload from being given up.
    fileprivate let assembly: PackAssembly
  }
  private struct State {
    var waiting: [UInt32: SealedBlock] = [:]
    var written: UInt32 = 0
    var expected: UInt32?
    var isCancelled = false
    var directory = PackDirectory()
    let naming: ObjectNaming
  }
  /// Blocks that may wait for one before them.
  private static let waitingMax = 4
  let key: PackKey
  private let writer: [UInt8]
  private let written: Atomic<Int>
  private let upload: any ObjectUpload
  private let monitor: Monitor<State>

  init(_ kind: ChunkKind, store: any ObjectStore, keyring: Keyring) throws(YesterError) {
    let header: [UInt8]
    do throws(FormatError) {
      (key, header) = try PackKey.make(kind, keyring)
    } catch {
      throw YesterError(.failed, "A pack cannot be begun: \(error.message)")
    }
    writer = keyring.writer.publicKey
    upload = try store.beginUpload()
    monitor = Monitor(State(naming: ObjectNaming(store.protection)))
    written = Atomic(header.count)
    monitor.withLock { state in header.withUnsafeBytes { state.naming.append($0) } }
    try header.withBytes { (header) throws(YesterError) in try upload.append(header) }
  }

  /// Waits until block `number` may be sealed: others must not get far ahead of one that takes long, for their blocks
  /// have to stay in memory.
  func waitForRoom(_ number: UInt32) throws(YesterError) {
    let isWanted = monitor.wait { state in
      if state.isCancelled { return false }
      return state.written == number || state.waiting.count < Self.waitingMax ? true : nil as Bool?
    }
    guard isWanted else { throw YesterError(.failed, "The pack was given up") }
  }

  /// Hands in block `number`. The finished pack, when this was the last that was missing.
  func complete(_ number: UInt32, _ block: SealedBlock) throws(YesterError) -> Finished? {
    defer { monitor.notifyAll() }
    return try monitor.withLock { (state) throws(YesterError) in
      state.waiting[number] = block
      while let next = state.waiting.removeValue(forKey: state.written) {
        try next.bytes.withFilled { (bytes) throws(YesterError) in
          state.naming.append(bytes)
          try upload.append(bytes)
        }
        written.add(next.bytes.count, ordering: .relaxed)
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
  func close(after count: UInt32) throws(YesterError) -> Finished? {
    try monitor.withLock { (state) throws(YesterError) in
      state.expected = count
      return try finishIfDone(&state)
    }
  }

  /// Bytes written so far.
  var size: Int { written.load(ordering: .relaxed) }

  func cancel() {
    monitor.update { $0.isCancelled = true }
    upload.cancel()
  }

  /// A pack that was given up, whatever the reason, leaves nothing behind; after a commit this does nothing.
  deinit { upload.cancel() }

  private func finishIfDone(_ state: inout State) throws(YesterError) -> Finished? {
    guard state.expected == state.written else { return nil }
    let sealed = key.sealDirectory(state.directory)
    let end = sealed + PackLayout.trailer(directoryOffset: UInt64(size), directoryLength: UInt32(sealed.count))
    try end.withBytes { (end) throws(YesterError) in
      state.naming.append(end)
      try upload.append(end)
    }
    let (parity, id) = state.naming.finish()
    try parity.withBytes { (parity) throws(YesterError) in try upload.append(parity) }
    let pack = IndexedPack(
      id: id, size: state.naming.size, kind: key.kind, writer: writer, directory: state.directory)
    return Finished(pack: pack, upload: upload, assembly: self)
  }
}
