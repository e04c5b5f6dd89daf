internal import Platform
internal import Reporting
internal import RepositoryFormat
internal import SnapshotTree

/// One directory as many snapshots have it: all its listings, merged by name. A leaf that several listings share is
/// read once and gone through once, so that a thousand listings that differ in one leaf cost little more than one.
struct ListingMerge {
  /// An entry, and the snapshots whose listing holds it.
  struct Variant {
    let leaf: Leaf
    let index: Int
    let snapshots: SnapshotSet
  }

  private struct Stream {
    /// Objects that were not opened yet; the next one is the last.
    var pending: [ListingCursor.Pending]
    let snapshots: SnapshotSet
  }
  /// A leaf that is being gone through, for all streams that came to it.
  private struct Bundle {
    let id: ObjectID
    let leaf: Leaf
    var index = 0
    var streams: [Int]
    var snapshots: SnapshotSet
  }

  private let source: any ChunkSource
  private var streams: [Stream] = []
  private var bundles: [Bundle] = []
  /// Streams that stand in front of an object.
  private var waiting: [Int] = []

  init(_ source: any ChunkSource, _ listings: [(listing: ObjectID, below: UInt64, snapshots: SnapshotSet)]) {
    self.source = source
    for (listing, below, snapshots) in listings {
      let first = ListingCursor.Pending(id: listing, firstName: [], total: below, level: 0)
      waiting.append(streams.count)
      streams.append(Stream(pending: [first], snapshots: snapshots))
    }
  }

  /// All entries of the next name; nil at the end.
  mutating func next() throws(YesterError) -> [Variant]? {
    while true {
      var lowest: UnsafeRawBufferPointer?
      for bundle in bundles {
        let name = try Self.name(bundle)
        if lowest.map({ name.precedes($0) }) ?? true { lowest = name }
      }
      if try openObjects(notBehind: lowest) { continue }
      guard let lowest else { return nil }
      return try take(lowest)
    }
  }

  private static func name(_ bundle: Bundle) throws(YesterError) -> UnsafeRawBufferPointer {
    do {
      return try bundle.leaf.name(bundle.index)
    } catch {
      throw YesterError.damaged("A listing", error)
    }
  }

  /// Opens the objects that begin first, if they do not begin behind `name`; false when there are none.
  private mutating func openObjects(notBehind name: UnsafeRawBufferPointer?) throws(YesterError) -> Bool {
    var first: [UInt8]?
    for stream in waiting {
      guard let begin = streams[stream].pending.last?.firstName else { continue }
      if first.map({ begin.precedes($0) }) ?? true { first = begin }
    }
    guard let first, name.map({ name in first.withUnsafeBytes { !name.precedes($0) } }) ?? true else { return false }
    var groups: [ObjectID: (object: ListingCursor.Pending, streams: [Int])] = [:]
    var left: [Int] = []
    for stream in waiting {
      if let object = streams[stream].pending.last, object.firstName == first {
        streams[stream].pending.removeLast()
        groups[object.id, default: (object, [])].streams.append(stream)
      } else {
        left.append(stream)
      }
    }
    waiting = left
    for (id, group) in groups {
      // It may be gone through already: for a listing with fewer levels above it.
      if let at = bundles.firstIndex(where: { $0.id == id && $0.index == 0 }) {
        bundles[at].streams += group.streams
        for stream in group.streams { bundles[at].snapshots.formUnion(streams[stream].snapshots) }
        continue
      }
      switch try ListingCursor.read(group.object, from: source) {
      case .children(let children):
        for stream in group.streams { streams[stream].pending += children.reversed() }
        waiting += group.streams
      case .leaf(let leaf):
        if leaf.count == 0 {
          wait(group.streams)
          continue
        }
        var snapshots = SnapshotSet()
        for stream in group.streams { snapshots.formUnion(streams[stream].snapshots) }
        bundles.append(Bundle(id: id, leaf: leaf, streams: group.streams, snapshots: snapshots))
      }
    }
    return true
  }

  /// Takes note of streams that are in front of their next objects, if they have any.
  private mutating func wait(_ streams: [Int]) {
    waiting += streams.filter { !self.streams[$0].pending.isEmpty }
  }

  /// All entries with a name, which are gone past.
  private mutating func take(_ name: UnsafeRawBufferPointer) throws(YesterError) -> [Variant] {
    var out: [Variant] = []
    var going: [Bundle] = []
    // `name` points into one of the leaves: they all stay until the end of the loop.
    let all = bundles
    for var bundle in all {
      if try Self.name(bundle).equals(name) {
        out.append(Variant(leaf: bundle.leaf, index: bundle.index, snapshots: bundle.snapshots))
        bundle.index += 1
      }
      if bundle.index < bundle.leaf.count { going.append(bundle) } else { wait(bundle.streams) }
    }
    bundles = going
    return out
  }
}
