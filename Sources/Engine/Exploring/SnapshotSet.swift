/// Some of a list of snapshots, by their indices in it.
package struct SnapshotSet: Sendable, Equatable {
  private var words: [UInt64] = []

  package init() {}
  package init(_ index: Int) { insert(index) }

  package mutating func insert(_ index: Int) {
    let word = index >> 6
    if word >= words.count { words += [UInt64](repeating: 0, count: word + 1 - words.count) }
    words[word] |= 1 << UInt64(index & 63)
  }

  package mutating func formUnion(_ other: SnapshotSet) {
    if other.words.count > words.count {
      words += [UInt64](repeating: 0, count: other.words.count - words.count)
    }
    for (at, word) in other.words.enumerated() { words[at] |= word }
  }

  package var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

  /// The lowest and the highest index; nil when it is empty.
  package var bounds: ClosedRange<Int>? {
    guard let low = words.firstIndex(where: { $0 != 0 }), let high = words.lastIndex(where: { $0 != 0 }) else {
      return nil
    }
    return (low * 64 + words[low].trailingZeroBitCount)...(high * 64 + 63 - words[high].leadingZeroBitCount)
  }
}
