package import Platform
internal import Reporting
package import RepositoryFormat
internal import SnapshotTree

/// Looks for entries by name in many snapshots at once.
///
/// All snapshots are walked together, directory by directory. Of each directory every distinct listing is read once,
/// however many snapshots have it, so that a thousand snapshots that hardly differ cost little more than one. Memory
/// is that of the directories on the way down.
package final class SnapshotSearch {
  /// A path that matches, with its distinct versions.
  package struct Match {
    /// From the root, without a slash in front.
    package let path: [UInt8]
    /// By the first snapshot that holds each; all of a directory's are one.
    package fileprivate(set) var versions: [Version]
  }
  package struct Version {
    /// As one of the snapshots has it.
    package let entry: Entry
    /// Indices of the list of readers.
    package fileprivate(set) var snapshots: SnapshotSet
  }

  private struct Frame {
    var listings: ListingMerge
    /// Length of the path with the slash behind it.
    let pathLength: Int
  }

  private let pattern: FindPattern
  private let types: Set<EntryType>
  private let stop: CancellationFlag
  private var path: [UInt8] = []
  private var stack: [Frame] = []

  /// Empty `types` take all.
  package init(_ pattern: FindPattern, types: Set<EntryType>, stop: CancellationFlag) {
    self.pattern = pattern
    self.types = types
    self.stop = stop
  }

  /// Calls `report` for each path that matches, in the order of a depth-first walk. `locations` are all at the same
  /// path. Throws `Stopped` when the flag was raised.
  package func run(_ locations: [SnapshotLocation], _ report: (Match) throws -> Void) throws {
    guard let first = locations.first else { return }
    var versions: [Version] = []
    for (at, location) in locations.enumerated() {
      Self.add(location.node.entry, SnapshotSet(at), to: &versions)
    }
    path = first.path
    let depth = path.split(separator: 0x2F).count
    let nameStart = path.lastIndex(of: 0x2F).map { $0 + 1 } ?? 0
    if !path.isEmpty && pattern.matches(path, nameStart: nameStart) { try match(versions, report) }
    let directories = locations.enumerated().map { ($1.node.entry, SnapshotSet($0)) }
    try push(directories, first.reader.tree.reader)
    while let top = stack.last {
      if stop.isRaised { throw Stopped() }
      path.removeLast(path.count - top.pathLength)
      guard let variants = try stack[stack.count - 1].listings.next() else {
        stack.removeLast()
        continue
      }
      try visit(variants, depth: depth + stack.count - 1, first.reader.tree.reader, report)
    }
  }

  private func visit(
    _ variants: [ListingMerge.Variant],
    depth: Int,
    _ source: any ChunkSource,
    _ report: (Match) throws -> Void
  ) throws {
    guard let one = variants.first else { return }
    let nameStart = path.count
    let isMatch: Bool
    let entries: [(Entry, SnapshotSet)]
    do throws(FormatError) {
      path.append(contentsOf: try one.leaf.name(one.index))
      isMatch = pattern.matches(path, nameStart: nameStart)
      entries = try decode(variants, isMatch: isMatch)
    } catch {
      throw YesterError.damaged("A listing", error)
    }
    if isMatch {
      var versions: [Version] = []
      for (entry, snapshots) in entries { Self.add(entry, snapshots, to: &versions) }
      try match(versions, report)
    }
    let name = Array(path[nameStart...])
    if name.withUnsafeBytes({ pattern.mayMatch(below: $0, depth: depth) }) { try push(entries, source) }
  }

  /// Directories, and of the others those that are looked for: most need not be decoded.
  private func decode(
    _ variants: [ListingMerge.Variant],
    isMatch: Bool
  ) throws(FormatError) -> [(Entry, SnapshotSet)] {
    var out: [(Entry, SnapshotSet)] = []
    for variant in variants {
      let type = try variant.leaf.type(variant.index)
      guard type == .directory || (isMatch && isWanted(type)) else { continue }
      out.append((try variant.leaf.entry(variant.index), variant.snapshots))
    }
    return out
  }

  private func isWanted(_ type: EntryType) -> Bool { types.isEmpty || types.contains(type) }

  private static func add(_ entry: Entry, _ snapshots: SnapshotSet, to versions: inout [Version]) {
    let known = versions.firstIndex {
      entry.isDirectory ? $0.entry.isDirectory : $0.entry.isSameVersion(as: entry)
    }
    if let known {
      versions[known].snapshots.formUnion(snapshots)
    } else {
      versions.append(Version(entry: entry, snapshots: snapshots))
    }
  }

  private func match(_ versions: [Version], _ report: (Match) throws -> Void) throws {
    let wanted = versions.filter { isWanted($0.entry.type) }
    guard !wanted.isEmpty else { return }
    func first(_ version: Version) -> Int { version.snapshots.bounds?.lowerBound ?? 0 }
    try report(Match(path: path, versions: wanted.sorted { first($0) < first($1) }))
  }

  /// Goes on inside of the directories, each distinct listing once.
  private func push(_ entries: [(Entry, SnapshotSet)], _ source: any ChunkSource) throws {
    var listings: [(listing: ObjectID, below: UInt64, snapshots: SnapshotSet)] = []
    var indices: [ObjectID: Int] = [:]
    for (entry, snapshots) in entries {
      guard case .directory(let below, let listing) = entry.body else { continue }
      if let index = indices[listing] {
        listings[index].snapshots.formUnion(snapshots)
      } else {
        indices[listing] = listings.count
        listings.append((listing, below, snapshots))
      }
    }
    guard !listings.isEmpty else { return }
    guard stack.count < Limits.treeDepthMax else {
      throw YesterError.damaged("The tree", FormatError("it is deeper than trees may be"))
    }
    if !path.isEmpty { path.append(0x2F) }
    stack.append(Frame(listings: ListingMerge(source, listings), pathLength: path.count))
  }
}
