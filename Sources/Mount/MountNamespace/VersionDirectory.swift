internal import Glibc
internal import Platform
internal import RepositoryCore
internal import RepositoryFormat
internal import SnapshotTree
internal import Synchronization

/// The directories of `.yester/versions`: the one of a path holds the path's versions, under the names of their
/// snapshots, and for each name that was ever below the path a directory of the same kind.
///
/// They can be told apart: a version of a file is that file, a version of a directory a link to it in its snapshot, and
/// what leads on is a directory. Where a name means both, it is the version.
///
/// The directory of a path has the number of the path's oldest entry. Positions in it: those of versions count
/// snapshots; from 2^32 on they count names.
extension Namespace {
  private static let namesBegin: UInt64 = 1 << 32
  /// Names are merged so many at a time.
  private static let windowSize = 512
  /// So many windows before the one that is wanted may be those that were read last.
  private static let windowsBack: UInt64 = 64
  /// So many states of a directory are looked at for names, the newest ones. Names that only older ones had are not
  /// listed, but can be looked up.
  private static let statesMax = 512

  /// The directory that stands for a path; nil when no snapshot has the path.
  func versionDirectory(_ trail: VersionTrail, _ host: String) throws -> NodeInfo? {
    guard !trail.path.isEmpty else { return try info(.versions(host: host)) }
    guard let view = hostView(host), let first = trail.steps.first else { return nil }
    return directoryInfo(trail, first.node.number, try self.view(view.snapshots[first.snapshot].snapshot, .versions))
  }

  /// Of a node that was given out before, or by an earlier mount.
  func versionDirectoryInfo(_ node: SnapshotNode, _ view: SnapshotView) throws -> NodeInfo {
    let trail = try trail(of: node, view)
    guard !trail.steps.isEmpty else { throw Errno.stale }
    return directoryInfo(trail, node.number, view)
  }

  func trail(of node: SnapshotNode, _ view: SnapshotView) throws -> VersionTrail {
    try trail(view.snapshot.record.host, path(of: node, in: view.reader))
  }

  private func directoryInfo(_ trail: VersionTrail, _ number: UInt64, _ view: SnapshotView) -> NodeInfo {
    let access = trail.access
    let time = hostView(view.snapshot.record.host)?.snapshots.last?.snapshot.record.start ?? started
    return NodeInfo(
      node: NodeNumber.node(view: view.number, number: number),
      inode: view.inodes.inode(number, linkGroup: nil, .versions), mode: S_IFDIR | access.mode, links: 2,
      user: access.user, group: access.group, size: 4096, blocks: 8, modified: time, changed: time, isImmutable: false,
      generation: view.generation)
  }

  /// A version: the file itself, or a link to the directory. The name is gone with its snapshot.
  private func versionInfo(_ snapshot: CatalogedSnapshot, _ node: SnapshotNode) throws -> NodeInfo {
    var info = info(node, try view(snapshot, node.entry.isDirectory ? .versionLink : .snapshot))
    info.isNameFixed = false
    return info
  }

  /// Where the link to a version of a directory leads.
  func versionTarget(_ node: SnapshotNode, _ view: SnapshotView) throws -> [UInt8] {
    let path = try path(of: node, in: view.reader)
    let snapshot = view.snapshot
    let name =
      hostView(snapshot.record.host)?.snapshots.first { $0.snapshot.id == snapshot.id }?.name ?? snapshot.record.name
    let depth = path.isEmpty ? 0 : path.count { $0 == 0x2F } + 1
    let way = Array(String(repeating: "../", count: depth + 2).utf8) + Array(name.utf8)
    return path.isEmpty ? way : way + [0x2F] + path
  }

  func versionParent(of node: SnapshotNode, _ view: SnapshotView) throws -> UInt64 {
    let path = try path(of: node, in: view.reader)
    let above = path.lastIndex(of: 0x2F).map { Array(path[..<$0]) } ?? []
    let host = view.snapshot.record.host
    guard let directory = try versionDirectory(trail(host, above), host) else { throw Errno.stale }
    return directory.node
  }

  /// A version by the name of its snapshot, or the next step of a longer path.
  func versionChild(_ name: [UInt8], of trail: VersionTrail, _ host: String) throws -> NodeInfo? {
    if let info = try versionNamed(name, trail, host) { return info }
    guard name.withUnsafeBytes({ isValidName($0) }) else { return nil }
    return try versionDirectory(self.trail(host, trail.path.isEmpty ? name : trail.path + [0x2F] + name), host)
  }

  /// Any snapshot that holds the path may be named, not only those that are listed.
  private func versionNamed(_ name: [UInt8], _ trail: VersionTrail, _ host: String) throws -> NodeInfo? {
    guard name.count >= 13, let view = hostView(host),
      let snapshot = view.snapshot(named: String(decoding: name, as: UTF8.self)),
      let node = try reader(snapshot).node(at: trail.path)
    else { return nil }
    return try versionInfo(snapshot, node)
  }

  // MARK: Listing

