package import Platform
package import RepositoryFormat

/// Opened blocks, up to a number of bytes; the longest unused go first. Two readers of one block wait for one
/// decoding (single flight).
package final class BlockCache: Sendable {
  package struct Key: Hashable, Sendable {
    let pack: ObjectID
    let number: UInt32
    package init(pack: ObjectID, number: UInt32) {
      self.pack = pack
      self.number = number
    }
    package func hash(into hasher: inout Hasher) {
      hasher.combine(pack.w0)
      hasher.combine(number)
    }
  }

  /// A block's plaintext, or the beginning of it, and which of its chunks have been verified against their ids.
  package final class Block: Sendable {
    package let bytes: Bytes
    private struct Proof: Hashable {
      let id: ObjectID
      let offset: UInt32
      let length: UInt32
    }
    private let proven = Monitor(Set<Proof>())
    init(_ bytes: Bytes) { self.bytes = bytes }
    /// A proof holds for one id: another id that leads to the same location is verified against the bytes as well.
    func isProven(_ id: ObjectID, _ location: ChunkLocation) -> Bool {
      proven.withLock { $0.contains(Proof(id: id, offset: location.offset, length: location.length)) }
    }
    func setProven(_ id: ObjectID, _ location: ChunkLocation) {
      proven.withLock { _ = $0.insert(Proof(id: id, offset: location.offset, length: location.length)) }
    }
  }

  private struct State {
    var blocks: [Key: (block: Block, used: UInt64)] = [:]
    var loading: Set<Key> = []
    var size = 0
    /// Room for blocks that are being loaded.
    var reserved = 0
    var clock: UInt64 = 0
  }
  package let limit: Int
  private let monitor = Monitor(State())

  /// `limit` in bytes; the block in use is kept even when it is larger.
  package init(limit: Int) { self.limit = limit }

  package var size: Int { monitor.withLock { $0.size } }

  /// The block of `size` bytes, from the cache or by `load`; only the first `needed` bytes of it have to be there. Room
  /// is made before it is loaded, so that the blocks that are being loaded count as well. `load` is told whether the
  /// beginning will do: where that was not enough once, the whole block is loaded.
  package func block<Failure: Error>(
    _ key: Key, size: Int, needed: Int? = nil, load: (_ isBeginningEnough: Bool) throws(Failure) -> Bytes
  ) throws(Failure) -> Block {
    var isBeginningEnough = needed != nil
    let found: Block? = monitor.wait { state in
      state.clock += 1
      if let block = state.blocks[key]?.block {
        if block.bytes.count >= needed ?? size {
          state.blocks[key]?.used = state.clock
          return .some(.some(block))
        }
        isBeginningEnough = false
      }
      if state.loading.contains(key) { return nil }
      state.loading.insert(key)
      state.reserved += size
      makeRoom(&state)
      return .some(.none)
    }
    if let found { return found }
    do throws(Failure) {
      let block = Block(try load(isBeginningEnough))
      monitor.update { state in
        state.loading.remove(key)
        state.reserved -= size
        if let old = state.blocks[key]?.block { state.size -= old.bytes.capacity }
        state.blocks[key] = (block, state.clock)
        state.size += block.bytes.capacity
        makeRoom(&state)
      }
      return block
    } catch {
      monitor.update { state in
        state.loading.remove(key)
        state.reserved -= size
      }
      throw error
    }
  }

  /// Lets go of the longest unused block; false when there is none.
  func dropOldest() -> Bool { monitor.withLock { Self.dropOldest(&$0) } }

  private func makeRoom(_ state: inout State) {
    while state.size + state.reserved > limit, state.blocks.count > 1, Self.dropOldest(&state) {}
  }

  private static func dropOldest(_ state: inout State) -> Bool {
    guard let oldest = state.blocks.min(by: { $0.value.used < $1.value.used }) else { return false }
    state.blocks[oldest.key] = nil
    state.size -= oldest.value.block.bytes.capacity
    return true
  }
}
