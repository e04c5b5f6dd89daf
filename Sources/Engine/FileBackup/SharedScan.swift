internal import Platform
internal import SnapshotTree

/// A stretch of a large directory's names that several threads scan, a slice each.
final class SharedScan: Sendable {
  /// Names in a slice.
  private static let sliceSize = 256
  /// Of all entries together.
  private static let memoryMax = 8 << 20

  private struct State {
    /// Slices that somebody has begun.
    var begun = 0
    var done = 0
    var entries: [[ScannedEntry]]
  }

  private let scanner: DirectoryScanner
  private let scan: DirectoryScan
  private let range: Range<Int>
  private let path: [UInt8]
  private let base: SnapshotNode?
  private let slices: Int
  private let state: Monitor<State>

  init(_ scanner: DirectoryScanner, _ scan: DirectoryScan, _ range: Range<Int>, path: [UInt8], base: SnapshotNode?) {
    self.scanner = scanner
    self.scan = scan
    self.range = range
    self.path = path
    self.base = base
    slices = (range.count + Self.sliceSize - 1) / Self.sliceSize
    state = Monitor(State(entries: Array(repeating: [], count: slices)))
  }

  /// Takes part until every slice has somebody.
  func work() {
    while let slice = begin() {
      let start = range.lowerBound + slice * Self.sliceSize
      let part = start..<min(start + Self.sliceSize, range.upperBound)
      let entries = scanner.scan(part, of: scan, path: path, base: base, memoryMax: Self.memoryMax / slices)
      let isLast = state.withLock { state in
        state.entries[slice] = entries
        state.done += 1
        return state.done == slices
      }
      if isLast { state.notifyAll() }
    }
  }

  var hasMore: Bool { state.withLock { $0.begun < slices } }

  private func begin() -> Int? {
    state.withLock { state in
      guard state.begun < slices else { return nil }
      state.begun += 1
      return state.begun - 1
    }
  }

  /// Waits for all slices. What they have shown, up to the first that came to the end of its memory.
  func wait() -> [ScannedEntry] {
    state.wait { state in
      guard state.done == slices else { return nil }
      var found: [ScannedEntry] = []
      found.reserveCapacity(range.count)
      for (slice, entries) in state.entries.enumerated() {
        found += entries
        let isWhole = entries.count == Self.sliceSize || slice == slices - 1
        if !isWhole { break }
      }
      return found
    }
  }
}