  func forEachVersion(
    of trail: VersionTrail, _ host: String, from offset: UInt64,
    _ body: (_ name: [UInt8], _ child: NodeInfo, _ next: UInt64) -> Bool
  ) throws {
    guard let view = hostView(host) else { return }
    if offset < Self.namesBegin {
      for step in trail.steps where UInt64(step.snapshot) >= offset && step.snapshot < view.snapshots.count {
        let (name, snapshot) = view.snapshots[step.snapshot]
        guard body(Array(name.utf8), try versionInfo(snapshot, step.node), UInt64(step.snapshot) + 1) else { return }
      }
    }
    var position = offset < Self.namesBegin ? 0 : offset - Self.namesBegin
    while true {
      let window = try window(trail, host, view, holding: position)
      for item in window.names.dropFirst(Int(position - window.start)) {
        position += 1
        if try versionNamed(item.name, trail, host) != nil { continue }
        guard body(item.name, try nameInfo(item, view), Self.namesBegin + position) else { return }
      }
      if window.names.count < Self.windowSize { return }
    }
  }

  /// What a listing shows of a name: who wants to know more looks it up.
  private func nameInfo(_ item: NameWindow.Item, _ view: HostView) throws -> NodeInfo {
    let view = try self.view(view.snapshots[item.snapshot].snapshot, .versions)
    var info = NodeInfo(
      node: NodeNumber.node(view: view.number, number: item.number),
      inode: view.inodes.inode(item.number, linkGroup: nil, .versions), mode: S_IFDIR | 0o500, modified: started,
      changed: started, isImmutable: false, generation: view.generation)
    info.isNameOnly = true
    return info
  }

  /// The names around a position. Who goes through a directory in order finds what was read before; to begin somewhere
  /// else means to merge from the beginning.
  private func window(
    _ trail: VersionTrail, _ host: String, _ view: HostView, holding position: UInt64
  ) throws -> NameWindow {
    let generation = state.withLock { $0.generation }
    let size = UInt64(Self.windowSize)
    let wanted = position / size * size
    func key(_ start: UInt64) -> NameWindow.Key { NameWindow.Key(host: host, path: trail.path, start: start) }
    var start = wanted
    // Where the names of an earlier catalog ended is where those of this one go on.
    while start > 0, windows[key(start)]?.generation != generation, windows[key(start - size)] == nil {
      // A position may be any number.
      start = wanted - start < Self.windowsBack * size ? start - size : 0
    }
    while true {
      let window: NameWindow
      if let known = windows[key(start)], known.generation == generation {
        window = known
      } else {
        let before = start == 0 ? nil : windows[key(start - size)]?.names.last?.name
        window = try NameWindow(
          start: start, generation: generation, names: merged(trail, view, after: before, Self.windowSize))
        windows.insert(key(start), window, cost: window.memory)
      }
      if start == wanted || window.names.count < Self.windowSize {
        return start == wanted ? window : NameWindow(start: wanted, generation: generation, names: [])
      }
      start += size
    }
  }

  /// The first names behind one, of all states of a directory; each with the oldest entry that has it.
  private func merged(
    _ trail: VersionTrail, _ view: HostView, after name: [UInt8]?, _ most: Int
  ) throws -> [NameWindow.Item] {
    var seen: Set<ObjectID> = []
    var states: [(step: VersionTrail.Step, listing: ObjectID, below: UInt64)] = []
    for step in trail.steps {
      guard case .directory(let below, let listing) = step.node.entry.body, seen.insert(listing).inserted else {
        continue
      }
      states.append((step, listing, below))
    }
    var names: [NameWindow.Item] = []
    for (step, listing, below) in states.suffix(Self.statesMax) {
      var more: [NameWindow.Item] = []
      let limit = names.count == most ? names.last?.name : nil
      let from = try tree.position(after: name, in: listing, below: below)
      try tree.forEach(in: listing, below: below, from: from) { listed in
        let found = Array(try listed.leaf.name(listed.index))
        if let limit, !found.precedes(limit) { return false }
        more.append(
          NameWindow.Item(
            name: found, snapshot: step.snapshot, number: step.node.number + 1 + listed.numberOffset))
        return more.count < most
      }
      names = NameWindow.union(names, more, most)
    }
    return names
  }
}

/// A part of the names below a path.
struct NameWindow: Sendable {
  struct Item: Sendable {
    let name: [UInt8]
    /// The index of the snapshot that has the name's oldest entry, and the entry's number.
    let snapshot: Int
    let number: UInt64
  }
  struct Key: Hashable, Sendable {
    let host: String
    let path: [UInt8]
    let start: UInt64
  }

  /// How many names come before.
  let start: UInt64
  let generation: UInt64
  let names: [Item]

  var memory: Int { names.reduce(200) { $0 + 56 + $1.name.count } }

  /// Both are sorted; of two with one name, that of `older` stays.
  static func union(_ older: [Item], _ newer: [Item], _ most: Int) -> [Item] {
    var out: [Item] = []
    out.reserveCapacity(min(most, older.count + newer.count))
    var (a, b) = (0, 0)
    while out.count < most, a < older.count || b < newer.count {
      if b == newer.count || (a < older.count && older[a].name.precedes(newer[b].name)) {
        out.append(older[a])
        a += 1
      } else {
        if a < older.count, older[a].name == newer[b].name {
          b += 1
          continue
        }
        out.append(newer[b])
        b += 1
      }
    }
    return out
  }
}
