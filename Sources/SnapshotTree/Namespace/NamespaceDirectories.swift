internal import Glibc
internal import Platform
internal import RepositoryFormat
internal import RepositoryStore
internal import Synchronization

/// Looking up and listing outside of snapshots.
extension Namespace {
  /// A child of a virtual directory; nil when there is none of that name.
  func child(_ name: [UInt8], of node: VirtualNode) throws -> NodeInfo? {
    let text = String(decoding: name, as: UTF8.self)
    let isText = Array(text.utf8) == name
    switch node {
    case .top: return isText && hostView(text) != nil ? try info(.host(text)) : nil
    case .host(let host):
      guard isText, let view = hostView(host) else { return nil }
      switch text {
      case ".yester": return try info(.yester(host: host))
      case "latest": return view.latest == nil ? nil : try info(.latest(host: host))
      default:
        if let members = view.day(named: text) { return try day(text, members, host) }
        return try view.snapshot(named: text).map { try snapshotRoot($0, host) }
      }
    case .yester(let host):
      let children: [String: VirtualNode] = [
        "versions": .versions(host: host, path: []), "checksums": .checksums(host: host),
        "backup_metadata.json": .metadata(host: host), "stats": .stats(host: host), "health": .health(host: host),
      ]
      return try isText ? children[text].map { try info($0) } : nil
    case .checksums(let host):
      guard isText, text.hasSuffix(".sha256"), !checksumMembers(host, String(text.dropLast(7))).isEmpty else {
        return nil
      }
      return try info(.checksumFile(host: host, name: String(text.dropLast(7))))
    case .versions(let host, let path): return try version(name, of: path, host)
    case .union(let host, let day, let path): return try unionChild(name, host, day, path)
    case .latest, .checksumFile, .metadata, .stats, .health: throw Errno.notDirectory
    }
  }

  /// Calls `body` with the children from a place on, sorted by name, and with the place behind each, until it returns
  /// false.
  func forEachChild(
    of node: VirtualNode, from start: Int, _ body: (_ name: [UInt8], _ child: NodeInfo, _ next: Int) -> Bool
  ) throws {
    if case .union(let host, let day, let path) = node {
      for (place, child) in try unionChildren(host, day, path).enumerated().dropFirst(start) {
        guard body(child.name, child.info, place + 1) else { return }
      }
      return
    }
    let names = try childNames(of: node)
    for place in min(start, names.count)..<names.count {
      let name = names[place]
      guard let child = try child(name, of: node) else { continue }
      guard body(name, child, place + 1) else { return }
    }
  }

  /// Sorted.
  private func childNames(of node: VirtualNode) throws -> [[UInt8]] {
    if case .host(let host) = node { return hostView(host)?.names ?? [] }
    return try unsortedChildNames(of: node).sorted { $0.precedes($1) }
  }

  private func unsortedChildNames(of node: VirtualNode) throws -> [[UInt8]] {
    switch node {
    case .top: return state.withLock { $0.hosts.keys.map { Array($0.utf8) } }
    case .yester:
      return ["versions", "checksums", "backup_metadata.json", "stats", "health"].map { Array($0.utf8) }
    case .checksums(let host): return checksumNames(host).map { Array("\($0).sha256".utf8) }
    case .versions(let host, let path): return try versionNames(of: path, host)
    case .host, .union, .latest, .checksumFile, .metadata, .stats, .health: throw Errno.notDirectory
    }
  }

  private func checksumNames(_ host: String) -> [String] {
    guard let view = hostView(host) else { return [] }
    return view.days.map(\.name) + view.snapshots.map(\.name)
  }

  /// The snapshots that a list of checksums covers.
  func checksumMembers(_ host: String, _ name: String) -> [CatalogedSnapshot] {
    let view = hostView(host)
    return view?.day(named: name) ?? view?.snapshot(named: name).map { [$0] } ?? []
  }

  private func snapshotRoot(_ snapshot: CatalogedSnapshot, _ host: String) throws -> NodeInfo {
    let number = view(snapshot, role: "snapshot", above: number(.host(host)))
    return try rootInfo(number)
  }

