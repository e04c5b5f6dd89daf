internal import Platform
package import Reporting
package import RepositoryCore
package import RepositoryFormat
internal import Synchronization

/// An entry of a snapshot with its number: its position in a depth-first walk, the root being 0.
package struct SnapshotNode: Sendable {
  package let number: UInt64
  package let entry: Entry
  /// Number of the directory above; 0 for the root itself.
  package let parent: UInt64

  package init(number: UInt64, entry: Entry, parent: UInt64) {
    self.number = number
    self.entry = entry
    self.parent = parent
  }
}

/// One snapshot as a file system. For any thread.
package final class SnapshotReader: Sendable {
  package let snapshot: CatalogedSnapshot
  package let tree: TreeStore
  package let root: SnapshotNode
  /// Tells this reader's entries apart in the cache that all readers of a tree share.
  private let serial: UInt64
  /// Directories in which something was looked up last: most questions are about their other children.
  private let recent = Mutex<[SnapshotNode]>([])
  private static let recentMax = 8

  package init(_ snapshot: CatalogedSnapshot, tree: TreeStore) {
    self.snapshot = snapshot
    self.tree = tree
    root = SnapshotNode(number: 0, entry: snapshot.record.root, parent: 0)
    serial = tree.nextReaderSerial()
  }

  /// Entries of the whole snapshot, the root included.
  package var entryCount: UInt64 { root.entry.below + 1 }

  private func damaged(_ error: FormatError) -> YesterError {
    YesterError.damaged("The snapshot \(snapshot.record.name)", error)
  }

  private func node(_ listed: ListedEntry, in directory: UInt64) throws(YesterError) -> SnapshotNode {
    let entry: Entry
    do throws(FormatError) {
      entry = try listed.entry()
    } catch {
      throw damaged(error)
    }
    return SnapshotNode(number: directory + 1 + listed.numberOffset, entry: entry, parent: directory)
  }

  /// The entry with a number; nil when there are not so many.
  package func node(_ number: UInt64) throws(YesterError) -> SnapshotNode? {
    if number == 0 { return root }
    if let known = tree.nodes[TreeStore.NodeKey(reader: serial, number: number)] { return known }
    var directory = nearestDirectory(above: number)
    for _ in 0..<Limits.treeDepthMax {
      guard case .directory(let below, let listing) = directory.entry.body, number > directory.number,
        let listed = try tree.find(numberOffset: number - directory.number - 1, in: listing, below: below)
      else { return nil }
      let next = try node(listed, in: directory.number)
      if next.number == number || next.entry.isDirectory { keep(next) }
      if next.number == number {
        remember(directory)
        return next
      }
      directory = next
    }
    throw damaged(FormatError("the tree is deeper than trees may be"))
  }

  /// The child of a directory; nil when there is none of that name, or `directory` is none. It is remembered for
  /// questions that come by its number, unless none will.
  package func child(
    _ name: UnsafeRawBufferPointer, of directory: SnapshotNode, isRemembered: Bool = true
  ) throws(YesterError) -> SnapshotNode? {
    guard case .directory(let below, let listing) = directory.entry.body,
      let listed = try tree.find(name, in: listing, below: below)
    else { return nil }
    let child = try node(listed, in: directory.number)
    if isRemembered { keep(child) }
    return child
  }

  private func keep(_ node: SnapshotNode) {
    tree.nodes.insert(TreeStore.NodeKey(reader: serial, number: node.number), node, cost: node.entry.memory)
  }

  private func remember(_ directory: SnapshotNode) {
    recent.withLock { recent in
      guard recent.first?.number != directory.number else { return }
      recent.removeAll { $0.number == directory.number }
      recent.insert(directory, at: 0)
      if recent.count > Self.recentMax { recent.removeLast() }
    }
  }

  /// The deepest of the directories used last that has the entry with a number somewhere below it.
  private func nearestDirectory(above number: UInt64) -> SnapshotNode {
    recent.withLock { recent in
      var nearest = root
      for directory in recent
      where directory.number < number && number - directory.number <= directory.entry.below
        && directory.number > nearest.number
      { nearest = directory }
      return nearest
    }
  }

  /// Children from a position on, in the order of their names, until `body` returns false. Throws what `body` throws, and
  /// `YesterError`.
  package func forEachChild(
    of directory: SnapshotNode, from position: UInt64 = 0,
    _ body: (SnapshotNode, _ position: UInt64) throws -> Bool
  ) throws {
    guard case .directory(let below, let listing) = directory.entry.body else { return }
    remember(directory)
    try tree.forEach(in: listing, below: below, from: position) { listed in
      try body(try node(listed, in: directory.number), listed.position)
    }
  }

  /// The entry at a path; empty components and `.` are skipped, nothing is followed.
  package func node(at path: [UInt8]) throws(YesterError) -> SnapshotNode? {
    var node = root
    for part in path.split(separator: 0x2F) where !(part.count == 1 && part.first == 0x2E) {
      guard let next = try Array(part).withBytes({ (name) throws(YesterError) in try child(name, of: node) }) else {
        return nil
      }
      node = next
    }
    return node
  }

  /// Walks everything below `start`, directories before their content, and calls `body` with each entry and its
  /// path relative to `start` (empty for `start` itself). `body` says whether to go into a directory. Throws what it
  /// throws, and `YesterError`.
  package func walk(
    from start: SnapshotNode, _ body: (SnapshotNode, _ path: [UInt8]) throws -> Bool
  ) throws {
    struct Frame {
      let directory: SnapshotNode
      let path: [UInt8]
      var position: UInt64
    }
    guard try body(start, []), start.entry.isDirectory else { return }
    var stack = [Frame(directory: start, path: [], position: 0)]
    while let top = stack.last {
      var next: (SnapshotNode, [UInt8])?
      var position = top.position
      try forEachChild(of: top.directory, from: top.position) { child, at in
        position = at + 1
        let path = top.path.isEmpty ? child.entry.name : top.path + [0x2F] + child.entry.name
        if try body(child, path), child.entry.isDirectory {
          next = (child, path)
          return false
        }
        return true
      }
      guard let next else {
        stack.removeLast()
        continue
      }
      guard stack.count < Limits.treeDepthMax else {
        throw damaged(FormatError("the tree is deeper than trees may be"))
      }
      stack[stack.count - 1].position = position
      stack.append(Frame(directory: next.0, path: next.1, position: 0))
    }
  }
}
