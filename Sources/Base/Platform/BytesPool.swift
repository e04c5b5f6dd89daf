internal import Glibc

/// Memory for large buffers that is used again and again instead of given back to the system: fresh memory costs a
/// page fault and a cleared page for every 4 KiB, which takes about as long as filling it with data does.
///
/// One range of addresses, of which pieces are lent out; pieces that come back join their neighbours. The lowest
/// hole that fits is taken, so that the range is touched no further than needed. What finds no room, and what is
/// small, comes from the ordinary heap.
package final class BytesPool: Sendable {
  private struct State {
    /// Sorted by offset; no two of them touch.
    var holes: [Range<Int>]
  }
  private static let page = 4096
  /// Below this the heap does as well.
  private static let smallest = 64 << 10
  private let size: Int
  private let base: UInt
  private let state: Monitor<State>

  /// `size` in bytes is the address range; memory is taken up only as it is used.
  package init(size: Int) {
    let range = mmap(
      nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    if let range, range != MAP_FAILED {
      // Large pages where the system has them: one fault for 2 MiB.
      madvise(range, size, MADV_HUGEPAGE)
      base = UInt(bitPattern: range)
      self.size = size
    } else {
      base = 0
      self.size = 0
    }
    state = Monitor(State(holes: self.size > 0 ? [0..<self.size] : []))
  }

  deinit { if size > 0 { munmap(UnsafeMutableRawPointer(bitPattern: base), size) } }

  /// A buffer with room for `capacity` bytes at least, whose memory comes back here when nobody holds it any more.
  package func take(capacity: Int) -> Bytes { takeIfRoom(capacity: capacity) ?? Bytes(capacity: capacity) }

  /// As `take`, but nil where only the heap has room. Small buffers are from the heap in any case.
  package func takeIfRoom(capacity: Int) -> Bytes? {
    let wanted = (capacity + Self.page - 1) / Self.page * Self.page
    guard wanted >= Self.smallest else { return Bytes(capacity: capacity) }
    guard let start = take(wanted), let pointer = UnsafeMutableRawPointer(bitPattern: base + UInt(start)) else {
      return nil
    }
    return Bytes(pointer, capacity: wanted, of: self)
  }

  private func take(_ wanted: Int) -> Int? {
    state.withLock { state in
      guard let index = state.holes.firstIndex(where: { $0.count >= wanted }) else { return nil }
      let hole = state.holes[index]
      if hole.count == wanted {
        state.holes.remove(at: index)
      } else {
        state.holes[index] = (hole.lowerBound + wanted)..<hole.upperBound
      }
      return hole.lowerBound
    }
  }

  /// For `Bytes` alone, which gives its memory back as it goes.
  func giveBack(_ memory: UnsafeMutableRawPointer, capacity: Int) {
    let start = Int(UInt(bitPattern: memory) - base)
    state.withLock { state in
      var range = start..<(start + capacity)
      var index = state.holes.firstIndex { $0.lowerBound > start } ?? state.holes.count
      if index < state.holes.count, state.holes[index].lowerBound == range.upperBound {
        range = range.lowerBound..<state.holes.remove(at: index).upperBound
      }
      if index > 0, state.holes[index - 1].upperBound == range.lowerBound {
        index -= 1
        range = state.holes.remove(at: index).lowerBound..<range.upperBound
      }
      state.holes.insert(range, at: index)
    }
  }
}