  /// The name may lead elsewhere tomorrow, or nowhere, though what it leads to never changes.
  private func rootInfo(_ view: UInt64) throws -> NodeInfo {
    var info = try attributesOrThrow(NodeNumber.node(view: view, number: 0))
    info.isImmutable = false
    return info
  }

  // MARK: Days

  /// The day's tree: the only plan's snapshot, or a union of several.
  private func day(_ name: String, _ members: [CatalogedSnapshot], _ host: String) throws -> NodeInfo {
    if members.count == 1 { return try rootInfo(view(members[0], role: "day", above: number(.host(host)))) }
    return try info(.union(host: host, day: name, path: []))
  }

  /// The directories that make up a union directory, newest first. More than one only on the way to sources.
  func unionMembers(_ host: String, _ day: String, _ path: [UInt8]) throws -> [(view: UInt64, node: SnapshotNode)] {
    guard let members = hostView(host)?.day(named: day) else { throw Errno.stale }
    var out: [(view: UInt64, node: SnapshotNode)] = []
    for member in members {
      let view = view(member, role: "day", above: number(.host(host)))
      if let node = try reader(member).node(at: path), node.entry.isDirectory { out.append((view, node)) }
    }
    return out
  }

  private func unionChild(_ name: [UInt8], _ host: String, _ day: String, _ path: [UInt8]) throws -> NodeInfo? {
    var found: [(view: UInt64, node: SnapshotNode)] = []
    for (view, directory) in try unionMembers(host, day, path) {
      guard let reader = state.withLock({ $0.views[view]?.reader }),
        let child = try name.withUnsafeBytes({ try reader.child($0, of: directory) })
      else { continue }
      found.append((view, child))
    }
    return try unionInfo(name, found, host, day, path)
  }

  /// The newest whole thing wins; where all that have the name only lead on to sources, they are united.
  private func unionInfo(
    _ name: [UInt8], _ found: [(view: UInt64, node: SnapshotNode)], _ host: String, _ day: String, _ path: [UInt8]
  ) throws -> NodeInfo? {
    if let whole = found.first(where: { !$0.node.entry.isPartial }) { return info(whole.node, view: whole.view) }
    guard let first = found.first else { return nil }
    if found.count == 1 { return info(first.node, view: first.view) }
    return try info(.union(host: host, day: day, path: path.isEmpty ? name : path + [0x2F] + name))
  }

  private func unionChildren(_ host: String, _ day: String, _ path: [UInt8]) throws -> [(name: [UInt8], info: NodeInfo)]
  {
    var found: [[UInt8]: [(view: UInt64, node: SnapshotNode)]] = [:]
    for (view, directory) in try unionMembers(host, day, path) {
      guard let reader = state.withLock({ $0.views[view]?.reader }) else { continue }
      try reader.forEachChild(of: directory) { child, _ in
        found[child.entry.name, default: []].append((view, child))
        return true
      }
    }
    return try found.keys.sorted { $0.precedes($1) }.compactMap { name in
      try unionInfo(name, found[name] ?? [], host, day, path).map { (name, $0) }
    }
  }

  // MARK: Versions

  /// A version of `path` by the name of its snapshot, or the next step of a longer path.
  private func version(_ name: [UInt8], of path: [UInt8], _ host: String) throws -> NodeInfo? {
    let text = String(decoding: name, as: UTF8.self)
    guard let view = hostView(host) else { return nil }
    if let snapshot = view.snapshot(named: text), let node = try reader(snapshot).node(at: path) {
      if !node.entry.isDirectory {
        let number = self.view(snapshot, role: "snapshot", above: number(.host(host)))
        return info(node, view: number)
      }
      let number = self.view(
        reader(snapshot), directory: node.number, above: number(.versions(host: host, path: path)))
      return info(node, view: number)
    }
    let longer = path.isEmpty ? name : path + [0x2F] + name
    for (_, snapshot) in view.snapshots.reversed() where try reader(snapshot).node(at: longer) != nil {
      return try info(.versions(host: host, path: longer))
    }
    return nil
  }

  private func versionNames(of path: [UInt8], _ host: String) throws -> [[UInt8]] {
    guard let view = hostView(host) else { return [] }
    let readers = view.snapshots.map { reader($0.snapshot) }
    return try VersionHistory(of: path, in: readers).versions.map { Array(view.snapshots[$0.reader].name.utf8) }
  }
}
