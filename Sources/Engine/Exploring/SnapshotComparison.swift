internal import RepositoryCore
package import Platform
internal import Reporting
internal import RepositoryFormat
internal import SnapshotTree

/// Compares two paths in snapshots. Directories with the same listing are not gone into, and of large ones only
/// the parts that differ are read: the cost is that of the differences.
package final class SnapshotComparison {
  private let old: SnapshotLocation
  private let new: SnapshotLocation
  private let stop: CancellationFlag
  private let oldContent: FileContentReader
  private let newContent: FileContentReader
  private var counts = DifferenceCounts()

  private struct Frame {
    var pair: ListingPair
    let path: [UInt8]
  }
  private var stack: [Frame] = []

  package init(_ old: SnapshotLocation, _ new: SnapshotLocation, stop: CancellationFlag) {
    self.old = old
    self.new = new
    self.stop = stop
    oldContent = FileContentReader(tree: old.reader.tree, keySet: old.reader.snapshot.keySet)
    newContent = FileContentReader(tree: new.reader.tree, keySet: new.reader.snapshot.keySet)
  }

  /// Calls `report` for each difference: a directory before what is in it, names in the order of their bytes.
  /// Throws `Stopped` when `stop` was raised.
  package func run(_ report: (Difference) throws -> Void) throws -> DifferenceCounts {
    try visit(old.node.entry, new.node.entry, [], report)
    while let path = stack.last?.path {
      if stop.isRaised { throw Stopped() }
      // In place: a copy of the pair would copy its lists of objects.
      guard let step = try stack[stack.count - 1].pair.next() else {
        stack.removeLast()
        continue
      }
      switch step {
      case .onlyOld(let entry): try visit(entry, nil, Self.join(path, entry.name), report)
      case .onlyNew(let entry): try visit(nil, entry, Self.join(path, entry.name), report)
      case .both(let a, let b): try visit(a, b, Self.join(path, a.name), report)
      }
    }
    return counts
  }

  static func join(_ path: [UInt8], _ name: [UInt8]) -> [UInt8] { path.isEmpty ? name : path + [0x2F] + name }

  private func visit(
    _ a: Entry?,
    _ b: Entry?,
    _ path: [UInt8],
    _ report: (Difference) throws -> Void
  ) throws {
    var difference: Difference?
    switch (a, b) {
    case (let a?, let b?):
      difference = Difference(path, try aspects(a, b), old: EntryFacts(a), new: EntryFacts(b))
    case (let a?, nil): difference = Difference(removed: EntryFacts(a), path)
    case (nil, let b?): difference = Difference(added: EntryFacts(b), path)
    case (nil, nil): return
    }
    if let difference {
      counts.add(difference.kind)
      try report(difference)
    }
    try enter(a, b, path)
  }

  private func enter(_ a: Entry?, _ b: Entry?, _ path: [UInt8]) throws {
    var cursors: [ListingCursor?] = []
    var listings: [ObjectID] = []
    for (entry, location) in [(a, old), (b, new)] {
      guard let entry, case .directory(let below, let listing) = entry.body else {
        cursors.append(nil)
        continue
      }
      cursors.append(ListingCursor(listing, below: below, source: location.reader.tree.reader))
      listings.append(listing)
    }
    if listings.isEmpty || (listings.count == 2 && listings[0] == listings[1]) { return }
    guard stack.count < Limits.treeDepthMax else {
      throw YesterError.damaged("The tree", FormatError("it is deeper than trees may be"))
    }
    stack.append(Frame(pair: ListingPair(old: cursors[0], new: cursors[1]), path: path))
  }

  private func aspects(_ a: Entry, _ b: Entry) throws -> [Difference.Aspect] {
    guard a.type == b.type else { return [.type] }
    var out: [Difference.Aspect] = []
    if !a.isDirectory, try !hasSameContent(a, b) { out.append(.content) }
    out += EntryFacts(a).metadataAspects(EntryFacts(b))
    if !a.attributes.isSame(as: b.attributes) { out.append(.xattrs) }
    return out
  }

  private func hasSameContent(_ a: Entry, _ b: Entry) throws -> Bool {
    if a.hasSameContent(as: b) { return true }
    guard case .file(let size, let content) = a.body, case .file(let otherSize, let other) = b.body,
      size == otherSize, content.digest == nil || other.digest == nil
    else { return false }
    // Very sparse files have no hash: whether two of them are equal only reading can tell.
    let buffer = Bytes(capacity: 1 << 20)
    let otherBuffer = Bytes(capacity: 1 << 20)
    var offset: UInt64 = 0
    while offset < size {
      if stop.isRaised { throw Stopped() }
      let got = try oldContent.read(content, size: size, at: offset, into: buffer.whole)
      guard got > 0, try newContent.read(other, size: size, at: offset, into: otherBuffer.whole) == got,
        UnsafeRawBufferPointer(buffer.whole.rebased(got)).equals(UnsafeRawBufferPointer(otherBuffer.whole.rebased(got)))
      else { return false }
      offset += UInt64(got)
    }
    return true
  }
}
