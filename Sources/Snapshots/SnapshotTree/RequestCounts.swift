internal import Synchronization

/// How many requests of each kind a driver has been asked: what the `stats` file of a mount shows, so that a wasted
/// round trip is seen. The kinds are numbers, and the driver knows their names.
///
/// `@unchecked Sendable`: the memory holds atomics and lives as long as the object.
package final class RequestCounts: @unchecked Sendable {
  private let names: [String?]
  private let counts: UnsafeMutablePointer<Atomic<UInt64>>

  /// `names` by kind; a kind without a name is counted as "other".
  package init(names: [String?]) {
    self.names = names
    counts = .allocate(capacity: names.count + 1)
    for kind in 0...names.count { (counts + kind).initialize(to: Atomic(0)) }
  }

  deinit {
    counts.deinitialize(count: names.count + 1)
    counts.deallocate()
  }

  package func add(_ kind: Int) {
    let index = names.indices.contains(kind) ? kind : names.count
    counts[index].add(1, ordering: .relaxed)
  }

  package var total: UInt64 { (0...names.count).reduce(0) { $0 + counts[$1].load(ordering: .relaxed) } }

  /// The kinds that occurred.
  package var all: [(name: String, count: UInt64)] {
    var out: [(name: String, count: UInt64)] = []
    var other = counts[names.count].load(ordering: .relaxed)
    for (kind, name) in names.enumerated() {
      let count = counts[kind].load(ordering: .relaxed)
      if let name, count > 0 { out.append((name, count)) } else { other += count }
    }
    return other > 0 ? out + [("other", other)] : out
  }
}
